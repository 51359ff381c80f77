"""A model on disk: a folder with `bundle.json`, `network.onnx`, `MODEL_CARD.md` and maybe `motion_reference.json`.

A bundle may come from a stranger, so everything is checked before use: names, sizes, hashes, schema, the graph, and the
names, shapes and values of the weights.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from lrnet.errors import ModelError, OutputError
from lrnet.network.graph import Weights
from lrnet.network.reference import REFERENCE_FILE, MotionReference
from lrnet.network.spec import SCHEMA_VERSION, BundleSpec
from lrnet.network.weights import GET_IT_AGAIN, read_weights
from lrnet.schema import PlainName, first_fault

SPEC_FILE = "bundle.json"
NETWORK_FILE = "network.onnx"
CARD_FILE = "MODEL_CARD.md"
APPEARANCE_FILE = "appearance.onnx"

MIB = 2**20
LARGEST_NETWORK = 64 * MIB
LARGEST_TEXT = 4 * MIB  # bundle.json, the card, and whatever else is listed
_LARGEST = {NETWORK_FILE: LARGEST_NETWORK, APPEARANCE_FILE: LARGEST_NETWORK}


@dataclass(frozen=True, eq=False)
class ModelBundle:
    """A model that was read from disk and verified.

    Attributes:
        spec: the content of `bundle.json`.
        path: the folder it was read from.
        network: the bytes of `network.onnx` whose hash was checked.
        weights: the weights in it by name.
        card: the text of `MODEL_CARD.md`, empty without one.
        content_hash: sha256 of `bundle.json`, which holds the hashes of all other files. Reports name it.
        reference: how genuine faces move; None without one.
        appearance: the bytes of `appearance.onnx`; None for a model that looks at motion alone.
    """

    spec: BundleSpec
    path: Path
    network: bytes
    weights: Weights
    card: str
    content_hash: str
    reference: MotionReference | None = None
    appearance: bytes | None = None

    @property
    def appearance_left_out(self) -> bool:
        """Whether this is a model with a second witness, without it."""
        return self.appearance is None and APPEARANCE_FILE in self.spec.files

    def motion_alone(self) -> ModelBundle:
        """The same model without its second witness; name and hash stay."""
        return replace(self, spec=self.spec.model_copy(update={"appearance": None}), appearance=None)

    @classmethod
    def load(cls, path: str | Path) -> ModelBundle:
        """Read and verify the bundle in a folder.

        Raises:
            ModelError: the folder is not a bundle; a file is missing, too large or of another hash; or its content does
                not fit the description.
        """
        folder = Path(path)
        if not folder.is_dir():
            raise ModelError(f"{folder} is not a folder.", hint=f"A model is a folder that holds a {SPEC_FILE}.")
        description = _read_own(folder / SPEC_FILE, LARGEST_TEXT)
        spec = _parse_spec(description, folder / SPEC_FILE)
        contents = {name: _read_listed(folder / name, sha256) for name, sha256 in spec.files.items()}
        if NETWORK_FILE not in contents:
            raise ModelError(f"{folder / SPEC_FILE} does not list {NETWORK_FILE}.", hint=GET_IT_AGAIN)
        if (spec.appearance is None) != (APPEARANCE_FILE not in contents):
            raise ModelError(
                f"{folder / SPEC_FILE} describes an appearance network without {APPEARANCE_FILE}, or has one without "
                "a description.",
                hint=GET_IT_AGAIN,
            )
        return cls(
            spec=spec,
            path=folder,
            network=contents[NETWORK_FILE],
            weights=read_weights(contents[NETWORK_FILE], spec.network, str(folder / NETWORK_FILE)),
            card=_CONTROL.sub("\N{REPLACEMENT CHARACTER}", contents.get(CARD_FILE, b"").decode("utf-8", "replace")),
            content_hash=hashlib.sha256(description).hexdigest(),
            reference=_parse_reference(contents.get(REFERENCE_FILE), folder / REFERENCE_FILE),
            appearance=contents.get(APPEARANCE_FILE),
        )

    @classmethod
    def save(
        cls,
        spec: BundleSpec,
        network: bytes,
        card: str,
        directory: str | Path,
        *,
        replace: bool = False,
        reference: MotionReference | None = None,
        appearance: bytes | None = None,
    ) -> ModelBundle:
        """Write a bundle, all of it or nothing, and return it as `load` reads it.

        It is written and verified in a folder beside `directory` and then renamed; an earlier bundle is kept if
        anything fails. The same arguments give the same bytes.

        Args:
            spec: the description; `files` is filled in.
            network: the ONNX model, of `lrnet.network.weights.to_onnx`.
            card: text of the model card; "" for none.
            directory: the bundle's folder.
            replace: whether an existing bundle is replaced; another folder never is.
            reference: how genuine faces move (`lrnet.report.motion.motion_reference`).
            appearance: the ONNX model of `lrnet.appearance.graph.to_onnx`, if `spec.appearance` describes one.

        Raises:
            ModelError: the network does not fit the description.
            OutputError: the folder exists, or cannot be written.
        """
        target = Path(directory)
        refuse_to_overwrite(target, replace=replace)
        contents = {NETWORK_FILE: network}
        if card:
            contents[CARD_FILE] = card.encode()
        if reference is not None:
            contents[REFERENCE_FILE] = reference.model_dump_json().encode() + b"\n"
        if appearance is not None:
            contents[APPEARANCE_FILE] = appearance
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
        described = spec.model_copy(update={"files": hashes}).model_dump_json(indent=2).encode() + b"\n"
        beside = target.absolute().with_name(f".{target.name}.{os.getpid()}.{secrets.token_hex(4)}")
        try:
            beside.mkdir(parents=True)
            for name, content in {**contents, SPEC_FILE: described}.items():
                (beside / name).write_bytes(content)
            cls.load(beside)
            _put(beside, target)
        except OSError as error:
            raise OutputError(
                f"The model cannot be written to {target}: {error.strerror}.", hint="Choose another folder."
            ) from error
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        return cls.load(target)


def _put(new: Path, target: Path) -> None:
    """Rename a folder to `target`, in place of an existing one, which is restored if that fails."""
    if not target.exists():
        new.rename(target)
        return
    old = new.with_name(f"{new.name}.old")
    target.rename(old)
    try:
        new.rename(target)
    except OSError:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def require_name(name: str) -> None:
    """Raise ModelError if a model cannot be called so."""
    try:
        _NAME.validate_python(name)
    except ValidationError as error:
        raise ModelError(
            f"{name!r} cannot be a model's name.",
            hint='Letters, digits, ".", "_" and "-" may be in it, 64 at most; give one with --name.',
        ) from error


_NAME: TypeAdapter[str] = TypeAdapter(PlainName)


class _SchemaVersion(BaseModel):
    model_config = ConfigDict(extra="ignore")
    schema_version: int


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Characters that would move the cursor of a terminal, except line ends and tabulators."""

