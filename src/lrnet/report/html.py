"""A page about one result: one file that needs nothing else and asks for nothing from anywhere."""

from __future__ import annotations

import base64
import hashlib
import os
import shlex
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final

import jinja2

from lrnet.detector import VideoResult
from lrnet.errors import VideoError
from lrnet.files import require_writable, write_text
from lrnet.network.bundle import ModelBundle
from lrnet.network.registry import list_models
from lrnet.report import wording
from lrnet.report.examination import Examination
from lrnet.report.explain import Explainer, FaceExplanation
from lrnet.report.figures import by_weight, pointed_at, suspicious
from lrnet.report.footage import Taken, take
from lrnet.report.json_report import to_document, to_json
from lrnet.report.views import Axis, ClipView, Scale, data_address, person_view
from lrnet.report.wording import WORDING, clock, readable, refuse_source, two_decimals
from lrnet.verdict import FaceVerdict, State, is_held_back
from lrnet.video.limits import Access, Limits

TEMPLATES: Final = Path(__file__).parent / "templates"
PEOPLE_IN_DETAIL: Final = 12  # further people stand in a table
PEOPLE_LISTED: Final = 300  # rows in that table
PEOPLE_SUMMED_UP: Final = 8  # rows in the table of the summary, which should fit one page
LARGEST_TWIN: Final = 500_000  # bytes of the JSON document that a page carries
CARD_LENGTH: Final = 20_000  # characters of a model card that are shown


def write_html(
    result: VideoResult,
    bundle: ModelBundle,
    path: str | os.PathLike[str],
    *,
    access: Access | None = None,
    explanations: Sequence[FaceExplanation] | None = None,
    examination: Examination | None = None,
    shown: tuple[Taken, str] | None = None,
) -> None:
    """Write a result as one HTML file of less than 3 MB and the video clips in it (8 MB at most).

    The video is read once more for pictures and clips. If landmarks were kept (`keep_sequences=True`), pictures show
    the face with them, an annotated clip is embedded, and the score is explained; else pictures are of the whole frame.
    If the video cannot be read any more, the page says so.

    Args:
        result: what the detector returned.
        bundle: the model it was made with.
        path: of the page.
        access: how the source of the pictures may be opened.
        explanations: of `lrnet.report.explain.Explainer`; made here if they are not given.
        examination: when, where and by whom; without it the page says that this was not recorded.
        shown: what `pictures_and_clips` returned, if it was called already.

    Raises:
        ModelError: `bundle` is not the model that `result` was made with.
        OutputError: the page cannot be written there, or `path` is the video itself.
    """
    refuse_source(path, result.path)
    require_writable(path)
    if explanations is None:
        explanations = Explainer(bundle).explain(result)
    taken, missing = shown or pictures_and_clips(result, bundle, explanations, access=access)
    write_text(path, render(result, bundle, taken, missing, explanations, examination))


def pictures_and_clips(
    result: VideoResult,
    bundle: ModelBundle,
    explanations: Sequence[FaceExplanation],
    *,
    access: Access | None = None,
) -> tuple[Taken, str]:
    """Footage for the page, and a sentence that says why there is none if the video cannot be read again."""
    people = by_weight(result)[:PEOPLE_IN_DETAIL]
    stretches = [span for face in people for span in suspicious(face, bundle.spec)]
    try:
        return take(result, people, explanations, stretches=stretches, access=access), ""
    except VideoError as error:
        return Taken([], None, {}), readable(error.what)


def policy() -> str:
    """The content-security policy that a page sets itself, for a server to send as a header too.

    Style and script are let in by their hashes, pictures and clips from the page itself; nothing else is.
    """
    own = {kind: _hash(_asset(f"report.{kind}")) for kind in ("css", "js")}
    return (
        f"default-src 'none'; img-src data:; media-src data: blob:; style-src '{own['css']}'; "
        f"script-src '{own['js']}'; base-uri 'none'; form-action 'none'"
    )


