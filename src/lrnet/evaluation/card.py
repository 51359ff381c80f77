"""A model's card, written from the figures in its bundle."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lrnet.errors import ModelError
from lrnet.evaluation.metrics import MIN_GROUPS, interval_text
from lrnet.evaluation.report import table
from lrnet.evaluation.results import SEEN, UNSEEN, known_and_unseen
from lrnet.network.spec import ALL_MANIPULATIONS, BundleSpec, MeasuredResult
from lrnet.verdict import sigmoid

LOWER_IS_BETTER = frozenset({"EER", "Brier", "ECE"})


def card(spec: BundleSpec) -> str:
    """The card in Markdown. Raises ModelError if the bundle has no thresholds, or does not say how it was trained."""
    if spec.thresholds is None or spec.training is None:
        raise ModelError(
            f"{spec.name} has no thresholds or no record of its training.", hint="Train it with --crossval."
        )
    parts = [
        f"# {spec.name} {spec.version}\n\n{spec.description} {spec.network.parameters:,} parameters. "
        f"Streams: {', '.join(spec.network.stream_names)}.\n",
        _says(spec),
        _second(spec),
        _measured([r for r in spec.results if not r.model and not _is_unseen(r)], _starts(spec)),
        _unseen(spec),
        *(_compared(spec, name) for name in dict.fromkeys(r.model for r in spec.results if r.model)),
        _trained(spec),
        _limits(spec),
        f"## Licence\n\n{spec.licence}.\n",
    ]
    return "\n".join(part for part in parts if part)


def _says(spec: BundleSpec) -> str:
    limits = spec.limits
    assert limits is not None
    rows = [
        (
            "`likely_fake`",
            f"at least {limits.likely_fake:.3f}",
            f"{limits.false_positive_rate:.1%} of real videos",
        ),
        ("`inconclusive`", "between, or material that is not judged", ""),
        ("`no_evidence_of_manipulation`", f"at most {limits.no_evidence:.3f}", f"{limits.miss_rate:.1%} of fakes"),
    ]
    unknown = ""
    if limits.unseen_miss_rate is not None:
        unknown = (
            f" Of fakes of a manipulation that it was not trained on {limits.unseen_miss_rate:.1%} are called\n"
            "`no_evidence_of_manipulation`: see below."
        )
    if limits.edited_false_positive_rate is not None:
        share = limits.edited_false_positive_rate
        unknown += f" Of edited real videos ({limits.edited_on}) {share:.1%} are called `likely_fake`."
    looks = "How much the motion of a face's landmarks looks like that of manipulated faces in its training data."
    if spec.appearance is not None:
        looks = (
            "How much a face, by the motion of its landmarks and by its pixels, looks like the manipulated ones in\n"
            "its training data."
        )
    return f"""## What it says

{looks}
`probability` is calibrated for a video that could as well be real as fake; where fakes are rare, fewer alarms are right
than it suggests.

{table(("verdict", "calibrated probability", "measured"), rows)}
Measured on {limits.measured_on}. The two rates are those of calibrations and thresholds that were set without the
fold of the video in question. In setting them a source weighs by the root of its number of videos.{unknown}
"""


def _second(spec: BundleSpec) -> str:
    both, alone = spec.appearance, spec.thresholds
    if both is None:
        return ""
    assert alone is not None
    bound = ""
    if both.largest is not None:
        bound = (
            f" It is never above {math.exp(both.largest):.1f} (probability {sigmoid(both.largest):.2f}): the genuine "
            "people left out\nof training are too few to show more."
        )
    return f"""## The second witness

Beside motion, a small network looks at a crop of each face twice a second. A fake may show in the motion, in
the pixels or in both: the likelihood ratio of a face is the mean of that of motion, that of the pixels, and their
product.{bound}
For appearance, the mean logit of the crops counts {both.slope:.2f} times, plus {both.offset:.2f}, and less where there
are few crops (half of it at {both.settle:g}). Trained for {both.steps:,} steps of 32 crops, seed {both.seed}, on
{both.training}. Without it (`--no-appearance`) `likely_fake` begins at {alone.likely_fake:.3f} and
`no_evidence_of_manipulation` ends at {alone.no_evidence:.3f}. Motion alone calls {alone.false_positive_rate:.1%} of
real videos `likely_fake` and {alone.miss_rate:.1%} of fakes `no_evidence_of_manipulation`; measured on
{alone.measured_on}.
"""


def _starts(spec: BundleSpec) -> dict[str, list[str]]:
    """The models that streams start from, each with its streams."""
    found: dict[str, list[str]] = {}
    configuration: dict[str, Any] = spec.training.configuration if spec.training is not None else {}
    for stream in configuration.get("streams", ()):
        if stream.get("init_from"):
            found.setdefault(Path(stream["init_from"]).name, []).append(stream["name"])
    return found


def _measured(results: Sequence[MeasuredResult], starts: Mapping[str, Sequence[str]]) -> str:
    rows = [
        (r.dataset, r.unit, r.metric, f"{r.value:.3f}", interval_text(r.interval), str(r.n), _people(r), r.note)
        for r in results
    ]
    known = "".join(
        f" The weights of {' and '.join(streams)} start from {model}: people that it was trained on are not left "
        "out of them, and held-out figures on such people are too good."
        for model, streams in starts.items()
    )
    if any("motion and appearance" in r.dataset for r in results):
        known += ' Rows that do not say "motion and appearance" are of motion alone.'
    return f"""## Measured

