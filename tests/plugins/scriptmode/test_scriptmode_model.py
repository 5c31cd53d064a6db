"""Loading a model's script and answering requests as SageMaker's containers do."""

import json
import sys
import textwrap
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

import mlpipe_scriptmode
from mlpipe_scriptmode import BadPayload, Model, ModelFailure, UnsupportedContentType

SUM = """
    class Sum:
        def predict(self, rows):
            if rows.shape[1] != 2:
                raise ValueError(f"X has {rows.shape[1]} features, but Sum is expecting 2")
            return rows.sum(axis=1)

    def model_fn(folder):
        return Sum()
"""


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    """Pack a model of scripts and unpack it; the first script is the program."""

    def made(name: str, files: Mapping[str, str]) -> Path:
        folder = tmp_path / name
        (folder / "model").mkdir(parents=True)
        (folder / "model" / "name.txt").write_text(name)
        sources = {}
        for path, text in files.items():
            source = folder / "src" / path
            source.parent.mkdir(parents=True, exist_ok=True)
            source.write_text(textwrap.dedent(text))
            sources[path] = source
        archive = folder / "model.tar.gz"
        mlpipe_scriptmode.pack(folder / "model", sources, next(iter(files)), archive)
        return mlpipe_scriptmode.unpack(archive, folder / "unpacked")

    return made


@pytest.fixture
def load(make: Callable[..., Path]) -> Callable[[str], Model]:
    return lambda script: mlpipe_scriptmode.load(make("model", {"train.py": script}))


def test_defaults_answer_in_every_type(load: Callable[[str], Model]) -> None:
    model = load(SUM)
    assert model.invoke(b"[[1, 2], [3, 4]]", "application/json", "application/json") == (
        b"[3, 7]",
        "application/json",
    )
    assert model.invoke(b"1,2\n3,4", "text/csv", "text/csv") == (b"3.0\n7.0\n", "text/csv")
    assert model.invoke(b"[1, 2]", "", "") == (b"[3]", "application/json")
    np.testing.assert_array_equal(model.predict(np.array([[1, 2]])), [3])


def test_model_fn_is_given_the_models_folder(make: Callable[..., Path]) -> None:
    script = """
        from pathlib import Path
        def model_fn(model_dir):
            assert isinstance(model_dir, str)
            return Path(model_dir, "name.txt").read_text()
        def predict_fn(rows, model):
            return model
    """
    model = mlpipe_scriptmode.load(make("red", {"train.py": script}))
    assert model.predict(None) == "red"


def test_scripts_functions_are_called_as_sagemaker_does(load: Callable[[str], Model]) -> None:
    model = load("""
        def model_fn(model_dir): return "model"
        def input_fn(body, content_type): return ["input", body, content_type]
        def predict_fn(data, model): return [*data, "predict", model]
        def output_fn(prediction, accept):
            return repr([*prediction, "output", accept]), "text/x-called"
    """)
    body, kind = model.invoke(b"a,b", "text/csv", "text/plain")
    called = ["input", "a,b", "text/csv", "predict", "model", "output", "text/plain"]
    assert (body.decode(), kind) == (repr(called), "text/x-called")


def test_transform_fn_replaces_all_three(load: Callable[[str], Model]) -> None:
    model = load("""
        def model_fn(model_dir): return "model"
        def transform_fn(model, body, content_type, accept):
            return repr((model, body, content_type, accept)), accept
    """)
    body, kind = model.invoke(b"{}", "application/json", "text/plain")
    assert body.decode() == "('model', '{}', 'application/json', 'text/plain')"
    assert kind == "text/plain"


def test_transform_fn_beside_another_is_refused(load: Callable[[str], Model]) -> None:
    with pytest.raises(ModelFailure, match="transform_fn and predict_fn"):
        load("""
            def model_fn(model_dir): ...
            def transform_fn(model, body, content_type, accept): ...
            def predict_fn(data, model): ...
        """)


@pytest.mark.parametrize(
    ("content_type", "given"),
    [
        ("application/json", "str"),
        ("text/csv", "str"),
        ("text/csv; charset=utf-8", "str"),
        ("application/x-npy", "bytes"),
        ("image/png", "bytes"),
    ],
)
def test_input_fn_is_given_text_or_bytes_as_on_sagemaker(
    content_type: str, given: str, load: Callable[[str], Model]
) -> None:
    model = load("""
        def model_fn(model_dir): ...
        def input_fn(body, content_type): return type(body).__name__
        def predict_fn(data, model): return data
    """)
    assert json.loads(model.invoke(b"1", content_type, "")[0]) == given


@pytest.mark.parametrize("accept", ["", "*/*"])
def test_output_fn_is_never_asked_for_any_type(accept: str, load: Callable[[str], Model]) -> None:
    model = load("""
        def model_fn(model_dir): ...
        def predict_fn(data, model): ...
        def output_fn(prediction, accept): return "{}"
    """)
    assert model.invoke(b"[1]", "", accept) == (b"{}", "application/json")