def _asset(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def render(
    result: VideoResult,
    bundle: ModelBundle,
    taken: Taken | None = None,
    pictures_missing: str = "",
    explanations: Sequence[FaceExplanation] = (),
    examination: Examination | None = None,
) -> str:
    """The page as text.

    Args:
        result: what the detector returned.
        bundle: the model it was made with.
        taken: pictures and clips of the video.
        pictures_missing: why there are none, a sentence.
        explanations: of faces.
        examination: when, where and by whom.

    Raises:
        ModelError: `bundle` is not the model that `result` was made with.
    """
    document = to_document(result, bundle, explanations, examination)
    data = (to_json(document) + "\n").encode()
    taken = taken or Taken([], None, {})
    faces, verdict = by_weight(result), result.verdict
    axis = Axis.of(result)
    explained = {e.face: e for e in explanations}
    moment = pointed_at(result, bundle.spec)
    people = [
        person_view(face, result, bundle.spec, axis, taken, explained.get(face.face))
        for face in faces[:PEOPLE_IN_DETAIL]
    ]
    listed = PEOPLE_IN_DETAIL + PEOPLE_LISTED
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            doc=document,
            spec=bundle.spec,
            reference=bundle.reference,
            card=bundle.card[:CARD_LENGTH],
            card_cut=len(bundle.card) > CARD_LENGTH,
            words=wording.words_for(verdict.state, result.frames_read, result.appearance, verdict.reasons),
            caution=wording.caution(result.appearance),
            appearance=result.appearance,
            wording=wording,
            labels={state: words.label for state, words in WORDING.items()},
            name=readable(Path(result.path).name) or readable(result.path),
            path=readable(result.path),
            scale=Scale.of(result, bundle.spec),
            axis=axis,
            people=people,
            summed_up=people[:PEOPLE_SUMMED_UP],
            further=faces[PEOPLE_IN_DETAIL:listed],
            unlisted=max(0, len(faces) - listed),
            when=wording.when_and_who(verdict.state, moment, verdict.face, len(faces)),
            moment=moment,
            partly=wording.part_examined(verdict.coverage),
            accused=verdict.state is State.LIKELY_FAKE,
            held_back=is_held_back(verdict.state, verdict.reasons),
            pictures_missing=pictures_missing,
            clip=ClipView.of(taken.clip),
            command=command(result, bundle),
            json=data_address("application/json", data) if len(data) <= LARGEST_TWIN else "",
            json_hash=hashlib.sha256(data).hexdigest(),
            json_name=_json_name(result),
            examination=examination,
            style=_asset("report.css"),
            script=_asset("report.js"),
            policy=policy(),
        )
    )


def _json_name(result: VideoResult) -> str:
    stem = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in Path(result.path).stem)
    return f"{stem[:60] or 'video'}.json"


def shell_word(text: str) -> str:
    """One word of a Bourne shell's command line; what cannot be shown safely is escaped the way bash reads it."""
    if readable(text) == text:
        return shlex.quote(text)
    pieces = (
        chr(byte) if 0x20 <= byte < 0x7F and chr(byte) not in "'\\" else f"\\x{byte:02x}" for byte in os.fsencode(text)
    )
    return f"$'{''.join(pieces)}'"


def command(result: VideoResult, bundle: ModelBundle) -> str:
    """The command that gives the same scores, for a Bourne shell."""
    path = f"./{result.path}" if result.path.startswith("-") else result.path
    names = {entry.path: entry.name for entry in list_models()}
    folder = f"{bundle.path}" if bundle.path.is_absolute() else f"./{bundle.path}"  # lest it be taken for a name
    model = names.get(bundle.path, folder)
    usual, limits = Limits().numbers(), result.limits.numbers()
    changed = [f"--limit {n.replace('_', '-')}={v:.9g}" for n, v in limits.items() if v != usual[n]]
    appearance = ["--no-appearance"] if bundle.appearance_left_out else []
    return " ".join(["lrnet detect", shell_word(path), "--model", shell_word(model), *appearance, *changed])


@cache  # to compile the template takes longer than to fill it in
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,  # names of files and models come from strangers
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"clock": clock, "number": two_decimals, "percent": _rate, "readable": readable}
    environment.filters["held_back"] = environment.tests["held_back"] = _held_back
    return environment


def _held_back(face: FaceVerdict) -> bool:
    return is_held_back(face.state, face.reasons)


def _rate(value: float | None) -> str:
    return "unknown" if value is None else f"{100 * value:.3g} %"
