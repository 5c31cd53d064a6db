"""An emulated endpoint."""

import time
from dataclasses import dataclass, field

from mlpipe_awstest.variants import Variant


@dataclass
class Endpoint:
    """An endpoint.

    Attributes:
        name: Its name.
        config: Of its configuration.
        status: As SageMaker calls it.
        variants: Those that serve.
        shadows: Those that get copies of requests.
        failure: Why it, or its last update, failed.
    """

    name: str
    config: str
    status: str = "Creating"
    variants: dict[str, Variant] = field(default_factory=dict)
    shadows: dict[str, Variant] = field(default_factory=dict)
    failure: str = ""
    made: float = field(default_factory=time.time)
    changed: float = field(default_factory=time.time)

    @property
    def all(self) -> list[Variant]:
        """All that run."""
        return [*self.variants.values(), *self.shadows.values()]