def test_functions_that_take_sagemakers_context_are_called(load: Callable[[str], Model]) -> None:
    model = load("""
        def model_fn(model_dir, context): return "model"
        def predict_fn(data, model, context): return [model, context]
    """)
    assert model.predict(None) == ["model", None]


def test_defaults_of_a_scripts_functions_are_its_own(load: Callable[[str], Model]) -> None:
    model = load("""
        def model_fn(model_dir, name="model"): return name
        def predict_fn(data, model, threshold=0.5): return [model, threshold]
    """)
    assert model.predict(None) == ["model", 0.5]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("x = 1", "train.py defines no model_fn"),
        ("model_fn = 3", "train.py defines no model_fn"),
        ("def model_fn(:", "SyntaxError"),
        ("import nowhere_to_be_found", "nowhere_to_be_found"),
        ("import sys; sys.exit(4)", "SystemExit: 4"),
        ("def model_fn(folder): raise OSError('no weights')", "model_fn of train.py failed: OSErr"),
        ("def model_fn(folder): raise SystemExit(3)", "model_fn of train.py failed: SystemExit"),
    ],
)
def test_scripts_that_load_no_model(script: str, said: str, load: Callable[[str], Model]) -> None:
    with pytest.raises(ModelFailure) as caught:
        load(script)
    assert said in str(caught.value)


def test_model_without_predict_is_explained(load: Callable[[str], Model]) -> None:
    model = load("def model_fn(folder): return {}")
    with pytest.raises(ModelFailure, match="dict, which has no predict; define predict_fn"):
        model.invoke(b"[1]", "", "")


def test_wrong_number_of_columns_is_the_callers_fault(load: Callable[[str], Model]) -> None:
    with pytest.raises(BadPayload, match="expecting 2"):
        load(SUM).invoke(b"[[1, 2, 3]]", "application/json", "")


def test_what_input_fn_cannot_read_is_the_callers_fault(load: Callable[[str], Model]) -> None:
    model = load("""
        import json
        def model_fn(folder): ...
        def input_fn(body, content_type): return json.loads(body)
    """)
    with pytest.raises(BadPayload, match="JSONDecodeError"):
        model.invoke(b"{", "application/json", "")


@pytest.mark.parametrize("error", ["KeyError('x')", "ValueError('x')", "SystemExit(3)"])
def test_what_predict_fn_raises_is_the_models_fault(
    error: str, load: Callable[[str], Model]
) -> None:
    model = load(f"""
        def model_fn(folder): ...
        def predict_fn(data, model): raise {error}
    """)
    with pytest.raises(ModelFailure, match=error.partition("(")[0]) as caught:
        model.invoke(b"[1]", "", "")
    assert type(caught.value.__cause__).__name__ == error.partition("(")[0]


@pytest.mark.parametrize("answer", ["None", "[1]", "('a',)", "('a', None)", "(1, 2, 3)"])
def test_output_fn_must_answer_text_or_bytes(answer: str, load: Callable[[str], Model]) -> None:
    model = load(f"""
        def model_fn(folder): ...
        def predict_fn(data, model): ...
        def output_fn(prediction, accept): return {answer}
    """)
    with pytest.raises(ModelFailure, match="not text or bytes"):
        model.invoke(b"[1]", "", "")


def test_unsupported_types_are_told_apart(load: Callable[[str], Model]) -> None:
    model = load(SUM)
    with pytest.raises(UnsupportedContentType, match="image/png"):
        model.invoke(b"x", "image/png", "")
    with pytest.raises(UnsupportedContentType, match="text/html"):
        model.invoke(b"[1, 2]", "", "text/html")


# -- modules of a model's own -----------------------------------------------------------------

USES_HELPER = """
    import helper
    def model_fn(folder): return helper.NAME
    def predict_fn(data, model): return [model, helper.NAME]
"""
USES_PACKAGE = """
    from recipes.shop import features
    def model_fn(folder): return features.NAME
    def predict_fn(data, model): return [model, features.NAME]
"""
IMPORTS_LATE = """
    def model_fn(folder): return None
    def predict_fn(data, model):
        from recipes.shop import features
        return [features.NAME, features.NAME]
"""


