"""`lrnet train-appearance`: give a model of motion its second witness."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from lrnet.cli.console import ERR, OUT
from lrnet.errors import UsageError


def train_appearance_command(
    stores: Annotated[list[Path], typer.Argument(help="Landmark stores with crops.", metavar="STORE...")],
    model: Annotated[str, typer.Option(help="The model of motion, by name or folder.")],
    crossval: Annotated[
        Path, typer.Option(help="Folder of its out-of-fold scores (`lrnet crossval --out`).", metavar="FOLDER")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the new bundle.", metavar="BUNDLE")],
    fold: Annotated[
        int, typer.Option(help="The fold whose people are left out, to weigh both witnesses on.", min=1)
    ] = 4,
    stills: Annotated[
        Path | None, typer.Option(help="Folder with crops of photographs (tools/make_stills.py).", metavar="FOLDER")
    ] = None,
    test: Annotated[
        list[Path] | None,
        typer.Option(
            help="A store with crops that nothing is set on, to measure on; may be repeated.", metavar="STORE"
        ),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(help="Folder for checkpoints, from which a stopped run goes on; BUNDLE.run by default."),
    ] = None,
    appearance: Annotated[
        str | None,
        typer.Option(help="Take the network of this model instead of training one; it must know nobody left out."),
    ] = None,
    steps: Annotated[int, typer.Option(help="Batches of 32 crops.", min=1)] = 2400,
    at_hand: Annotated[
        float,
        typer.Option(
            help="Share of the fakes that come from the stores; the others are made of real faces. With 0 all are.",
            min=0,
            max=1,
        ),
    ] = 0.12,
    seed: Annotated[int, typer.Option(min=0)] = 1,
    version: Annotated[str, typer.Option(help="Of the new model.")] = "2.0.0",
    replace: Annotated[bool, typer.Option("--replace", help="Replace a model in that folder.")] = False,
) -> None:
    """Train the network that looks at crops of faces, and weigh it beside motion (needs the extra `train`)."""
    from lrnet.evaluation.card import card
    from lrnet.network.bundle import ModelBundle
    from lrnet.network.registry import load_model
    from lrnet.training.appearance.finish import LeftOut, Trained, add_appearance, require_strangers, train_network
    from lrnet.training.appearance.fit import AppearanceSettings
    from lrnet.training.crossval import kept_scores
    from lrnet.training.data import read_stores
    from lrnet.training.make_model import check_place

    check_place(out, replace=replace)
    tested = {store.name: read_stores([store]) for store in test or ()}
    if len(tested) < len(test or ()):
        raise UsageError("Two stores of --test have one name, and results are given by it.", hint="Rename a folder.")

    def tell(step: int, loss: float, rate: float) -> None:
        ERR.print(f"step {step} of {steps}, loss {loss:.4f}, {rate:.1f} crops/s")

    bundle, videos = load_model(model), read_stores(stores)
    left_out = LeftOut.of(videos, kept_scores(crossval), fold)
    require_strangers(videos, tested)
    if appearance is not None:
        trained = Trained.of(load_model(appearance), left_out)
    else:
        settings = AppearanceSettings(steps=steps, at_hand=at_hand, seed=seed)
        place = run or out.with_name(f"{out.name}.run")
        trained = train_network(videos, left_out, settings, place, stills=stills, tell=tell)
    finished = add_appearance(bundle, videos, left_out, trained, name=out.name, version=version, tested=tested)
    written = ModelBundle.save(
        finished.spec,
        bundle.network,
        card(finished.spec),
        out,
        replace=replace,
        reference=bundle.reference,
        appearance=finished.network,
    )
    both = finished.spec.appearance
    assert both is not None
    OUT.print(
        Text(
            f"{out.name}: a logit of appearance counts {both.slope:.2f}; calibrated on {both.n} "
            f"videos, in {written.path}"
        )
    )
