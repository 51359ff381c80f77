"""The commands. Modules that take time to import are imported by the command that needs them."""

from __future__ import annotations

from typing import Annotated

import typer

from lrnet.cli import (
    benchmark,
    calibrate,
    crossval,
    datasets,
    detect,
    evaluate,
    extract,
    landmarks,
    models,
    perturb,
    serve,
    store,
    train,
    train_appearance,
    verify,
    watch,
)
from lrnet.cli.console import OUT
from lrnet.version import __version__

EXIT_CODES = """Exit codes: 0 done; 1 a fault of lrnet's own; 2 wrong usage; 3 a video or landmark file cannot be read;
4 no verdict was possible (no face, or too short); 5 a result cannot be written; 6 a model is missing or damaged; 7 an
extra is not installed; 8 a dataset or store is not what it should be; 9 worker processes or a cluster fail; 10 the
service cannot start; 11 a video asks for more than a limit allows; 12 the process that decoded a video died; 130
interrupted (Ctrl-C; what a batch has by then is written); 141 the reader of the output went away. A batch goes on
after a bad file and ends with that file's code."""

app = typer.Typer(
    name="lrnet",
    help="Deepfake detection in video from the motion and the pixels of faces.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)
app.command("detect")(detect.detect)
app.command("watch")(watch.watch)
app.command("verify")(verify.verify)
app.add_typer(models.app, name="models")
app.add_typer(landmarks.app, name="landmarks")
app.command("calibrate")(calibrate.calibrate_command)
app.add_typer(benchmark.app, name="benchmark")
app.add_typer(datasets.app, name="datasets")
app.command("extract")(extract.extract_command)
app.add_typer(store.app, name="store")
app.command("crossval")(crossval.crossval_command)
app.command("evaluate")(evaluate.evaluate_command)
app.command("train")(train.train_command)
app.command("train-appearance")(train_appearance.train_appearance_command)
app.command("perturb")(perturb.perturb_command)
app.command("serve")(serve.serve_command)
app.command("worker")(serve.worker_command)


def _version(wanted: bool) -> None:
    if wanted:
        OUT.print(f"lrnet {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass
