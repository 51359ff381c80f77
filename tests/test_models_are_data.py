"""Nothing that is read runs: no source loads pickles, and PyTorch's files are read in a few named places only."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(p for folder in ("src", "tools", "benchmarks") for p in (ROOT / folder).rglob("*.py"))
IMPORTERS = {
    *(
        ROOT / "src" / "lrnet" / path
        for path in ("network/released.py", "training/appearance/fit.py", "training/appearance/start.py")
    ),
    ROOT / "tools" / "train_landmarker.py",
}

RUN_WHAT_THEY_READ = {"pickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "yaml", "jsonpickle"}
RUN_TEXT = {"eval", "exec", "compile", "__import__"}
READ_PICKLES = {"read_pickle", "load_from_checkpoint", "unsafe_load", "load_state_dict_from_url"}


def faults(tree: ast.AST, *, importer: bool = False) -> Iterator[str]:
    """What a source file does that could run a file's content."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            names = []
        for name in names:
            if name.split(".")[0] in RUN_WHAT_THEY_READ or name in ("torch.load", "numpy.load", "torch.hub"):
                yield f"line {node.lineno} imports {name}"
        if isinstance(node, ast.Call):
            yield from _faults_of_call(node, importer=importer)


def _faults_of_call(call: ast.Call, *, importer: bool) -> Iterator[str]:
    name = ast.unparse(call.func)
    last = name.rpartition(".")[2]
    told = {word.arg: ast.unparse(word.value) for word in call.keywords}
    if name in RUN_TEXT or last in READ_PICKLES or name.endswith("torch.hub.load"):
        yield f"line {call.lineno} calls {name}"
    if name == "torch.load" and (not importer or told.get("weights_only") != "True"):
        yield f"line {call.lineno} calls torch.load"
    if name in ("np.load", "numpy.load") and told.get("allow_pickle") != "False":
        yield f"line {call.lineno} calls {name} without allow_pickle=False"
    if "ckpt_path" in told and told.get("weights_only") != "True":
        yield f"line {call.lineno} goes on from a checkpoint without weights_only=True"
    if told.get("allow_pickle") == "True" or told.get("weights_only") == "False":
        yield f"line {call.lineno} allows pickles"


@pytest.mark.parametrize("file", FILES, ids=[str(p.relative_to(ROOT)) for p in FILES])
def test_no_source_runs_what_it_reads(file: Path) -> None:
    found = list(faults(ast.parse(file.read_text(encoding="utf-8")), importer=file in IMPORTERS))
    assert not found, f"{file}: {'; '.join(found)}"


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "from torch import load",
        "import torch\ntorch.load(file, weights_only=True)",
        "import numpy as np\nnp.load(file)",
        "np.load(file, allow_pickle=True)",
        "eval(text)",
        "Model.load_from_checkpoint(path)",
        "torch.hub.load('a', 'b')",
        "trainer.fit(module, ckpt_path=path)",
    ],
)
def test_the_rule_sees(source: str) -> None:
    assert list(faults(ast.parse(source)))


def test_the_importer_must_say_weights_only() -> None:
    assert list(faults(ast.parse("torch.load(file)"), importer=True))
    assert list(faults(ast.parse("torch.load(file, weights_only=False)"), importer=True))
    assert not list(faults(ast.parse("torch.load(file, weights_only=True)"), importer=True))
    assert all("torch.load(" in file.read_text(encoding="utf-8") for file in IMPORTERS)