95 % intervals from a bootstrap over groups of people (at 0 or 1 the exact binomial one over groups); fewer than
{MIN_GROUPS} groups give none. Verdicts are shares of all videos, those not judged among them, unless it says "of those
judged". "Held out" means: scored by networks of the same configuration that were trained without the video's people
or, where it says so, without its whole source.{known}

{table(("videos", "unit", "figure", "value", "95 % interval", "n", "people", ""), rows)}"""


def _is_unseen(r: MeasuredResult) -> bool:
    """Whether `_unseen` shows it."""
    return r.left_out == UNSEEN or r.manipulation == ALL_MANIPULATIONS


def _unseen(spec: BundleSpec) -> str:
    """Results on manipulations that no network was trained on, beside those on known ones."""
    shown = {
        "AUC": "AUC",
        "TPR@5%FPR": "recall at 5 %",
        "called likely_fake": "`likely_fake`",
        "called no_evidence_of_manipulation": "`no_evidence_of_manipulation`",
    }
    rows = []
    for method, parts in known_and_unseen(spec.results).items():
        for how, words in ((SEEN, "others of it trained on"), (UNSEEN, "**none trained on**")):
            found = [parts.get(how, {}).get(metric) for metric in shown]
            rows.append((method, words, *("" if r is None else _with_interval(r) for r in found)))
    if not rows:
        return ""
    known = "".join(
        f" The weights of {' and '.join(streams)} start from {model}, which may know these manipulations: the figures "
        "may be too good."
        for model, streams in _starts(spec).items()
    )
    return f"""## Manipulations that it does not know

Each was left out of training in turn, and the people with it. A generator that is not among the training data is
unknown in this way. Videos; the first two figures against real videos of sources left out, if there are any.{known}

{table(("manipulation", "", *shown.values()), rows)}"""


def _compared(spec: BundleSpec, other: str) -> str:
    ours = {(r.dataset, r.unit, r.metric): r for r in spec.results if not r.model}
    rows = []
    for theirs in (r for r in spec.results if r.model == other):
        own = ours.get((theirs.dataset, theirs.unit, theirs.metric))
        if own is None:
            continue
        better = own.value < theirs.value if own.metric in LOWER_IS_BETTER else own.value > theirs.value
        verdict = "better" if better else "equal" if own.value == theirs.value else "**worse**"
        rows.append((own.dataset, own.unit, own.metric, _with_interval(own), _with_interval(theirs), verdict))
    known = f"{other} may have been trained on some of these people"
    if other in _starts(spec):
        known += "; so may the weights that this model starts from."
    else:
        known += "; this model's networks were not."
    worse = sum(row[-1] == "**worse**" for row in rows)
    summary = "It is nowhere worse." if not worse else f"It is worse in {worse} of {len(rows)} rows."
    scores = "Raw scores of both" if spec.appearance is None else "Raw scores of both, of this model by motion alone"
    return f"""## Against {other}, on the same videos

{scores}. {known} {summary}

{table(("videos", "unit", "figure", spec.name, other, ""), rows)}"""


def _with_interval(r: MeasuredResult) -> str:
    people = "" if r.people is None else f"; {r.people} people"
    return f"{r.value:.3f} ({interval_text(r.interval)}{people})"


def _people(r: MeasuredResult) -> str:
    return "not counted" if r.people is None else str(r.people)


def _trained(spec: BundleSpec) -> str:
    training, how = spec.training, spec.preprocessing
    assert training is not None
    return f"""## Trained on

- {training.data.replace("; ", chr(10) + "- ")}

{len(training.groups)} identity groups, seed {training.seed}, {training.epochs} epochs, {training.seconds:.0f} s for the
final network. Clips have {how.clip_length} frames at about {how.frame_rate:.0f} frames a second. Made by
`{training.command}`.

FaceForensics++ is for research under its own terms; no frame of it is in this package, only weights and statistics.
"""


def _limits(spec: BundleSpec) -> str:
    knows = "It knows nothing of pixels, sound or metadata."
    if spec.appearance is not None:
        knows = "Of pixels it knows the crops of faces only, and nothing of sound or metadata."
    return f"""## Limits

- Trained on few people. On sources that it does not know its error rates differ from source to source: see the tables.
- Generators that animate one photograph (audio-driven heads, VASA-1) and lip-sync (Wav2Lip) move smoothly and are
  mostly **not** caught.
- Faces under 48 pixels, less than 14 frames a second, a face that hardly moves, and one that moves as a whole only
  (a picture, a statue) are not judged: the verdict is `inconclusive`. Where landmarker and optical flow disagree more
  than a manipulation explains, nothing is called `likely_fake`.
- {knows} No evidence of manipulation is not evidence of authenticity.
"""