@pytest.mark.parametrize(
    ("script", "module"),
    [
        (USES_HELPER, "helper.py"),
        (USES_PACKAGE, "recipes/shop/features.py"),
        (IMPORTS_LATE, "recipes/shop/features.py"),
    ],
    ids=["module", "package", "late"],
)
def test_modules_of_the_same_name_keep_apart(
    script: str, module: str, make: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    models = {
        name: mlpipe_scriptmode.load(make(name, {"train.py": script, module: f"NAME = '{name}'"}))
        for name in ("red", "blue")
    }
    for _ in range(2):
        for name, model in models.items():
            assert model.predict(None) == [name, name]


def test_projects_own_module_is_neither_used_nor_replaced(
    make: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "helper_of_project.py").write_text("NAME = 'project'")
    monkeypatch.syspath_prepend(tmp_path / "project")
    import helper_of_project  # type: ignore[import-not-found]

    files = {
        "train.py": USES_HELPER.replace("helper", "helper_of_project"),
        "helper_of_project.py": "NAME = 'model'",
    }
    model = mlpipe_scriptmode.load(make("red", files))
    assert model.predict(None) == ["model", "model"]
    assert sys.modules["helper_of_project"] is helper_of_project
    del sys.modules["helper_of_project"]


def test_loading_leaves_path_and_modules_as_they_were(
    make: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = list(sys.path)
    folder = make("red", {"train.py": USES_HELPER, "helper.py": "NAME = 1"})
    monkeypatch.chdir(folder.parent)
    model = mlpipe_scriptmode.load(Path(folder.name))  # a relative path
    model.predict(None)
    assert sys.path == before
    assert "helper" not in sys.modules


def test_threads_predict_with_modules_of_their_model(make: Callable[..., Path]) -> None:
    script = """
        import time
        def model_fn(folder): return None
        def predict_fn(data, model):
            from recipes.shop import features
            first = features.NAME
            time.sleep(0.0005)
            from recipes.shop import features
            return [first, features.NAME]
    """
    module = "recipes/shop/features.py"
    models = {
        name: mlpipe_scriptmode.load(make(name, {"train.py": script, module: f"NAME = '{name}'"}))
        for name in ("red", "blue")
    }
    answers: dict[str, list[object]] = {name: [] for name in models}

    def ask(name: str) -> None:
        answers[name].extend(models[name].predict(None) for _ in range(50))

    threads = [threading.Thread(target=ask, args=(name,)) for name in models for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {name: [[name, name]] * 100 for name in models}


def test_modules_imported_request_by_request_are_kept(make: Callable[..., Path]) -> None:
    script = """
        import importlib
        def model_fn(folder): return None
        def predict_fn(name, model):
            return importlib.import_module(name).TIMES
    """
    files = {"train.py": script, "one.py": "TIMES = [1]", "two.py": "import one; TIMES = [2]"}
    model = mlpipe_scriptmode.load(make("red", files))
    first = [model.predict(name) for name in ("one", "two", "one", "two")]
    again = [model.predict(name) for name in ("one", "two", "one", "two")]
    assert first == [[1], [2], [1], [2]]
    assert all(a is b for a, b in zip(first, again, strict=True))
    assert not {"one", "two"} & sys.modules.keys()


def test_dataclasses_of_a_script_work(load: Callable[[str], Model]) -> None:
    model = load("""
        from __future__ import annotations
        from dataclasses import dataclass
        @dataclass
        class Threshold:
            value: float
            def predict(self, rows): return rows[:, 0] > self.value
        def model_fn(folder): return Threshold(0.5)
    """)
    assert model.invoke(b"[[1], [0]]", "", "")[0] == b"[true, false]"


# -- archives that mlpipe did not make ----------------------------------------------------------


def foreign(folder: Path, *scripts: str, manifest: str | None = None) -> Path:
    (folder / "code").mkdir(parents=True)
    for script in scripts:
        (folder / "code" / script).write_text(textwrap.dedent(SUM))
    if manifest is not None:
        (folder / "mlpipe.json").write_text(manifest)
    return folder


@pytest.mark.parametrize("scripts", [("inference.py", "other.py"), ("serve.py",)])
def test_inference_or_the_only_script_is_taken(scripts: tuple[str, ...], tmp_path: Path) -> None:
    model = mlpipe_scriptmode.load(foreign(tmp_path / "m", *scripts))
    assert model.invoke(b"[1, 2]", "", "")[0] == b"[3]"


@pytest.mark.parametrize("scripts", [(), ("a.py", "b.py")])
def test_no_script_or_several_are_explained(scripts: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(ModelFailure, match=r"no code/inference\.py"):
        mlpipe_scriptmode.load(foreign(tmp_path / "m", *scripts))


@pytest.mark.parametrize(
    "manifest",
    ["{", "[]", '{"program": 3}', '{"program": "gone.py"}', '{"program": "../../outside.py"}'],
)
def test_manifests_that_are_wrong_are_refused(manifest: str, tmp_path: Path) -> None:
    (tmp_path / "outside.py").write_text(textwrap.dedent(SUM))
    with pytest.raises(ModelFailure, match=r"mlpipe\.json|gone"):
        mlpipe_scriptmode.load(foreign(tmp_path / "m", "inference.py", manifest=manifest))
