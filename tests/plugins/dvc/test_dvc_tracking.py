"""What is left in the repository is what DVC itself would have left, and nobody's data is lost."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import dvc.api
import pytest
from dvc.repo import Repo

from mlpipe.errors import StageError
from mlpipe_dvc.tracking.values import Made, Tracked
from mlpipe_dvc.tracking.versioning import version

if TYPE_CHECKING:
    from tests.plugins.dvc.conftest import Project

UNCHANGED: tuple[object, object] = ({}, {})

#: Names and bytes of all sorts; a text is a file, a table is a folder.
Tree = Mapping[str, "bytes | Tree"]
DATA: dict[str, bytes | Tree] = {
    "train.csv": b"id,label\n1,0\n2,1\n",
    "empty.csv": b"",
    "große Zahlen: 1.csv": b"x\n1\n",
    "- dash, 'quote' \"double\" #hash.csv": b"x\n2\n",
    "0123": b"a name that YAML could take for a number\n",
    "yes": b"a name that YAML could take for a truth value\n",
    "images": {
        "cats": {"1.jpg": b"\xff\xd8one", "2.jpg": b"\xff\xd8two", "größer.jpg": b"\xff\xd8three"},
        "dogs": {"1.jpg": b"\xff\xd8one", "deep": {"er": {"x.jpg": b"x"}}, ".hidden": b""},
        "日本.jpg": b"j",
        "z a.jpg": b"space",
    },
}


def write(folder: Path, tree: Tree) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in tree.items():
        if isinstance(content, bytes):
            (folder / name).write_bytes(content)
        else:
            write(folder / name, content)


def track(
    project: Project, tree: Tree, *, remote: str | None = None, patience: float = 30.0
) -> list[Tracked]:
    """Track each file and folder of a tree below data/."""
    scratch = project.root / ".mlpipe/scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    write(scratch, tree)
    made = [Made(scratch / name, project.root / "data" / name, f"data/{name}") for name in tree]
    return version(made, project.root, project.root / ".mlpipe", remote, patience)


def status(project: Project) -> tuple[object, object]:
    """What DVC says has changed: in the project, and beside the remote."""
    with Repo(str(project.root)) as repo:
        return repo.status(), repo.status(cloud=True)


def init(project: Project, *, git: bool = True, way: str = "") -> None:
    """Make a repository as DVC does."""
    with Repo.init(str(project.root), no_scm=not git) as repo, repo.config.edit() as config:
        config["core"]["analytics"] = False
        if way:
            config["cache"]["type"] = way.split(",")


def add(project: Project, tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a tree below data/ and track it as ``dvc add`` does."""
    shutil.rmtree(project.root / "data/images", ignore_errors=True)
    for name, content in tree.items():
        if isinstance(content, bytes):
            (project.root / "data" / name).unlink(missing_ok=True)
    write(project.root / "data", tree)
    with monkeypatch.context() as inside, Repo(str(project.root)) as repo:
        inside.chdir(project.root)
        repo.add([f"data/{name}" for name in tree])


def everything(folder: Path) -> dict[str, tuple[str, str, bytes]]:
    """All that DVC keeps: modes and bytes in the cache and the project, and what is linked."""
    kept: dict[str, tuple[str, str, bytes]] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name.startswith((".git/", ".mlpipe", ".dvc/tmp", ".dvc/config")):
            continue
        status = path.lstat()
        mode = stat.filemode(status.st_mode)
        if path.is_symlink():
            kept[name] = (mode, path.readlink().name, b"")
        elif path.is_file():
            links = "same file" if status.st_nlink > 1 else ""
            kept[name] = (mode, links, path.read_bytes())
        else:
            kept[name] = (mode, "", b"")
    return kept


# -- as DVC would have done it -------------------------------------------------------------


