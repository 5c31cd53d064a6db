"""What an endpoint is to serve, and what it is found to serve."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Model:
    """The model behind a variant.

    Attributes:
        digest: Of its ``model.tar.gz``, as ``sha256:<hex>``.
        location: Where that archive is: a path relative to the project's root, or absolute.
        python: The interpreter that it runs in: a program's name, or a path that starts from
            the project's root; ``model`` for its own, see ``ownpython``; mlpipe's when empty.
    """

    digest: str
    location: str
    python: str = ""

    @property
    def short(self) -> str:
        """The digest as people read it."""
        return self.digest.partition(":")[2][:8] + "…"


@dataclass(frozen=True, slots=True)
class Access:
    """Who reaches an endpoint of this machine, and how much of it.

    Attributes:
        host: The address that it listens on.
        token: The name of the secret that callers must send; nobody must where it is empty.
        body: Bytes that a request's body may have.
        concurrency: Requests that are answered at once; more are refused.
    """

    host: str = "127.0.0.1"
    token: str = ""
    body: int = 6 * 1024 * 1024
    concurrency: int = 256


@dataclass(frozen=True, slots=True)
class Deployment:
    """Everything that one deploy decides about an endpoint.

    Attributes:
        name: The endpoint's.
        variants: The model of each variant.
        weights: Each variant's share of the traffic now, in any unit.
        declared: The weights that the last deploy asked for. They differ from ``weights``
            when somebody has changed those by hand since.
        port: Of the loopback interface; 0 while none has been chosen.
        salt: With which keys are assigned to variants; the endpoint's name when empty.
        replaced: By variant, the one that was promoted in its place.
        hosting: The recipe's block on hosting, where the endpoint is at SageMaker.
        spares: How many workers each variant keeps ready beside the one that answers.
        access: Who reaches it, where it is on this machine.
        capture: Share of the requests that are kept there with their answers, from 0 to 1.
        shadow: By variant, the share of all requests that it is asked too, from 0 to 1. Its
            answers are recorded, and given to nobody.
    """

    name: str
    variants: Mapping[str, Model]
    weights: Mapping[str, float]
    declared: Mapping[str, float]
    port: int = 0
    salt: str = ""
    replaced: Mapping[str, str] = field(default_factory=dict)
    hosting: Mapping[str, Any] = field(default_factory=dict)
    spares: int = 1
    access: Access = Access()
    capture: float = 0.0
    shadow: Mapping[str, float] = field(default_factory=dict)

    @property
    def assigned_with(self) -> str:
        """The salt with which keys are assigned."""
        return self.salt or self.name

    @property
    def answering(self) -> dict[str, float]:
        """The weights of the variants that answer: all but the shadows."""
        return {name: w for name, w in self.weights.items() if name not in self.shadow}

    def to_json(self) -> dict[str, Any]:
        """Give this as JSON values."""
        return {
            "name": self.name,
            "variants": {
                name: {
                    "digest": model.digest,
                    "location": model.location,
                    "python": model.python,
                }
                for name, model in self.variants.items()
            },
            "weights": dict(self.weights),
            "declared": dict(self.declared),
            "port": self.port,
            "salt": self.salt,
            "replaced": dict(self.replaced),
            "hosting": dict(self.hosting),
            "spares": self.spares,
            "access": asdict(self.access),
            "capture": self.capture,
            "shadow": dict(self.shadow),
        }

    def payload(self) -> dict[str, Any]:
        """Give all that it takes to serve this again, as JSON values for a release."""
        return {key: value for key, value in self.to_json().items() if key != "name"}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` gave; ``declared`` may be missing.

        Raises:
            KeyError, TypeError: The data is something else.
        """
        weights = {name: float(weight) for name, weight in data["weights"].items()}
        return cls(
            name=data["name"],
            variants={
                name: Model(model["digest"], model["location"], str(model.get("python", "")))
                for name, model in data["variants"].items()
            },
            weights=weights,
            declared=dict(data.get("declared", weights)),
            port=int(data["port"]),
            salt=str(data.get("salt", "")),
            replaced=dict(data.get("replaced", {})),
            hosting=dict(data.get("hosting", {})),
            spares=int(data.get("spares", 1)),
            access=Access(**data.get("access", {})),
            capture=float(data.get("capture", 0.0)),
            shadow=dict(data.get("shadow", {})),
        )


@dataclass(frozen=True, slots=True)
class Found:
    """An endpoint as it is.

    Attributes:
        deployment: What it serves, or would serve if it were running.
        running: Whether it answers.
        verified: Whether the deploy that made it so has read it back and probed it.
    """

    deployment: Deployment
    running: bool
    verified: bool


@dataclass(frozen=True, slots=True)
class Probe:
    """A request to try on a variant.

    Attributes:
        body: The request's bytes.
        content_type: What they are.
        accept: The type of answer wanted.
    """

    body: bytes
    content_type: str
    accept: str


def shares(weights: Mapping[str, float]) -> str:
    """Say weights in a line, as ``champion 90 · challenger 10``."""
    return " · ".join(f"{name} {weight:g}" for name, weight in weights.items())


def near(weights: Mapping[str, float], others: Mapping[str, float]) -> bool:
    """Tell whether weights are the same but for the digits that SageMaker does not keep."""
    return weights.keys() == others.keys() and all(
        math.isclose(weight, others[name], rel_tol=1e-5) for name, weight in weights.items()
    )
