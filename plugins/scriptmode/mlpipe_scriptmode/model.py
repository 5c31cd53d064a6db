"""A loaded model: its script's hooks, and SageMaker's defaults for those that are missing."""

import hashlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from mlpipe_scriptmode.archive import program_of
from mlpipe_scriptmode.codec import decode, encode
from mlpipe_scriptmode.errors import BadPayload, ModelFailure, UnsupportedContentType


@dataclass(frozen=True, slots=True)
class Model:
    """A model and the script that serves it.

    Attributes:
        script: The imported script, with ``model_fn`` and perhaps ``input_fn``,
            ``predict_fn``, ``output_fn`` or ``transform_fn``.
        model: What ``model_fn`` gave.
    """

    script: ModuleType
    model: Any

    def predict(self, data: object) -> object:
        """Predict: by the script's ``predict_fn``, else by the model's ``predict``.

        Raises:
            BadPayload: The model does not take such data.
            ModelFailure: The model raised.
        """
        predict_fn = getattr(self.script, "predict_fn", None)
        if predict_fn is not None:
            return _guarded(predict_fn, data, self.model)
        try:
            prediction: object = self.model.predict(data)
        except ValueError as error:  # as scikit-learn's for a wrong number of columns
            raise BadPayload(_text(error)) from error
        except Exception as error:
            raise ModelFailure(_text(error)) from error
        return prediction

    def invoke(self, body: bytes, content_type: str, accept: str) -> tuple[bytes, str]:
        """Answer a request.

        Args:
            body: The request's body.
            content_type: Its ``Content-Type``; JSON when empty.
            accept: Its ``Accept``; JSON when empty.

        Returns:
            The answer's body and content type.

        Raises:
            UnsupportedContentType: The model does not speak that form.
            BadPayload: The body is wrong.
            ModelFailure: The model's code raised.
        """
        content_type = content_type or "application/json"
        accept = accept or "application/json"
        transform_fn = getattr(self.script, "transform_fn", None)
        if transform_fn is not None:
            given = _guarded(transform_fn, self.model, body, content_type, accept)
            return _answer(given, accept)
        input_fn = getattr(self.script, "input_fn", None)
        data = self._decoded(input_fn, body, content_type)
        prediction = self.predict(data)
        output_fn = getattr(self.script, "output_fn", None)
        if output_fn is None:
            return encode(prediction, accept)
        return _answer(_guarded(output_fn, prediction, accept), accept)

    @staticmethod
    def _decoded(input_fn: Any, body: bytes, content_type: str) -> object:
        if input_fn is None:
            return decode(body, content_type)
        try:
            return _guarded(input_fn, body, content_type)
        except ModelFailure as error:
            if isinstance(error.__cause__, ValueError):  # what a body that is wrong ends in
                raise BadPayload(_text(error.__cause__)) from error
            raise


def load(folder: Path) -> Model:
    """Import an unpacked model's script and run its ``model_fn``.

    The script is imported under a name of its own, with ``code/`` first on the path; modules
    that it imports from there are taken out of ``sys.modules`` again, so that two models in
    one process keep apart.

    Raises:
        ModelFailure: There is no script, it has no ``model_fn``, or its code raised.
    """
    program = program_of(folder)
    path = folder / "code" / program
    if not path.is_file():
        raise ModelFailure(f"the model has no code/{program}")
    with _own_modules(folder / "code"):
        script = _imported(path)
        model_fn = getattr(script, "model_fn", None)
        if model_fn is None:
            raise ModelFailure(f"{program} defines no model_fn(model_dir), which loads the model")
        try:
            return Model(script, model_fn(str(folder)))
        except Exception as error:
            raise ModelFailure(f"model_fn of {program} failed: {_text(error)}") from error


def _imported(path: Path) -> ModuleType:
    name = f"_scriptmode_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ModelFailure(f"{path.name} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pickles of the script's own classes look it up
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise ModelFailure(f"{path.name} cannot be imported: {_text(error)}") from error
    return module


@contextmanager
def _own_modules(code: Path) -> Iterator[None]:
    before = set(sys.modules)
    sys.path.insert(0, str(code))
    try:
        yield
    finally:
        sys.path.remove(str(code))
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None)
            if file and not name.startswith("_scriptmode_") and Path(file).is_relative_to(code):
                del sys.modules[name]


def _guarded(function: Any, *arguments: object) -> Any:
    try:
        return function(*arguments)
    except (UnsupportedContentType, BadPayload):
        raise
    except Exception as error:
        raise ModelFailure(_text(error)) from error


def _answer(given: Any, accept: str) -> tuple[bytes, str]:
    """Read what ``output_fn`` gave: a body, or a body and its content type."""
    body, kind = given if isinstance(given, tuple) else (given, accept)
    if isinstance(body, str):
        body = body.encode()
    if not isinstance(body, bytes | bytearray):
        raise ModelFailure(f"output_fn gave {type(body).__name__}, no text or bytes")
    return bytes(body), kind


def _text(error: BaseException) -> str:
    text = str(error).strip()
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
