"""The tables of the ablation against closed forms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table
from tests.experiments.test_witnesses import video
from tests.training.training_kit import quick, write_store

from lrnet.errors import TrainingError
from lrnet.evaluation.protocol import ScoredVideo
from lrnet.experiments.ablation import (
    LeftOutVideos,
    Manipulation,
    Row,
    cells,
    require_networks,
    scored_without,
    unseen_table,
)
from lrnet.training.crossval import cross_validate, kept_scores, unseen_folder
from lrnet.verdict import State


def printed(table: Table) -> list[list[str]]:
    """The rows, each a list of its cells."""
    console = Console(width=250, record=True, file=StringIO())
    console.print(table)
    lines = console.export_text().splitlines()[1:]
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines if line.strip()]


def of_kind(method: str, probabilities: Sequence[float], state: State) -> tuple[ScoredVideo, ...]:
    """Fakes of one manipulation with these probabilities, and six real videos with 0.5."""
    fakes = [video(i, True, p, 0.0, state) for i, p in enumerate(probabilities)]
    named = [replace(v, record=replace(v.record, method=method)) for v in fakes]
    real = [video(100 + i, False, 0.5, 0.0, State.INCONCLUSIVE) for i in range(6)]
    return (*named, *real)


def test_every_fake_counts_alike_in_the_row_of_all_manipulations() -> None:
    """Six fakes above all real videos and three below: (6 * 1 + 3 * 0) / 9."""
    high = of_kind("high", [0.9] * 6, State.LIKELY_FAKE)
    low = of_kind("low", [0.1] * 3, State.NO_EVIDENCE)
    kinds = [Manipulation("high", high, high), Manipulation("low", low, low)]
    rows = printed(unseen_table({"motion": kinds, "both": kinds}))
    assert [row[3] for row in rows[:3]] == ["motion", "appearance", "both"]
    high_row, low_row, all_row = (rows[i] for i in (2, 5, 8))
    assert high_row[:3] == ["high", "6", "6"]
    assert high_row[4].startswith("1.00")
    assert low_row[4].startswith("0.00")
    assert all_row[:3] == ["all", "9", "6"]
    assert all_row[4].startswith("0.67")
    assert all_row[6].startswith("67 %")
    assert all_row[8].startswith("33 %")


def test_known_and_unknown_stand_side_by_side() -> None:
    kinds = [
        Manipulation(
            "swap", of_kind("swap", [0.9] * 6, State.LIKELY_FAKE), of_kind("swap", [0.1] * 6, State.NO_EVIDENCE)
        )
    ]
    row = printed(unseen_table({"motion": kinds, "both": kinds}))[2]
    assert [cell.split(" (")[0] for cell in row[4:]] == ["1.00", "0.00", "100 %", "0 %", "0 %", "100 %"]


def test_a_mean_over_networks_is_that_of_their_aucs() -> None:
    """One network ranks all pairs rightly, the other none."""
    right, wrong = (
        tuple(video(i, i < 6, high if i < 6 else 1 - high, 0.0, State.INCONCLUSIVE) for i in range(12))
        for high in (0.9, 0.1)
    )
    rows = [Row("both", name, lambda v: v.probability, some, some) for name, some in (("1", right), ("2", wrong))]
    assert [cell.split(" (")[0] for cell in cells(rows, frozenset(), ["swaps"])[:4]] == ["0.50", "", "0.50", "0.50"]
    assert cells(rows[:1], frozenset(), ["swaps"])[0].startswith("1.00")


def test_sources_left_out_are_set_against_all_fakes() -> None:
    """Real videos 8 to 11 are of such a source: below the fakes there, above them where only people were left out."""
    videos = tuple(video(i, i < 6, 0.5 if i < 6 else 0.9 if i < 8 else 0.1, 0.0, State.LIKELY_FAKE) for i in range(12))
    elsewhere = frozenset(f"{i}.mp4" for i in range(8, 12))
    found = cells([Row("both", "1", lambda v: v.probability, videos)], elsewhere, [])
    assert found[0].startswith("0.00")
    assert found[1].startswith("1.00")
    assert found[2:] == [""] * 6


def test_motion_without_a_manipulation_is_that_of_the_cross_validation(tmp_path: Path) -> None:
    """People in it by their own fold's network, the validation split by one that never saw it."""
    trained = write_store(tmp_path / "a", 12)
    other = write_store(tmp_path / "b", 12, source="other")
    validation = write_store(tmp_path / "c", 2, source="val", split="val")
    kinds = [replace(v, record=replace(v.record, method="kind" if v.record.method else "")) for v in other]
    folder = unseen_folder(tmp_path / "scores", "kind")
    videos = [*trained, *kinds]
    cross_validate(videos, quick(), folds=2, unseen="kind", folder=folder, keep_networks=True)
    kept = {h.video.record.key: h.video for h in kept_scores(folder) if not h.edit}
    everybody = tuple([*videos, *validation])
    some = [*kept.values(), *(replace(kept["one00"], record=v.record) for v in validation)]
    found = {v.record.key: v for v in scored_without(LeftOutVideos(everybody, (), frozenset()), some, folder)}
    assert found.keys() == kept.keys() | {v.record.key for v in validation}
    assert all(found[key].people == kept[key].people for key in kept)
    assert all(found[v.record.key].score is not None for v in validation)
    assert found["val00"].score != pytest.approx(found["val01"].score)


def test_missing_networks_are_told_before_the_training(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="without kind") as refused:
        require_networks(tmp_path, ["kind"])
    assert "--unseen 1 --keep-networks" in refused.value.hint
    videos = [
        replace(v, record=replace(v.record, method=f"kind{i % 4}" if v.record.method else ""))
        for i, v in enumerate(write_store(tmp_path / "a", 12))
    ]
    folder = unseen_folder(tmp_path, "kind1")
    cross_validate(videos, quick(), folds=2, unseen="kind1", folder=folder)
    with pytest.raises(TrainingError, match="without kind1"):
        require_networks(tmp_path, ["kind1"])
    cross_validate(videos, quick(), folds=2, unseen="kind1", folder=folder, keep_networks=True)
    require_networks(tmp_path, ["kind1"])
