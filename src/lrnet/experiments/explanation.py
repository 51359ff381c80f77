"""Can an explanation name the part of a face that carries a score?

Usage: `python -m lrnet.experiments.explanation STORE... [--model M] [--donors 8] [--clips 6] [--least 0.95]`.

STORE is a landmark store (`lrnet extract`). Two ways to ask about a facial group are compared, each in log odds:

- without: what the score loses when the group's motion is replaced by that of genuine faces;
- alone: the score of genuine faces whose group has the motion of the video.

Both are averaged over clips of other real videos ("donors"). A group is named if its value lies above the quantile
`--least` over the real videos of other people, which removes the bias of the replacement, and has the highest rank
among such groups. Printed are

- the share of real videos and of fakes for which a group is named, if all are explained and if only those are that
  score above the model's no-evidence threshold, and how often two videos get different names;
- whether a group is named that is known to be altered: a group with the motion of another genuine face, and a group of
  a FaceForensics++ original with the motion of its own fake. A right name in one of seven is chance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lrnet.data import Label
from lrnet.data.store import StoredVideo
from lrnet.experiments import environment
from lrnet.faces.landmarker import NUM_LANDMARKS
from lrnet.network.bundle import ModelBundle
from lrnet.network.clips import Clip, cut_clips
from lrnet.network.registry import load_model
from lrnet.network.runtime import NetworkRuntime
from lrnet.network.streams import STREAMS, embed_clips
from lrnet.sequence.landmark_sequence import FACIAL_GROUPS, LandmarkSequence, main_face
from lrnet.verdict import InputQuality, QualityMeter, Rules, logit, sigmoid
from lrnet.verdict.evidence import log_ratio, probability_of

Rows = dict[str, NDArray[np.float32]]  # for each stream, (T, width) of one clip
Table = NDArray[np.float64]
NAMES = tuple(FACIAL_GROUPS)
WAYS = ("without", "alone")


def landmark_columns(width: int) -> int:
    """How many columns of a stream belong to landmarks: two each, or one; the rest describe the track."""
    return 2 * NUM_LANDMARKS if width >= 2 * NUM_LANDMARKS else min(width, NUM_LANDMARKS)


def group_columns(stream: str, group: str) -> NDArray[np.int64]:
    """Columns of a stream that belong to a facial group: its landmarks', and those that describe its track."""
    part, width = FACIAL_GROUPS[group], STREAMS[stream].width
    points = landmark_columns(width)
    each = points // NUM_LANDMARKS
    columns = list(range(each * part.start, each * part.stop))
    if width - points == len(FACIAL_GROUPS):  # one a group, in their order
        columns.append(points + list(FACIAL_GROUPS).index(group))
    return np.array(columns)


def replace_group(rows: Rows, group: str, other: Rows) -> Rows:
    """A clip with one facial group taken from another clip; both hold (T, width) for each stream."""
    changed = {name: values.copy() for name, values in rows.items()}
    for name, values in changed.items():
        columns = group_columns(name, group)
        values[:, columns] = other[name][:, columns]
    return changed


@dataclass(frozen=True)
class Case:
    """The measurements of one video, or of one with a group exchanged.

    Attributes:
        kind: "as it is", "genuine part" or "own fake's part".
        label: of the video.
        group: its people.
        part: the facial group that was exchanged; None for none.
        accused: whether it scores above the model's no-evidence threshold.
        values: by way, (7,) log odds.
    """

    kind: str
    label: Label
    group: str
    part: str | None
    accused: bool
    values: dict[str, Table]


