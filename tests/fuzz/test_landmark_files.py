"""Landmark files of other programs: whatever stands in them, a table or a `SequenceError`."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrnet.faces.landmark_files import LandmarkTable, read_landmarks, write_landmarks
from tests.fuzz.kit import VALUES, fuzz, spoilt, typed_or_well

POINTS = np.random.default_rng(0).uniform(50, 400, (3, 68, 2)).astype(np.float32)
SUFFIXES = (".csv", ".txt", ".npy", ".npz", ".parquet")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(scope="module")
def sound(folder: Path) -> dict[str, bytes]:
    """A sound file of each kind."""
    pytest.importorskip("pyarrow")
    table = LandmarkTable.from_points(POINTS)
    for suffix in SUFFIXES:
        write_landmarks(folder / f"sound{suffix}", table)
    return {suffix: (folder / f"sound{suffix}").read_bytes() for suffix in SUFFIXES}


def use(path: Path) -> None:
    """Read a file and use the table as `lrnet calibrate` does."""
    with typed_or_well():
        table = read_landmarks(path)
        assert table.points.shape == (len(table), 68, 2)
        assert not np.isinf(table.points).any()
        face = table.of_face(table.faces[0])
        assert (np.diff(face.frame_numbers) > 0).all()


@pytest.mark.parametrize("suffix", SUFFIXES)
@fuzz
@given(data=st.data())
def test_spoilt_files(suffix: str, data: st.DataObject, folder: Path, sound: dict[str, bytes]) -> None:
    path = folder / f"spoilt{suffix}"
    path.write_bytes(data.draw(spoilt(sound[suffix])))
    use(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
@fuzz
@given(content=st.binary(max_size=400))
def test_any_bytes(suffix: str, content: bytes, folder: Path) -> None:
    path = folder / f"any{suffix}"
    path.write_bytes(content)
    use(path)


@fuzz
@given(
    cells=st.lists(st.text(max_size=8) | st.floats().map(str), min_size=136, max_size=136), about=st.text(max_size=9)
)
def test_odd_cells(cells: list[str], about: str, folder: Path) -> None:
    names = [f"{axis}_{i}" for axis in "xy" for i in range(68)]
    path = folder / "odd.csv"
    row = ",".join('"' + cell.replace('"', '""') + '"' for cell in cells)
    path.write_text(f"frame,face_id,{','.join(names)}\n{about},0,{row}\n1,1,{row}\n", "utf-8", "surrogatepass")
    use(path)


@fuzz
@given(
    shape=st.lists(st.integers(0, 70), max_size=4),
    kind=st.sampled_from(["f4", "f8", "f2", "i8", "u1", "c8", "?", "S3", "U2", "M8[s]", "V8"]),
    about=st.dictionaries(
        st.sampled_from(["frame", "face_id", "timestamp", "confidence", "units"]), VALUES, max_size=3
    ),
)
def test_odd_arrays(shape: list[int], kind: str, about: dict[str, object], folder: Path) -> None:
    array = np.zeros([min(n, 5) if i == 0 else n for i, n in enumerate(shape)] if len(shape) < 4 else [1], kind)
    arrays: dict[str, np.ndarray] = {"landmarks": array}
    for name, value in about.items():
        made = (
            np.array(str(value)[:20])
            if name == "units"
            else np.array([0.0])
            if value is None
            else np.array(str(value)[:9])
        )
        arrays[name] = made
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]
    path = folder / "odd.npz"
    path.write_bytes(file.getvalue())
    use(path)
