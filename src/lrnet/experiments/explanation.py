"""Is the explanation faithful?

Usage: `python -m lrnet.experiments.explanation STORE [--split val] [--model M] [--no-gradients]`.

STORE holds landmarks of FaceForensics++ (`tools/make_stores.py`). For each clip of each fake of the split, the facial
group that the explanation names (the greatest effect) is taken away, and what the score loses, in log odds, is compared
with the mean over all seven groups: what a group picked at random would lose. The group is taken away in two ways that
the explanation does not use itself:

- original: its rows are those of the same frames of the original video, from which the fake was made;
- others: its rows are those of genuine faces of the same split, one clip of each video; mean over them.

Beside it stands what is lost with always the same group, the one that is best over all clips (a choice in hindsight
that is no explanation), and the same comparison for stretches of time. Last, how the ranks of the groups agree with
integrated gradients (Spearman; needs the extra `train`). Clips of a video are averaged, intervals are of 95 %, from a
bootstrap over identity groups.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lrnet.data import Label, store
from lrnet.data.store import StoredVideo
from lrnet.network.bundle import ModelBundle
from lrnet.network.clips import Clip, cut_clips
from lrnet.network.registry import DEFAULT_MODEL, load_model
from lrnet.network.runtime import NetworkRuntime
from lrnet.network.streams import STREAMS, embed_clips
from lrnet.report.explain import ClipExplanation, Explainer, replace_frames, replace_group
from lrnet.report.motion import typical_clips
from lrnet.sequence.landmark_sequence import FACIAL_GROUPS, LandmarkSequence, main_face
from lrnet.verdict import logit

Streams = dict[str, NDArray[np.float32]]
NAMES = tuple(FACIAL_GROUPS)


@dataclass(frozen=True)
class ClipLosses:
    """What one clip of a fake loses, in log odds; NaN where the original's frames are missing.

    Attributes:
        named: index of the group that the explanation names; `named_window` of the stretch.
        original, others: (7,), by group.
        windows: (W,), each stretch replaced by the original's.
        gradients: Spearman correlation with integrated gradients; NaN if they were not computed.
    """

    named: int
    named_window: int
    original: NDArray[np.float64]
    others: NDArray[np.float64]
    windows: NDArray[np.float64]
    gradients: float


class Benchmark:
    """Measures one model over one store."""

    def __init__(self, bundle: ModelBundle, videos: Sequence[StoredVideo], split: str, gradients: bool) -> None:
        self.bundle = bundle
        self.explainer = Explainer(bundle)
        self.network = NetworkRuntime(bundle)
        self.names = bundle.spec.network.stream_names
        self.clips = bundle.spec.preprocessing.clips
        real = [v for v in videos if v.record.label is Label.REAL]
        self.originals = {Path(v.record.key).stem: v for v in real}
        fakes = [v for v in videos if v.record.label is Label.FAKE and v.record.split == split]
        self.fakes = [v for v in fakes if Path(v.record.key).stem.split("_")[0] in self.originals]
        self.left_out = len(fakes) - len(self.fakes)
        self.others = [rows for v in real if v.record.split == split for rows in self._middle_clip(v)]
        self.correlation = self._correlation if gradients else lambda rows, explained: float("nan")

    def _middle_clip(self, video: StoredVideo) -> list[Streams]:
        for sequence in main_face(video.sequences()):
            clips = [c for c in cut_clips(sequence, self.clips) if len(c) == self.clips.length]
            if clips:
                found = embed_clips(sequence, [clips[len(clips) // 2]], self.names)[0].streams
                return [{name: rows[0] for name, rows in found.items()}]
        return []

    def logits(self, variants: Sequence[Mapping[str, NDArray[np.float32]]]) -> NDArray[np.float64]:
        rows = {name: np.concatenate([v[name] for v in variants]) for name in self.names}
        return logit(self.network.score(rows).probability)

    def video(self, fake: StoredVideo) -> list[ClipLosses]:
        """Every clip of full length of one fake."""
        original = self.originals[Path(fake.record.key).stem.split("_")[0]]
        by_frame = self._rows_by_frame(main_face(original.sequences()))
        found = []
        for sequence in main_face(fake.sequences()):
            clips = cut_clips(sequence, self.clips)
            explained = self.explainer.explain_face([sequence])
            if explained is None or explained.clips_left_out:
                continue
            for clip, explanation in zip(clips, explained.clips, strict=True):
                if len(clip) == self.clips.length:
                    found.append(self._clip(sequence, clip, explanation, by_frame))
        return found

    def _clip(
        self, sequence: LandmarkSequence, clip: Clip, explained: ClipExplanation, by_frame: dict[int, Streams]
    ) -> ClipLosses:
        rows = embed_clips(sequence, [clip], self.names)[0].streams
        base = float(self.logits([rows])[0])
        others = [[replace_group(rows, g, o) for o in self.others] for g in NAMES]
        lost_to_others = base - self.logits([v for row in others for v in row]).reshape(len(NAMES), -1).mean(axis=1)
        edges = np.round(np.linspace(0, len(clip), len(explained.stretches) + 1)).astype(int)
        original = self._original(sequence, clip, by_frame)
        by_group, by_window = np.full(len(NAMES), np.nan), np.full(len(edges) - 1, np.nan)
        if original is not None:
            by_group = base - self.logits([replace_group(rows, g, original) for g in NAMES])
            by_window = base - self.logits([replace_frames(rows, a, b, original) for a, b in pairwise(edges)])
        return ClipLosses(
            named=int(np.argmax([explained.groups[g].value for g in NAMES])),
            named_window=int(np.argmax([s.effect for s in explained.stretches])),
            original=by_group,
            others=lost_to_others,
            windows=by_window,
            gradients=self.correlation(rows, explained),
        )

    def _rows_by_frame(self, sequences: Sequence[LandmarkSequence]) -> dict[int, Streams]:
        found: dict[int, Streams] = {}
        for sequence in sequences:
            rows = {name: STREAMS[name].embed(sequence) for name in self.names}
            for i, frame in enumerate(sequence.frame_indices.tolist()):
                found[frame] = {name: values[i] for name, values in rows.items()}
        return found

    def _original(self, sequence: LandmarkSequence, clip: Clip, by_frame: dict[int, Streams]) -> Streams | None:
        """The clip's frames in the original, for each stream (T, width); None if the face is not in all of them."""
        frames = sequence.frame_indices[clip.start : clip.stop].tolist()
        if any(frame not in by_frame for frame in frames):
            return None
        found = {n: np.stack([by_frame[f][n] for f in frames[STREAMS[n].lag :]]) for n in self.names}
        return found if all(np.isfinite(rows).all() for rows in found.values()) else None

    def _correlation(self, rows: Streams, explained: ClipExplanation) -> float:
        from lrnet.network.architecture import LandmarkNetwork
        from lrnet.training.gradients import mean_over_baselines

        network = LandmarkNetwork.from_weights(self.bundle.spec.network, self.bundle.weights).eval()
        assert self.bundle.reference is not None
        baselines = typical_clips(self.bundle.reference, self.clips.length)
        gradients = mean_over_baselines(network, {n: v[0] for n, v in rows.items()}, baselines)
        effects = np.array([explained.groups[g].value for g in NAMES])
        first, second = (np.argsort(np.argsort(v)).astype(np.float64) for v in (gradients, effects))
        return float(np.corrcoef(first, second)[0, 1])


