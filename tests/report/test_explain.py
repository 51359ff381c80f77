"""Occlusion against networks whose answer is known, against a second way of computing it and integrated gradients."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lrnet.detector import Detector, VideoResult
from lrnet.errors import ModelError
from lrnet.network import BundleSpec, ModelBundle, NetworkSpec, StreamSpec
from lrnet.network.clips import Clip, cut_clips
from lrnet.network.streams import STREAMS, embed_clips
from lrnet.report.explain import Explainer, group_columns, most_unusual, replace_frames, replace_group
from lrnet.report.motion import motion_reference, typical_clips
from lrnet.sequence.landmark_sequence import FACIAL_GROUPS, NUM_LANDMARKS, LandmarkSequence
from lrnet.sequence.settings import Preprocessing
from lrnet.sequence.surroundings import NUM_SURROUNDINGS
from tests.report.test_motion import CLIPS, random_face

torch = pytest.importorskip("torch", reason="networks are made for these tests with PyTorch (extra train)")
pytest.importorskip("onnx", reason="networks are written for these tests with onnx (extra train)")

from lrnet.network.architecture import LandmarkNetwork  # noqa: E402
from lrnet.network.export import to_onnx  # noqa: E402
from lrnet.training.gradients import by_group, integrated_gradients, mean_over_baselines  # noqa: E402

SIZE = 0.004  # of the made-up faces' steps
SCALES = {"positions": 0.5, "acceleration": 1.4}

torch.set_num_threads(1)  # more than that wait for each other on networks of this size


def a_model(
    folder: Path,
    streams: tuple[str, ...] = ("differences", "acceleration"),
    reads: tuple[str, ...] = tuple(FACIAL_GROUPS),
    *,
    referenced: bool = True,
) -> ModelBundle:
    """A model with random weights whose networks read nothing but the groups `reads`."""
    network = NetworkSpec.of(
        *(StreamSpec(name=n, width=STREAMS[n].width, units=6, scale=SCALES.get(n, SIZE)) for n in streams),
        fusion="mean_logit",
    )
    generator = np.random.default_rng(3)
    weights = {n: generator.normal(0, 0.3, s).astype(np.float32) for n, s in network.weight_shapes().items()}
    for stream in streams:
        heard = np.zeros(STREAMS[stream].width, bool)
        for group in reads:
            heard[group_columns(stream, group)] = True
        for name in weights:
            if name.startswith(f"streams.{stream}.gru.weight_ih"):
                weights[name][:, ~heard] = 0
    faces = [[random_face(i, scale=SIZE)] for i in range(12)]
    spec = BundleSpec(
        name="made-up",
        version="1",
        description="Random weights.",
        licence="Apache-2.0",
        created=date(2026, 1, 2),
        network=network,
        preprocessing=Preprocessing(landmarker_version="1", clip_length=40, clip_stride=40, min_clip_length=20),
    )
    reference = motion_reference(faces, streams, CLIPS, description="made-up faces") if referenced else None
    return ModelBundle.save(spec, to_onnx(network, weights), "", folder / "model", reference=reference)


@pytest.mark.parametrize("stream", STREAMS)
def test_every_column_of_a_landmark_belongs_to_one_group(stream: str) -> None:
    columns = np.concatenate([group_columns(stream, group) for group in FACIAL_GROUPS])
    around = NUM_SURROUNDINGS if STREAMS[stream].around else 0  # what surrounds the face is part of no group
    assert sorted(columns) == list(range(STREAMS[stream].width - around))


def test_level_of_acceleration_goes_with_its_group() -> None:
    """The group's own column changes when its landmarks tremble more, and no other one's does."""
    values = random_face(0).values.copy()
    louder = values.copy()
    mouth = FACIAL_GROUPS["mouth"]
    louder[1::2, mouth] += np.where(np.arange(20) % 2, 0.05, -0.05)[:, None].astype(np.float32)
    rows = [STREAMS["acceleration"].embed(LandmarkSequence.from_values(v))[5] for v in (values, louder)]
    changed = np.flatnonzero(np.abs(rows[0][136:] - rows[1][136:]) > 0.5) + 136
    assert changed.tolist() == [c for c in group_columns("acceleration", "mouth") if c >= 136]


@pytest.mark.parametrize("streams", [("differences", "acceleration"), ("forward_backward", "innovation", "positions")])
@pytest.mark.parametrize("group", ["mouth", "left brow"])
def test_groups_that_the_network_does_not_read_have_no_effect(
    tmp_path: Path, streams: tuple[str, ...], group: str
) -> None:
    bundle = a_model(tmp_path, streams, reads=(group,))
    found = Explainer(bundle).explain_face([measured_face(5)])
    assert found is not None
    for name, effect in found.groups.items():
        if name == group:
            assert abs(effect.value) > 0.01
            assert effect.low <= effect.value <= effect.high
        else:
            assert (effect.low, effect.value, effect.high) == pytest.approx((0, 0, 0), abs=1e-5)
            assert found.score_without[name] == pytest.approx(found.score, abs=1e-6)
    assert found.leading == (group if found.groups[group].value > 0 and found.agreement >= 0.75 else None)


def measured_face(seed: int) -> LandmarkSequence:
    generator = np.random.default_rng(seed)
    face = random_face(seed, frames=80, scale=SIZE)
    return replace(
        face,
        innovation=generator.normal(0, SIZE, face.innovation.shape).astype(np.float32),
        forward_backward_error=generator.exponential(SIZE, face.forward_backward_error.shape).astype(np.float32),
    )


def test_only_the_stretch_that_moves_has_an_effect(tmp_path: Path) -> None:
    """Without a reference a part is set to zero: where the face keeps still already, that changes nothing."""
    values = np.repeat(random_face(1).values[:1], 40, axis=0)
    # The clip's windows are of 13 or 14 frames; the face moves in the third one only, and comes to rest there.
    values[29:39] += np.random.default_rng(0).normal(0, 0.1, (10, NUM_LANDMARKS, 2)).astype(np.float32)
    bundle = a_model(tmp_path, ("differences",), referenced=False)
    found = Explainer(bundle).explain_face([LandmarkSequence.from_values(values)])
    assert found is not None
    first, second, third = found.clips[0].stretches
    assert third.start <= 28 / 25
    assert third.stop == pytest.approx(39 / 25)
    assert abs(third.effect) > 0.01
    assert [first.effect, second.effect] == pytest.approx([0, 0], abs=1e-5)
    assert found.compared_with is None
    assert found.differences == ()


def torch_logit(bundle: ModelBundle, rows: dict[str, NDArray[np.float32]]) -> float:
    network = LandmarkNetwork.from_weights(bundle.spec.network, bundle.weights).eval()
    with torch.inference_mode():
        probability = network({n: torch.from_numpy(v) for n, v in rows.items()}).probability.double()
    return float(torch.logit(probability)[0])


def test_effects_are_those_of_the_network_in_pytorch(tmp_path: Path) -> None:
    bundle = a_model(tmp_path)
    face = measured_face(7)
    found = Explainer(bundle).explain_face([face])
    assert found is not None
    assert bundle.reference is not None
    names, lost = bundle.spec.network.stream_names, []
    for clip in cut_clips(face, CLIPS):
        rows = embed_clips(face, [clip], names)[0].streams
        base = torch_logit(bundle, rows)
        lost.append(
            [base - torch_logit(bundle, replace_group(rows, "nose", o)) for o in typical_clips(bundle.reference, 40)]
        )
    assert [c.groups["nose"].value for c in found.clips] == pytest.approx(np.mean(lost, axis=1), abs=1e-4)
    # The clips are of one length and aggregated by their mean logit: the face's effect is the mean of theirs.
    assert found.groups["nose"].value == pytest.approx(np.mean(lost), abs=1e-4)
    assert found.groups["nose"].high == pytest.approx(np.max(np.mean(lost, axis=0)), abs=1e-4)


def test_what_is_replaced_is_replaced_and_nothing_else() -> None:
    rows = {n: np.zeros((1, 40 - STREAMS[n].lag, STREAMS[n].width), np.float32) for n in STREAMS}
    other = {n: np.ones(v.shape[1:], np.float32) for n, v in rows.items()}
    for name, values in replace_group(rows, "jaw", other).items():
        assert np.flatnonzero(values[0].all(axis=0)).tolist() == sorted(group_columns(name, "jaw"))
        assert values.sum() == len(values[0]) * len(group_columns(name, "jaw"))
    for name, values in replace_frames(rows, 10, 20, other).items():
        # Row r of a stream is frame r + lag; columns that describe the track stay.
        assert np.flatnonzero(values[0, :, 0]).tolist() == list(range(10 - STREAMS[name].lag, 20 - STREAMS[name].lag))
        assert not values[0, :, 136:].any()
    assert all(not v.any() for v in rows.values())  # the clip itself is left as it was


def test_stretches_cover_the_face_without_overlap(tmp_path: Path) -> None:
    bundle = a_model(tmp_path)
    face = random_face(2, frames=107)
    found = Explainer(bundle).explain_face([face])
    assert found is not None
    edges = [(s.start, s.stop) for s in found.stretches]
    assert edges[0][0] == 0
    assert edges[-1][1] == pytest.approx(106 / 25)
    assert [a for a, _ in edges[1:]] == pytest.approx([b for _, b in edges[:-1]])
    assert all(stop - start > 0.25 for start, stop in edges)
    assert found.telling is not None
    assert found.telling[1] - found.telling[0] == pytest.approx(2.0)


def test_a_long_face_is_explained_in_part_and_says_so(tmp_path: Path) -> None:
    bundle = a_model(tmp_path, ("differences",))
    face = random_face(3, frames=40 * 70)
    found = Explainer(bundle).explain_face([face])
    assert found is not None
    assert 64 <= len(found.clips) <= 65
    assert len(found.clips) + found.clips_left_out == 70


def test_nothing_to_explain(tmp_path: Path) -> None:
    assert Explainer(a_model(tmp_path)).explain_face([random_face(0, frames=12)]) is None


@pytest.fixture(scope="module")
def examined(examples: Path) -> tuple[Detector, list[VideoResult]]:
    detector = Detector()
    return detector, [detector.detect(examples / f"{n}.mp4", keep_sequences=True) for n in ("fake", "real")]


def test_explanations_of_the_examples(examined: tuple[Detector, list[VideoResult]]) -> None:
    detector, results = examined
    for result in results:
        (found,) = Explainer(detector.bundle).explain(result)
        assert found.score == pytest.approx(result.faces[0].score, abs=1e-6)
        assert [c.score for c in found.clips] == pytest.approx([c.score for c in result.faces[0].clips], abs=1e-6)
        assert found.compared_with is not None
        assert most_unusual(found, "smoothness") is not None
        assert {d.statistic for d in found.differences} == {"smoothness", "jitter", "tracking_error", "surprise"}
    with pytest.raises(ModelError, match="made with model"):
        Explainer(detector.bundle).explain(replace(results[0], model_hash="0" * 64))


def gradients_and_occlusion(
    bundle: ModelBundle, face: LandmarkSequence, every: int, baselines: int
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """For every so many clips of a face, the two methods' word on the seven groups."""
    network = LandmarkNetwork.from_weights(bundle.spec.network, bundle.weights).eval()
    settings = bundle.spec.preprocessing.clips
    found = Explainer(bundle).explain_face([face])
    assert found is not None
    assert bundle.reference is not None
    others = typical_clips(bundle.reference, settings.length)[::2][:baselines]
    pairs = []
    for clip, explained in list(zip(cut_clips(face, settings), found.clips, strict=True))[::every]:
        rows = {n: v[0] for n, v in embed_clips(face, [clip], bundle.spec.network.stream_names)[0].streams.items()}
        gradients = mean_over_baselines(network, rows, others)
        pairs.append((gradients, np.array([e.value for e in explained.groups.values()])))
    return pairs


