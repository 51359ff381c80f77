"""The settings of everything between a video and the network, as a bundle stores them.

The stages take these classes themselves: what a bundle says is what runs.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from lrnet.schema import Schema


class CalibrationSpec(Schema):
    """How landmarks are calibrated (Sun et al., Algorithms 1 and 2, Eq. 4-7). Pixels are those of the crop.

    Attributes:
        enabled: False passes detections on as they are, and still measures innovation and forward-backward error.
        flow: the optical flow: OpenCV's Lucas-Kanade ("opencv"), or the paper's Algorithm 1 ("algorithm1").
        window: side of the patch that is tracked, pixels. The released code takes 15; a row of 16 costs a third less,
            because OpenCV works on eight pixels at once.
        levels: pyramid levels above the image itself.
        iterations: largest number of steps on a level.
        epsilon: a step shorter than this ends a level, pixels.
        min_eigenvalue: a patch whose structure tensor has a smaller eigenvalue than this (over the patch's area, in
            OpenCV's unit: grey levels scaled to 1/32) is too smooth to be tracked, and counts as not found.
        max_forward_backward_error: a prediction that comes back further than this from where it started is not used,
            pixels (the released code's value).
        process_variance: Q of Eq. 6, a ratio: what one step of optical flow adds to the variance of the prediction,
            in units of `relative_variance` (the paper's value).
        surroundings: whether the forward-backward error of the face's `surroundings` is measured as well.
    """

    enabled: bool = True
    flow: Literal["opencv", "algorithm1"] = "opencv"
    window: int = Field(default=16, ge=3, le=101)
    levels: int = Field(default=3, ge=1, le=8)
    iterations: int = Field(default=10, ge=1, le=100)
    epsilon: float = Field(default=0.03, gt=0, le=1e3)
    min_eigenvalue: float = Field(default=1e-6, ge=0, le=1e6)
    max_forward_backward_error: float = Field(default=2.0, ge=0, le=1e4)
    process_variance: float = Field(default=0.3, gt=0, le=1e6)
    surroundings: bool = False


class LandmarkerSpec(Schema):
    """Where landmarks come from. (A separate base class, so that `bundle.json` keeps the order of its fields.)

    Attributes:
        landmarker: name of the landmarker.
        landmarker_version: its version; "any" accepts every version.
    """

    landmarker: str = "mesh"
    landmarker_version: str


class SequenceSpec(Schema):
    """How the landmarks of one face become a `LandmarkSequence`.

    Attributes:
        crop_scale: side of the stabilised crop over the face's size (the longer side of the landmarks' bounding box);
            the released code takes 1.2.
        crop_size: side of the resampled crop, pixels: the unit in which calibration works.
        round_to_pixels: whole-pixel arithmetic, exactly as in the released code: detections, predictions and results
            are rounded. Only for models whose training landmarks were.
        calibration: how the landmarks are calibrated.
    """

    crop_scale: float = Field(default=1.2, ge=0.5, le=10)
    crop_size: int = Field(default=400, ge=16, le=4096)
    round_to_pixels: bool = False
    calibration: CalibrationSpec = CalibrationSpec()


class ClipSpec(Schema):
    """How a sequence is cut into clips; frames.

    Attributes:
        length: of a clip.
        stride: from the start of one clip to the start of the next.
        min_length: a run of frames shorter than `length` becomes one shorter clip, if it has this many.
    """

    length: int = Field(default=60, ge=2, le=10_000)
    stride: int = Field(default=30, ge=1)
    min_length: int = Field(default=30, ge=2)

    @model_validator(mode="after")
    def _covers_the_sequence(self) -> Self:
        _require_cover(self.length, self.stride, self.min_length)
        return self


class Preprocessing(SequenceSpec, LandmarkerSpec):
    """Everything between the video and the network, as it was when the network was trained.

    Attributes:
        frame_rate: largest number of frames a second that are examined; frames in between are left out.
        clip_length, clip_stride, min_clip_length: of `clips`.
        max_sequence_seconds: a face that stays longer gives several sequences.
    """

    frame_rate: float = Field(default=25.0, ge=1, le=1000)
    clip_length: int = Field(ge=2, le=10_000)
    clip_stride: int = Field(ge=1)
    min_clip_length: int = Field(ge=2)
    max_sequence_seconds: float = Field(default=60.0, gt=0, le=3600)

    @model_validator(mode="after")
    def _clips_cover_the_sequence(self) -> Self:
        _require_cover(self.clip_length, self.clip_stride, self.min_clip_length)
        return self

    @property
    def clips(self) -> ClipSpec:
        """How sequences are cut into clips."""
        return ClipSpec(length=self.clip_length, stride=self.clip_stride, min_length=self.min_clip_length)


def _require_cover(length: int, stride: int, min_length: int) -> None:
    if max(stride, min_length) > length:
        raise ValueError(f"stride {stride} and shortest clip {min_length} must not exceed the clip length {length}")