def interval(values: NDArray[np.float64], group: NDArray[np.str_], resamples: int = 2000) -> str:
    """The mean of the videos' values with its interval over identity groups."""
    rows = [np.flatnonzero(group == g) for g in np.unique(group)]
    generator = np.random.default_rng(0)
    drawn = [
        values[np.concatenate([rows[i] for i in generator.integers(len(rows), size=len(rows))])].mean()
        for _ in range(resamples)
    ]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return f"{values.mean():6.2f} [{low:5.2f}, {high:5.2f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("--split", default="val")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--no-gradients", action="store_true", help="Leave integrated gradients out.")
    args = parser.parse_args()
    if not args.no_gradients:
        import torch

        torch.set_num_threads(1)
    benchmark = Benchmark(load_model(args.model), store.open(args.store), args.split, not args.no_gradients)
    videos, groups = [], []
    for fake in benchmark.fakes:
        if clips := benchmark.video(fake):
            videos.append(clips)
            groups.append(fake.record.group)
    report(benchmark, videos, np.array(groups), args.split)


def report(benchmark: Benchmark, videos: list[list[ClipLosses]], group: NDArray[np.str_], split: str) -> None:
    clips = sum(map(len, videos))
    print(f"{benchmark.bundle.spec.name}: {len(videos)} fakes of split {split}, {clips} clips, ", end="")
    print(f"{len(np.unique(group))} identity groups, {len(benchmark.others)} genuine faces to replace with")
    if benchmark.left_out:
        print(f"{benchmark.left_out} fakes were left out: the store does not hold their originals")
    print("What the score loses, log odds: mean over fakes [95 % interval over identity groups]")

    def line(what: str, of_clip: Callable[[ClipLosses], float]) -> NDArray[np.float64]:
        values = np.array([np.nanmean([of_clip(c) for c in video]) for video in videos])
        print(f"  {what:58} {interval(values, group)}")
        return values

    def group_lines(way: str) -> None:
        table = np.concatenate([[getattr(c, way) for c in video] for video in videos])
        best = int(np.nanargmax(np.nanmean(table, axis=0)))
        print(f"one group taken from {'its original' if way == 'original' else 'other genuine faces'}")
        named = line("the group that the explanation names", lambda c: float(getattr(c, way)[c.named]))
        other = line("a random group", lambda c: float(getattr(c, way).mean()))
        print(f"  {'named less random':58} {interval(named - other, group)}")
        print(f"  {'fakes in which that is more than 0':58} {(named > other).sum()} of {len(named)}")
        line(f"always the same group, best in hindsight: {NAMES[best]}", lambda c: float(getattr(c, way)[best]))
        line("the best group of each clip (no choice can lose more)", lambda c: float(getattr(c, way).max()))

    group_lines("original")
    group_lines("others")
    print("one stretch of time taken from its original, all groups")
    named = line("the stretch that the explanation names", lambda c: c.windows[c.named_window])
    other = line("a random stretch", lambda c: c.windows.mean())
    print(f"  {'named less random':58} {interval(named - other, group)}")
    if np.isfinite(videos[0][0].gradients):
        print("agreement with integrated gradients")
        line("Spearman correlation over the seven groups", lambda c: c.gradients)


if __name__ == "__main__":
    main()