@pytest.mark.parametrize(
    ("way", "git"),
    [("", True), ("", False), ("copy", True), ("hardlink", False), ("symlink", True)],
)
def test_the_repository_is_byte_for_byte_as_dvc_leaves_it(
    bare_project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, git: bool
) -> None:
    ours, theirs = bare_project, bare_project.at(tmp_path / "theirs")
    (ours.root / "rows.csv").unlink()
    for project in (ours, theirs):
        project.root.mkdir(exist_ok=True)
        if git:
            project.git("init", "--quiet")
        init(project, git=git, way=way)
        project.write(".mlpipe/.gitignore", "*\n")
    old = {**DATA, "images": {"cats": DATA["images"], "old.jpg": b"old"}, "train.csv": b"old\n"}
    for tree in (old, DATA, DATA):
        track(ours, tree)
        add(theirs, tree, monkeypatch)
        assert everything(ours.root) == everything(theirs.root)
    assert status(ours) == UNCHANGED


def test_a_clone_pulls_the_same_bytes_and_old_versions_can_be_read(
    project: Project, tmp_path: Path
) -> None:
    track(project, {"a.csv": b"old\n", "images": {"1.jpg": b"old"}}, remote="../shared")
    first = project.commit("first")
    track(project, {"a.csv": b"new\n", "images": {"2.jpg": b"new"}})
    project.commit("second")
    project.git("clone", "--quiet", str(project.root), str(tmp_path / "clone"))
    clone = project.at(tmp_path / "clone")
    clone.dvc("pull", "--quiet")
    assert (clone.root / "data/a.csv").read_bytes() == b"new\n"
    assert [path.name for path in (clone.root / "data/images").iterdir()] == ["2.jpg"]
    with dvc.api.open("data/a.csv", repo=str(project.root), rev=first) as stream:
        assert stream.read() == "old\n"
    assert dvc.api.read("data/images/1.jpg", repo=str(project.root), rev=first) == "old"


def test_digests_are_dvcs(project: Project) -> None:
    file, folder = track(project, {"a.csv": b"x\n", "images": {"1.jpg": b"1", "b": {"2": b"22"}}})
    assert file == Tracked("data/a.csv", "md5:401b30e3b8b5d629635a5c613cdb7919", 2, 1)
    recorded = (project.root / "data/images.dvc").read_text()
    assert f"md5: {folder.digest.removeprefix('md5:')}\n" in recorded
    assert (folder.size, folder.files) == (3, 2)
    assert folder.digest.endswith(".dir")


def test_an_executable_file_stays_one(project: Project) -> None:
    scratch = project.write(".mlpipe/run.sh", "#!/bin/sh\n")
    scratch.chmod(0o755)
    version(
        [Made(scratch, project.root / "run.sh", "run.sh")], project.root, project.root / ".mlpipe"
    )
    assert os.access(project.root / "run.sh", os.X_OK)
    assert "isexec: true" in (project.root / "run.sh.dvc").read_text()
    assert status(project) == UNCHANGED


def test_what_users_wrote_into_a_dvc_file_is_kept(project: Project) -> None:
    track(project, {"a.csv": b"old\n"})
    file = project.root / "data/a.csv.dvc"
    file.write_text(
        "# the team's\n" + file.read_text() + "  desc: rows of 2026 # all\nmeta: {owner: me}\n"
    )
    track(project, {"a.csv": b"new\n"})
    text = file.read_text()
    assert text.startswith("# the team's\nouts:\n- md5: ")
    assert text.endswith("  desc: rows of 2026 # all\nmeta: {owner: me}\n")
    assert status(project) == UNCHANGED


def test_what_dvcignore_names_is_neither_tracked_nor_minded(project: Project) -> None:
    project.write(".dvcignore", "*.bak\n")
    (only,) = track(project, {"images": {"1.jpg": b"1", "1.bak": b"0"}})
    assert only.files == 1
    project.write("data/images/mine.bak", "mine")
    track(project, {"images": {"2.jpg": b"2"}})
    assert sorted(path.name for path in (project.root / "data/images").iterdir()) == [
        "2.jpg",
        "mine.bak",
    ]
    assert status(project) == UNCHANGED


