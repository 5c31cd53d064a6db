"""Plugins are found, loaded lazily, and quarantined with the cause when they are broken."""

import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from mlpipe.plugins.inspection import Broken
from mlpipe.plugins.manager import PluginManager, UnknownPlugin

HEALTHY = """
from mlpipe import Stage, StageConfig, StageResult, Verb, hookimpl

class ScoreConfig(StageConfig):
    rules: str

@hookimpl
def evaluate(config: ScoreConfig, stage: Stage) -> StageResult:
    return StageResult(metrics={"score": 1.0})

@hookimpl
def register_verbs():
    return [Verb("explain", summary="explain a model")]

@hookimpl
def explain(config: ScoreConfig, stage: Stage) -> StageResult:
    return StageResult()
"""

BROKEN = {
    "import": ("import no_such_module_anywhere", "ModuleNotFoundError"),
    "syntax": ("def broken(:\n", "SyntaxError"),
    "exits": ("import sys\nsys.exit(3)", "SystemExit"),
    "hook": (
        "from mlpipe import hookimpl\n@hookimpl\ndef trian(config, stage): ...\n",
        'unknown hook "trian". Did you mean "train"?',
    ),
    "argument": (
        (
            "from mlpipe import StageConfig, hookimpl\n"
            "@hookimpl\ndef train(config: StageConfig, stages): ...\n"
        ),
        "wrong signature",
    ),
    "annotation": (
        "from mlpipe import hookimpl\n@hookimpl\ndef train(config: 'NoSuchName', stage): ...\n",
        "the annotation of config cannot be resolved",
    ),
    "unannotated": (
        "from mlpipe import hookimpl\n@hookimpl\ndef train(config, stage): ...\n",
        "config has no annotation",
    ),
    "schema": (
        "from mlpipe import hookimpl\n@hookimpl\ndef train(config: dict, stage): ...\n",
        "the annotation of config is no StageConfig",
    ),
    "verb": (
        (
            "from mlpipe import Verb, hookimpl\n@hookimpl\ndef register_verbs():\n"
            "    return [Verb('train')]\n"
        ),
        'register_verbs gave "train", which is a hook of mlpipe\'s own',
    ),
    "observers": (
        (
            "from mlpipe import ObserverConfig, hookimpl\n"
            "class A(ObserverConfig): ...\nclass B(ObserverConfig): ...\n"
            "@hookimpl\ndef run_started(config: A, event, context): ...\n"
            "@hookimpl\ndef run_finished(config: B, event, context): ...\n"
        ),
        "its lifecycle hooks disagree on the schema of config: A, B",
    ),
}


#: Installs a plugin of a name with its code; gives the module's name.
Install = Callable[..., str]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a one-module distribution the way pip leaves it: files and a dist-info folder."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(name: str, code: str, *, requires: str = "", distribution: str = "") -> str:
        module = f"plugin_under_test_{name}"
        (tmp_path / f"{module}.py").write_text(code)
        info = tmp_path / f"{(distribution or module)}-1.2.dist-info"
        info.mkdir()
        dependency = f"Requires-Dist: {requires}\n" if requires else ""
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution or module}\nVersion: 1.2\n{dependency}"
        )
        (info / "entry_points.txt").write_text(f"[mlpipe]\n{name} = {module}\n")
        return module

    return install


def test_a_healthy_plugin_serves_its_verbs(install: Install) -> None:
    install("acme", HEALTHY)
    plugin = PluginManager.discover().get("acme")
    assert plugin.cause is None
    assert (plugin.version, list(plugin.verbs())) == ("1.2", ["evaluate", "explain"])
    assert list(plugin.config_type("explain").model_fields) == ["rules"]


def test_only_named_plugins_are_imported(install: Install) -> None:
    module = install("lazy", HEALTHY)
    manager = PluginManager.discover()
    assert "lazy" in manager.names()
    manager.get("shell")
    assert module not in sys.modules
    manager.get("lazy")
    assert module in sys.modules


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_is_quarantined_with_its_cause(install: Install, case: str) -> None:
    code, cause = BROKEN[case]
    install(case, code)
    install("acme", HEALTHY)
    manager = PluginManager.discover()
    broken = manager.get(case)
    assert cause in str(broken.cause)
    assert manager.get("acme").cause is None
    with pytest.raises(Broken, match="is quarantined"):
        broken.hooks()


def test_the_cause_of_a_failed_import_names_file_and_line(install: Install) -> None:
    module = install("late", "x = 1\ny = {}\ny['missing']\n")
    cause = PluginManager.discover().get("late").cause
    assert cause is not None
    assert "KeyError: 'missing'" in cause
    assert f"{module}.py:3)" in cause


def test_an_unmet_dependency_is_named(install: Install) -> None:
    install("needy", HEALTHY, requires="no-such-distribution>=2")
    cause = PluginManager.discover().get("needy").cause
    assert cause == "unmet dependency: no-such-distribution>=2 is not installed"


def test_a_too_old_dependency_is_named(install: Install) -> None:
    install("needy2", HEALTHY, requires="pluggy>=1000")
    found = metadata.version("pluggy")
    cause = PluginManager.discover().get("needy2").cause
    assert cause == f"unmet dependency: pluggy>=1000 is wanted, {found} is installed"


def test_a_name_taken_twice_is_quarantined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    for distribution in ("first", "second"):
        info = tmp_path / f"{distribution}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1\n")
        (info / "entry_points.txt").write_text("[mlpipe]\ntwice = some_module\n")
    cause = PluginManager.discover().get("twice").cause
    assert cause == 'the name "twice" is taken twice, by first and second'


def test_an_unknown_plugin_raises() -> None:
    with pytest.raises(UnknownPlugin):
        PluginManager.discover().get("no-such-plugin")


def test_built_in_plugins_serve_every_verb() -> None:
    manager = PluginManager([])
    assert manager.names() == ["python", "shell"]
    for name in manager.names():
        plugin = manager.get(name)
        assert plugin.serves_all
        assert "tune" in plugin.verbs()