class Benchmark:
    """Measures one model.

    Args:
        videos: real ones of at least `donors` + 1 people among them.
        donors: genuine clips that a group is exchanged with.
        clips: of a video, at most; spread evenly.
    """

    def __init__(self, bundle: ModelBundle, videos: Sequence[StoredVideo], donors: int, clips: int) -> None:
        self.spec, self.rules = bundle.spec, Rules.of(bundle.spec)
        self.network, self.names = NetworkRuntime(bundle), bundle.spec.network.stream_names
        self.most, self.count = clips, donors
        self.faces = {v.record.key: main_face(v.sequences()) for v in videos}
        self.cut = {key: self._clips(face) for key, face in self.faces.items()}
        self.videos = [v for v in videos if self.cut[v.record.key]]
        self.real = [v for v in self.videos if v.record.label is Label.REAL]
        spread = np.unique(np.linspace(0, len(self.real) - 1, donors + 1).round().astype(int))
        first = [self.real[i].record for i in spread]
        self.donors = [(record.group, self._rows(*self.cut[record.key][0])) for record in first]

    def _clips(self, face: Sequence[LandmarkSequence]) -> list[tuple[LandmarkSequence, Clip]]:
        how = self.spec.preprocessing.clips
        found = [(s, c) for s in face for c in cut_clips(s, how) if len(c) == how.length]
        if not found:
            return []
        return [found[i] for i in np.unique(np.linspace(0, len(found) - 1, self.most).round().astype(int))]

    def _rows(self, sequence: LandmarkSequence, clip: Clip) -> Rows:
        found = embed_clips(sequence, [clip], self.names)[0].streams
        return {name: rows[0] for name, rows in found.items()}

    def _logits(self, clips: Sequence[Rows]) -> Table:
        return logit(self.network.score({n: np.stack([c[n] for c in clips]) for n in self.names}).probability)

    def case(self, kind: str, video: StoredVideo, rows: Sequence[Rows], part: str | None = None) -> Case:
        """Ask about every group of a video, given as the rows of its clips."""
        group = video.record.group
        donors = [donor for people, donor in self.donors if people != group][: self.count]
        shape = (len(rows), len(NAMES), len(donors))
        base = self._logits(rows)
        without = self._logits([replace_group(r, g, d) for r in rows for g in NAMES for d in donors]).reshape(shape)
        alone = self._logits([replace_group(d, g, r) for r in rows for g in NAMES for d in donors]).reshape(shape)
        own = self._logits(donors)
        seconds = sum(c.stop - c.start for _, c in self.cut[video.record.key]) / self.spec.preprocessing.frame_rate
        ratio = log_ratio(sigmoid(float(base.mean())), seconds, _quality(self.faces[video.record.key]), self.rules)
        probability = probability_of(ratio, self.rules)
        limits = self.spec.limits
        accused = probability is None or limits is None or probability > limits.no_evidence
        values = {"without": base.mean() - without.mean(axis=(0, 2)), "alone": (alone - own).mean(axis=(0, 2))}
        return Case(kind, video.record.label, group, part, accused, values)

    def cases(self) -> list[Case]:
        """Every video as it is, and with each group exchanged."""
        rows = {v.record.key: [self._rows(*c) for c in self.cut[v.record.key]] for v in self.videos}
        found = [self.case("as it is", v, rows[v.record.key]) for v in self.videos]
        generator = np.random.default_rng(0)
        for video in self.real:
            others = [v for v in self.real if v.record.group != video.record.group]
            donor = rows[others[int(generator.integers(len(others)))].record.key]
            for g in NAMES:
                mixed = [replace_group(r, g, donor[i % len(donor)]) for i, r in enumerate(rows[video.record.key])]
                found.append(self.case("genuine part", video, mixed, g))
        originals = {Path(v.record.key).stem: v for v in self.real}
        for fake in self.videos:
            original = originals.get(Path(fake.record.key).stem.split("_")[0])
            if fake.record.label is Label.FAKE and original is not None:
                pairs = self._pairs(original, fake)
                for g in NAMES if pairs else ():
                    mixed = [replace_group(a, g, b) for a, b in pairs]
                    found.append(self.case("own fake's part", original, mixed, g))
        return found

    def _pairs(self, original: StoredVideo, fake: StoredVideo) -> list[tuple[Rows, Rows]]:
        """Clips of an original beside the same frames of its fake, where both show the face throughout."""
        by_frame: dict[int, Rows] = {}
        for s in self.faces[fake.record.key]:
            streams = {name: STREAMS[name].embed(s) for name in self.names}
            by_frame |= {f: {n: r[i] for n, r in streams.items()} for i, f in enumerate(s.frame_indices.tolist())}
        pairs = []
        for s, c in self.cut[original.record.key]:
            frames = s.frame_indices[c.start : c.stop].tolist()
            if all(f in by_frame for f in frames):
                other = {n: np.stack([by_frame[f][n] for f in frames[STREAMS[n].lag :]]) for n in self.names}
                if all(np.isfinite(rows).all() for rows in other.values()):
                    pairs.append((self._rows(s, c), other))
        return pairs


