"""The notebook runs from a fresh clone, and what it makes is a model."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

nbclient = pytest.importorskip("nbclient", reason="needs the extra `notebook`")
pytest.importorskip("ipykernel", reason="needs the extra `notebook`")
pytest.importorskip("torch", reason="needs the extra `train`")

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = ROOT / "notebooks" / "train_your_own.ipynb"


@pytest.mark.timeout(900)
def test_it_goes_from_videos_to_verdicts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nbformat

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "commit it without outputs"
    client = nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(NOTEBOOK.parent)}})
    client.execute()
    printed = "".join(
        output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []) if "text" in output
    )
    assert "8 videos" in printed
    verdicts = [line.split() for line in printed.splitlines() if line.startswith(("real-0.mp4", "fake-0.mp4"))]
    probability = {name: float(p) for name, _, p, *_ in verdicts}
    assert probability["fake-0.mp4"] > probability["real-0.mp4"]  # both were trained on
    assert list(tmp_path.glob("lrnet-notebook-*/mine/MODEL_CARD.md"))
