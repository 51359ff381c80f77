"""A model's card, written from its bundle: no number in it was typed."""

from __future__ import annotations

from lrnet.errors import ModelError
from lrnet.network.spec import BundleSpec


def card(spec: BundleSpec) -> str:
    """The card in Markdown.

    Raises:
        ModelError: the bundle has no thresholds, or does not say how it was trained.
    """
    if spec.thresholds is None or spec.training is None:
        raise ModelError(f"{spec.name} has no thresholds or no record of its training.", hint="Train it with lrnet.")
    limits, training, how = spec.thresholds, spec.training, spec.preprocessing
    rows = "\n".join(
        f"| {r.dataset} | {r.unit} | {r.metric} | {r.value:.3f} | {r.low:.3f} to {r.high:.3f} | {r.n} |"
        for r in spec.results
    )
    return f"""# {spec.name} {spec.version}

{spec.description} {spec.network.parameters:,} parameters. Streams: {", ".join(spec.network.stream_names)}.

## What it says

How much the motion of a face's landmarks looks like that of manipulated faces in its training data. `probability`
is calibrated for a video that could as well be real as fake; where fakes are rare, fewer alarms are right than it
suggests.

| verdict | calibrated probability | measured out of fold |
|---|---|---|
| `likely_fake` | at least {limits.likely_fake:.3f} | {limits.false_positive_rate:.1%} of real videos |
| `inconclusive` | between | |
| `no_evidence_of_manipulation` | at most {limits.no_evidence:.3f} | {limits.miss_rate:.1%} of fakes |

Measured on {limits.measured_on}.

## Measured

95 % intervals from a bootstrap over identity groups (for a share of 0 or 1 the exact binomial one over groups).

| data | unit | figure | value | 95 % interval | n |
|---|---|---|---|---|---|
{rows}

Clips have {how.clip_length} frames at about {how.frame_rate:.0f} frames a second.

## Trained on

{training.data}: {len(training.groups)} identity groups, seed {training.seed}, {training.epochs} epochs,
{training.seconds:.0f} s with the out-of-fold runs. Made by `{training.command}`.

FaceForensics++ is for research under its own terms; no frame of it is in this package, only weights and statistics.

## Limits

- Trained on few people. On sources that it does not know its error rates differ from source to source: see the table.
- Generators that animate one photograph (audio-driven heads, VASA-1) and lip-sync (Wav2Lip) move smoothly and are
  mostly **not** caught.
- Faces under 48 pixels, less than 14 frames a second and a face that hardly moves are not
  judged: the verdict is `inconclusive`.
- It knows nothing of pixels, sound or metadata. No evidence of manipulation is not evidence of authenticity.

## Licence

{spec.licence}.
"""
