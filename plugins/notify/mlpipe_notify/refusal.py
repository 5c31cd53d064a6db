"""That a message was not taken."""


class Refused(Exception):
    """A channel did not take a message. The text is safe to show: no URL, no secret.

    Args:
        text: Why, and what to do.
        again: Whether another attempt may go better.
        wait: Seconds that the server wants to be left alone, or 0.
    """

    def __init__(self, text: str, *, again: bool = False, wait: float = 0.0) -> None:
        super().__init__(text)
        self.again = again
        self.wait = wait
