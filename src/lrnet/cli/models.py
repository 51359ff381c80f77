"""`lrnet models`: list, describe and check models; pull or import released weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from lrnet.cli.console import ERR, OUT

app = typer.Typer(help="Models: list, describe, verify, pull, import.", no_args_is_help=True)


@app.command("list")
def list_command() -> None:
    """List the installed models."""
    from lrnet.errors import ModelError
    from lrnet.network.registry import DEFAULT_MODEL, list_models, load_model

    table = Table("name", "version", "streams", "parameters", "where", box=None, pad_edge=False)
    for entry in list_models():
        try:
            spec = load_model(entry.path).spec
        except ModelError as error:
            table.add_row(Text(entry.name), "", Text(f"damaged: {error.what}", style="red"), "", entry.origin)
            continue
        name = Text(entry.name + (" (default)" if entry.name == DEFAULT_MODEL else ""))
        streams = Text(" + ".join(spec.network.stream_names))
        table.add_row(name, Text(spec.version), streams, f"{spec.network.parameters:,}", entry.origin)
    OUT.print(table)


@app.command("info")
def info_command(
    model: Annotated[str, typer.Argument(help="Name of a model, or path of a bundle.")] = "",
) -> None:
    """Print the card of a model: description, training and measured results."""
    from lrnet.network.registry import load_model

    bundle = load_model(model)
    OUT.print(Text(f"{bundle.spec.name} {bundle.spec.version}, hash {bundle.content_hash}", style="bold"))
    OUT.print(Text(bundle.card or bundle.spec.description))


@app.command("verify")
def verify_command(
    models: Annotated[list[str] | None, typer.Argument(help="Names or paths; all models if none is given.")] = None,
) -> None:
    """Check schema, hashes and networks of models; exit code 6 if one is damaged."""
    from lrnet.errors import ModelError
    from lrnet.network.registry import list_models, load_model
    from lrnet.network.runtime import NetworkRuntime

    damaged = False
    for name in models or [str(entry.path) for entry in list_models()]:
        try:
            bundle = load_model(name)
            NetworkRuntime(bundle)
        except ModelError as error:  # the others are looked at all the same
            ERR.print(Text(str(error), style="red"))
            damaged = True
            continue
        OUT.print(Text(f"{bundle.spec.name} {bundle.spec.version}: whole ({bundle.content_hash[:16]})"))
    if damaged:
        raise typer.Exit(ModelError.exit_code)


@app.command("pull")
def pull_command(
    name: Annotated[str, typer.Argument(help="Model to get; without it, they are listed.")] = "",
    out: Annotated[Path | None, typer.Option(help="Folder of the bundle; your folder of models by default.")] = None,
    files: Annotated[
        Path | None,
        typer.Option("--from", help="A folder that holds the files, instead of fetching them.", metavar="FOLDER"),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a model of that name.")] = False,
) -> None:
    """Get the weights that the reference implementation released, and check their hashes (needs the extra `train`)."""
    from lrnet.network.download import PUBLISHED, pull

    if not name:
        for model in PUBLISHED.values():
            OUT.print(Text(f"{model.name}: {model.description}"))
        return
    bundle = pull(name, out=out, files=files, replace=replace, tell=lambda source: ERR.print(Text(source)))
    OUT.print(Text(f"{name}: {bundle.spec.network.parameters:,} parameters, in {bundle.path}"))


@app.command("import")
def import_command(
    positions: Annotated[Path, typer.Argument(help="Released weights of stream A, g1.pth.", metavar="G1.PTH")],
    differences: Annotated[Path, typer.Argument(help="Released weights of stream B, g2.pth.", metavar="G2.PTH")],
    name: Annotated[str, typer.Option(help="What to call the model.")],
    landmarks: Annotated[
        str,
        typer.Option(
            help="Landmarks to feed it: mesh (the built-in ones, sub-pixel) or openface (those of its training)."
        ),
    ] = "mesh",
    out: Annotated[Path | None, typer.Option(help="Folder of the bundle; your folder of models by default.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a model of that name.")] = False,
) -> None:
    """Make a bundle of the weights that the reference implementation released (needs the extra `train`)."""
    from lrnet.files import make_folder
    from lrnet.network.download import preprocessing_on_mesh
    from lrnet.network.registry import user_models_folder
    from lrnet.network.released import import_released

    if landmarks not in ("mesh", "openface"):
        raise typer.BadParameter(f"{landmarks!r} is neither mesh nor openface", param_hint="--landmarks")
    preprocessing = preprocessing_on_mesh() if landmarks == "mesh" else None
    directory = out or user_models_folder() / name
    make_folder(directory.parent)
    bundle = import_released(
        positions, differences, name, directory=directory, preprocessing=preprocessing, replace=replace
    )
    OUT.print(Text(f"{name}: {bundle.spec.network.parameters:,} parameters, in {directory}"))
