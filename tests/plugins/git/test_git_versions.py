"""Semantic versions, from tags and messages."""

import pytest

from mlpipe_git.versions import bumped
from tests.plugins.git.git_projects import Project, Repo


@pytest.mark.parametrize(
    ("before", "messages", "after"),
    [
        ((1, 2, 3), ["Tidy up"], (1, 2, 4)),
        ((1, 2, 3), ["fix: a", "docs: b"], (1, 2, 4)),
        ((1, 2, 3), ["fix: a", "feat: b", ""], (1, 3, 0)),
        ((1, 2, 3), ["feat(api): b"], (1, 3, 0)),
        ((1, 2, 3), ["feature: this is no feat"], (1, 2, 4)),
        ((1, 2, 3), ["feat(api)!: b"], (2, 0, 0)),
        ((1, 2, 3), ["fix: a\n\nBREAKING CHANGE: other columns"], (2, 0, 0)),
        ((1, 2, 3), ["fix: a\n\nno BREAKING CHANGE: here"], (1, 2, 4)),
        ((0, 2, 3), ["refactor!: b"], (0, 3, 0)),
        ((0, 2, 3), ["feat: b"], (0, 3, 0)),
    ],
)
def test_what_changed_says_which_number_grows(
    before: tuple[int, int, int], messages: list[str], after: tuple[int, int, int]
) -> None:
    assert bumped(before, messages) == after


def test_only_versions_are_counted_from(project: Project, repo: Repo) -> None:
    repo.tag("v9.9")
    repo.tag("v2.0.0-rc.1")
    repo.tag("release-3.0.0")
    made = project.checkout(repository=str(repo.path))
    assert (made.values["tag"], made.values["version"]) == ("", "1.1.0")


def test_a_version_on_another_branch_is_none_of_this_one(project: Project, repo: Repo) -> None:
    repo.git("switch", "--quiet", "-c", "other")
    repo.commit("Elsewhere")
    repo.tag("v7.0.0")
    assert project.checkout(repository=str(repo.path), ref="main").values["version"] == "1.1.0"


def test_before_any_tag_it_is_the_first(project: Project, repo: Repo) -> None:
    repo.git("tag", "-d", "v1.0.0", "v1.0.1")
    assert project.checkout(repository=str(repo.path)).values["version"] == "0.1.0"
