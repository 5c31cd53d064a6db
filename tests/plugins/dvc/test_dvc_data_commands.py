"""``mlpipe data``: whole output, on real repositories."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from dvc.repo import Repo
from typer.testing import CliRunner, Result

from mlpipe import UserError
from mlpipe.errors import StageError
from mlpipe_dvc.commands.app import app
from mlpipe_dvc.ledger import Entry, Ledger
from mlpipe_dvc.values import Column, Description

if TYPE_CHECKING:
    from tests.plugins.dvc.conftest import Project

TRAIN = "data/train.csv"
IMAGES = "data/images"
T0 = 1_700_000_000


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(app, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def fails(*arguments: str, kind: type[UserError] = UserError) -> str:
    with pytest.raises(kind) as caught:
        run(*arguments)
    assert type(caught.value) is kind
    return str(caught.value)


@dataclass(frozen=True)
class Made:
    """A project whose data sets have versions, as DVC's own commands leave them."""

    project: Project
    remote: Path

    @property
    def root(self) -> Path:
        return self.project.root

    def at(self, root: Path) -> Made:
        return Made(self.project.at(root), self.remote)

    def write(self, rows: int, images: dict[str, str]) -> None:
        self.project.write(TRAIN, table(rows))
        folder = self.root / IMAGES
        shutil.rmtree(folder, ignore_errors=True)
        for name, content in images.items():
            self.project.write(f"{IMAGES}/{name}", content)

    def track(self, *targets: str) -> None:
        with Repo(str(self.root)) as repo:
            repo.add([str(self.root / target) for target in targets])
            repo.push()

    def md5(self, label: str) -> str:
        found = re.search("md5: (.*)", (self.root / f"{label}.dvc").read_text())
        assert found
        return found[1]

    def clean(self) -> bool:
        with Repo(str(self.root)) as repo:
            return not repo.status()

    def forget(self, *, remote: bool = False) -> None:
        """Empty DVC's cache, and the remote where that is said."""
        shutil.rmtree(self.root / ".dvc/cache")
        if remote:
            shutil.rmtree(self.remote)

    def state(self) -> dict[str, bytes]:
        """All files but those that only DVC itself looks at."""
        return {
            name: content
            for name, content in self.project.files().items()
            if not name.startswith((".dvc/tmp", ".dvc/cache"))
        }


def table(rows: int) -> str:
    return "id,age\n" + "".join(f"{n},{20 + n % 50}\n" for n in range(rows))


def commit(made: Made, message: str, when: int, tag: str = "") -> str:
    stamp = f"{when} +0000"
    os.environ.update(GIT_AUTHOR_DATE=stamp, GIT_COMMITTER_DATE=stamp)
    try:
        identifier = made.project.commit(message)
    finally:
        del os.environ["GIT_AUTHOR_DATE"], os.environ["GIT_COMMITTER_DATE"]
    if tag:
        made.project.git("tag", tag)
    return identifier


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def _begin(project: Project, tmp_path: Path, *, git: bool) -> Made:
    made = Made(project, tmp_path / "remote")
    with Repo.init(str(project.root), no_scm=not git) as repo, repo.config.edit() as config:
        config["core"]["remote"] = "here"
        config["remote"]["here"] = {"url": str(made.remote)}
    return made


@pytest.fixture
def made(project: Project, tmp_path: Path) -> Made:
    """Two data sets with two committed versions each."""
    made = _begin(project, tmp_path, git=True)
    made.write(60, {"a.txt": "one", "b.txt": "two"})
    made.track(TRAIN, IMAGES)
    commit(made, "first", T0, tag="v1")
    made.write(80, {"a.txt": "one!", "c/d.txt": "three"})
    made.track(TRAIN, IMAGES)
    commit(made, "second", T0 + 3600)
    return made


@pytest.fixture
def bare(bare_project: Project, tmp_path: Path) -> Made:
    """A data set in a project without Git."""
    made = _begin(bare_project, tmp_path, git=False)
    made.write(60, {})
    made.track(TRAIN)
    return made


