"""What the tables on coding count."""

from __future__ import annotations

from pathlib import Path

from lrnet.data.records import Label, VideoRecord
from lrnet.experiments.coarse_encoding import AS_IT_IS, Said, copies, ranked, table
from lrnet.verdict import State


def said(person: int, fake: bool, copy: str, ratio: float, quantiser: float = 25.0) -> Said:
    label = Label.FAKE if fake else Label.REAL
    record = VideoRecord(Path("v"), f"{person}", label, "", "made up", "val", f"p{person}")
    held, without = (State.INCONCLUSIVE, State.LIKELY_FAKE) if quantiser > 40 else (State.LIKELY_FAKE,) * 2
    return Said(record, copy, quantiser, held, without, {"motion": ratio, "both": -ratio})


def test_each_copy_has_the_auc_of_each_witness() -> None:
    found = [said(i, i % 2 == 1, AS_IT_IS, float(i % 2)) for i in range(12)]
    header, _, row = ranked(found).splitlines()
    assert [cell.strip() for cell in header.strip("|").split("|")][3:] == ["AUC, motion", "AUC, both"]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:3] == [AS_IT_IS, "12", "12"]
    assert cells[3].startswith("1.000")
    assert cells[4].startswith("0.000")


def test_verdicts_are_counted_with_and_without_the_rule_for_coarse_encodings() -> None:
    found = [said(1, True, "crf 40", 1.0, 42.5), said(2, True, "crf 23", 1.0), said(3, False, "crf 40", 1.0, 42.5)]
    rows = {
        line.split("|")[1].strip(): [c.strip() for c in line.split("|")[2:-1]] for line in table(found).splitlines()
    }
    assert rows["crf 40"] == ["1 of 1", "0 of 1", "1 of 1", "0 of 1"]
    assert rows["quantiser over 42, up to 43"] == ["1 of 1", "0 of 1", "1 of 1", "0 of 1"]
    assert rows["crf 23"] == ["0 of 0", "0 of 0", "1 of 1", "1 of 1"]


def test_copies_are_named_by_what_is_done() -> None:
    assert list(copies([23])) == [AS_IT_IS, "crf 23", "half size, crf 23", "crf 28, then crf 28"]
    assert copies([23])["half size, crf 23"] == ((23, 0.5),)
