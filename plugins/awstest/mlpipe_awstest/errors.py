"""Errors as AWS answers them."""


class Refused(Exception):
    """A request that the service refuses.

    Args:
        code: The error's name, as ``ValidationException``.
        message: What is wrong.
        status: Of HTTP.
    """

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


def invalid(message: str) -> Refused:
    """A request whose content is wrong."""
    return Refused("ValidationException", message)


def not_found(message: str = "Requested resource not found.") -> Refused:
    """A request for what is not there; SageMaker calls it a validation error."""
    return Refused("ValidationException", message)


def not_emulated(what: str) -> Refused:
    """A request for what the real service does and this one does not."""
    return Refused("NotImplemented", f"{what} is not emulated", 501)
