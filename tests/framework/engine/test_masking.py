"""Secrets do not get through, whole or in pieces, raw or encoded."""

import base64
import json
from itertools import pairwise
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpipe.engine.masking import LogMasker, Masker

SECRET = "s3cr3t/Tok+en=42!"


@pytest.mark.parametrize(
    "shown",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
        base64.b64encode(f"user:{SECRET}".encode()).decode(),
        base64.b64encode(f"me:{SECRET}".encode()).decode(),
        base64.b64encode(f"a:{SECRET}".encode()).decode(),
    ],
)
def test_every_form_is_masked(shown: str) -> None:
    masked = Masker([SECRET]).text(f"before {shown} after")
    assert "***" in masked
    assert shown not in masked
    assert masked.startswith("before ")
    assert masked.endswith(" after")


def test_values_are_masked_at_any_depth() -> None:
    value = {"a": [SECRET, {"b": f"x{SECRET}"}], SECRET: 1, "n": 2}
    masked = Masker([SECRET]).value(value)
    assert SECRET not in json.dumps(masked)
    assert masked["n"] == 2


def test_without_secrets_nothing_is_touched() -> None:
    value = {"a": [1, "two"]}
    assert Masker([]).value(value) is value


def test_very_short_secrets_are_left_alone() -> None:
    assert Masker(["abc"]).text("abc abc") == "abc abc"


@given(
    text=st.lists(st.sampled_from([SECRET, "a", "\n", "tok", "s3cr3t", " "]), max_size=30).map(
        "".join
    ),
    cuts=st.lists(st.integers(0, 200), max_size=10),
)
def test_a_stream_is_masked_however_it_is_cut(text: str, cuts: list[int]) -> None:
    masker = Masker([SECRET])
    stream = LogMasker(masker)
    places = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    pieces = [text[a:b] for a, b in pairwise(places)]
    shown = "".join(stream.feed(piece) for piece in pieces) + stream.end()
    assert shown == masker.text(text)


def test_a_finished_line_is_shown_at_once() -> None:
    stream = LogMasker(Masker([SECRET]))
    assert stream.feed("a whole line\nand half") == "a whole line\n"
    assert stream.end() == "and half"
