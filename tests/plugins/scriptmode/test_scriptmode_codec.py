"""Bodies become arrays and back; what is wrong with one is said with its place."""

import csv
import io
import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mlpipe_scriptmode import BadPayload, ModelFailure, UnsupportedContentType
from mlpipe_scriptmode.codec import decode, encode

JSON, LINES, CSV, NPY = (
    "application/json",
    "application/jsonlines",
    "text/csv",
    "application/x-npy",
)
TYPES = [JSON, LINES, CSV, NPY]

tables = arrays(
    np.float64,
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
    elements=st.floats(allow_nan=False, allow_infinity=False),
)


def npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.mark.parametrize("kind", TYPES)
@given(table=tables)
def test_tables_come_back_as_they_were(kind: str, table: np.ndarray[Any, Any]) -> None:
    body, written = encode(table, kind)
    assert written == kind
    np.testing.assert_array_equal(decode(body, kind), table)


@pytest.mark.parametrize("kind", TYPES)
@given(
    body=st.binary(max_size=200) | st.text(alphabet='0123456789.,-e[]{}"\n ntrue').map(str.encode)
)
def test_any_body_is_rows_or_a_bad_payload(kind: str, body: bytes) -> None:
    try:
        rows = decode(body, kind)
    except BadPayload:
        return
    assert rows.ndim == 2
    assert rows.size
    assert np.isfinite(rows.astype(float)).all()


@given(header=st.text(alphabet="'{}(),:<>f8aTrueFlsdcrpo_nhtai01 23456789\n", max_size=80))
def test_any_npy_header_is_rows_or_a_bad_payload(header: str) -> None:
    content = header.encode()
    body = b"\x93NUMPY\x01\x00" + len(content).to_bytes(2, "little") + content + bytes(64)
    try:
        decode(body, NPY)
    except BadPayload:
        return


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        (b"[[1, 2], [3, 4.5]]", [[1, 2], [3, 4.5]]),
        (b"[1, 2]", [[1, 2]]),
        (b'{"instances": [[1], [2]]}', [[1], [2]]),
        (b'{"instances": [1, 2]}', [[1, 2]]),
        (b"[[true, 2.5]]", [[1, 2.5]]),
        (b"[[9223372036854775808, 1]]", [[9223372036854775808, 1]]),
    ],
)
def test_forms_of_json(body: bytes, rows: list[list[float]]) -> None:
    assert decode(body, JSON).tolist() == rows


@pytest.mark.parametrize(
    ("kind", "body", "rows"),
    [
        (LINES, b"[1, 2]\n\n[3, 4]\n", [[1, 2], [3, 4]]),
        (LINES, b"1\n2\n", [[1], [2]]),
        (LINES, b'{"features": [1, 2]}\n{"features": [3, 4]}', [[1, 2], [3, 4]]),
        (LINES, b'{"a": 1, "b": 2}', [[1, 2]]),
        (CSV, b"1,2\r\n3,4\r\n", [[1, 2], [3, 4]]),
        (CSV, b" 1 , -2e3 ", [[1, -2000]]),
        (CSV, b"\xef\xbb\xbf1,2\n", [[1, 2]]),
        ("text/csv; charset=utf-16", "1,2".encode("utf-16"), [[1, 2]]),
        ("Application/JSON; charset=UTF-8", b"[[1]]", [[1]]),
        (NPY, npy(np.array([1, 2], dtype=np.int8)), [[1, 2]]),
    ],
)
def test_forms_of_the_other_types(kind: str, body: bytes, rows: list[list[float]]) -> None:
    assert decode(body, kind).tolist() == rows


