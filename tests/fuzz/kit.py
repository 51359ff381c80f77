"""What all fuzzing shares: how often, how inputs are spoilt, and what may come of it."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any, Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from lrnet.errors import LrnetError

EXAMPLES: Final = int(os.environ.get("LRNET_FUZZ_EXAMPLES", "0"))
"""How many inputs each test tries: a few, the same ones every time, in the suite; `make fuzz` asks for new ones."""

SLOWEST: Final = 10.0  # seconds that one input may take; all of them are small

fuzz = settings(
    max_examples=EXAMPLES or 60,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

TOKENS: Final = (
    *(b"", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\n\n", b'"', b"'", b",", b";", b"\\", b"/", b"../", b"://"),
    *(b"nan", b"-inf", b"1e999", b"-1", b"0", b"9" * 25, b"9" * 5000, b"0.5", b"1_0", b"0x10", "٣".encode(), b"null"),
    *(b"[", b"]", b"{", b"}", b"[" * 2000, b'{"a":' * 2000, b"real", b"fake", b"train", b"true", b"x" * 300),
    *("\ud800".encode("utf-8", "surrogatepass"), "\u202e".encode(), b"\x1b[2J", b"%s", b"a" * 140_000),
)


def spoilt(content: bytes) -> st.SearchStrategy[bytes]:
    """`content` with some parts cut out, doubled, overwritten, or with tokens that parsers stumble over put in."""
    place = st.integers(0, max(len(content), 1))
    edit = st.tuples(
        st.sampled_from(("cut", "double", "put", "over", "end")),
        place,
        st.integers(1, 40),
        st.sampled_from(TOKENS) | st.binary(max_size=8),
    )
    return st.lists(edit, min_size=1, max_size=5).map(lambda edits: _edited(content, edits))


def _edited(content: bytes, edits: list[tuple[str, int, int, bytes]]) -> bytes:
    for what, at, length, token in edits:
        before, middle, after = content[:at], content[at : at + length], content[at + length :]
        content = {
            "cut": before + after,
            "double": before + middle * 3 + after,
            "put": before + token + middle + after,
            "over": before + token + after,
            "end": before,
        }[what]
    return content


SCALARS: Final = st.one_of(
    st.sampled_from(
        [None, True, False, 0, -1, 1, 2**31, 2**63, 10**40, 1e308, float("nan"), float("inf"), -0.0, 1e-308, "", "real"]
    ),
    st.integers(-10, 10_000),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["fake", "../x", "a\x00b", "x" * 300, "s3://a/b", "/", ".", "..", "\ud800", "1", "nan"]),
)
VALUES: Final = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
)


def changed(value: Any) -> st.SearchStrategy[Any]:
    """A JSON value with one to three of its parts, at any depth, left out or something else."""
    return st.tuples(st.integers(0, 2**32), st.lists(VALUES | st.just(_GONE), min_size=1, max_size=3)).map(
        lambda drawn: _replaced(value, random.Random(drawn[0]), drawn[1])
    )


_GONE: Final = "\x00gone"


def _replaced(value: Any, way: random.Random, parts: list[Any]) -> Any:
    for part in parts:
        value = _replace_one(value, way, part)
    return value


def _replace_one(value: Any, way: random.Random, part: Any) -> Any:
    if not isinstance(value, (dict, list)) or not value or way.random() < 0.15:
        return part
    if isinstance(value, list):
        at = way.randrange(len(value))
        rest = [] if part == _GONE and way.random() < 0.5 else [_replace_one(value[at], way, part)]
        return value[:at] + rest + value[at + 1 :]
    key = way.choice(sorted(value))
    changed = dict(value)
    if part == _GONE and way.random() < 0.5:
        del changed[key]
    else:
        changed[key] = _replace_one(value[key], way, part)
    return changed


@contextlib.contextmanager
def typed_or_well() -> Iterator[None]:
    """Let errors of the package's own pass, and nothing else; and nothing that takes long."""
    began = perf_counter()
    with contextlib.suppress(LrnetError):
        yield
    taken = perf_counter() - began
    assert taken < SLOWEST, f"it took {taken:.1f} s"


def outcome(call: Callable[[], object]) -> LrnetError | None:
    """The package's own error that a call raises; None if it goes well."""
    try:
        call()
    except LrnetError as error:
        return error
    return None
