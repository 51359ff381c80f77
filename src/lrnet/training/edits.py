"""Edited videos at the level of landmarks: shots of held-out videos put one after the other.

News items, compilations and calls show several people in shots of a few seconds. Score calibration and thresholds are
set on such videos too, so that error rates hold for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from lrnet.appearance.network import AppearanceNetwork
from lrnet.data.records import Label, VideoRecord
from lrnet.data.store import StoredVideo
from lrnet.data.store.crops import with_crops
from lrnet.evaluation.protocol import ScoredVideo, score_sequences
from lrnet.network.bundle import ModelBundle
from lrnet.network.runtime import NetworkRuntime
from lrnet.sequence.landmark_sequence import LandmarkSequence, main_face

Edit = Literal["", "shots", "cuts", "one fake shot"]
"""How a video was edited: not at all; shots of several real videos; one video with parts cut out; a fake shot of five
seconds among shots of real videos."""

SHOT: Final = (2.0, 5.0)  # seconds of a shot
SHOTS: Final = (4, 14)  # from 4 to 13 shots of other videos in an edited one, beside its own shot
MOST_PEOPLE: Final = 12
FAKE_SHOT: Final = 5.0  # seconds of the one fake shot
CUT_OUT: Final = (0.5, 2.0)  # seconds between two shots of one video


@dataclass(frozen=True, slots=True)
class EditedVideo:
    """An edited video.

    Attributes:
        record: of the video that gives the label; its key names the edit too.
        edit: how it was made.
        sequences: its landmarks, each shot a separate track.
        quantiser: of the video that gives the label.
        fake_shot: seconds (start, stop) of the one fake shot; None otherwise.
    """

    record: VideoRecord
    edit: Edit
    sequences: tuple[LandmarkSequence, ...]
    quantiser: float | None
    fake_shot: tuple[float, float] | None = None


def judged_edits(
    bundle: ModelBundle, videos: Sequence[StoredVideo], seeds: int
) -> Iterator[tuple[EditedVideo, ScoredVideo]]:
    """Edits of videos (`edited_videos`, with several seeds), judged as detection does.

    Raises:
        DatasetError: the model looks at crops, and a video has none.
    """
    runtime, witness = NetworkRuntime(bundle), AppearanceNetwork.of(bundle)
    for seed in range(seeds):
        for edit in edited_videos(videos, seed, witness is not None):
            yield edit, score_sequences(bundle, runtime, edit.record, edit.sequences, edit.quantiser, witness)


def edited_videos(videos: Sequence[StoredVideo], seed: int, crops: bool = False) -> list[EditedVideo]:
    """One edit of each kind that can be made for each video; the same videos and seed give the same edits.

    Args:
        videos: people who may stand in one video: of one fold.
        crops: whether their crops go with them, for a model with both witnesses.

    Raises:
        DatasetError: a video has no crops.
    """
    draw = np.random.default_rng((0xED17, seed))
    tracks = {v.record.key: with_crops(v, v.sequences()) if crops else v.sequences() for v in videos}
    faces = {key: [s for s in main_face(found) if len(s) > 1] for key, found in tracks.items()}
    long = [v for v in videos if sum(_seconds(s) for s in faces[v.record.key]) >= SHOT[0]]
    real = [v for v in long if v.record.label is Label.REAL]
    found: list[EditedVideo] = []
    for video in long:
        shots = _cut_up(faces[video.record.key], draw)
        if len(shots) > 1:
            found.append(_edit(video, "cuts", shots))
        if not real:
            continue
        among = _shots_of(real, faces, draw)
        if video.record.label is Label.REAL:
            found.append(_edit(video, "shots", [*among, _shot(faces[video.record.key], draw.uniform(*SHOT), draw)]))
        else:
            place = int(draw.integers(len(among) + 1))
            fake = _shot(faces[video.record.key], FAKE_SHOT, draw)
            found.append(_edit(video, "one fake shot", [*among[:place], fake, *among[place:]], place))
    return found


def _seconds(sequence: LandmarkSequence) -> float:
    return float(sequence.times[-1] - sequence.times[0])


def _shots_of(
    real: Sequence[StoredVideo], faces: dict[str, list[LandmarkSequence]], draw: np.random.Generator
) -> list[LandmarkSequence]:
    """Shots of some real videos, drawn with replacement."""
    count = int(draw.integers(*SHOTS))
    people = draw.permutation(len(real))[: int(draw.integers(1, MOST_PEOPLE + 1))]
    chosen = [real[int(draw.choice(people))] for _ in range(count)]
    return [_shot(faces[v.record.key], draw.uniform(*SHOT), draw) for v in chosen]


def _shot(face: Sequence[LandmarkSequence], seconds: float, draw: np.random.Generator) -> LandmarkSequence:
    """Some seconds from anywhere in a face's sequences, fewer if they are shorter."""
    lengths = np.array([_seconds(s) for s in face])
    sequence = face[int(draw.choice(len(face), p=lengths / lengths.sum()))]
    first = float(sequence.times[0])
    start = first + draw.uniform(0, max(_seconds(sequence) - seconds, 0))
    shot = sequence.between(start, start + seconds)
    return shot if len(shot) else sequence.between(first, first + seconds)  # there may be seconds without a frame


def _cut_up(face: Sequence[LandmarkSequence], draw: np.random.Generator) -> list[LandmarkSequence]:
    """The face with parts left out."""
    shots = []
    for sequence in face:
        at, end = float(sequence.times[0]), float(sequence.times[-1])
        while end - at >= SHOT[0]:
            stop = at + draw.uniform(*SHOT)
            shots.append(sequence.between(at, stop))
            at = stop + draw.uniform(*CUT_OUT)
    return [shot for shot in shots if len(shot)]


def _edit(video: StoredVideo, edit: Edit, shots: Sequence[LandmarkSequence], fake: int | None = None) -> EditedVideo:
    tracks, at, where = [], 0.0, None
    for number, shot in enumerate(shots):
        begins = at - float(shot.times[0])
        tracks.append(replace(shot.later(begins), face=number))
        if number == fake:
            where = (at, at + _seconds(shot))
        at += _seconds(shot) + 0.04
    record = replace(video.record, key=f"{video.record.key}#{edit}")
    return EditedVideo(record, edit, tuple(tracks), video.quantiser, where)
