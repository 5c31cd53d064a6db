"""Loading a recipe's text in an empty project, with the built-in plugins alone."""

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlpipe.plugins.manager import PluginManager
from mlpipe.recipe.load import LoadedRecipe, load
from mlpipe.recipe.problems import RecipeError

Load = Callable[..., LoadedRecipe]


@pytest.fixture
def load_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Give a function that loads a recipe ``r.yaml`` with some text."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".mlpipe").mkdir()
    (tmp_path / "steps.py").write_text("def make(out): ...\n\ndef fit(data, model): ...\n")

    def load_text(text: str | bytes, **options: Any) -> LoadedRecipe:
        path = tmp_path / "r.yaml"
        if isinstance(text, bytes):
            path.write_bytes(text)
        else:
            path.write_text(textwrap.dedent(text).lstrip("\n"))
        return load(Path("r.yaml"), plugins=PluginManager([]), environ={"HOME": "/h"}, **options)

    return load_text


@pytest.fixture
def problems(load_text: Load) -> Callable[..., str]:
    """Give a function that loads a recipe that must have problems, and renders them."""

    def problems(text: str | bytes, **options: Any) -> str:
        with pytest.raises(RecipeError) as caught:
            load_text(text, **options)
        return str(caught.value)

    return problems
