"""How does editing change a verdict? `python -m lrnet.experiments.edits STORE [--model M] [--seeds N]`.

Edits the videos of a landmark store at the level of landmarks (`lrnet.training.edits`), judges them as detection does,
and prints for each kind of edit the shares of the verdicts, beside those of the whole videos. "Gravest person" is what
the shares of `likely_fake` would be if the gravest person decided. Only people that the model was not trained on say
something about others: a store of strangers, or a split that it did not see. `--motion` judges by motion alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from lrnet.data.store import StoredVideo
from lrnet.evaluation.protocol import ScoredVideo, evaluate
from lrnet.evaluation.report import table
from lrnet.experiments import environment
from lrnet.network.bundle import ModelBundle
from lrnet.network.registry import load_model
from lrnet.training.edits import judged_edits
from lrnet.verdict import FaceVerdict, Rules, State, judge_face

STATES = (State.LIKELY_FAKE, State.INCONCLUSIVE, State.NO_EVIDENCE)

Judged = tuple[str, ScoredVideo, tuple[float, float] | None]


def main() -> None:
    parser = environment.parser(__doc__, "split", "model")
    parser.add_argument("store", type=Path)
    parser.add_argument("--seeds", type=int, default=2, help="edits of each kind for each video")
    parser.add_argument("--motion", action="store_true", help="leave appearance out")
    args = parser.parse_args()
    bundle = load_model(args.model, appearance=not args.motion)
    rows = list(judged(bundle, environment.stored(args.store, args.split), args.seeds))
    print(shares(rows, Rules.of(bundle.spec)))


def judged(bundle: ModelBundle, videos: Sequence[StoredVideo], seeds: int) -> Iterator[Judged]:
    """Every video whole ("") and edited, with the seconds of its only fake shot."""
    for video in evaluate(bundle, videos):
        yield "", video, None
    for edit, video in judged_edits(bundle, videos, seeds):
        yield edit.edit, video, edit.fake_shot


def shares(rows: Sequence[Judged], rules: Rules) -> str:
    """A Markdown table with a row for each kind of edit and label."""
    kinds: dict[tuple[str, str], list[Judged]] = defaultdict(list)
    for row in rows:
        kinds[row[0], row[1].record.label.value].append(row)
    lines = []
    for (edit, label), some in sorted(kinds.items()):
        videos = [video for _, video, _ in some]
        by_state = [sum(v.state is state for v in videos) for state in STATES]
        gravest = sum(any(alone(p, rules) is State.LIKELY_FAKE for p in v.people) for v in videos)
        found = [(v, shot) for _, v, shot in some if shot and v.state is State.LIKELY_FAKE]
        named = sum(v.verdict.moment is not None and abs(v.verdict.moment[0] - shot[0]) < 0.5 for v, shot in found)
        counted = [edit or "whole", label, str(len(videos)), str(len({v.record.group for v in videos}))]
        counted += [f"{count / len(videos):.3f}" for count in (*by_state, gravest)]
        lines.append([*counted, f"{named} of {len(found)}" if found else ""])
    header = ("edit", "label", "videos", "people", *(s.value for s in STATES))
    return table((*header, "likely_fake, gravest person", "fake shot named"), lines)


def alone(person: FaceVerdict, rules: Rules) -> State:
    """What a person's verdict would be if nobody else were in the video."""
    return judge_face(person.face, person.stretches, rules).state


if __name__ == "__main__":
    environment.run(main)
