"""``extends:``: one recipe laid over another, positions kept."""

from pathlib import Path

from yaml.nodes import ScalarNode

from mlpipe.recipe.problems import Problem, RecipeError, nearest
from mlpipe.recipe.project import is_file
from mlpipe.recipe.yamltree import Tree, build, merge, pairs, read

_MAX_CHAIN = 20


def read_extended(path: Path) -> tuple[Tree, list[Problem]]:
    """Read a recipe and those it extends; give the whole, and what is wrong within one file.

    Raises:
        RecipeError: A file cannot be read, or they extend each other.
    """
    trees = [read(path)]
    files = [path]
    while (parent := _parent(trees[-1])) is not None:
        other = files[-1].parent / parent
        _check(trees[-1], other, parent, files)
        files.append(other)
        trees.append(read(other))
    if len(trees) == 1:
        return trees[0], []
    problems = [problem for tree in trees for problem in build(tree)[1]]
    whole = trees.pop()
    while trees:
        whole = merge(whole, trees.pop())
    return whole, problems


def _parent(tree: Tree) -> str | None:
    for key, value in pairs(tree.root):
        if key.value == "extends" and isinstance(value, ScalarNode) and value.tag.endswith(":str"):
            return str(value.value)
    return None


def _check(tree: Tree, other: Path, parent: str, files: list[Path]) -> None:
    if "${" in parent:
        message = "is read before parameters are known"
        raise RecipeError([tree.problem(("extends",), message, "Write the recipe's path.")])
    if not is_file(other):
        near = [each.name for each in sorted(other.parent.glob("*.y*ml"))]
        hint = nearest(other.name, near)
        raise RecipeError([tree.problem(("extends",), f'there is no recipe "{parent}"', hint)])
    if any(other.samefile(each) for each in files):
        names = " → ".join(each.name for each in (*files, other))
        raise RecipeError([tree.problem(("extends",), f"recipes extend each other: {names}")])
    if len(files) > _MAX_CHAIN:
        message = f"more than {_MAX_CHAIN} recipes extend each other"
        raise RecipeError([tree.problem(("extends",), message)])