# -- folders ---------------------------------------------------------------------------------


def links_to(project: Project, files: Mapping[str, Path]) -> Made:
    return Made(project.root / "unused", project.root / "data/images", "data/images", files)


def test_files_can_be_taken_from_where_they_are(project: Project) -> None:
    source = project.write("raw/a.jpg", "same bytes")
    empty = project.write("raw/b.jpg", "")
    made = links_to(project, {"x/1.jpg": source, "x/2.jpg": source, "3.jpg": empty})
    version([made], project.root, project.root / ".mlpipe")
    assert (project.root / "data/images/x/1.jpg").read_text() == "same bytes"
    assert (source.read_text(), source.stat().st_nlink) == ("same bytes", 1)
    assert stat.S_IMODE(source.stat().st_mode) == 0o644
    assert status(project) == UNCHANGED


@pytest.mark.parametrize("way", ["hardlink", "symlink"])
def test_files_of_others_are_never_linked_to(project: Project, way: str) -> None:
    init(project, way=way)
    source = project.write("raw/a.jpg", "theirs")
    version([links_to(project, {"1.jpg": source})], project.root, project.root / ".mlpipe")
    source.write_text("edited later")
    assert (project.root / "data/images/1.jpg").read_text() == "theirs"
    assert status(project) == UNCHANGED


def test_only_what_changed_is_replaced(project: Project) -> None:
    track(project, {"images": {"same": b"1", "edit": b"2", "gone": {"x": b"3"}}})
    folder = project.root / "data/images"
    before = (folder / "same").stat()
    track(project, {"images": {"same": b"1", "edit": b"22", "new": {"y": b"4"}}})
    after = (folder / "same").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*")) == [
        "edit",
        "new",
        "new/y",
        "same",
    ]
    assert status(project) == UNCHANGED


def test_a_file_can_become_a_folder_and_a_folder_a_file(project: Project) -> None:
    track(project, {"images": {"a": b"file", "b": {"c": b"1", "d": {"e": b"2"}}}})
    track(project, {"images": {"a": {"x": b"3"}, "b": b"file"}})
    assert (project.root / "data/images/a/x").read_bytes() == b"3"
    assert (project.root / "data/images/b").read_bytes() == b"file"
    assert status(project) == UNCHANGED


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("same", r"data/images/same: was edited after DVC recorded it"),
        ("gone", r"data/images/gone: was edited after DVC recorded it"),
        ("mine", r"data/images/mine: is in a folder that DVC tracks, and DVC has not recorded it"),
    ],
)
def test_nothing_in_a_tracked_folder_is_lost(project: Project, path: str, what: str) -> None:
    track(project, {"images": {"same": b"1", "gone": b"2"}})
    mine = project.write(f"data/images/{path}", "mine")
    with pytest.raises(StageError, match=what):
        track(project, {"images": {"same": b"1", "new": b"3"}})
    assert mine.read_text() == "mine"
    assert not (project.root / "data/images/new").exists()


def test_an_untracked_folder_is_not_touched(project: Project) -> None:
    mine = project.write("data/images/1.jpg", "mine")
    with pytest.raises(StageError, match=r"data/images/1\.jpg: is there already, with other"):
        track(project, {"images": {"1.jpg": b"other"}})
    assert mine.read_text() == "mine"
    mine.write_text("other")
    track(project, {"images": {"1.jpg": b"other"}})
    assert status(project) == UNCHANGED


