"""A loaded model: its script's functions, and SageMaker's defaults for those it leaves out."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from mlpipe_scriptmode.archive import program_of
from mlpipe_scriptmode.codec import decode, encode
from mlpipe_scriptmode.errors import BadPayload, ModelFailure, UnsupportedContentType, reason
from mlpipe_scriptmode.media import CSV, JSON, media_type, text_of
from mlpipe_scriptmode.modules import ModelModules

_PARTS = ("input_fn", "predict_fn", "output_fn")


@dataclass(frozen=True, slots=True)
class Model:
    """A model and the script that serves it.

    Attributes:
        script: The imported script, with ``model_fn`` and perhaps ``input_fn``,
            ``predict_fn``, ``output_fn`` or ``transform_fn``.
        model: What ``model_fn`` gave.
        modules: The modules that the script imports from the model's ``code/``.
    """

    script: ModuleType
    model: Any
    modules: ModelModules

    def predict(self, data: object) -> object:
        """Predict: by the script's ``predict_fn``, else by the model's ``predict``.

        Raises:
            BadPayload: The model does not take such data.
            ModelFailure: The model's code raised.
        """
        with self.modules.in_use():
            return self._predict(data)

    @property
    def takes_batches(self) -> bool:
        """Whether rows of several requests may be predicted together; see ``batching``."""
        if self._function("transform_fn"):
            return False
        own = any(self._function(name) for name in _PARTS)
        return bool(getattr(self.script, "MLPIPE_BATCH", not own and _is_estimator(self.model)))

    def read(self, body: bytes, content_type: str) -> object:
        """Give what a body holds, the first step of ``invoke``."""
        content_type = content_type or JSON
        if not self._function("input_fn"):
            return decode(body, content_type)
        with self.modules.in_use():
            return self._input(body, content_type)

    def write(self, prediction: object, accept: str) -> tuple[bytes, str]:
        """Give a prediction as a body, the last step of ``invoke``."""
        accept = _wanted(accept)
        if not self._function("output_fn"):
            return encode(prediction, accept)
        with self.modules.in_use():
            return self._output(prediction, accept)

    def invoke(self, body: bytes, content_type: str, accept: str) -> tuple[bytes, str]:
        """Answer a request.

        Args:
            body: The request's body.
            content_type: Its ``Content-Type``; JSON when empty.
            accept: Its ``Accept``; JSON when empty or any.

        Returns:
            The answer's body and content type.

        Raises:
            UnsupportedContentType: The model does not speak that form.
            BadPayload: The body is wrong.
            ModelFailure: The model's code raised.
        """
        content_type = content_type or JSON
        accept = _wanted(accept)
        with self.modules.in_use():
            if transform_fn := self._function("transform_fn"):
                text = _text(body, content_type)
                return _answer(
                    _called(transform_fn, self.model, text, content_type, accept), accept
                )
            prediction = self._predict(self._input(body, content_type))
            return self._output(prediction, accept)

    def _input(self, body: bytes, content_type: str) -> object:
        input_fn = self._function("input_fn")
        if input_fn is None:
            return decode(body, content_type)
        try:
            return _called(input_fn, _text(body, content_type), content_type)
        except ModelFailure as error:
            if isinstance(error.__cause__, ValueError):  # what reading a wrong body ends in
                raise BadPayload(reason(error.__cause__)) from error.__cause__
            raise

    def _predict(self, data: object) -> object:
        if predict_fn := self._function("predict_fn"):
            return _called(predict_fn, data, self.model)
        if not hasattr(self.model, "predict"):
            kind = type(self.model).__name__
            raise ModelFailure(f"model_fn gave {kind}, which has no predict; define predict_fn")
        try:
            return _called(self.model.predict, data)
        except ModelFailure as error:
            if isinstance(error.__cause__, ValueError):  # as for a wrong number of columns
                raise BadPayload(reason(error.__cause__)) from error.__cause__
            raise

    def _output(self, prediction: object, accept: str) -> tuple[bytes, str]:
        if output_fn := self._function("output_fn"):
            return _answer(_called(output_fn, prediction, accept), accept)
        return encode(prediction, accept)

    def _function(self, name: str) -> Callable[..., Any] | None:
        # Asked for with each request; a module takes long to say that it lacks something.
        return vars(self.script).get(name)


def load(folder: Path) -> Model:
    """Import an unpacked model's script and run its ``model_fn``.

    Modules of the same name in two models of one process keep apart.

    Args:
        folder: What ``unpack`` gave.

    Raises:
        ModelFailure: There is no script, it has no ``model_fn``, or its code raised.
    """
    program = program_of(folder)
    modules = ModelModules(folder / "code", program)
    with modules.active():
        script = modules.run_program()
        _check(script, program)
        try:
            model = _called(script.model_fn, str(folder))
        except ModelFailure as error:
            raise ModelFailure(f"model_fn of {program} failed: {error}") from error.__cause__
    return Model(script, model, modules)


def _wanted(accept: str) -> str:
    return JSON if media_type(accept) in ("", "*/*") else accept


def _is_estimator(model: object) -> bool:
    """Tell scikit-learn's estimators, and those made as it asks, without importing it."""
    return any(
        each.__name__ == "BaseEstimator" and each.__module__.partition(".")[0] == "sklearn"
        for each in type(model).__mro__
    )


def _check(script: ModuleType, program: str) -> None:
    if not callable(getattr(script, "model_fn", None)):
        raise ModelFailure(f"{program} defines no model_fn(model_dir), which loads the model")
    parts = [name for name in _PARTS if hasattr(script, name)]
    if hasattr(script, "transform_fn") and parts:
        raise ModelFailure(f"{program} defines transform_fn and {parts[0]}: only one can answer")


def _called(function: Callable[..., Any], *arguments: object) -> Any:
    """Call the model's code.

    A function of the script that needs one argument more is given ``None`` as SageMaker's
    context.
    """
    try:
        if _wants_context(function, len(arguments)):
            return function(*arguments, None)
        return function(*arguments)
    except (UnsupportedContentType, BadPayload):
        raise
    except (Exception, SystemExit) as error:
        raise ModelFailure(reason(error)) from error


def _wants_context(function: Callable[..., Any], given: int) -> bool:
    if not inspect.isfunction(function):
        return False
    needed = function.__code__.co_argcount - len(function.__defaults__ or ())
    return needed == given + 1


def _text(body: bytes, content_type: str) -> str | bytes:
    """Give a script a body as SageMaker does: text where it is JSON or CSV."""
    return text_of(body, content_type) if media_type(content_type) in (JSON, CSV) else body


def _answer(given: Any, accept: str) -> tuple[bytes, str]:
    """Read what a script answered: a body, or a body and its content type."""
    body, kind = given if isinstance(given, tuple) and len(given) == 2 else (given, accept)
    if isinstance(body, str):
        body = body.encode()
    if not isinstance(body, bytes | bytearray) or not isinstance(kind, str):
        raise ModelFailure(f"the script answered {type(body).__name__}, not text or bytes")
    return bytes(body), kind
