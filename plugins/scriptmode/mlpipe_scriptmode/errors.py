"""What can be wrong with a request or with a model."""

from mlpipe.errors import MlpipeError


class UnsupportedContentType(MlpipeError):
    """A body comes, or an answer is wanted, in a form that the model does not speak."""


class BadPayload(MlpipeError):
    """A body is not what its content type says, or not what the model takes."""


class ModelFailure(MlpipeError):
    """The model's archive or code is no good, or its code raised."""


def reason(error: BaseException) -> str:
    """Say in one line what was raised."""
    text = str(error).strip()
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