def test_a_folder_around_something_that_dvc_tracks_is_refused(project: Project) -> None:
    track(project, {"images": {"1.jpg": b"1"}})
    scratch = project.write(".mlpipe/new/x", "x").parent
    made = Made(scratch, project.root / "data", "data")
    with pytest.raises(StageError, match="cannot be tracked as one whole, for DVC tracks images"):
        version([made], project.root, project.root / ".mlpipe")


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda folder: (folder / "x").symlink_to("nowhere"), r"data/images/x: cannot be read: No"),
        (lambda folder: os.mkfifo(folder / "x"), r"data/images/x: is no file"),
        (lambda folder: (folder / ".dvcignore").write_text(""), "does not allow a .dvcignore"),
        (lambda folder: (folder / "1").unlink(), "data/images: holds no files"),
    ],
)
def test_a_folder_that_dvc_cannot_track_is_refused(project, make, what: str) -> None:  # type: ignore[no-untyped-def]
    folder = project.write(".mlpipe/made/1", "1").parent
    make(folder)
    with pytest.raises(StageError, match=what):
        version(
            [Made(folder, project.root / "data/images", "data/images")],
            project.root,
            project.root / ".mlpipe",
        )
    assert not (project.root / "data").exists()


# -- the cache -------------------------------------------------------------------------------


def damage(path: Path, text: bytes = b"damaged") -> None:
    path.chmod(0o644)
    path.write_bytes(text)
    path.chmod(0o444)


def objects(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("files/md5/*/*") if path.is_file())


@pytest.mark.parametrize("which", ["member", "listing"])
def test_a_corrupt_object_is_named_and_stored_anew(
    project: Project, capsys: pytest.CaptureFixture[str], which: str
) -> None:
    tree = {"images": {"1.jpg": b"one", "2.jpg": b"two"}}
    track(project, tree)
    cache = objects(project.root / ".dvc/cache")
    victim = next(each for each in cache if each.name.endswith(".dir") == (which == "listing"))
    damage(victim)
    capsys.readouterr()
    track(project, tree)
    said = capsys.readouterr().out
    assert f"held other bytes as {victim.parent.name}/{victim.name} (data/images" in said
    assert b"damaged" not in victim.read_bytes()
    assert stat.S_IMODE(victim.stat().st_mode) == 0o444


def test_a_lost_listing_is_fetched_from_the_remote(project: Project) -> None:
    track(project, {"images": {"1.jpg": b"one"}})
    (listing,) = project.root.glob(".dvc/cache/files/md5/*/*.dir")
    listing.unlink()
    track(project, {"images": {"1.jpg": b"two"}})
    assert (project.root / "data/images/1.jpg").read_bytes() == b"two"
    assert listing.is_file()


def test_without_any_listing_a_folder_is_not_touched(project: Project) -> None:
    track(project, {"images": {"1.jpg": b"one"}})
    for lost in project.root.rglob("*.dir"):
        lost.unlink()
    with pytest.raises(StageError, match="neither in its cache nor in the remote"):
        track(project, {"images": {"1.jpg": b"two"}})
    assert (project.root / "data/images/1.jpg").read_bytes() == b"one"


def test_an_edit_that_went_through_a_link_is_told_and_the_cache_mended(project: Project) -> None:
    init(project, way="hardlink")
    track(project, {"a.csv": b"recorded\n"})
    damage(project.root / "data/a.csv", b"edited\n")
    with pytest.raises(StageError, match="so was its copy in DVC's cache, which was fetched again"):
        track(project, {"a.csv": b"new\n"})
    assert (project.root / "data/a.csv").read_bytes() == b"edited\n"
    project.dvc("checkout", "--quiet", "--force", "data/a.csv.dvc")
    assert (project.root / "data/a.csv").read_bytes() == b"recorded\n"


def test_where_all_copies_are_corrupt_it_is_said(project: Project) -> None:
    init(project, way="hardlink")
    track(project, {"a.csv": b"recorded\n"})
    damage(project.root / "data/a.csv")
    damage(objects(project.root / ".mlpipe/dvc/remote")[0])
    with pytest.raises(StageError, match="has lost what was recorded, as has the remote"):
        track(project, {"a.csv": b"new\n"})


# -- full disks ------------------------------------------------------------------------------


