"""Tokens: who a client is, what it may do, and sessions of the page."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from lrnet.errors import ServiceError

log = logging.getLogger("lrnet.service")

MIN_TOKEN: Final = 16  # characters
SESSION_SECONDS: Final = 12 * 3600
WRONG_SECONDS: Final = 1.0  # how long a wrong token waits for its answer, times those of its address that wait already
MOST_WRONG: Final = 10  # wrong tokens of an address that may wait at a time; more are refused unread


class Role(IntEnum):
    """What a token allows; each role includes those before it."""

    READ = 1  # see everything but the audit log
    SUBMIT = 2  # hand videos in, cancel them, examine them again
    ADMIN = 3  # delete, and read the audit log


@dataclass(frozen=True, slots=True)
class Token:
    """A secret that a client must know.

    Attributes:
        name: of its holder, for the audit log.

    Raises:
        ServiceError: the secret is too short.
    """

    secret: str = field(repr=False)
    name: str = "token"
    role: Role = Role.ADMIN

    def __post_init__(self) -> None:
        if len(self.secret) < MIN_TOKEN:
            raise ServiceError(
                f"The token {self.name} has {len(self.secret)} characters, fewer than {MIN_TOKEN}.",
                hint="Make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'",
            )


def read_tokens(text: str) -> tuple[Token, ...]:
    """The tokens of a file: one alone, or lines of NAME ROLE TOKEN with the role read, submit or admin.

    Raises:
        ServiceError: a line is neither, a name stands twice, or there are only comments.
    """
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if len(lines) == 1 and len(lines[0]) == 1:
        return (Token(lines[0][0]),)
    if text.strip() and not lines:  # no token at all would let everybody in
        raise ServiceError("The token file holds no token, only comments.", hint="Add one, or name no token file.")
    found: dict[str, Token] = {}
    for number, words in enumerate(lines, 1):
        if len(words) != 3 or words[1].upper() not in Role.__members__ or not re.fullmatch(r"[\w-]{1,40}", words[0]):
            raise ServiceError(
                f"Token {number} of the token file is invalid.",
                hint="Write one token alone, or lines of NAME ROLE TOKEN, with the role read, submit or admin.",
            )
        if words[0] in found:
            raise ServiceError(f"Two tokens have the name {words[0]}.", hint="Give each token a different name.")
        found[words[0]] = Token(words[2], words[0], Role[words[1].upper()])
    return tuple(found.values())


def holder(given: str, tokens: tuple[Token, ...]) -> Token | None:
    """The token whose secret was given."""
    found = None
    for token in tokens:  # all of them, so that the time taken does not show which it was
        if _same(given, token.secret):
            found = token
    return found


def _same(given: str, secret: str) -> bool:
    """Whether two texts are equal, in a time that does not show where they differ."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), secret.encode())


def new_session(token: Token) -> str:
    """The value of a session's cookie: when it ends, whose it is, and a proof that this service made it."""
    ends = str(int(time.time()) + SESSION_SECONDS)
    return f"{ends}.{token.name}.{_proof(ends, token)}"


def session_holder(cookie: str, tokens: tuple[Token, ...]) -> Token | None:
    """The token that a cookie was made with; None if it is not one of this service, or has ended."""
    ends, _, rest = cookie.partition(".")
    name, _, proof = rest.rpartition(".")
    for token in tokens:
        if token.name == name and _same(proof, _proof(ends, token)) and ends.isascii() and ends.isdigit():
            return token if int(ends) > time.time() else None
    return None


def _proof(ends: str, token: Token) -> str:
    text = f"lrnet session {token.name} {ends}"
    return hmac.new(token.secret.encode(), text.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


class Attempts:
    """Slows those who try tokens, and logs them."""

    def __init__(self) -> None:
        self._waiting: Counter[str] = Counter()

    def too_many(self, address: str) -> bool:
        """Whether an address has so many wrong tokens waiting that another is not looked at."""
        return self._waiting[address] >= MOST_WRONG

    async def wrong(self, address: str) -> None:
        """A wrong token was given: wait."""
        self._waiting[address] += 1
        log.warning("wrong token from %s", address)
        try:
            await asyncio.sleep(WRONG_SECONDS * self._waiting[address])
        finally:
            self._waiting[address] -= 1
            if not self._waiting[address]:
                del self._waiting[address]
