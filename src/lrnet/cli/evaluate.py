"""`lrnet evaluate`: measure a model on stored landmarks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from lrnet.cli.console import ERR, OUT
from lrnet.cli.options import AppearanceOption, ModelOption

if TYPE_CHECKING:
    from lrnet.evaluation import Evaluation
    from lrnet.network.spec import BundleSpec
    from lrnet.sequence.settings import Preprocessing


def evaluate_command(
    stores: Annotated[list[Path], typer.Argument(help="Landmark stores.", metavar="STORE...")],
    model: ModelOption = "",
    out: Annotated[
        Path | None, typer.Option(help="Folder for tables (Markdown, CSV, JSON) and plots (PNG, SVG).", metavar="DIR")
    ] = None,
    reports: Annotated[
        Path | None,
        typer.Option(help="Folder of HTML reports of these videos, to link errors to.", metavar="DIR"),
    ] = None,
    appearance: AppearanceOption = True,
    split: Annotated[str, typer.Option(help="Only videos of this split: train, val or test.")] = "",
    uncalibrated: Annotated[
        bool, typer.Option("--uncalibrated", help="Feed landmarks as detected, to see what calibration adds.")
    ] = False,
) -> None:
    """Measure a model on landmark stores, clips and videos, with 95 % intervals (needs the extra `train`)."""
    if reports is not None and out is None:
        raise typer.BadParameter("links to reports need a page: give --out", param_hint="--reports")
    if reports is not None and not reports.is_dir():
        raise typer.BadParameter(f"there is no folder {reports}", param_hint="--reports")

    from lrnet.evaluation import evaluate, measure
    from lrnet.evaluation.report import write_evaluation
    from lrnet.files import make_folder
    from lrnet.network.registry import load_model
    from lrnet.training.data import preprocessing_of, read_stores, split_of

    bundle = load_model(model, appearance=appearance)
    videos = read_stores(stores)
    if split:
        videos = split_of(videos, split)
    if out is not None:
        make_folder(out)  # before minutes of work
    _warn_of_other_landmarks(bundle.spec, preprocessing_of(videos))
    evaluation = measure(evaluate(bundle, videos, calibrated=not uncalibrated))
    _print(evaluation, bundle.spec)
    if out is not None:
        written = write_evaluation(evaluation, bundle.spec, out, reports=reports)
        OUT.print(Text(f"written: {', '.join(p.name for p in written)} in {out}"))


def _warn_of_other_landmarks(model: BundleSpec, stored: Preprocessing) -> None:
    """Warn if the stores' landmarks are not of the model's landmarker."""
    ours = model.preprocessing
    if ours.landmarker_version == "any" and ours.landmarker == stored.landmarker:
        return
    wanted, found = (f"{p.landmarker} {p.landmarker_version}" for p in (ours, stored))
    if wanted != found:
        warning = f"The model was made for landmarks of {wanted}; the stores hold those of {found}."
        ERR.print(Text(warning, "yellow"))


def _print(evaluation: Evaluation, model: BundleSpec) -> None:
    from lrnet.evaluation.report import figures_table, states_table

    total = len(evaluation.videos)
    if evaluation.contaminated:
        warning = f"Contaminated: {evaluation.contaminated} of {total} videos show people the model was trained on."
        OUT.print(Text(warning, "yellow"))
    for title, figures in (("all videos", evaluation.figures), ("people not trained on", evaluation.unseen)):
        if figures:
            OUT.print(Text(f"{title}\n{figures_table(figures)}"))
    if not evaluation.figures:
        OUT.print(Text("Figures that compare real and fake need both; the verdicts:", "yellow"))
    OUT.print(Text(states_table(evaluation)))
    OUT.print(Text(f"{evaluation.unscored} of {total} videos gave no clip; {len(evaluation.errors)} are called wrong."))
    if model.score_calibration is None:
        OUT.print(Text("The model has no calibrated probability: every verdict is inconclusive.", "yellow"))
