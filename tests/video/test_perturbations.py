"""Perturbations do what was published, get worse by level, and give videos that play."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from tests.media import moving, turn_in_header, write_video

from lrnet.errors import NotAVideoError, OutputError, TreatmentError, VideoNotFoundError
from lrnet.video.perturbations import LEVELS, MIXED, PARAMETERS, RANDOM, Kind, Step, draw_steps, perturb, perturb_frame
from lrnet.video.reader import VideoReader, probe

OF_FRAMES = [kind for kind in Kind if kind is not Kind.VIDEO]
FRAMES = 6


@pytest.fixture(scope="module")
def picture(examples: Path) -> NDArray[np.uint8]:
    """A face, 640 x 360."""
    with VideoReader(examples / "real.mp4") as reader:
        return next(iter(reader)).rgb()


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def psnr(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(10 * np.log10(255**2 / np.square(one.astype(np.float64) - other).mean()))


def decoded(path: Path, most: int | None = None) -> list[tuple[float, NDArray[np.uint8]]]:
    with VideoReader(path) as reader:
        return [(f.time, f.rgb_resized(f.width, f.height)) for f in reader if most is None or f.index < most]


@pytest.mark.parametrize("kind", OF_FRAMES)
def test_level_0_is_the_identity_and_a_frame_is_never_changed_itself(kind: Kind, picture: NDArray[np.uint8]) -> None:
    before = picture.copy()
    assert (perturb_frame(picture, Step(kind, 0), rng()) == before).all()
    changed = perturb_frame(picture, Step(kind, 5), rng())
    assert (picture == before).all()
    assert changed.shape == before.shape
    assert changed.dtype == np.uint8


@pytest.mark.parametrize("kind", OF_FRAMES)
def test_each_level_is_worse_than_the_one_before(kind: Kind, picture: NDArray[np.uint8]) -> None:
    quality = [psnr(picture, perturb_frame(picture, Step(kind, level), rng())) for level in range(1, LEVELS + 1)]
    assert all(better > worse + 0.1 for better, worse in pairwise(quality)), quality


def test_saturation_scales_the_colour_differences_and_keeps_the_brightness(picture: NDArray[np.uint8]) -> None:
    before, after = (cv2.cvtColor(p, cv2.COLOR_RGB2YCrCb).astype(float) for p in (picture, perturbed("saturation", 2)))
    assert np.abs(after[..., 0] - before[..., 0]).max() <= 1.5
    assert np.abs((after - 128)[..., 1:] - 0.3 * (before - 128)[..., 1:]).max() <= 1.5
    grey = perturbed("saturation", 5)
    assert (grey == grey[..., :1]).all()


def test_contrast_multiplies(picture: NDArray[np.uint8]) -> None:
    assert np.abs(perturbed("contrast", 3) - 0.6 * picture).max() <= 0.5


def test_blocks_are_grey_squares_of_eight_pixels(picture: NDArray[np.uint8]) -> None:
    after = perturbed("block-wise", 4)
    grey = (after == 128).all(axis=-1)
    assert (grey | (after == picture).all(axis=-1)).all()
    # Of 64 blocks at random places of 640 x 360 pixels few lie over each other.
    assert 0.9 * 64 * 64 < grey.sum() <= 64 * 64 + (picture == 128).all(axis=-1).sum()
    # What is left when corners of whole blocks grow to blocks again is what consists of blocks.
    corners = cv2.erode(grey.astype(np.uint8), np.ones((8, 8)), anchor=(0, 0), borderValue=0)
    blocks = cv2.dilate(corners, np.ones((8, 8)), anchor=(7, 7), borderValue=0).astype(bool)
    assert (grey & ~blocks).sum() <= (picture == 128).all(axis=-1).sum()


@pytest.mark.parametrize(("shape", "blocks"), [((700, 600), 32), ((200, 300), 16)])
def test_larger_frames_have_more_blocks_and_small_ones_have_some(shape: tuple[int, int], blocks: int) -> None:
    after = perturb_frame(np.zeros((*shape, 3), np.uint8), Step(Kind.BLOCKS, 1), rng())
    assert 0.8 * blocks <= (after[..., 0] == 128).sum() / 64 <= blocks


def test_noise_has_the_published_variance_in_each_component_and_is_white() -> None:
    # On middle grey and at a level where hardly anything is cut off at black and white.
    grey = np.full((200, 200, 3), 128, np.uint8)
    noise = perturb_frame(grey, Step(Kind.NOISE, 2), rng()).astype(float) - 128
    luma = np.array([0.299, 0.587, 0.114])
    y = noise @ luma * 219 / 255
    cb, cr = (noise[..., 2] - noise @ luma) / 1.772, (noise[..., 0] - noise @ luma) / 1.402
    for component in (y, cb * 224 / 255, cr * 224 / 255):
        assert component.std() == pytest.approx(255 * np.sqrt(0.002), rel=0.03)
        assert abs(component.mean()) < 0.3
        assert abs(np.corrcoef(component[:, 1:].ravel(), component[:, :-1].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(y.ravel(), cb.ravel())[0, 1]) < 0.02


def test_blur_is_a_gaussian_of_a_sixth_of_its_kernel() -> None:
    point = np.zeros((41, 41, 3), np.uint8)
    point[20, 20] = 255
    after = perturb_frame(point, Step(Kind.BLUR, 1), rng())[..., 0].astype(float)
    x = np.arange(-3, 4)
    bell = np.exp(-(x**2) / (2 * (7 / 6) ** 2))
    assert np.abs(after[17:24, 17:24] - 255 * np.outer(bell, bell) / bell.sum() ** 2).max() < 1.5
    assert after.sum() == after[17:24, 17:24].sum()


def test_jpeg_leaves_no_more_detail_than_the_small_picture_has(picture: NDArray[np.uint8]) -> None:
    columns = np.tile((np.arange(120) // 2 % 2 * 255).astype(np.uint8)[None, :, None], (60, 1, 3))
    assert (
        np.ptp(perturb_frame(columns, Step(Kind.JPEG, 3), rng())[:, 4:-4].astype(int)) < 10
    )  # 4 pixels a period, by 4
    assert perturbed("jpeg", 5).shape == picture.shape


def perturbed(kind: str, level: int) -> NDArray[np.uint8]:
    with VideoReader(Path(__file__).parents[2] / "examples" / "real.mp4") as reader:
        return perturb_frame(next(iter(reader)).rgb(), Step(Kind(kind), level), rng())


@pytest.mark.parametrize("kind", Kind)
def test_a_written_video_keeps_times_size_and_duration(kind: Kind, examples: Path, tmp_path: Path) -> None:
    assert perturb(examples / "real.mp4", tmp_path / "o.mp4", kind, 3, most_frames=FRAMES) == (Step(kind, 3),)
    before, after = decoded(examples / "real.mp4", FRAMES), decoded(tmp_path / "o.mp4")
    assert [t for t, _ in after] == pytest.approx([t for t, _ in before], abs=1e-4)
    assert {rgb.shape for _, rgb in after} == {before[0][1].shape}
    info = probe(tmp_path / "o.mp4")
    assert (info.codec, info.pixel_format) == ("h264", "yuv420p")
    rate = probe(examples / "real.mp4").frame_rate
    assert rate is not None
    assert info.duration == pytest.approx(FRAMES / rate, abs=0.001)
    assert [p.name for p in tmp_path.iterdir()] == ["o.mp4"]


@pytest.mark.parametrize("kind", [Kind.NOISE, Kind.BLUR, Kind.VIDEO])
def test_what_is_written_shows_the_perturbation_and_little_else(kind: Kind, examples: Path, tmp_path: Path) -> None:
    before = [rgb for _, rgb in decoded(examples / "real.mp4", FRAMES)]
    quality = []
    for level in range(LEVELS + 1):
        perturb(examples / "real.mp4", tmp_path / "o.mp4", kind, level, most_frames=FRAMES)
        pairs = zip(before, (rgb for _, rgb in decoded(tmp_path / "o.mp4")), strict=True)
        quality.append(float(np.mean([psnr(a, b) for a, b in pairs])))
    assert quality[0] > 45  # dB: nobody sees it
    assert all(better > worse for better, worse in pairwise(quality)), quality


def test_times_that_vary_and_frames_that_are_turned_are_kept(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.12, 0.16, 0.3]
    source = write_video(tmp_path / "s.mp4", moving(5), times=times)
    turn_in_header(source, 1)
    perturb(source, tmp_path / "o.mp4", "saturation", 0)
    before, after = decoded(source), decoded(tmp_path / "o.mp4")
    assert [t for t, _ in after] == pytest.approx(times, abs=2e-3)
    assert after[0][1].shape == (160, 96, 3)
    assert psnr(before[0][1], after[0][1]) > 40


def test_the_same_seed_gives_the_same_video(tmp_path: Path) -> None:
    source = write_video(tmp_path / "s.mp4", moving(4))
    made = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        perturb(source, tmp_path / f"{name}.mp4", "white-noise", 2, seed)
        made.append((tmp_path / f"{name}.mp4").read_bytes())
    assert made[0] == made[1] != made[2]


def test_noise_and_blocks_are_drawn_anew_for_each_frame(tmp_path: Path) -> None:
    source = write_video(tmp_path / "s.mp4", [np.full((96, 160, 3), 90, np.uint8)] * 3)
    for kind in ("white-noise", "block-wise"):
        perturb(source, tmp_path / "o.mp4", kind, 2)
        first, second, _ = (rgb for _, rgb in decoded(tmp_path / "o.mp4"))
        assert psnr(first, second) < 35


def test_mixed_draws_several_kinds_and_random_one() -> None:
    mixed = [draw_steps(MIXED, None, seed) for seed in range(200)]
    assert {len(steps) for steps in mixed} == {2, 3, 4}
    assert all(len({s.kind for s in steps}) == len(steps) for steps in mixed)
    single = [draw_steps(RANDOM, None, seed) for seed in range(200)]
    assert {len(steps) for steps in single} == {1}
    for drawn in (mixed, single):
        assert {s.kind for steps in drawn for s in steps} == set(Kind)
        assert {s.level for steps in drawn for s in steps} == {1, 2, 3, 4, 5}
    assert draw_steps(MIXED, None, 7) == draw_steps(MIXED, None, 7)
    assert {s.level for s in draw_steps(MIXED, 4, 7)} == {4}


def test_video_compression_between_other_steps_is_applied_in_its_place(examples: Path, tmp_path: Path) -> None:
    def of(kinds: list[Kind]) -> int:
        return next(s for s in range(3000) if [x.kind for x in draw_steps(MIXED, 5, s)] == kinds)

    sizes = {}
    for kinds in ([Kind.VIDEO, Kind.NOISE], [Kind.NOISE, Kind.VIDEO]):
        target = tmp_path / "o.mp4"
        steps = perturb(examples / "real.mp4", target, MIXED, 5, of(kinds), FRAMES)
        assert [s.kind for s in steps] == kinds
        sizes[kinds[0]] = target.stat().st_size
    assert sizes[Kind.VIDEO] > 10 * sizes[Kind.NOISE]  # noise that was added last is still there


def test_the_published_parameters() -> None:
    assert {kind.value: values for kind, values in PARAMETERS.items()} == {
        "saturation": (0.4, 0.3, 0.2, 0.1, 0.0),
        "contrast": (0.85, 0.725, 0.6, 0.475, 0.35),
        "block-wise": (16, 32, 48, 64, 80),
        "white-noise": (0.001, 0.002, 0.005, 0.01, 0.05),
        "blur": (7, 9, 13, 17, 21),
        "jpeg": (2, 3, 4, 5, 6),
        "video-compression": (30, 32, 35, 38, 40),
    }


def test_wrong_uses_are_told(examples: Path, tmp_path: Path) -> None:
    source = tmp_path / "s.mp4"
    source.write_bytes((examples / "real.mp4").read_bytes())
    with pytest.raises(TreatmentError, match=r"no perturbation 'fog'.*saturation"):
        perturb(source, tmp_path / "o.mp4", "fog", 1)
    with pytest.raises(TreatmentError, match="level 6 of blur"):
        perturb(source, tmp_path / "o.mp4", "blur", 6)
    with pytest.raises(TreatmentError, match="is the video itself"):
        perturb(source, source, "blur", 1, most_frames=1)
    with pytest.raises(TreatmentError, match="single frame"):
        perturb_frame(np.zeros((8, 8, 3), np.uint8), Step(Kind.VIDEO, 1), rng())
    for one, other in ((source, tmp_path / ("a" * 300)), ("a" * 300, tmp_path / "o.mp4")):
        with pytest.raises((OutputError, VideoNotFoundError)):
            perturb(one, other, "blur", 1)
    with pytest.raises(OutputError, match="no folder"):
        perturb(source, tmp_path / "gone" / "o.mp4", "blur", 1)
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    with pytest.raises(NotAVideoError, match=r"bad\.mp4"):
        perturb(tmp_path / "bad.mp4", tmp_path / "o.mp4", "blur", 1)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.mp4", "s.mp4"]
