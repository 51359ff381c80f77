"""Fitting: what is learned, what the seed decides, going on after a stop, starting from other weights."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from training_kit import predict, quick, write_store

from lrnet.errors import ModelError, TrainingError
from lrnet.network.spec import NetworkSpec, StreamSpec
from lrnet.training.clips import clip_table, main_faces, training_clips
from lrnet.training.config import StreamConfig

torch = pytest.importorskip("torch")

from lrnet.network.architecture import LandmarkNetwork  # noqa: E402
from lrnet.training.fit import CHECKPOINT, Fitted, Progress, fit, initial_weights, network_spec  # noqa: E402
from lrnet.training.initialise import adopted  # noqa: E402


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> list:  # type: ignore[type-arg]
    return main_faces(write_store(tmp_path_factory.mktemp("store"), 24))


def same(one: Fitted, other: Fitted) -> bool:
    return all(np.array_equal(one.weights[name], other.weights[name]) for name in one.weights)


def test_a_network_learns_what_separates_and_the_seed_decides_all(faces) -> None:  # type: ignore[no-untyped-def]
    config = quick()
    fitted = fit(training_clips(faces[:16], config), config)
    test = clip_table(faces[16:], ("differences",), config.clips)
    assert roc_auc_score(test.label, predict(fitted.spec, fitted.weights, test)) > 0.98
    again = fit(training_clips(faces[:16], config), config)
    seeded = config.model_copy(update={"seed": 1})
    assert same(fitted, again)
    assert not same(fitted, fit(training_clips(faces[:16], seeded), seeded))


def test_inputs_are_scaled_by_what_the_table_holds(faces) -> None:  # type: ignore[no-untyped-def]
    config = quick()
    clips = training_clips(faces, config)
    expected = np.sqrt(np.mean(np.square(clips.streams["differences"], dtype=np.float64)))
    assert network_spec(clips, config).streams[0].scale == pytest.approx(expected)


class Stopped(Exception):
    pass


@pytest.mark.parametrize("together", [True, False])
def test_a_run_that_was_stopped_goes_on_to_the_same_weights(faces, tmp_path: Path, together: bool) -> None:  # type: ignore[no-untyped-def]
    config = quick(
        streams=[{"name": "differences", "units": 4}, {"name": "acceleration", "units": 4}],
        fit={"epochs": 5, "batch": 16, "together": together},
        augmentation={"mirror": False, "reverse": 0.5, "landmark_dropout": 0.2},
    )
    through = fit(training_clips(faces, config), config, validation=None)

    def stop(progress: Progress) -> None:
        if progress.epoch == 3 and progress.stream in ("", "acceleration"):
            raise Stopped

    folder = tmp_path / "run"
    with pytest.raises(Stopped):
        fit(training_clips(faces, config), config, folder=folder, tell=stop)
    epochs: list[tuple[str, int]] = []
    resumed = fit(
        training_clips(faces, config),
        config,
        folder=folder,
        resume=True,
        tell=lambda p: epochs.append((p.stream, p.epoch)),
    )
    assert epochs == [("" if together else "acceleration", 4), ("" if together else "acceleration", 5)]
    assert same(through, resumed)


def test_logs_are_what_tensorboard_reads(faces, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = quick(fit={"epochs": 3, "batch": 32})
    losses: list[float] = []
    fit(training_clips(faces, config), config, folder=tmp_path / "run", tell=lambda p: losses.append(p.loss))
    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    scalars = events.Scalars("loss/training")
    assert [s.step for s in scalars] == [1, 2, 3]
    assert [s.value for s in scalars] == pytest.approx(losses, rel=1e-5)
    assert (tmp_path / "run" / CHECKPOINT).is_file()


def test_training_stops_early_and_keeps_the_best_epoch(faces) -> None:  # type: ignore[no-untyped-def]
    config = quick(
        fit={"epochs": 60, "batch": 16, "learning_rate": 0.1, "schedule": "constant", "dropout": 0.0},
        validation={"share": 0.3, "patience": 4},
    )
    aside = clip_table(faces[16:], config.stream_names, config.clips)
    told: list[float] = []
    fitted = fit(
        training_clips(faces[:8], config), config, validation=aside, tell=lambda p: told.append(p.validation or 0.0)
    )
    best = int(np.argmin(told)) + 1
    assert fitted.epochs == {"differences": best}
    assert len(told) == best + 4 < 60
    short = config.model_copy(update={"fit": config.fit.model_copy(update={"epochs": best})})
    assert same(fitted, fit(training_clips(faces[:8], short), short))  # constant rate: the epoch's own weights


def test_a_stream_that_stopped_early_is_not_trained_on_by_a_resumed_run(faces, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    config = quick(
        streams=[{"name": "differences", "units": 4}, {"name": "acceleration", "units": 4}],
        fit={"epochs": 60, "batch": 16, "learning_rate": 0.1, "schedule": "constant", "together": False},
        validation={"share": 0.3, "patience": 2},
    )
    aside = clip_table(faces[16:], config.stream_names, config.clips)

    def told(run: list[tuple[str, int]], stop: bool, progress: Progress) -> None:
        run.append((progress.stream, progress.epoch))
        if stop and progress.stream == "acceleration":
            raise Stopped

    def go(run: list[tuple[str, int]], folder: Path, **how: bool) -> Fitted:
        tell = partial(told, run, how.pop("stop", False))
        return fit(training_clips(faces[:8], config), config, validation=aside, folder=folder, tell=tell, **how)

    whole, first, rest = [], [], []  # type: ignore[var-annotated]
    through = go(whole, tmp_path / "through")
    with pytest.raises(Stopped):
        go(first, tmp_path / "run", stop=True)
    resumed = go(rest, tmp_path / "run", resume=True)
    assert [*first, *rest] == whole
    assert same(through, resumed)


def test_one_class_alone_is_refused(faces) -> None:  # type: ignore[no-untyped-def]
    config = quick()
    with pytest.raises(TrainingError, match="0 fake"):
        fit(training_clips(faces[::2], config), config)


def test_adopted_weights_are_the_same_function_under_another_scale() -> None:
    random = np.random.default_rng(0)
    source = NetworkSpec.of(StreamSpec(name="differences", width=136, units=4, scale=0.01, shift=0.002))
    scales = tuple(random.uniform(0.005, 0.02, 136).tolist())
    target = NetworkSpec.of(StreamSpec(name="differences", width=136, units=4, scale=scales))
    weights = LandmarkNetwork(source, seed=3).weights()
    moved = adopted(target.streams[0], source.streams[0], weights, called="it")
    clips = {"differences": torch.from_numpy(random.normal(0, 0.01, (5, 19, 136)).astype(np.float32))}
    before = LandmarkNetwork.from_weights(source, weights).eval()(clips).probability.detach().numpy()
    after = LandmarkNetwork.from_weights(target, moved).eval()(clips).probability.detach().numpy()
    np.testing.assert_allclose(after, before, atol=1e-6)


def test_streams_of_other_shapes_are_not_adopted() -> None:
    source = StreamSpec(name="differences", width=136, units=4)
    with pytest.raises(TrainingError, match="units, head"):
        adopted(StreamSpec(name="differences", width=136, units=8), source, {}, called="it")


def test_a_model_to_start_from_that_is_not_there(faces) -> None:  # type: ignore[no-untyped-def]
    config = quick(streams=[StreamConfig(name="differences", init_from="nowhere")])
    with pytest.raises(ModelError, match="nowhere"):
        initial_weights(network_spec(training_clips(faces, config), config), config)