def old(made: Made, label: str) -> str:
    found = re.search("md5: (.*)", made.project.git("show", f"v1:{label}.dvc"))
    assert found
    return found[1]


def note(made: Made, digest: str, description: Description, run: str, when: int) -> None:
    Ledger(made.root / ".mlpipe").record(
        Entry(
            label=TRAIN,
            digest=f"md5:{digest}",
            size=1,
            description=description,
            stage="data",
            recipe="churn",
            runs=(run,),
            created=when,
        )
    )


BEFORE = Description(
    60,
    (
        Column("id", "integer", 0, 60, 0, 59, 29.5, 17.3),
        Column("age", "integer", 0, 50, 20, 69, 44.0, 14.0),
        Column("plan", "text", 3, 2, "free", "paid"),
        Column("zip", "integer", 0, 9, 1, 9, 5.0, 2.0),
        Column("since", "date", 0, 60, "2020-01-01", "2024-01-01"),
    ),
)
AFTER = Description(
    80,
    (
        Column("id", "integer", 0, 80, 0, 79, 39.5, 23.1),
        Column("age", "integer", 0, 50, 20, 70, 44.5, 14.0),
        Column("plan", "text", 8, 3, "free", "trial"),
        Column("since", "text", 0, 60, "2020-01-01", "soon"),
        Column("city\x1b[31m", "text", 0, 9, "A", "Z"),
    ),
)


@pytest.fixture
def noted(made: Made) -> Made:
    """The same, the versions of one data set made by runs on this machine."""
    note(made, old(made, TRAIN), BEFORE, "11112222", T0 - 60)
    note(made, old(made, TRAIN), BEFORE, "33334444", T0 - 30)
    note(made, made.md5(TRAIN), AFTER, "55556666", T0 + 3000)
    return made