_ESCAPED_CONTROL = re.compile(
    rb"(?<!\\)(?:\\\\)*\\(?:u00(?:[01][0-9a-f]|7f|[89][0-9a-f])|[bf])|\x7f|\xc2[\x80-\x9f]", re.IGNORECASE
)


def _parse_spec(description: bytes, file: Path) -> BundleSpec:
    if _ESCAPED_CONTROL.search(description):
        raise ModelError(f"{file} holds control characters.", hint=GET_IT_AGAIN)
    try:
        version = _SchemaVersion.model_validate_json(description, strict=True).schema_version
        if version > SCHEMA_VERSION:
            raise ModelError(
                f"{file} has schema version {version}; this lrnet reads {SCHEMA_VERSION}.",
                hint="Update lrnet.",
            )
        return BundleSpec.model_validate_json(description, strict=True)
    except ValidationError as error:
        raise ModelError(f"{file} does not describe a model: {first_fault(error)}.", hint=GET_IT_AGAIN) from error


def read_bounded(file: Path, largest: int) -> bytes:
    """The bytes of a plain file of at most `largest` bytes; ModelError for any other."""
    try:
        if not file.is_file():  # a pipe or a device would block or never end
            raise ModelError(f"{file} is missing or not a plain file.", hint=GET_IT_AGAIN)
        with file.open("rb") as stream:
            content = stream.read(largest + 1)
    except OSError as error:
        raise ModelError(f"{file} cannot be read: {error.strerror}.", hint="Check its permissions.") from error
    if len(content) > largest:
        raise ModelError(f"{file} is larger than {largest // MIB} MiB.", hint=GET_IT_AGAIN)
    return content


def _read_own(file: Path, largest: int) -> bytes:
    """`read_bounded` of a file that is not a link: a bundle must not choose other files to read."""
    if file.is_symlink():
        raise ModelError(f"{file} is a link.", hint="Put the file itself there.")
    return read_bounded(file, largest)


def _read_listed(file: Path, sha256: str) -> bytes:
    content = _read_own(file, _LARGEST.get(file.name, LARGEST_TEXT))
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ModelError(
            f"{file} was changed or damaged: its sha256 is {found}, {SPEC_FILE} lists {sha256}.",
            hint=GET_IT_AGAIN,
        )
    return content


def _parse_reference(content: bytes | None, file: Path) -> MotionReference | None:
    if content is None:
        return None
    try:
        return MotionReference.model_validate_json(content, strict=True)
    except ValidationError as error:
        raise ModelError(f"{file} is no reference of motion: {first_fault(error)}.", hint=GET_IT_AGAIN) from error


def refuse_to_overwrite(target: Path, *, replace: bool) -> None:
    """Raise OutputError if something is at `target` that may not give way to a bundle."""
    if not target.exists():
        return
    if not replace:
        raise OutputError(f"{target} exists already.", hint="Choose another folder, or allow it to be replaced.")
    if not (target / SPEC_FILE).is_file():
        raise OutputError(f"{target} is not a model and is not replaced.", hint="Choose another folder.")
