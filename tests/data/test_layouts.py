"""Each official layout, its names and lists as published, read from a tiny tree."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from lrnet.data import LAYOUTS, Dataset, IssueKind, Label, open_dataset, read_faceforensics
from lrnet.errors import DatasetError
from tests.data import trees


def kinds(dataset: Dataset) -> Counter[IssueKind]:
    return Counter(issue.kind for issue in dataset.issues)


def by_stem(dataset: Dataset) -> dict[str, object]:
    return {Path(r.key).stem: r for r in dataset.records}


@pytest.mark.parametrize(
    ("layout", "tree", "real", "fake"),
    [
        ("faceforensics", trees.faceforensics, 12, 60),
        ("faceforensics", trees.deep_fake_detection, 3, 1),
        ("faceforensics-copy", trees.faceforensics_copy, 4, 17),
        ("celeb-df", trees.celeb_df, 6, 2),
        ("deeper-forensics", trees.deeper_forensics, 0, 17),
        ("uadfv", trees.uadfv, 2, 2),
        ("dfdc", trees.dfdc, 4, 2),
        ("released-landmarks", trees.released_landmarks, 2, 5),
    ],
)
def test_every_layout_is_recognised_and_counted(
    tmp_path: Path, layout: str, tree: Callable[[Path], Path], real: int, fake: int
) -> None:
    dataset = open_dataset(tree(tmp_path))
    assert dataset.layout == layout
    labels = Counter(r.label for r in dataset.records)
    assert (labels[Label.REAL], labels[Label.FAKE]) == (real, fake)
    assert all(r.path.is_file() and r.group and r.identities is not None for r in dataset.records)
    assert all((r.method == "") == (r.label is Label.REAL) for r in dataset.records)
    assert open_dataset(tmp_path, layout) == dataset


def test_every_layout_is_tested_here() -> None:
    assert set(LAYOUTS) == {
        "faceforensics",
        "faceforensics-copy",
        "celeb-df",
        "deeper-forensics",
        "uadfv",
        "dfdc",
        "released-landmarks",
        "class-folders",
        "manifest",
    }


def test_faceforensics_methods_compressions_pairs_and_splits(tmp_path: Path) -> None:
    dataset = open_dataset(trees.faceforensics(tmp_path))
    assert {r.compression for r in dataset.records} == {"raw", "c23", "c40"}
    assert {r.method for r in dataset.records} == {
        "",
        "Deepfakes",
        "Face2Face",
        "FaceSwap",
        "NeuralTextures",
        "FaceShifter",
    }
    c23 = {r.key: r for r in dataset.of_compression("c23").records}
    fake = c23["manipulated_sequences/Deepfakes/c23/videos/054_071.mp4"]
    assert (fake.split, fake.group, fake.identities) == ("train", "ffpp-054-071", ("ffpp-054", "ffpp-071"))
    assert c23["original_sequences/youtube/c23/videos/071.mp4"].group == fake.group
    assert {r.split for r in dataset.split("val")} == {"val"}
    # The pair of the test list was not downloaded: two originals and ten fakes in each of three compressions.
    assert kinds(dataset) == {IssueKind.ABSENT: 36}
    assert read_faceforensics(tmp_path, "c40") == list(dataset.of_compression("c40").records)


def test_faceforensics_lists_may_lie_in_the_root(tmp_path: Path) -> None:
    before = open_dataset(trees.faceforensics(tmp_path))
    for path in (tmp_path / "splits").iterdir():
        path.rename(tmp_path / path.name)
    assert open_dataset(tmp_path) == before


def test_what_does_not_belong_to_faceforensics_is_listed(tmp_path: Path) -> None:
    trees.faceforensics(tmp_path)
    before = len(open_dataset(tmp_path).records)
    folder = "manipulated_sequences/Deepfakes/c23/videos"
    trees.touch(tmp_path, f"{folder}/071_720.mp4", f"{folder}/500_501.mp4", f"{folder}/holiday.mp4")
    trees.touch(tmp_path, "manipulated_sequences/NewMethod/c23/videos/071_054.mp4")
    dataset = open_dataset(tmp_path)
    assert len(dataset.records) == before
    listed = {i.where.rpartition("/")[2]: i.kind for i in dataset.issues if i.kind is not IssueKind.ABSENT}
    assert listed == {
        "071_720.mp4": IssueKind.UNLISTED,
        "500_501.mp4": IssueKind.UNLISTED,
        "holiday.mp4": IssueKind.UNKNOWN,
        "NewMethod": IssueKind.UNKNOWN,
    }


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ({"train": [["071", "054"]], "val": [["071", "672"]], "test": []}, "pairs 071 with 672"),
        ({"train": [["071", "054", "3"]], "val": [], "test": []}, "is no list of pairs"),
        ({"train": [["071", "054"]], "val": []}, "no official list"),
    ],
)
def test_wrong_lists_of_faceforensics_are_refused(
    tmp_path: Path, pairs: dict[str, list[list[str]]], message: str
) -> None:
    trees.touch(tmp_path, "original_sequences/youtube/c23/videos/071.mp4")
    trees.splits(tmp_path, **pairs)
    with pytest.raises(DatasetError, match=message):
        open_dataset(tmp_path)


def test_the_shared_clips_are_what_their_table_says(shared: Path) -> None:
    root = shared / "data" / "ffpp"
    with (root / "manifest.csv").open(newline="") as file:
        expected = {row["path"]: (row["label"], row["split"]) for row in csv.DictReader(file)}
    assert {r.key: (r.label.value, r.split) for r in read_faceforensics(root)} == expected


def test_actors_of_one_fake_are_one_group(tmp_path: Path) -> None:
    records = by_stem(open_dataset(trees.deep_fake_detection(tmp_path)))
    groups = {stem: r.group for stem, r in records.items()}  # type: ignore[attr-defined]
    assert groups == {
        "01__exit_phone_room": "dfd-01",
        "02__walking_down_indoor_hall_disgust": "dfd-01",
        "01_02__exit_phone_room__YVGY8LOK": "dfd-01",
        "27__hugging_happy": "dfd-27",
    }


def test_celeb_df_takes_its_test_videos_from_the_list_where_1_is_real(tmp_path: Path) -> None:
    dataset = open_dataset(trees.celeb_df(tmp_path))
    assert {r.key for r in dataset.split("test")} == {
        "YouTube-real/00170.mp4",
        "Celeb-real/id0_0001.mp4",
        "Celeb-synthesis/id1_id0_0007.mp4",
    }
    assert not dataset.issues
    groups = {r.key: r.group for r in dataset.records}
    assert groups["Celeb-real/id0_0000.mp4"] == groups["Celeb-real/id1_0000.mp4"]  # tied by the fakes
    assert groups["Celeb-real/id2_0000.mp4"] != groups["Celeb-real/id0_0000.mp4"]
    assert groups["YouTube-real/00000.mp4"] != groups["YouTube-real/00170.mp4"]


def test_celeb_df_has_no_training_split_to_ask_for(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no split 'train'"):
        open_dataset(trees.celeb_df(tmp_path)).split("train")


def test_celeb_df_lists_that_contradict_the_folders_are_found(tmp_path: Path) -> None:
    trees.celeb_df(tmp_path)
    (tmp_path / "List_of_testing_videos.txt").write_text(
        "0 Celeb-real/id0_0001.mp4\n1 Celeb-real/id9_0000.mp4\nnonsense\n"
    )
    assert kinds(open_dataset(tmp_path)) == {IssueKind.LABEL: 1, IssueKind.ABSENT: 1, IssueKind.LIST: 1}


@pytest.mark.parametrize(("folder", "version"), [("Celeb-DF", "v1"), ("Celeb-DF-v2", "v2")])
def test_the_version_of_celeb_df(tmp_path: Path, folder: str, version: str) -> None:
    dataset = open_dataset(trees.celeb_df(tmp_path / folder))
    assert {r.source for r in dataset.records} == {f"Celeb-DF {version}"}


def test_deeper_forensics_variants_splits_and_actors(tmp_path: Path) -> None:
    trees.deeper_forensics(tmp_path)
    trees.touch(tmp_path, "original_sequences/youtube/c23/videos/000.mp4")
    dataset = open_dataset(tmp_path)
    assert dataset.layout == "deeper-forensics"
    assert Counter((r.method, r.compression) for r in dataset.records) == {
        ("", "raw"): 1,
        ("end_to_end", "raw"): 4,
        ("end_to_end", "level_1"): 4,
        ("end_to_end", "random_level"): 4,
        ("end_to_end", "mix_3_distortions"): 4,
        ("reenact_postprocess", "raw"): 1,
    }
    groups = {r.key: (r.split, r.group) for r in dataset.records}
    one = groups["manipulated_videos/end_to_end/000_M101.mp4"]
    assert one == groups["manipulated_videos/end_to_end_level_1/001_M101.mp4"]
    assert one == groups["original_sequences/youtube/c23/videos/000.mp4"]
    assert groups["manipulated_videos/end_to_end/010_W004.mp4"][0] == "val"
    assert len(dataset.split("train")) == 10
    assert kinds(dataset) == {IssueKind.ABSENT: 3}  # reenact_postprocess was not downloaded whole


def test_an_actor_in_two_splits_of_deeper_forensics_is_a_leak(tmp_path: Path) -> None:
    trees.deeper_forensics(tmp_path)
    (tmp_path / "lists/splits/test.txt").write_text("001_M101.mp4\n020_M004.mp4\n")
    (tmp_path / "lists/splits/train.txt").write_text("000_M101.mp4\n")
    dataset = open_dataset(tmp_path)
    assert kinds(dataset)[IssueKind.LEAK]
    with pytest.raises(DatasetError, match="M101"):
        dataset.split("train")
    assert dataset.split("val")


def test_uadfv_pairs_are_groups_and_a_missing_half_is_listed(tmp_path: Path) -> None:
    trees.uadfv(tmp_path)
    dataset = open_dataset(tmp_path)
    assert {r.key: r.group for r in dataset.records} == {
        "real/0000.mp4": "uadfv-0000",
        "fake/0000_fake.mp4": "uadfv-0000",
        "real/0001.mp4": "uadfv-0001",
        "fake/0001_fake.mp4": "uadfv-0001",
    }
    (tmp_path / "real/0001.mp4").unlink()
    (issue,) = open_dataset(tmp_path).issues
    assert (issue.kind, issue.where) == (IssueKind.ABSENT, "real/0001.mp4")


def test_dfdc_groups_by_original_across_parts(tmp_path: Path) -> None:
    dataset = open_dataset(trees.dfdc(tmp_path))
    groups = {r.key: (r.label, r.split, r.group) for r in dataset.records}
    assert groups["dfdc_train_part_0/xaaa.mp4"] == (Label.FAKE, "train", "dfdc-aaa")
    assert groups["dfdc_train_part_0/aaa.mp4"] == (Label.REAL, "train", "dfdc-aaa")
    part = open_dataset(tmp_path / "dfdc_train_part_1")
    assert {r.key for r in part.records} == {"ddd.mp4", "xddd.mp4"}
    assert open_dataset(tmp_path / "dfdc_train_part_1" / "metadata.json") == part


def test_faults_of_dfdc_are_listed(tmp_path: Path) -> None:
    trees.dfdc(tmp_path)
    part = tmp_path / "dfdc_train_part_1"
    (part / "metadata.json").write_text(
        json.dumps(
            {
                "ddd.mp4": {"label": "REAL", "split": "train"},
                "gone.mp4": {"label": "FAKE", "split": "train", "original": "ddd.mp4"},
                "odd.mp4": {"label": "MAYBE", "split": "train"},
            }
        )
    )
    listed = {i.where: i.kind for i in open_dataset(tmp_path).issues}
    assert listed == {
        "dfdc_train_part_1/gone.mp4": IssueKind.ABSENT,
        "dfdc_train_part_1/odd.mp4": IssueKind.LABEL,
        "dfdc_train_part_1/xddd.mp4": IssueKind.UNLISTED,
    }


def test_the_labelled_test_videos_of_dfdc(tmp_path: Path) -> None:
    trees.touch(tmp_path, "videos/a.mp4", "videos/b.mp4")
    (tmp_path / "labels.csv").write_text("filename,label\na.mp4,0\nb.mp4,1\nc.mp4,1\n")
    dataset = open_dataset(tmp_path)
    assert [(r.key, r.label, r.split) for r in dataset.records] == [
        ("videos/a.mp4", Label.REAL, "test"),
        ("videos/b.mp4", Label.FAKE, "test"),
    ]
    assert kinds(dataset) == {IssueKind.ABSENT: 1}


def test_released_landmark_folders(tmp_path: Path) -> None:
    records = {r.key: r for r in open_dataset(trees.released_landmarks(tmp_path)).records}
    assert records["DF/c23/train/071_054.txt"].method == "Deepfakes"
    assert records["DF/c23/train/071_054.txt"].group == "ffpp-054-071"
    assert records["Origin/c23/train/071.txt"].group == "ffpp-054-071"
    assert {r.compression for r in records.values()} == {"raw", "c23", "c40"}


def test_a_copy_of_faceforensics_names_methods_and_people(tmp_path: Path) -> None:
    root = tmp_path / "FaceForensics++_C23"
    dataset = open_dataset(trees.faceforensics_copy(root))
    assert dataset.issues == ()
    found = by_stem(dataset)
    assert {r.group for r in dataset.records if r.source == "FaceForensics++"} == {"ffpp-000", "ffpp-054"}
    assert found["000_003"].identities == ("ffpp-000", "ffpp-003")
    assert {r.group for r in dataset.records if r.source == "DeepFakeDetection"} == {"dfd-01"}  # 02 is seen in both
    assert {r.compression for r in dataset.records} == {"c23"}
    assert {r.split for r in dataset.records} == {""}
    assert {r.method for r in dataset.records if r.label is Label.FAKE} == {
        "Deepfakes",
        "Face2Face",
        "FaceSwap",
        "NeuralTextures",
        "FaceShifter",
        "DeepFakeDetection",
    }
    assert any("no video has a split" in note for note in dataset.notes)
    trees.splits(root, train=[["000", "003"]], val=[["071", "054"]], test=[])
    dataset = open_dataset(root)
    assert Counter(r.split for r in dataset.records) == {"train": 12, "val": 7, "": 2}
    assert {r.group for r in dataset.records if r.split == "train"} == {"ffpp-000-003"}


@pytest.mark.parametrize(
    ("names", "real", "fake"),
    [
        (["Original/000.mp4", "deepfakes/000_003.mp4"], 1, 1),
        (["NeuralTextures/000_003.mp4", "FaceSwap/003_000.mp4"], 0, 2),
        (["original/01__exit_phone_room.mp4", "DeepFakeDetection/01_02__exit_phone_room__YVGY8LOK.mp4"], 1, 1),
    ],
)
def test_parts_of_a_copy_are_one_too(tmp_path: Path, names: list[str], real: int, fake: int) -> None:
    trees.touch(tmp_path, *names)
    dataset = open_dataset(tmp_path)
    assert (dataset.layout, dataset.issues) == ("faceforensics-copy", ())
    assert Counter(r.label for r in dataset.records) == Counter({Label.REAL: real, Label.FAKE: fake})
    assert len({r.group for r in dataset.records}) == 1


def test_faceforensics_is_listed_without_split_files(tmp_path: Path) -> None:
    trees.touch(tmp_path, "original_sequences/youtube/c23/videos/071.mp4")
    trees.touch(tmp_path, "manipulated_sequences/Deepfakes/c23/videos/071_054.mp4")
    dataset = open_dataset(tmp_path)
    assert {(r.split, r.group) for r in dataset.records} == {("", "ffpp-054")}
    assert dataset.issues == ()
    with pytest.raises(DatasetError, match="no splits"):
        dataset.split("train")
    with pytest.raises(DatasetError, match="no official list"):
        read_faceforensics(tmp_path)


def test_numbers_before_a_class_are_passed_over(tmp_path: Path) -> None:
    trees.touch(tmp_path, "0_real/a.mp4", "1_fake/swap/b.mp4", "train/0_Real/c.mp4", "2-fakes/d.mp4", "3_other/e.mp4")
    dataset = open_dataset(tmp_path)
    assert dataset.layout == "class-folders"
    assert {r.key: r.label.value for r in dataset.records} == {
        "0_real/a.mp4": "real",
        "1_fake/swap/b.mp4": "fake",
        "train/0_Real/c.mp4": "real",
        "2-fakes/d.mp4": "fake",
    }
    (issue,) = dataset.issues
    assert issue.where == "3_other"
    assert "manifest.csv" in issue.detail


def test_what_is_not_recognised_says_how_to_name_it(tmp_path: Path) -> None:
    trees.touch(tmp_path, "strange/a.mp4")
    with pytest.raises(DatasetError) as error:
        open_dataset(tmp_path)
    assert "path,label" in error.value.hint
    (tmp_path / "manifest.csv").write_text("path,label\nstrange/a.mp4,fake\n")  # as the hint says
    assert [r.label for r in open_dataset(tmp_path).records] == [Label.FAKE]


def test_a_folder_per_class(tmp_path: Path) -> None:
    trees.touch(tmp_path, "train/real/a.mp4", "train/Fake/faceswap/b.mkv", "test/real/x/c.mp4", "real/d.mov")
    trees.touch(tmp_path, "test/perhaps/e.mp4", "train/f.mp4", "notes/readme.txt")
    dataset = open_dataset(tmp_path)
    assert {r.key: (r.label.value, r.split, r.method) for r in dataset.records} == {
        "train/real/a.mp4": ("real", "train", ""),
        "train/Fake/faceswap/b.mkv": ("fake", "train", "faceswap"),
        "test/real/x/c.mp4": ("real", "test", ""),
        "real/d.mov": ("real", "", ""),
    }
    assert {i.where: i.kind for i in dataset.issues} == {
        "test/perhaps": IssueKind.LABEL,
        "train/f.mp4": IssueKind.LABEL,
    }


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: root / "nothing", "no dataset at"),
        (lambda root: root, "no known layout"),
        (lambda root: (root / "original_sequences").mkdir() or root, "no video of it is there"),
    ],
)
def test_what_is_no_dataset_is_refused(tmp_path: Path, make: Callable[[Path], Path], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        open_dataset(make(tmp_path))
    with pytest.raises(DatasetError, match="no layout 'imagenet'"):
        open_dataset(tmp_path, "imagenet")
