"""The vendored ONNX models: their files, their hashes, and how they are opened.

`models.json` is written by `tools/build_landmark_models.py`; `NOTICE.md` says where the models come from.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import onnxruntime

from lrnet.errors import ModelError

FOLDER = Path(__file__).parent


def description(name: str) -> dict[str, Any]:
    """The entry of a model in `models.json`: its file, sha256, source, licence, input and outputs.

    Raises:
        ModelError: there is no model of that name.
    """
    models: dict[str, dict[str, Any]] = json.loads((FOLDER / "models.json").read_text())["models"]
    if name not in models:
        raise ModelError(f"No vendored model is called {name!r}.", hint=f"Use one of: {', '.join(models)}.")
    return models[name]


def open_session(name: str) -> onnxruntime.InferenceSession:
    """Open a vendored model with ONNX Runtime on one CPU thread, after checking its sha256.

    One thread per session and several frames or faces at a time is faster than two threads inside a session.

    Raises:
        ModelError: the file is missing, or is not the one that `models.json` names.
    """
    expected = description(name)
    path = FOLDER / expected["file"]
    reinstall = "Install lrnet again: its files are incomplete or were changed."
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}).", hint=reinstall) from error
    found = hashlib.sha256(data).hexdigest()
    if found != expected["sha256"]:
        raise ModelError(f"{path} has sha256 {found}, expected {expected['sha256']}.", hint=reinstall)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
