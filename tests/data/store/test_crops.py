"""Crops beside a store that changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lrnet.data import store
from lrnet.data.landmark_job import Provenance
from lrnet.data.records import Label
from lrnet.data.store import StoredVideo, crops
from lrnet.data.store.crops import crops_file, crops_of, cut_store, read_crops, read_folder, with_crops, write_crops
from lrnet.data.store.files import relabel
from lrnet.data.store.verify import verify
from lrnet.errors import DatasetError
from tests.data.store.test_landmark_store import record, sequence

Extract = Callable[[str], StoredVideo]


@pytest.fixture
def extracted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Extract:
    """Stores a video of these bytes. No crop is wanted of it, so that it need not be there."""
    monkeypatch.setattr(crops, "wanted_frames", lambda *_: {})

    def extract(sha256: str) -> StoredVideo:
        about = record("o/000.mp4", Label.REAL, "", "train", "anna")
        return StoredVideo.of(store.write(tmp_path, about, [sequence(6)], {"crop": 400}, Provenance(sha256=sha256)))

    return extract


def cut(video: StoredVideo) -> bool:
    """Whether `lrnet store crops` finds something to do."""
    told: list[str] = []
    assert cut_store([video], tell=lambda done, count, name: told.append(name)) == []
    return bool(told)


def test_crops_have_the_label_of_the_store(extracted: Extract) -> None:
    video = extracted("1")
    assert cut(video)
    relabel(video, replace(video.record, label=Label.FAKE, method="Deepfakes", source="x", split="val", group="ben"))
    video = StoredVideo.of(video.file)
    assert not cut(video)
    for found in (crops_of(video), *read_folder([video])):
        assert found is not None
        about = (found.key, found.fake, found.method, found.source, found.split, found.group)
        assert about == ("o/000.mp4", True, "Deepfakes", "x", "val", "ben")


def test_crops_of_a_video_that_was_extracted_again_are_cut_again(extracted: Extract) -> None:
    cut(extracted("1"))
    video = extracted("2")
    with pytest.raises(DatasetError, match="before it was extracted again") as caught:
        list(read_folder([video]))
    assert "lrnet store crops" in caught.value.hint
    with pytest.raises(DatasetError, match="before it was extracted again"):
        with_crops(video, video.sequences())
    assert "extracted again" in "".join(verify(video.file.parent)[1])
    assert cut(video)
    assert not cut(video)
    assert verify(video.file.parent) == (1, [])
    write_crops(replace(read_crops(crops_file(video)), made_of=""), crops_file(video))  # as before files said so
    assert crops_of(video) is not None
    assert not cut(video)


def test_damaged_crops_are_reported_and_cut_again(extracted: Extract) -> None:
    video = extracted("1")
    cut(video)
    crops_file(video).write_bytes(b"PAR1 half a file")
    _, (fault,) = verify(video.file.parent)
    assert "is damaged" in fault
    assert "lrnet store crops" in fault
    assert cut(video)
    assert verify(video.file.parent) == (1, [])
