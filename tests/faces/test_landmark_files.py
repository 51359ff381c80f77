"""Landmark files: every form there and back, and whatever else may lie in a file of that name."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lrnet.errors import LrnetError, MissingDependencyError, OutputError, SequenceError
from lrnet.faces import landmark_files as files
from lrnet.faces.landmark_files import LandmarkTable, read_landmarks, write_landmarks
from lrnet.faces.landmark_table import Units

RNG = np.random.default_rng(3)
HEADER = ["frame", " face_id", " timestamp", " confidence", " success", " gaze_0_x"] + [
    f" {axis}_{i}" for axis in "xyXYZ" for i in range(68)
]
SUFFIXES = (".csv", ".txt", ".npy", ".npz", ".parquet")


def row(frame: int, *, face: int = 0, success: int = 1, at: float = 100.0) -> list[str]:
    """A line of OpenFace: x is at + i, y is at + 200 + i, the 3-D columns are something else."""
    x, y = ([str(at + offset + i) for i in range(68)] for offset in (0, 200))
    return [str(frame), str(face), str((frame - 1) / 25), "0.98", str(success), "0.1", *x, *y, *["-9"] * 204]


def write_csv(path: Path, rows: list[list[str]], header: list[str] = HEADER) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def a_table(n: int = 5, *, missing: bool = True) -> LandmarkTable:
    points = RNG.uniform(50, 400, (n, 68, 2)).astype(np.float32)
    if missing:
        points[2] = np.nan
        points[3, 7] = np.nan
    return LandmarkTable(
        points=points,
        frame_numbers=np.arange(n),
        timestamps=np.arange(n) / 25,
        face_id=np.zeros(n, np.int64),
        confidence=np.linspace(0.5, 1, n).astype(np.float32),
    )


# OpenFace


def test_the_released_openface_file(shared: Path) -> None:
    table = read_landmarks(shared / "reference" / "upstream" / "calibration" / "000_003.csv")
    assert table.points.shape == (396, 68, 2)
    assert table.units == "frame pixels"
    assert table.frame_count == 396
    assert table.faces == (0,)
    assert table.points[0, 0].tolist() == pytest.approx([262.2, 151.7])
    assert table.timestamps is not None
    np.testing.assert_allclose(table.timestamps, table.frame_numbers / 25, atol=1e-3)
    assert table.confidence[0] == pytest.approx(0.98)


def test_the_released_landmark_text(shared: Path) -> None:
    path = shared / "reference" / "upstream" / "calibration" / "000_003.calibrated.txt"
    table = read_landmarks(path)
    assert table.units == "normalised"
    np.testing.assert_allclose(table.points.reshape(-1, 136), np.loadtxt(path), atol=1e-6)
    assert table.timestamps is None


def test_openface_of_any_version(tmp_path: Path) -> None:
    """Spaces in the header or none, with or without face_id, other columns in between, capital X is another thing."""
    spaced = read_landmarks(write_csv(tmp_path / "2.csv", [row(1), row(2)]))
    drop = {1, 5}
    old = [[cell for i, cell in enumerate(r) if i not in drop] for r in (HEADER, row(1), row(2))]
    plain = read_landmarks(write_csv(tmp_path / "1.csv", old[1:], [name.strip() for name in old[0]]))
    np.testing.assert_array_equal(spaced.points, plain.points)
    assert spaced.points[1, 3].tolist() == [103.0, 303.0]
    assert spaced.frame_numbers.tolist() == [0, 1]
    bom = tmp_path / "bom.csv"
    bom.write_bytes(b"\xef\xbb\xbf" + (tmp_path / "2.csv").read_bytes())
    np.testing.assert_array_equal(read_landmarks(bom).points, spaced.points)


def test_a_file_without_frame_numbers_counts_its_rows(tmp_path: Path) -> None:
    table = read_landmarks(write_csv(tmp_path / "a.csv", [row(1)[6:142], row(1, at=120)[6:142]], HEADER[6:142]))
    assert table.frame_numbers.tolist() == [0, 1]
    assert table.timestamps is None
    assert table.confidence.tolist() == [1, 1]


def test_failed_frames_are_nan_whatever_they_hold(tmp_path: Path) -> None:
    failed = row(2, success=0)
    failed[6:142] = ["", "-nan(ind)", "0"] + ["0"] * 133
    table = read_landmarks(write_csv(tmp_path / "a.csv", [row(1), failed, row(3)]))
    assert np.isnan(table.points[1]).all()
    assert np.isfinite(table.points[[0, 2]]).all()


def test_several_faces(tmp_path: Path) -> None:
    rows = [row(1), row(1, face=3, at=200), row(2, face=3, at=210), row(4)]
    table = read_landmarks(write_csv(tmp_path / "a.csv", rows))
    assert table.faces == (0, 3)
    assert table.frame_count == 4
    third = table.of_face(3)
    assert third.frame_numbers.tolist() == [0, 1]
    assert third.points[:, 0, 0].tolist() == [200, 210]
    with pytest.raises(SequenceError, match=r"a.csv holds 2 faces: 0 \(2 rows\), 3 \(2 rows\).*--face"):
        table.of_face()
    with pytest.raises(SequenceError, match=r"holds no face 1\..*0 \(2 rows\)"):
        table.of_face(1)
    with pytest.raises(SequenceError, match=r"frame 0 \(from 0\) of face 0 has two rows"):
        read_landmarks(write_csv(tmp_path / "b.csv", [row(1), row(1)])).of_face()


# What other programs make of such files


def separated(path: Path, separator: str, decimal: str, rows: list[list[str]], first: str = "") -> Path:
    quote = '"' if decimal == separator else ""
    lines = [separator.join(f"{quote}{cell.replace('.', decimal)}{quote}" for cell in r) for r in (HEADER, *rows)]
    path.write_text(first + "\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    ("name", "separator", "decimal", "first"),
    [
        ("a.csv", ";", ",", ""),
        ("a.csv", ";", ".", ""),
        ("a.csv", "\t", ",", ""),
        ("a.tsv", "\t", ".", ""),
        ("a.csv", ",", ",", ""),
        ("a.csv", ";", ",", "sep=;\n"),
    ],
)
def test_other_separators_and_decimal_commas(
    tmp_path: Path, name: str, separator: str, decimal: str, first: str
) -> None:
    rows = [row(1, at=100.5), row(2, at=101.25)]
    expected = read_landmarks(write_csv(tmp_path / "plain.csv", rows))
    found = read_landmarks(separated(tmp_path / name, separator, decimal, rows, first))
    np.testing.assert_array_equal(found.points, expected.points)
    assert found.points[1, 3].tolist() == [104.25, 304.25]
    assert found.timestamps is not None
    assert expected.timestamps is not None
    np.testing.assert_array_equal(found.timestamps, expected.timestamps)


@pytest.mark.parametrize("line", ["{0}", "{1}", "{2}", "{3}", "{4}"])
def test_text_lines_of_other_programs(tmp_path: Path, line: str) -> None:
    cells = [f"{100 + i / 4}" for i in range(136)]
    commas = [cell.replace(".", ",") for cell in cells]
    forms = (" ".join(commas), ",".join(cells), ", ".join(cells), ";".join(commas), "\t".join(cells))
    (tmp_path / "a.txt").write_text(line.format(*forms) + "\n")
    points = read_landmarks(tmp_path / "a.txt").points
    np.testing.assert_allclose(points.reshape(136), 100 + np.arange(136) / 4)


def test_points_and_commas_in_one_file_are_refused(tmp_path: Path) -> None:
    """1,234 may be a thousand or one."""
    with pytest.raises(SequenceError, match=r"line 2, column x_5: '1,234' in a file of numbers with '\.' as the"):
        read_landmarks(write_csv(tmp_path / "a.csv", [numbers(x_5="1,234")]))


@pytest.mark.parametrize(
    "cell",
    [
        "0",
        "0.0",
        "-1",
        "250",
        "nan",
        "NaN",
        "-nan",
        "-nan(ind)",
        "nan(snan)",
        "nan(ind)",
        "1.#IND",
        "-1.#IND00",
        "1.#QNAN",
        "1.#SNAN",
        "-1.#J",
        "1.#R",
        "",
        " ",
        "NA",
        "n/a",
        "null",
        "None",
    ],
)
@pytest.mark.parametrize("success", [1, None])
def test_placeholders_of_a_face_that_was_not_found_are_missing(tmp_path: Path, cell: str, success: int | None) -> None:
    rows = [row(1), row(2), row(3)]
    rows[1][6:142] = [cell] * 136
    header, keep = HEADER, range(len(HEADER))
    if success is None:
        keep = [i for i, name in enumerate(HEADER) if name.strip() != "success"]
    path = write_csv(tmp_path / "a.csv", [[r[i] for i in keep] for r in rows], [header[i] for i in keep])
    found = read_landmarks(path)
    assert found.frame_numbers.tolist() == [0, 1, 2]
    assert np.isfinite(found.points).all(axis=(1, 2)).tolist() == [True, False, True]
    assert np.isnan(found.points[1]).all()


@pytest.mark.parametrize("suffix", [".txt", ".npy", ".npz", ".parquet"])
@pytest.mark.parametrize("value", [0.0, -1.0, 77.5])
def test_one_point_repeated_is_no_face_in_any_form(tmp_path: Path, suffix: str, value: float) -> None:
    points = a_table(missing=False).points
    points[3] = value
    columns = {f"{axis}_{i}": points[:, i, a] for a, axis in enumerate("xy") for i in range(68)}
    path = tmp_path / f"a{suffix}"
    if suffix == ".txt":
        np.savetxt(path, points.reshape(5, 136))
    elif suffix == ".npy":
        np.save(path, points)
    elif suffix == ".npz":
        np.savez(path, landmarks=points)
    else:
        parquet = pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pytest.importorskip("pyarrow").table(columns), path)
    table = read_landmarks(path)
    assert np.isfinite(table.points).all(axis=(1, 2)).tolist() == [True, True, True, False, True]
    direct = LandmarkTable(points, np.arange(5), None, np.zeros(5, np.int64), np.ones(5, np.float32))
    np.testing.assert_array_equal(direct.points, table.points)


def test_single_points_at_zero_are_missing_where_several_are() -> None:
    points = a_table(missing=False).points
    points[1, [5, 9]] = 0
    points[2, 5] = 0  # one alone may lie in the corner
    table = LandmarkTable.from_points(points)
    assert np.argwhere(np.isnan(table.points[..., 0])).tolist() == [[1, 5], [1, 9]]


@pytest.mark.parametrize(("shared_case", "gaps"), [("zero-rows/zeros.txt", 5), ("zero-rows/zeros_nosuccess.csv", 5)])
def test_rows_of_zeros_of_the_cases(shared: Path, shared_case: str, gaps: int) -> None:
    table = read_landmarks(shared / "cases" / shared_case)
    assert len(table) == 239
    assert np.isnan(table.points).all(axis=(1, 2)).sum() == gaps


def test_files_of_the_cases_say_the_same_as_plain_ones(shared: Path) -> None:
    plain = read_landmarks(shared / "cases" / "zero-rows" / "zeros_nosuccess.csv")
    commas = read_landmarks(shared / "cases" / "semicolon-decimal-comma.csv")
    there = np.isfinite(plain.points)
    np.testing.assert_allclose(commas.points[there], plain.points[there])
    windows = read_landmarks(shared / "cases" / "nan-ind-success-1.csv")
    assert len(windows) == 239
    missing = np.isnan(windows.points).all(axis=(1, 2))
    assert 0 < missing.sum() < 20
    np.testing.assert_allclose(windows.points[~missing & there.all(axis=(1, 2))][0], plain.points[0])


@pytest.mark.parametrize(("first", "number"), [(3, 2), (1, 0)])
def test_frames_whose_first_rows_are_missing_keep_their_numbers(tmp_path: Path, first: int, number: int) -> None:
    table = read_landmarks(write_csv(tmp_path / "a.csv", [row(first), row(first + 1)]))
    assert table.frame_numbers.tolist() == [number, number + 1]
    assert table.numbered


def test_time_stamps_show_that_frames_count_from_0_although_frame_0_has_no_row(tmp_path: Path) -> None:
    rows = [row(n) for n in range(1, 9)]
    for n, cells in enumerate(rows, start=1):
        cells[2] = f"{n / 25:.3f}"
    assert read_landmarks(write_csv(tmp_path / "a.csv", rows)).frame_numbers.tolist() == list(range(1, 9))


# There and back


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("units", ["frame pixels", "normalised"])
def test_what_is_written_is_read(tmp_path: Path, suffix: str, units: Units) -> None:
    table = a_table()
    if units == "normalised":
        table = LandmarkTable(
            table.points / 500, table.frame_numbers, table.timestamps, table.face_id, table.confidence, units
        )
    path = tmp_path / f"a{suffix}"
    write_landmarks(path, table)
    back = read_landmarks(path)
    np.testing.assert_allclose(back.points, table.points, rtol=1e-6)
    assert back.units == units
    assert back.frame_numbers.tolist() == [0, 1, 2, 3, 4]
    if suffix not in (".txt", ".npy"):
        assert back.timestamps is not None
        np.testing.assert_allclose(back.timestamps, np.arange(5) / 25)
        np.testing.assert_allclose(back.confidence, table.confidence, rtol=1e-6)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_numpy_files_of_rows(tmp_path: Path) -> None:
    points = a_table().points
    np.save(tmp_path / "a.npy", points.reshape(5, 136).astype(np.float64))
    np.testing.assert_array_equal(read_landmarks(tmp_path / "a.npy").points, points)
    np.savez(tmp_path / "b.npz", landmarks=points, frame=[0, 1, 2, 5, 6], face_id=[1, 1, 1, 1, 1])
    table = read_landmarks(tmp_path / "b.npz")
    assert table.frame_numbers.tolist() == [0, 1, 2, 5, 6]
    assert table.faces == (1,)
    assert table.frame_count == 7


@pytest.mark.parametrize("suffix", [".txt", ".npy"])
def test_plain_forms_refuse_what_they_cannot_say(tmp_path: Path, suffix: str) -> None:
    table = a_table()
    gappy = LandmarkTable(table.points, np.array([0, 1, 2, 5, 6]), None, table.face_id, table.confidence)
    with pytest.raises(OutputError, match="no place for several faces or left-out frames"):
        write_landmarks(tmp_path / f"a{suffix}", gappy)
    assert not list(tmp_path.iterdir())


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    for path, what in ((tmp_path / "a.doc", "ending in .doc"), (tmp_path / "no" / "a.csv", "no folder")):
        with pytest.raises(OutputError, match=what):
            write_landmarks(path, a_table())


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(files, "import_module", missing)
    with pytest.raises(MissingDependencyError, match="pip install pyarrow"):
        write_landmarks(tmp_path / "a.parquet", a_table())
    (tmp_path / "b.parquet").write_bytes(b"PAR1")
    with pytest.raises(MissingDependencyError, match="pip install pyarrow"):
        read_landmarks(tmp_path / "b.parquet")


# What is wrong with a file


def numbers(**changed: str) -> list[str]:
    """A good row, some cells of which are changed by the name of their column."""
    good = row(1)
    names = [name.strip() for name in HEADER]
    for name, cell in changed.items():
        good[names.index(name)] = cell
    return good


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ([], "holds no landmarks"),
        ([row(1)[:100]], "line 2: 100 cells where the header has 346"),
        ([[*row(1), "7"]], "line 2: 347 cells"),
        ([row(1), numbers(x_5="about 3")], "line 3, column x_5: 'about 3' is not a number"),
        ([numbers(frame="1.5")], "frame of row 1 is 0.5"),
        ([numbers(frame="-3")], "frame of row 1 is -3"),
        ([numbers(frame="1e300")], "frame of row 1 is 1e.300"),
        ([numbers(timestamp="nan")], "timestamp of row 1 is not finite"),
        ([numbers(success="maybe")], "column success"),
        ([numbers(x_5="nan")], r"point 5 \(from 0\) of row 1 has only one coordinate"),
        ([numbers(y_67="inf")], r"point 67 \(from 0\) of row 1 lies beyond 1e.06 pixels"),
    ],
)
def test_csv_errors_name_the_place(tmp_path: Path, rows: list[list[str]], what: str) -> None:
    with pytest.raises(SequenceError, match=what) as error:
        read_landmarks(write_csv(tmp_path / "a.csv", rows))
    assert str(tmp_path / "a.csv") in str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("a.doc", b"", "ending in .doc are not known. Known are .csv"),
        ("a", b"", "ending in nothing"),
        ("a.csv", b"", "lacks 136 of the 136 columns"),
        ("a.csv", b"x_0,y_0\n1,2\n", r"lacks 134 .*the first is x_1"),
        ("a.csv", b"\xff\xfe\x00", "no CSV text"),
        ("a.txt", b"", "holds no landmarks"),
        ("a.txt", b"1 2 3\n", "line 1: 3 numbers where 136 are expected"),
        ("a.txt", b"1 " * 136 + b"\n" + b"1 " * 135 + b"\n", "line 2: 135 numbers"),
        ("a.txt", b"1 " * 135 + b"one\n", "'one' is not a number"),
        ("a.txt", b"\xff\xff", "is no text"),
        ("a.npy", b"", "no NumPy file"),
        ("a.npy", b"nothing of the kind", "no NumPy file"),
        ("a.npz", b"PK\x03\x04", "no NumPy file"),
        ("a.parquet", b"", "no Parquet file"),
        ("a.parquet", b"PAR1 and then nothing PAR1", "no Parquet file"),
    ],
)
def test_files_of_another_kind(tmp_path: Path, name: str, content: bytes, what: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SequenceError, match=what):
        read_landmarks(tmp_path / name)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_paths_that_are_no_files(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(SequenceError, match="There is no file"):
        read_landmarks(tmp_path / f"a{suffix}")
    (tmp_path / f"folder{suffix}").mkdir()
    with pytest.raises(SequenceError, match="cannot be read"):
        read_landmarks(tmp_path / f"folder{suffix}")


@pytest.mark.parametrize(
    ("arrays", "what"),
    [
        ({"points": np.zeros((2, 136))}, "no array `landmarks`, only points"),
        ({"landmarks": np.zeros((2, 130))}, r"shape \(2, 130\)"),
        ({"landmarks": np.zeros((0, 68, 2))}, "holds no landmarks"),
        ({"landmarks": np.array([["x"] * 136])}, "no numbers"),
        ({"landmarks": np.zeros((2, 136)), "timestamp": np.zeros(3)}, r"array timestamp: .*shape \(2,\)"),
        ({"landmarks": np.zeros((2, 136)), "units": "furlongs"}, "units 'furlongs' are not known"),
        ({"landmarks": np.array([[None] * 136], dtype=object)}, "no NumPy file"),
    ],
)
def test_npz_errors(tmp_path: Path, arrays: dict[str, NDArray[np.generic]], what: str) -> None:
    np.savez(tmp_path / "a.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(SequenceError, match=what):
        read_landmarks(tmp_path / "a.npz")


def test_a_header_that_claims_terabytes_asks_for_no_memory(tmp_path: Path) -> None:
    small = io.BytesIO()
    np.save(small, np.zeros((100_000_000, 1, 1), np.float32)[:, :0])
    content = small.getvalue().replace(b"(100000000, 0, 1)", b"(100000000,68, 2)")
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(SequenceError, match="no NumPy file"):
        read_landmarks(tmp_path / "a.npy")


# Anything at all

CELLS = st.one_of(
    st.sampled_from(["0", "1", "-1", "nan", "inf", "1e999", "", " 2.5", "x", '"', "1_0"]), st.text(max_size=6)
)


def must_not_crash(name: str, write: Callable[[Path], object]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write(path)
        try:
            table = read_landmarks(path)
        except LrnetError as error:
            assert error.hint  # noqa: PT017
        else:
            assert np.isnan(table.points[..., 0]).sum() == np.isnan(table.points[..., 1]).sum()
            assert not np.isinf(table.points).any()


@settings(max_examples=60, deadline=None)
@given(suffix=st.sampled_from(SUFFIXES), content=st.binary(max_size=300))
def test_any_bytes(suffix: str, content: bytes) -> None:
    must_not_crash(f"a{suffix}", lambda path: path.write_bytes(content))


@settings(max_examples=60, deadline=None)
@given(suffix=st.sampled_from([".csv", ".txt"]), content=st.text(max_size=300))
def test_any_text(suffix: str, content: str) -> None:
    must_not_crash(f"a{suffix}", lambda path: path.write_text(content, encoding="utf-8", errors="surrogatepass"))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_cells_under_a_good_header(data: st.DataObject) -> None:
    changed = data.draw(st.dictionaries(st.integers(0, 141), CELLS, max_size=6))
    cells = row(1)
    for place, cell in changed.items():
        cells[place] = cell
    must_not_crash(
        "a.csv", lambda path: path.write_text("\n".join([",".join(HEADER), ",".join(row(1)), ",".join(cells)]))
    )


@settings(max_examples=60, deadline=None)
@given(
    suffix=st.sampled_from([".npy", ".npz", ".parquet"]),
    place=st.integers(0, 10_000),
    value=st.integers(0, 255),
    end=st.integers(0, 10_000),
)
def test_good_files_with_a_byte_changed_or_their_end_cut_off(suffix: str, place: int, value: int, end: int) -> None:
    def damage(path: Path) -> None:
        write_landmarks(path, a_table(3, missing=False))
        content = bytearray(path.read_bytes())
        content[place % len(content)] = value
        path.write_bytes(content[: max(end, 1)] if end % 2 else content)

    must_not_crash(f"a{suffix}", damage)
