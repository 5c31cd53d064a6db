"""The profile: a page about tables, whole by itself."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from mlpipe.errors import StageError
from mlpipe_dvc.quality.profile import write_profile
from mlpipe_dvc.quality.questions import INFINITE, OTHERS
from mlpipe_dvc.quality.ranges import ranges
from mlpipe_dvc.values import Column, Description

BAD = '<script>alert("1")</script>'


def numbers(name: str, low: float, high: float, counts: list[int], missing: int = 0) -> Column:
    found = ranges("number", low, high)
    weights = counts * (len(found.ends) // len(counts))
    histogram = tuple(zip(found.labels("number"), weights, strict=True))
    return Column(name, "number", missing, 9, low, high, 1.5, 0.5, histogram)


def page(path: Path, tables: dict[str, Description]) -> str:
    write_profile("customers", tables, path / "profile.html")
    return (path / "profile.html").read_text()


class Reader(HTMLParser):
    """Gathers tags and checks that each is closed by its own."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def split() -> dict[str, Description]:
    def table(rows: int, low: float, share: int) -> Description:
        return Description(
            rows,
            (
                numbers("age", low, low + 10, [rows // 20] * 20),
                Column(
                    BAD, "text", 10, 3, BAD, "z", histogram=((BAD, share), ("b", rows - share - 10))
                ),
                Column(
                    "churned", "integer", 0, 2, 0, 1, 0.5, 0.5, (("0", share), ("1", rows - share))
                ),
                Column("nothing", "other", rows, 0),
            ),
        )

    return {"train": table(800, 0.0, 600), "test": table(200, 5.0, 50)}


def test_the_page_needs_nothing_else_and_escapes_what_it_shows(tmp_path: Path) -> None:
    text = page(tmp_path, split())
    reader = Reader(text)
    names = {name for name, _ in reader.tags}
    assert not {"script", "link", "img", "iframe", "object"} & names
    assert not re.search(r"https?://|url\(|@import|\son\w+=", text)
    assert BAD in "".join(reader.text)
    assert "prefers-color-scheme:dark" in text
    assert 'name="viewport"' in text


def test_those_who_do_not_see_it_can_read_it(tmp_path: Path) -> None:
    reader = Reader(page(tmp_path, split()))
    for name, found in reader.tags:
        if name == "th":
            assert found["scope"] in ("row", "col")
        if name == "svg":
            assert found.get("aria-label") or found.get("aria-hidden") == "true"
    assert [dict(found)["lang"] for name, found in reader.tags if name == "html"] == ["en"]
    assert "train: most often" in str([found.get("aria-label") for _, found in reader.tags])
    assert [name for name, _ in reader.tags].count("details") == 3  # not of the empty column


def plots(text: str) -> list[ElementTree.Element]:
    found = re.findall(r'<svg class="(?:plot|bars)".*?</svg>', text)
    return [ElementTree.fromstring(each) for each in found]


def test_parts_are_drawn_on_one_scale(tmp_path: Path) -> None:
    age, named, churned = plots(page(tmp_path, split()))
    train, test = age.findall("path")
    assert (train.get("class"), test.get("class")) == ("s0", "s1")
    assert str(train.get("d")).startswith("M0 84V4H10V4")
    assert str(test.get("d")).startswith("M100 84V4H110V4")  # begins a third of the way, as high
    texts = [each.text for each in named.findall("text")]
    assert texts == [
        '<script>alert("1")</script>'[:25] + "…",
        "75.9% · 26.3%",
        "b",
        "24.1% · 73.7%",
    ]
    assert [each.text for each in churned.findall("text")][::2] == ["0", "1"]


def test_a_value_that_is_not_frequent_in_a_part_is_among_its_others(tmp_path: Path) -> None:
    first = tuple((f"v{n}", 20 - n) for n in range(10))
    column = Column("t", "text", 0, 50, "a", "z", histogram=(*first, (OTHERS, 100)))
    other = Column("t", "text", 0, 2, "a", "z", histogram=(("v0", 60), ("only here", 40)))
    rows = sum(count for _, count in column.histogram)
    tables = {"a": Description(rows, (column,)), "b": Description(100, (other,))}
    (plot,) = plots(page(tmp_path, tables))
    texts = [str(each.text) for each in plot.findall("text")]
    shown = dict(zip(texts[::2], texts[1::2], strict=True))
    assert len(shown) == 8
    assert shown["only here"] == "– · 40.0%"
    assert list(shown)[-1] == OTHERS
    assert sum(float(each.split("%")[0]) for each in shown.values() if each[0] != "–") == (
        pytest.approx(100, abs=0.5)
    )


def test_missing_values_and_statistics_are_told(tmp_path: Path) -> None:
    column = numbers("age", 0.0, 2000.5, [5], missing=300)
    text = page(tmp_path, {"data": Description(400, (column,))})
    flat = " ".join("".join(Reader(text).text).split())
    assert "300 (75.0%)" in flat
    assert "2,000.5" in flat
    assert '<rect width="75" height="4"/>' in text
    assert "<thead><tr><td></td>" not in text  # one table needs no names of tables


def test_odd_columns_do_no_harm(tmp_path: Path) -> None:
    columns = (
        Column("infinite", "number", 0, 2, histogram=((INFINITE, 9),)),
        numbers("one", 3.0, 3.0, [9]),
        numbers("huge", -1.7e308, 1.7e308, [1]),
        Column("ancient", "timestamp", 0, 1, "-4711", "-4711", histogram=(("-4711", 9),)),
        Column("", "text", 0, 1, "", "", histogram=(("", 9),)),
        Column("flag", "boolean", 0, 2, histogram=(("true", 4), ("false", 5))),
        Column("days", "date", 0, 1, "2024-01-01", "2024-01-01", histogram=(("2024-01-01", 9),)),
    )
    tables = {
        "a": Description(9, columns),
        "b": Description(0, tuple(Column(each.name, "other", 0, 0) for each in columns)),
        "c": Description(5, (Column("infinite", "integer", 5, 0),)),
    }
    text = page(tmp_path, tables)
    assert "nan" not in re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)
    assert "number / other / integer" in text
    assert len(plots(text)) == 7


def test_many_columns_make_no_large_page(tmp_path: Path) -> None:
    words = tuple((f"a value of some length {n}", 30 - n) for n in range(10))
    columns = tuple(
        numbers(f"measurement_{n}", n, n + 1.23456789, [3])
        if n % 2
        else Column(f"category_{n}", "text", 0, 40, "a", "z", histogram=(*words, (OTHERS, 99)))
        for n in range(1000)
    )
    table = Description(1000, columns)
    text = page(tmp_path, {"train": table, "validation": table, "test": table})
    assert len(text) < 5_000_000
    assert text.count('class="card"') == 1000


def test_a_full_disk_is_reported() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(StageError, match="the profile cannot be written: No space left"):
        write_profile("t", split(), Path("/dev/full"))