@pytest.mark.parametrize(
    ("kind", "body", "said"),
    [
        (JSON, b"", "body is empty"),
        (JSON, b" \n", "body is empty"),
        (JSON, b"{", "no JSON"),
        (JSON, b"5", "no list of rows"),
        (JSON, b"{}", 'no "instances"'),
        (JSON, b"[]", "no rows"),
        (JSON, b"[[]]", "row 1 has no columns"),
        (JSON, b"[[1], [2, 3]]", "row 2 has 2 columns, row 1 has 1"),
        (JSON, b"[[1, 2], 3]", "row 2 is 3"),
        (JSON, b'[1, "a"]', 'row 1, column 2 is "a"'),
        (JSON, b'[[1, 2], [3, "a"]]', 'row 2, column 2 is "a"'),
        (JSON, b"[[1, null]]", "row 1, column 2 is null"),
        (JSON, b"[[1], [NaN]]", "row 2, column 1 is nan"),
        (JSON, b"[[-Infinity]]", "row 1, column 1 is -inf"),
        (JSON, b"[[1" + b"0" * 400 + b"]]", "row 1, column 1 is 1000"),
        (JSON, b"[[[1]]]", "row 1, column 1 is [1]"),
        (JSON, b"[" * 100_000, "no JSON"),
        (JSON, b"\xff", "not utf-8 (byte 1)"),
        (LINES, b"[1]\n[x]", "line 2 is no JSON"),
        (LINES, b"[1]\n[2, 3]", "row 2 has 2 columns"),
        (CSV, b"\n\n", "body is empty"),
        (CSV, b"1,2\n3,x", 'row 2, column 2 is "x"'),
        (CSV, b"a,b\n1,2", 'row 1, column 1 is "a"'),
        (CSV, b"1,,3", 'row 1, column 2 is ""'),
        (CSV, b"1,nan", 'row 1, column 2 is "nan"'),
        (CSV, b"1e999", 'row 1, column 1 is "1e999"'),
        (CSV, b"1_000", 'row 1, column 1 is "1_000"'),
        (CSV, b"1,2\n3", "row 2 has 1 columns, row 1 has 2"),
        (CSV, b"1,\xff", "not utf-8 (byte 3)"),
        ("text/csv; charset=klingon", b"1", 'no charset "klingon"'),
        (NPY, b"", "body is empty"),
        (NPY, b"\x93NUMPY\x01", "no NPY array"),
        (NPY, b"PK\x03\x04 a zip", "no NPY array"),
        (NPY, npy([["a"]]), "no numbers"),
        (NPY, npy([[1j]]), "no numbers"),
        (NPY, npy(np.array(["2020"], dtype="M8[Y]")), "no numbers"),
        (NPY, npy([[1.0, np.nan]]), "row 1, column 2 is nan"),
        (NPY, npy(np.zeros((2, 2, 2))), "shape is (2, 2, 2)"),
        (NPY, npy(np.zeros((0, 3))), "shape is (0, 3)"),
        (NPY, npy(np.array([{}], dtype=object)), "no NPY array"),
    ],
)
def test_bad_payloads_are_located(kind: str, body: bytes, said: str) -> None:
    with pytest.raises(BadPayload) as caught:
        decode(body, kind)
    assert said in str(caught.value)


def test_npy_that_claims_to_be_huge_is_refused() -> None:
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000,)}"
    body = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with pytest.raises(BadPayload):
        decode(body, NPY)


@pytest.mark.parametrize("kind", ["text/html", "", "image/png", "application/json5"])
def test_unknown_content_types_are_named(kind: str) -> None:
    with pytest.raises(UnsupportedContentType, match="application/x-npy"):
        decode(b"1", kind)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", JSON),
        ("application/*", JSON),
        ("text/*", CSV),
        ("text/csv;q=0.5", CSV),
        ("text/html, text/csv", CSV),
        ("text/html, */*;q=0.1", JSON),
    ],
)
def test_first_known_type_of_accept_counts(accept: str, kind: str) -> None:
    assert encode([1], accept)[1] == kind


def test_unknown_accept_is_refused() -> None:
    with pytest.raises(UnsupportedContentType, match="text/html"):
        encode([1], "text/html")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ([np.float32(0.5), np.int64(2)], [0.5, 2]),
        (
            {"label": np.array([1, 0]), "score": [np.float64(0.25)]},
            {"label": [1, 0], "score": [0.25]},
        ),
        (np.array([[0.1, 0.9]]), [[0.1, 0.9]]),
        (np.float64(3), 3.0),
        ("benign", "benign"),
        (None, None),
    ],
)
def test_predictions_of_numpy_become_json(value: object, written: object) -> None:
    assert json.loads(encode(value, JSON)[0]) == written


@given(labels=st.lists(st.text(alphabet='ab,"\n é', min_size=1), min_size=1))
def test_labels_survive_csv(labels: list[str]) -> None:
    rows = list(
        csv.reader(io.StringIO(encode(np.array(labels, dtype=object), CSV)[0].decode(), ""))
    )
    assert rows == [[label] for label in labels]


@pytest.mark.parametrize(
    ("value", "accept"),
    [
        (object(), JSON),
        ([float("nan")], JSON),
        ([[1], [2, 3]], NPY),
        ({"a": 1}, CSV),
        (np.zeros((2, 2, 2)), CSV),
    ],
)
def test_predictions_that_cannot_be_written_fail(value: object, accept: str) -> None:
    with pytest.raises(ModelFailure):
        encode(value, accept)


def test_one_row_of_csv_needs_no_pandas() -> None:
    code = """
import sys
from mlpipe_scriptmode.codec import decode
assert "numpy" not in sys.modules
decode(b"1,2", "text/csv")
assert "pandas" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