@pytest.mark.parametrize("megabytes", [1, 3])
def test_a_full_disk_leaves_nothing_half_written_tracked(project: Project, megabytes: int) -> None:
    """A limit on the size of files stands for the full disk: both stop a write half-way."""
    track(project, {"a.csv": b"old\n", "images": {"1.jpg": b"old"}})
    scratch = project.root / ".mlpipe/scratch"
    write(scratch, {"a.csv": b"x" * 2_000_000, "images": {"1.jpg": b"y" * 4_000_000}})
    code = (
        "import resource, signal, sys; from pathlib import Path;"
        "from mlpipe_dvc.tracking.values import Made;"
        "from mlpipe_dvc.tracking.versioning import version;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({megabytes} * 1_000_000,) * 2);"
        "root = Path.cwd(); scratch = root / '.mlpipe/scratch';"
        "version([Made(scratch / n, root / 'data' / n, f'data/{n}') for n in ('a.csv', 'images')],"
        " root, root / '.mlpipe')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "StageError" in done.stderr
    assert "File too large" in done.stderr
    assert status(project) == UNCHANGED
    assert (project.root / "data/a.csv").read_bytes() == b"old\n"
    assert not list(project.root.rglob("*mlpipe*tmp"))
    track(project, {"a.csv": b"x" * 2_000_000, "images": {"1.jpg": b"y" * 4_000_000}})
    assert status(project) == UNCHANGED


# -- killed runs -----------------------------------------------------------------------------

#: Tracks ever new data in forked children, each killed before another of its system calls that
#: Python tells its audit hooks of; after each, DVC must work, and a whole run must succeed.
KILLER = """
import os, shutil, signal, sys
from pathlib import Path
from dvc.repo import Repo
from mlpipe_dvc.tracking.values import Made
from mlpipe_dvc.tracking.versioning import version

CALLS = {"open", "os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.chmod", "os.utime",
         "os.link", "os.symlink", "sqlite3.connect", "fcntl.flock", "os.scandir"}
root = Path.cwd()
remote = str(root.parent / "shared")

def track(word):
    made = root / ".mlpipe" / "made"
    shutil.rmtree(made, ignore_errors=True)
    (made / "images" / "deep").mkdir(parents=True)
    (made / "a.csv").write_text(f"{word}\\n")
    (made / "images" / f"of {word}").write_text("new name")
    (made / "images" / "deep" / "same name").write_text(word)
    (made / "images" / "same").write_text("same")
    version([Made(made / name, root / "data" / name, f"data/{name}") for name in os.listdir(made)],
            root, root / ".mlpipe", remote)

def until(limit, word):
    count = 0
    def hook(event, arguments):
        nonlocal count
        if event in CALLS:
            count += 1
            if count > limit:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)
    track(word)

def check(word):
    with Repo(str(root)) as repo:
        repo.status()
    track(word)
    with Repo(str(root)) as repo:
        assert (repo.status(), repo.status(cloud=True)) == ({}, {})
    names = sorted(path.name for path in (root / "data").iterdir())
    assert [name for name in names if name != ".gitignore"] == [
        "a.csv", "a.csv.dvc", "images", "images.dvc"], names

def forked(act, *arguments):
    child = os.fork()
    if not child:
        try:
            act(*arguments)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

track("warm"), track("warmer")
points, limit = 0, int(sys.argv[1])
while (code := forked(until, limit, f"killed {limit}")) == -signal.SIGKILL:
    assert forked(check, f"checked {limit}") == 0, limit
    points, limit = points + 1, limit + int(sys.argv[2])
assert code == 0, code
print(points)
"""


@pytest.mark.parametrize("way", ["copy", "hardlink"])
def test_a_run_that_is_killed_at_any_point_can_be_gone_on_from(project: Project, way: str) -> None:
    init(project, way=way)
    done = subprocess.run(
        [sys.executable, "-c", KILLER, "1" if way == "copy" else "8", "15"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout.splitlines()[-1]) >= 10