def test_integrated_gradients_add_up_to_the_difference_of_log_odds(
    examined: tuple[Detector, list[VideoResult]],
) -> None:
    detector, results = examined
    bundle, sequence = detector.bundle, results[0].sequences[0]
    assert bundle.reference is not None
    network = LandmarkNetwork.from_weights(bundle.spec.network, bundle.weights).eval()
    other = typical_clips(bundle.reference, 60)[0]
    batch = embed_clips(sequence, [Clip(0, 60)], bundle.spec.network.stream_names)[0].streams
    found = integrated_gradients(network, {name: values[0] for name, values in batch.items()}, other)
    whole = torch_logit(bundle, batch) - torch_logit(bundle, {n: v[None] for n, v in other.items()})
    assert sum(values.sum() for values in found.values()) == pytest.approx(whole, abs=0.02)
    groups = {name: np.concatenate([group_columns(name, g) for g in FACIAL_GROUPS]) for name in found}
    around = sum(np.delete(values, groups[name], axis=1).sum() for name, values in found.items())
    assert by_group(found).sum() + around == pytest.approx(whole, abs=0.02)


def test_occlusion_and_integrated_gradients_rank_the_groups_alike(
    tmp_path: Path, examined: tuple[Detector, list[VideoResult]]
) -> None:
    """Mean Spearman correlation over the seven groups; 0 if the two had nothing in common.

    A path integral shares interactions out, and occlusion counts them wholly: on the trained network, which reads the
    groups together, they agree less than on a small one. `experiments.explanation` measures it.
    """
    pairs = gradients_and_occlusion(a_model(tmp_path), random_face(5, frames=160, scale=SIZE), every=1, baselines=4)
    assert np.mean([spearman(*pair) for pair in pairs]) > 0.5
    detector, results = examined
    pairs = [p for r in results for p in gradients_and_occlusion(detector.bundle, r.sequences[0], every=2, baselines=4)]
    assert np.mean([spearman(*pair) for pair in pairs]) > 0.3


def spearman(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    ranks = [np.argsort(np.argsort(v)) for v in (a, b)]
    return float(np.corrcoef(*ranks)[0, 1])
