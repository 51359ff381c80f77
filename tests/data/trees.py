"""Tiny trees in each official layout: folders, file names and lists as published, files with a byte or two."""

from __future__ import annotations

import json
from pathlib import Path


def touch(root: Path, *names: str) -> None:
    """Files that differ from each other."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def faceforensics(root: Path) -> Path:
    for version in ("raw", "c23", "c40"):
        touch(root, *(f"original_sequences/youtube/{version}/videos/{n}.mp4" for n in ("071", "054", "720", "672")))
        for method in ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "FaceShifter"):
            names = ("071_054", "054_071", "720_672", "672_720")
            touch(root, *(f"manipulated_sequences/{method}/{version}/videos/{n}.mp4" for n in names))
    touch(root, "manipulated_sequences/Deepfakes/masks/videos/071_054.mp4")
    splits(root, train=[["071", "054"]], val=[["720", "672"]], test=[["953", "974"]])
    return root


def faceforensics_copy(root: Path) -> Path:
    """As copies of it are laid out, the one on Kaggle among them: no split files, one compression."""
    touch(root, *(f"original/{n}.mp4" for n in ("000", "003", "071", "054")))
    for method in ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "FaceShifter"):
        touch(root, *(f"{method}/{n}.mp4" for n in ("000_003", "003_000", "071_054")))
    for name in ("01_02__outside_talking_still_laughing__YVGY8LOK", "02_03__exit_phone_room__A1B2C3D4"):
        touch(root, f"DeepFakeDetection/{name}.mp4")
    touch(root, "csv/Deepfakes.csv")
    return root


def splits(root: Path, **pairs: list[list[str]]) -> None:
    (root / "splits").mkdir(parents=True, exist_ok=True)
    for name, content in pairs.items():
        (root / "splits" / f"{name}.json").write_text(json.dumps(content))


def deep_fake_detection(root: Path) -> Path:
    touch(
        root,
        "original_sequences/actors/c23/videos/01__exit_phone_room.mp4",
        "original_sequences/actors/c23/videos/02__walking_down_indoor_hall_disgust.mp4",
        "original_sequences/actors/c23/videos/27__hugging_happy.mp4",
        "manipulated_sequences/DeepFakeDetection/c23/videos/01_02__exit_phone_room__YVGY8LOK.mp4",
    )
    return root


def celeb_df(root: Path) -> Path:
    touch(
        root,
        *(f"Celeb-real/id{n}_0000.mp4" for n in (0, 1, 2)),
        "Celeb-real/id0_0001.mp4",
        "Celeb-synthesis/id0_id1_0000.mp4",
        "Celeb-synthesis/id1_id0_0007.mp4",
        "YouTube-real/00000.mp4",
        "YouTube-real/00170.mp4",
    )
    (root / "List_of_testing_videos.txt").write_text(
        "1 YouTube-real/00170.mp4\n1 Celeb-real/id0_0001.mp4\n0 Celeb-synthesis/id1_id0_0007.mp4\n"
    )
    return root


def deeper_forensics(root: Path) -> Path:
    names = {"train": ["000_M101", "001_M101"], "val": ["010_W004"], "test": ["020_M004"]}
    for variant in ("end_to_end", "end_to_end_level_1", "end_to_end_random_level", "end_to_end_mix_3_distortions"):
        touch(root, *(f"manipulated_videos/{variant}/{n}.mp4" for part in names.values() for n in part))
    touch(root, "manipulated_videos/reenact_postprocess/000_M101.mp4")
    touch(root, "source_videos/M101/light_uniform/neutral/M101_light_uniform_neutral_camera_front.mp4")
    for split, part in names.items():
        path = root / "lists" / "splits" / f"{split}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{n}.mp4\n" for n in part))
    return root


def uadfv(root: Path) -> Path:
    touch(root, "real/0000.mp4", "real/0001.mp4", "fake/0000_fake.mp4", "fake/0001_fake.mp4")
    return root


def dfdc(root: Path) -> Path:
    for part, names in {"dfdc_train_part_0": ("aaa", "bbb", "ccc"), "dfdc_train_part_1": ("ddd",)}.items():
        content: dict[str, dict[str, str]] = {f"{n}.mp4": {"label": "REAL", "split": "train"} for n in names}
        content[f"x{names[0]}.mp4"] = {"label": "FAKE", "split": "train", "original": f"{names[0]}.mp4"}
        touch(root / part, *content)
        (root / part / "metadata.json").write_text(json.dumps(content))
    return root


def released_landmarks(root: Path) -> Path:
    line = " ".join(f"{i / 136:.4f}" for i in range(136)) + "\n"
    for name in (
        "Origin/c23/train/071.txt",
        "Origin/c23/test/953.txt",
        "DF/c23/train/071_054.txt",
        "DF/c23/test/953_974.txt",
        "F2F/c23/val/720_672.txt",
        "NT/raw/val/720_672.txt",
        "FS/c40/val/720_672.txt",
    ):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(line * 3)
    return root
