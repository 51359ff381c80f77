"""`lrnet perturb`: a video as it looks after noise, blur, coarse encoding."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from lrnet.cli.console import OUT


def perturb_command(
    video: Annotated[Path, typer.Argument(help="The video.", metavar="VIDEO")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write, MP4.", metavar="FILE")],
    kind: Annotated[
        str,
        typer.Option(
            help="saturation, contrast, block-wise, white-noise, blur, jpeg, video-compression; mixed (two to four of "
            "them), random (one of them); or re-encoded: c23, c40, hevc, social."
        ),
    ],
    level: Annotated[
        int | None, typer.Option(help="1 (slight) to 5, 0 for none; drawn if left out. Not of c23, c40, hevc, social.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed draws the same kinds, levels and noise.", min=0)] = 0,
    frames: Annotated[int | None, typer.Option(help="How many from the start.", min=1)] = None,
) -> None:
    """Write a video with one of DeeperForensics-1.0's seven perturbations, or re-encoded. Sound is left out.

    "jpeg" makes each frame smaller and larger again, as published: no JPEG file takes part. "social" imitates what an
    application and a site do to an upload.
    """
    from lrnet.errors import TreatmentError
    from lrnet.video.perturbations import NAMES, perturb
    from lrnet.video.reencode import REENCODINGS
    from lrnet.video.treatments import Reencoding

    if out.suffix.lower() != ".mp4":
        raise TreatmentError(f"{out} does not end in .mp4.", hint="Videos are written as MP4: give such a name.")
    if kind in REENCODINGS:
        if level is not None:
            raise TreatmentError(f"{kind} has no levels.", hint="Leave --level out.")
        Reencoding(kind).write(video, out, most_frames=frames)
        done = kind
    elif kind not in NAMES:
        known = ", ".join([*NAMES, *REENCODINGS])
        raise TreatmentError(f"There is no kind {kind!r}.", hint=f"Known are {known}.")
    else:
        done = ", then ".join(
            f"{s.kind.value} at level {s.level}" for s in perturb(video, out, kind, level, seed, frames)
        )
    OUT.print(Text(f"{out}: {done}"))
