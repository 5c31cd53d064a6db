"""Loading a recipe's text in an empty project, with the built-in plugins and one of its own."""

import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import pytest
from pydantic import field_validator

from mlpipe import (
    Declares,
    Event,
    InputFile,
    ObserverConfig,
    OutputPath,
    Script,
    SecretName,
    Stage,
    StageConfig,
    StageResult,
    hookimpl,
)
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
        options = {"plugins": PluginManager([]), "environ": {"HOME": "/h"}, **options}
        return load(Path("r.yaml"), **options)

    return load_text


class AcmeConfig(StageConfig):
    """Settings with a field of every role.

    Attributes:
        script: A program.
        depth: A number.
    """

    script: Script | None = None
    table: InputFile | None = None
    output: OutputPath | None = None
    token: SecretName | None = None
    depth: int = 1
    method: Literal["random", "stratified"] = "random"
    even: int = 0

    @field_validator("even")
    @classmethod
    def _even(cls, value: int) -> int:
        if value == 13:
            raise KeyError(value)  # no ValueError: a fault of the validator's
        if value % 2:
            raise AssertionError("should be even")
        return value

    def declares(self, inputs: Mapping[str, str]) -> Declares:
        """Say what there will be, or fail as a faulty plugin does."""
        if self.depth == 13:
            raise KeyError("thirteen")
        return Declares(outputs=("model",), metrics=("accuracy",), values=("rows",))


class ChannelConfig(ObserverConfig):
    """Settings of the plugin as an observer."""

    channel: str = "general"


def _acme() -> ModuleType:
    module = ModuleType("acme")

    def train(config: AcmeConfig, stage: Stage) -> StageResult:
        raise AssertionError("recipes are loaded, not run")

    def run_finished(config: ChannelConfig, event: Event) -> None:
        raise AssertionError("recipes are loaded, not run")

    vars(module).update(train=hookimpl(train), run_finished=hookimpl(run_finished))
    return module


@pytest.fixture(scope="session")
def acme() -> PluginManager:
    """Give the built-in plugins, and ``acme``, whose settings have every role."""
    manager = PluginManager([])
    assert manager.register("acme", _acme()).cause is None
    return manager


@pytest.fixture
def problems(load_text: Load) -> Callable[..., str]:
    """Give a function that loads a recipe that must have problems, and renders them."""

    def problems(text: str | bytes, **options: Any) -> str:
        with pytest.raises(RecipeError) as caught:
            load_text(text, **options)
        return str(caught.value)

    return problems


@pytest.fixture
def whole(problems: Callable[..., str]) -> Callable[..., None]:
    """Give a function that compares all that is said of a recipe with what is expected."""

    def whole(text: str, expected: str, **options: Any) -> None:
        lines = textwrap.dedent(expected).strip("\n").splitlines()
        count = sum(".yaml:" in line.partition(" ")[0] for line in lines)
        total = f"{count} problem{'' if count == 1 else 's'}. Nothing was run."
        assert problems(text, **options) == "\n".join([*lines, total])

    return whole
