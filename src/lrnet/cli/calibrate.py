"""`lrnet calibrate`: a video and its landmarks in, calibrated landmarks out."""

from __future__ import annotations

import os
from enum import StrEnum
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from lrnet.cli.console import ERR, OUT
from lrnet.errors import OutputError, SequenceError

if TYPE_CHECKING:
    from lrnet.sequence.calibrate import CalibratedLandmarks


class Flow(StrEnum):
    """The optical flows of `lrnet.sequence.CalibrationSpec`."""

    OPENCV = "opencv"
    ALGORITHM1 = "algorithm1"


class Alignment(StrEnum):
    INDEX = "index"
    TIME = "time"


def calibrate_command(
    video: Annotated[Path, typer.Argument(help="The video.", metavar="VIDEO")],
    landmarks: Annotated[
        Path,
        typer.Argument(
            help="Its landmarks in frame pixels: OpenFace CSV, .txt (136 numbers a line), .npy, .npz or .parquet.",
            metavar="LANDMARKS",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="File to write, its form by its ending: .csv, .txt, .npy, .npz, .parquet."),
    ],
    face: Annotated[int | None, typer.Option(help="Number of the face, if the landmarks are of several.")] = None,
    align: Annotated[
        Alignment, typer.Option(help="Match landmarks to frames by frame number, or by time stamp.")
    ] = Alignment.INDEX,
    flow: Annotated[
        Flow, typer.Option(help="Tracker of points: OpenCV's, or the paper's Algorithm 1 in NumPy.")
    ] = Flow.OPENCV,
    window: Annotated[
        int, typer.Option(min=3, max=101, help="Side of the tracked patch, pixels of the 400-pixel crop.")
    ] = 16,
    max_error: Annotated[
        float,
        typer.Option(
            min=0.0, max=1e4, help="Forward-backward error above which a prediction is dropped, pixels of the crop."
        ),
    ] = 2.0,
    process_variance: Annotated[
        float, typer.Option(min=1e-6, max=1e6, help="Q of Eq. 6: the larger, the more detections count.")
    ] = 0.3,
    rounding: Annotated[
        bool, typer.Option("--round", help="Whole-pixel arithmetic, as the reference implementation does it.")
    ] = False,
    normalised: Annotated[
        bool, typer.Option("--normalised", help="Write units of the stabilised crop, [-1, 1], not frame pixels.")
    ] = False,
    check_faces: Annotated[
        bool,
        typer.Option(
            "--face-check/--no-face-check", help="Compare the landmarks with the faces found in a few frames."
        ),
    ] = True,
) -> None:
    """Take the jitter out of a face's landmarks by optical flow and a Kalman filter."""
    from lrnet.faces.landmark_files import require_known_suffix, write_landmarks
    from lrnet.files import require_writable
    from lrnet.sequence import CalibrationSpec, SequenceSpec
    from lrnet.sequence.calibrate import calibrate

    for source in (video, landmarks):
        if os.path.realpath(out) == os.path.realpath(source):  # Path.resolve() raises on links that go in a circle
            raise OutputError(f"{out} is an input.", hint="Write the result to another file.")
    require_known_suffix(out)
    require_writable(out)
    if isnan(max_error) or isnan(process_variance):
        raise typer.BadParameter("nan is not a number that landmarks can be calibrated with")
    settings = SequenceSpec(
        round_to_pixels=rounding,
        calibration=CalibrationSpec.model_validate(
            {
                "flow": flow.value,
                "window": window,
                "max_forward_backward_error": max_error,
                "process_variance": process_variance,
            }
        ),
    )
    result = calibrate(video, landmarks, settings=settings, face=face, align=align.value, check_faces=check_faces)
    if not result.frames_with_face:
        raise SequenceError(f"{landmarks} has no face in any frame.", hint="Look for faces in the video again.")
    write_landmarks(out, result.table(normalised=normalised))
    _summarise(result, out)


def _summarise(result: CalibratedLandmarks, out: Path) -> None:
    before, after = result.jitter()
    frames, gaps, cuts = len(result), len(result) - result.frames_with_face, len(result.shot_starts) - 1
    lines = (
        f"{out}: {frames} frames, {gaps} without the face, {cuts} shot cuts, "
        f"{_shown(100 * result.tracked_share, 1)} % of points tracked",
        f"jitter (median second difference, % of inter-ocular distance): {_shown(before, 2)} before, "
        f"{_shown(after, 2)} after",
    )
    for note in result.notes:
        ERR.print(Text(f"Note: {note}", "yellow"))
    for line in lines:
        OUT.print(Text(line))


def _shown(value: float, digits: int) -> str:
    return "unknown" if isnan(value) else f"{value:.{digits}f}"