def _quality(face: Sequence[LandmarkSequence]) -> InputQuality:
    meter = QualityMeter()
    for sequence in face:
        meter.add(sequence)
    return meter.quality()


def named(case: Case, way: str, genuine: Sequence[Case], least: float) -> str | None:
    """The group that stands out most from the same quantity over genuine videos of other people; None if none does."""
    reference = np.array([c.values[way] for c in genuine if c.group != case.group])
    values = case.values[way]
    ranks = (reference < values).mean(axis=0)
    spread = (values - np.median(reference, axis=0)) / np.maximum(reference.std(axis=0), 1e-9)
    best = int(np.lexsort((spread, ranks))[-1])
    return NAMES[best] if ranks[best] >= least and values[best] > 0 else None


def report(cases: Sequence[Case], least: float) -> None:
    """Print the figures."""
    genuine = [c for c in cases if c.kind == "as it is" and c.label is Label.REAL]
    fakes = [c for c in cases if c.kind == "as it is" and c.label is Label.FAKE]
    people = len({c.group for c in genuine})
    print(f"{len(genuine)} real videos of {people} groups of people, {len(fakes)} fakes; named from rank {least:g}")
    for way in WAYS:
        print(way)
        for what, some in (("real videos", genuine), ("fakes", fakes)):
            for which, asked in _all_and_accused(some):
                names = [n for c in asked if (n := named(c, way, genuine, least))]
                share = Counter(names)
                same = sum(k * (k - 1) for k in share.values()) / max(len(names) * (len(names) - 1), 1)
                listed = ", ".join(f"{n} {k}" for n, k in share.most_common())
                line = f"named {len(names):3} of {len(asked):3}; two differ in {1 - same:4.0%}: {listed}"
                print(f"  {f'{what}, {which}':32} {line}")
        for kind in ("genuine part", "own fake's part"):
            for which, asked in _all_and_accused([c for c in cases if c.kind == kind]):
                parts = [(n, c.part) for c in asked if (n := named(c, way, genuine, least))]
                right = sum(a == b for a, b in parts)
                false = f"; false in {1 - right / len(parts):.0%}" if parts else ""
                print(f"  {f'{kind}, {which}':32} named {len(parts):3} of {len(asked):3}, rightly {right:3}{false}")


def _all_and_accused(cases: Sequence[Case]) -> tuple[tuple[str, Sequence[Case]], tuple[str, Sequence[Case]]]:
    return ("all explained", cases), ("accused ones only", [c for c in cases if c.accused])


def main() -> None:
    parser = environment.parser(__doc__, "model")
    parser.add_argument("stores", type=Path, nargs="+", metavar="STORE")
    parser.add_argument("--donors", type=int, default=8)
    parser.add_argument("--clips", type=int, default=6)
    parser.add_argument("--least", type=float, default=0.95)
    args = parser.parse_args()
    videos = [video for folder in args.stores for video in environment.stored(folder)]
    cases = Benchmark(load_model(args.model), videos, args.donors, args.clips).cases()
    report(cases, args.least)


if __name__ == "__main__":
    environment.run(main)