def test_a_fresh_clone_lists_what_was_committed_and_stays_as_it_is(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.project.git("clone", "--quiet", ".", str(tmp_path / "clone"))
    monkeypatch.chdir(tmp_path / "clone")
    before = {path for path in Path().rglob("*") if ".git" not in path.parts}
    first, second = made.project.git("log", "--reverse", "--format=%h", "--abbrev=7").split()
    images = (made.md5(IMAGES)[:8], old(made, IMAGES)[:8])
    train = (made.md5(TRAIN)[:8], old(made, TRAIN)[:8])
    assert run("list").stdout == (
        "     version   rows  columns  size          created              run  commit\n"
        "data/images\n"
        f"  *  {images[0]}  –     –        9 B, 2 files  2023-11-14 23:13:20  –    {second}\n"
        f"     {images[1]}  –     –        6 B, 2 files  2023-11-14 22:13:20  –    {first} v1\n"
        "data/train.csv\n"
        f"  *  {train[0]}  –     –        477 B         2023-11-14 23:13:20  –    {second}\n"
        f"     {train[1]}  –     –        357 B         2023-11-14 22:13:20  –    {first} v1\n"
    )
    (shown,) = json.loads(run("list", "train", "--json").stdout)
    assert (shown["dataset"], [each["tags"] for each in shown["versions"]]) == (TRAIN, [[], ["v1"]])
    assert shown["versions"][0] == {
        "dataset": TRAIN,
        "digest": f"md5:{made.md5(TRAIN)}",
        "current": True,
        "rows": None,
        "columns": None,
        "size": 477,
        "files": 1,
        "created": T0 + 3600,
        "recipe": None,
        "stage": None,
        "runs": [],
        "commits": [
            {
                "id": made.project.git("rev-parse", "HEAD").strip(),
                "time": T0 + 3600,
                "author": "Test",
            }
        ],
        "tags": [],
    }
    assert {path for path in Path().rglob("*") if ".git" not in path.parts} == before


def test_what_runs_made_is_listed_with_what_was_committed(
    noted: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = noted.project.git("log", "--reverse", "--format=%h", "--abbrev=7").split()
    monkeypatch.chdir(noted.root / "data")
    new, former = noted.md5(TRAIN)[:8], old(noted, TRAIN)[:8]
    assert run("list", "train.csv").stdout == (
        "     version   rows  columns  size   created              run       commit\n"
        "data/train.csv\n"
        f"  *  {new}  80    5        477 B  2023-11-14 23:03:20  55556666  {second}\n"
        f"     {former}  60    5        357 B  2023-11-14 22:12:20  11112222  {first} v1\n"
    )


def test_a_version_is_shown_with_its_columns(noted: Made) -> None:
    commit = noted.project.git("rev-parse", "--short=7", "v1").strip()
    digest = old(noted, TRAIN)
    assert run("show", "train@v1").stdout == (
        f"data/train.csv @ {digest[:8]}\n"
        f"  digest   md5:{digest}\n"
        "  size     357 B\n"
        "  rows     60\n"
        "  columns  5\n"
        "  created  2023-11-14 22:12:20\n"
        "  made by  stage data of churn\n"
        "  runs     11112222, 33334444\n"
        f"  commit   {commit}  2023-11-14 22:13:20  Test\n"
        "  tags     v1\n"
        "\n"
        "  column  kind     missing  distinct  min         max         mean\n"
        "  id      integer  0        60        0           59          29.5\n"
        "  age     integer  0        50        20          69          44\n"
        "  plan    text     3        2         free        paid        –\n"
        "  zip     integer  0        9         1           9           5\n"
        "  since   date     0        60        2020-01-01  2024-01-01  –\n"
    )
    shown = json.loads(run("show", "train", "--json").stdout)
    assert (shown["rows"], shown["columns"], shown["current"]) == (80, 5, True)
    assert shown["schema"][0] == {
        "name": "id",
        "kind": "integer",
        "missing": 0,
        "distinct": 80,
        "minimum": 0,
        "maximum": 79,
        "mean": 39.5,
        "deviation": 23.1,
        "histogram": [],
    }


def test_what_nobody_described_is_fetched_described_and_remembered(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.project.git("clone", "--quiet", ".", str(tmp_path / "clone"))
    monkeypatch.chdir(tmp_path / "clone")
    before = made.at(tmp_path / "clone").state()
    digest = old(made, TRAIN)
    result = run("show", "train@v1")
    assert result.stderr == f"data/train.csv {digest[:8]}: fetching 1 file\n"
    assert result.stdout.split("\n\n")[1] == (
        "  column  kind     missing  distinct  min  max  mean\n"
        "  id      integer  0        60        0    59   29.5\n"
        "  age     integer  0        50        20   69   41.1667\n"
    )
    shutil.rmtree(tmp_path / "clone/.dvc/cache")
    again = run("show", "train@v1")
    assert (again.stdout, again.stderr) == (result.stdout, "")
    assert "  60    2  " in run("list", "train").stdout
    assert [line.split() for line in run("diff", "train").stdout.splitlines()[2:4]] == [
        ["rows", "60", "→", "80", "(+20)"],
        ["columns", "2", "→", "2"],
    ]
    assert made.at(tmp_path / "clone").state() == before


def test_what_cannot_be_described_is_shown_all_the_same(made: Made) -> None:
    (made.root / TRAIN).write_bytes(b"a,b\n1,\xff\n")
    made.track(TRAIN)
    md5 = made.md5(TRAIN)
    result = CliRunner().invoke(app, ["show", "train"])
    assert result.stdout.startswith(f"data/train.csv @ {md5[:8]}  (current)\n")
    assert isinstance(result.exception, StageError)
    assert str(result.exception).startswith("data/train.csv: ")
    assert ".dvc/cache" not in str(result.exception)
    made.forget(remote=True)
    result = CliRunner().invoke(app, ["show", "train@v1", "--json"])
    assert json.loads(result.stdout)["size"] == 357
    assert "cannot be had" in str(result.exception)


def test_what_is_known_is_shown_where_nothing_can_be_written(made: Made) -> None:
    shutil.rmtree(made.root / ".mlpipe")
    (made.root / ".mlpipe").write_text("")  # stands for a project that is read-only
    result = CliRunner().invoke(app, ["show", "train"])
    assert f"digest   md5:{made.md5(TRAIN)}\n" in result.stdout
    assert isinstance(result.exception, StageError)
    assert str(result.exception).startswith(f"{made.root}: DVC cannot do this: ")


def test_what_is_notable_between_two_versions_is_marked(noted: Made) -> None:
    new, former = noted.md5(TRAIN)[:8], old(noted, TRAIN)[:8]
    assert run("diff", "train").stdout == (
        f"data/train.csv  {former} → {new}\n"
        "  size     357 B → 477 B\n"
        "  rows     60 → 80  (+20)\n"
        "  columns  5 → 5\n"
        "\n"
        "  !  city�[31m  added                 text\n"
        "  !  zip        removed   integer\n"
        "  !  since      kind      date     →  text\n"
        "     id         distinct  60       →  80\n"
        "  !  id         max       59       →  79\n"
        "  !  id         mean      29.5     →  39.5\n"
        "     age        max       69       →  70\n"
        "     age        mean      44       →  44.5\n"
        "  !  plan       missing   5.0%     →  10.0%\n"
        "  !  plan       distinct  2        →  3\n"
        "     plan       max       paid     →  trial\n"
    )
    found = json.loads(run("diff", "train", "v1", "5555", "--json").stdout)
    assert (found["before"]["rows"], found["after"]["rows"]) == (60, 80)
    assert found["files"] is None
    assert found["columns"]["added"] == [{"column": "city\x1b[31m", "kind": "text"}]
    assert found["columns"]["removed"] == [{"column": "zip", "kind": "integer"}]
    assert found["columns"]["retyped"] == [{"column": "since", "before": "date", "after": "text"}]
    assert found["columns"]["statistics"][1] == {
        "column": "id",
        "statistic": "max",
        "before": 59,
        "after": 79,
        "notable": True,
    }


def test_a_version_does_not_differ_from_itself(noted: Made) -> None:
    new = noted.md5(TRAIN)[:8]
    assert run("diff", "train", "HEAD", "current").stdout == (
        f"data/train.csv  {new} → {new}\n  no differences\n"
    )


def test_folders_differ_by_their_files(made: Made) -> None:
    made.forget()
    result = run("diff", "images")
    new, former = made.md5(IMAGES)[:8], old(made, IMAGES)[:8]
    assert result.stdout == (
        f"data/images  {former} → {new}\n"
        "  size   6 B → 9 B\n"
        "  files  2 → 2\n"
        "\n"
        "  + c/d.txt\n"
        "  - b.txt\n"
        "  ~ a.txt\n"
    )
    assert result.stderr == (
        f"data/images {former}: fetching 1 file\ndata/images {new}: fetching 1 file\n"
    )
    found = json.loads(run("diff", "images", "--json").stdout)
    assert found["files"] == {"added": ["c/d.txt"], "removed": ["b.txt"], "changed": ["a.txt"]}


@pytest.mark.parametrize("label", [TRAIN, IMAGES])
def test_a_version_is_put_in_place_as_git_and_dvc_would(made: Made, label: str) -> None:
    before = made.state()
    result = run("get", f"{label}@v1")
    size = "357 B" if label == TRAIN else "6 B, 2 files"
    assert result.stdout == f"{label}  {old(made, label)[:8]}  {size}\n"
    pointer = (made.root / f"{label}.dvc").read_text()
    assert pointer == made.project.git("show", f"v1:{label}.dvc")
    assert made.clean()
    assert made.project.git("status", "--porcelain") == f" M {label}.dvc\n"
    if label == TRAIN:
        assert (made.root / TRAIN).read_text() == table(60)
    else:
        assert {each.name: each.read_text() for each in (made.root / IMAGES).iterdir()} == {
            "a.txt": "one",
            "b.txt": "two",
        }
    run("get", f"{label}@HEAD")
    assert made.state() == before


def test_what_is_missing_is_pulled_from_the_remote(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.forget()
    monkeypatch.chdir(made.root / "data")
    result = run("get", "train@previous", "--json")
    assert json.loads(result.stdout) == {
        "dataset": TRAIN,
        "digest": f"md5:{old(made, TRAIN)}",
        "path": str(made.root / TRAIN),
    }
    assert result.stderr == f"data/train.csv {old(made, TRAIN)[:8]}: fetching 1 file\n"
    assert (made.root / TRAIN).read_text() == table(60)
    run("get", "train@HEAD")  # what was in place when the cache was empty is not lost
    assert (made.root / TRAIN).read_text() == table(80)


def test_a_damaged_object_is_named_and_fetched_again(made: Made) -> None:
    md5 = old(made, TRAIN)
    stored = made.root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    stored.chmod(0o644)
    stored.write_text("damaged")
    result = run("get", "train@v1")
    assert result.stderr == (
        f"{stored}: is damaged and dropped from DVC's cache\n"
        f"data/train.csv {md5[:8]}: fetching 1 file\n"
    )
    assert (made.root / TRAIN).read_text() == table(60)


def test_what_is_nowhere_is_an_error_that_changes_nothing(made: Made) -> None:
    made.forget(remote=True)
    before = made.state()
    short = old(made, TRAIN)[:8]
    assert fails("get", "train@v1", kind=StageError) == (
        f"data/train.csv: version {short} cannot be had: it is neither in DVC's cache nor,"
        " undamaged, on the remote\n"
        "   Push it from a machine that has it: dvc push --all-commits."
    )
    assert made.state() == before
    with Repo(str(made.root)) as repo, repo.config.edit() as config:
        del config["core"]["remote"], config["remote"]["here"]
    assert fails("get", "images@v1", kind=StageError) == (
        f"data/images: version {old(made, IMAGES)[:8]} is not in DVC's cache, and there is no"
        " remote\n"
        "   Name the remote that it was pushed to: dvc remote add --default NAME URL."
    )


def test_the_remotes_damage_is_no_data(made: Made) -> None:
    made.forget()
    md5 = old(made, TRAIN)
    stored = made.remote / "files/md5" / md5[:2] / md5[2:]
    stored.chmod(0o644)
    stored.write_text("damaged")
    assert "nor, undamaged, on the remote" in fails("get", "train@v1", kind=StageError)
    assert (made.root / TRAIN).read_text() == table(80)
    assert made.md5(TRAIN) != md5


@pytest.mark.parametrize("label", [TRAIN, IMAGES])
def test_what_only_the_place_holds_is_not_lost(made: Made, label: str) -> None:
    made.project.write(TRAIN if label == TRAIN else f"{IMAGES}/new.txt", "mine")
    before = made.state()
    count = "it is" if label == TRAIN else "1 of its files are"
    assert fails("get", f"{label}@v1", kind=StageError) == (
        f"{label}: would be lost: {count} not in DVC's cache\n"
        f"   Keep it with dvc add {label}, or write the version elsewhere: --output PATH."
    )
    assert made.state() == before


def test_a_current_version_that_was_never_committed_can_be_had_again(made: Made) -> None:
    made.write(90, {"a.txt": "one!", "c/d.txt": "three"})
    made.track(TRAIN)
    digest = made.md5(TRAIN)
    run("get", "train@v1")
    assert (made.root / TRAIN).read_text() == table(60)
    run("get", f"train@{digest[:6]}")
    assert (made.root / TRAIN).read_text() == table(90)
    assert made.clean()


def test_a_data_set_whose_pointer_was_deleted_comes_back(made: Made) -> None:
    (made.root / f"{TRAIN}.dvc").unlink()
    (made.root / TRAIN).unlink()
    assert "has no current version: its .dvc file is not there" in fails("get", "train")
    run("get", "train@v1")
    assert (made.root / f"{TRAIN}.dvc").read_text() == made.project.git("show", f"v1:{TRAIN}.dvc")
    assert (made.root / TRAIN).read_text() == table(60)
    assert made.clean()


def test_a_version_is_written_elsewhere_and_nothing_else_changes(
    made: Made, tmp_path: Path
) -> None:
    before = made.state()
    target = tmp_path / "new" / "copy.csv"
    assert run("get", "train@v1", "--output", str(target)).stdout == (
        f"{target}  {old(made, TRAIN)[:8]}  357 B\n"
    )
    assert target.read_text() == table(60)
    run("get", "train@v1", "-o", str(target))  # it is there already
    assert fails("get", "train", "-o", str(target)) == (
        f"{target}: is there already, with other content\n   Name another path, or move it away."
    )
    run("get", "images@v1", "-o", str(tmp_path / "new"))
    assert {each.name for each in (tmp_path / "new").iterdir()} == {"copy.csv", "images"}
    assert (tmp_path / "new/images/b.txt").read_text() == "two"
    assert made.state() == before


def test_a_path_that_cannot_be_written_is_named(made: Made, tmp_path: Path) -> None:
    target = tmp_path / "file" / "copy.csv"
    (tmp_path / "file").write_text("")
    message = fails("get", "train", "-o", str(target), kind=StageError)
    assert message.startswith(f"{target}: cannot be written: ")
    assert message.endswith("\n   Make room there, or name another path.")


def test_it_works_without_git(bare: Made) -> None:
    first = bare.md5(TRAIN)
    note(bare, first, BEFORE, "11112222", T0)
    bare.write(70, {})
    bare.track(TRAIN)
    note(bare, bare.md5(TRAIN), AFTER, "33334444", T0 + 60)
    assert run("list").stdout == (
        "     version   rows  columns  size   created              run       commit\n"
        "data/train.csv\n"
        f"  *  {bare.md5(TRAIN)[:8]}  80    5        417 B  2023-11-14 22:14:20  33334444  –\n"
        f"     {first[:8]}  60    5        1 B    2023-11-14 22:13:20  11112222  –\n"
    )
    run("get", "train@previous")
    assert (bare.root / TRAIN).read_text() == table(60)
    assert bare.clean()


def test_versions_that_dvc_2_wrote_can_be_had(made: Made) -> None:
    label = "old.csv"
    for content in (b"a\n1\n", b"a\r\n2\r\n"):
        md5 = hashlib.md5(content.replace(b"\r\n", b"\n")).hexdigest()
        (made.root / ".dvc/cache" / md5[:2]).mkdir(parents=True)
        (made.root / ".dvc/cache" / md5[:2] / md5[2:]).write_bytes(content)
        made.project.write("old.csv.dvc", f"outs:\n- md5: {md5}\n  size: 4\n  path: {label}\n")
        commit(made, "old", T0 + 7200)
    made.project.write(".gitignore", f"/{label}\n")
    (made.root / label).write_bytes(content)
    pointer = (made.root / "old.csv.dvc").read_text()
    run("get", "old@previous")
    assert (made.root / label).read_bytes() == b"a\n1\n"
    assert made.clean()
    run("get", "old@HEAD")
    assert (made.root / label).read_bytes() == b"a\r\n2\r\n"
    assert (made.root / "old.csv.dvc").read_text() == pointer
    assert "hash" not in pointer


def test_a_version_may_be_named_in_many_ways(noted: Made) -> None:
    former = old(noted, TRAIN)
    names = ("v1", "HEAD~1", "previous", former, f"md5:{former}", former[:4], "11112222", "3333")
    for name in names:
        shown = json.loads(run("show", f"data/train@{name}", "--json").stdout)
        assert shown["digest"] == f"md5:{former}", name


def test_a_name_that_holds_an_at_sign_need_not_be_a_whole_label(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    label = "raw/at @v1/it's.csv"
    made.project.write(label, "a\n1\n")
    made.track(label)
    commit(made, "third", T0 + 7200, tag="v3")
    monkeypatch.chdir((made.root / label).parent)
    for name in ("at @v1/it's", "at @v1/it's@v3", "../at @v1/it's.csv@HEAD@{0}", f"{label}@v3"):
        assert json.loads(run("show", name, "--json").stdout)["dataset"] == label, name
    assert fails("show", "at @v1/it's@v1").startswith(f'{label} has no version "v1"\n')
    assert fails("show", "x@v1/y@v2").startswith('there is no data set "x"\n')


def test_names_that_fit_nothing_or_several_are_answered_with_the_near_ones(noted: Made) -> None:
    new, former = noted.md5(TRAIN)[:8], old(noted, TRAIN)[:8]
    note(noted, made_up := "0" * 32, BEFORE, "11119999", T0 - 600)
    assert fails("show", "trian") == (
        'there is no data set "trian"\n   Near: data/train.csv. See mlpipe data list.'
    )
    known = f"{new}, {former} v1, {made_up[:8]}"
    for name in ("v2", "000", "ffff"):
        assert fails("show", f"train@{name}") == (
            f'data/train.csv has no version "{name}"\n   Its versions: {known}'
        )
    assert fails("get", "train@1111") == (
        f'version "1111" of data/train.csv may be any of: {former} v1, {made_up[:8]}\n'
        "   Give more digits of the one that is meant."
    )
    run("get", "train@v1")
    (noted.root / "more").mkdir()
    (noted.root / "more/train.csv.dvc").write_text(
        f"outs:\n- md5: {'a' * 32}\n  size: 1\n  hash: md5\n  path: train.csv\n"
    )
    assert fails("show", "train") == (
        '"train" may be any of: data/train.csv, more/train.csv\n   Name one of them in full.'
    )


def test_a_project_without_data_sets_says_so(project: Project) -> None:
    result = run("list")
    assert result.stdout == ""
    assert result.stderr == "No data sets. A recipe with a dvc.prepare stage makes them.\n"
    assert json.loads(run("list", "--json").stdout) == []
    assert fails("show", "train") == (
        'there is no data set "train"\n'
        "   The project has none; a recipe with a dvc.prepare stage makes them."
    )


def test_what_cannot_be_read_is_named_and_left_out(made: Made) -> None:
    (made.root / "bad.csv.dvc").write_text("<<<<<<< HEAD\nouts:\n")
    (made.root / "list.csv.dvc").write_text("- 1\n")
    result = run("list", "--json")
    assert [each["dataset"] for each in json.loads(result.stdout)] == [IMAGES, TRAIN]
    bad, _ = result.stderr.splitlines()
    assert bad.startswith("bad.csv.dvc: is left out: is no YAML: ")
    assert "list.csv.dvc: is left out: has no list of outputs (outs)\n" in result.stderr


def test_versions_of_branches_and_merges_are_found(made: Made) -> None:
    made.project.git("checkout", "-q", "-b", "side", "v1")
    made.write(61, {"a.txt": "side"})
    made.track(TRAIN)
    commit(made, "side", T0 + 7200)
    made.project.git("checkout", "-q", "-")
    made.project.git("merge", "-q", "--strategy=ours", "-m", "merge", "side")
    versions = json.loads(run("list", "train", "--json").stdout)[0]["versions"]
    assert [each["size"] for each in versions] == [477, 363, 357]
    assert [each["current"] for each in versions] == [True, False, False]


def test_listing_imports_nothing_heavy(made: Made) -> None:
    code = (
        "import sys\n"
        "from mlpipe.cli.app import run\n"
        "sys.argv = ['mlpipe', 'data', 'list']\n"
        "code = run()\n"
        "heavy = {'dvc', 'duckdb', 'pandas', 'numpy', 'pyarrow'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else code)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == run("list").stdout


def test_help_says_each_command_in_a_line() -> None:
    shown = run("--help").stdout
    for line in (
        "  list  List data sets and their versions; * marks the current ones.\n",
        "  show  Show a version: its origin, its columns and their statistics.\n",
        "  diff  Compare two versions; ! marks what is notable.\n",
        "  get   Check out a version, into its place or to another path.\n",
    ):
        assert line in shown
