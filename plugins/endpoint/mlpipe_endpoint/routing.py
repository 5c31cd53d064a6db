"""Which variant a request goes to."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate

from mlpipe_endpoint.hosting import Host
from mlpipe_experiments.assignment import ranked


class UnknownVariant(Exception):
    """A request names a variant that the endpoint does not have."""


class NoneReady(Exception):
    """No variant that may answer can answer now."""


@dataclass(frozen=True, slots=True)
class Table:
    """The variants in service. Replaced as a whole, so that every request sees one state.

    Attributes:
        hosts: The host of each variant.
        weights: Each variant's share of the traffic, in any unit.
        salt: With which keys are assigned.
        shadows: By variant, the share of all requests that it is asked too, from 0 to 1.
    """

    hosts: Mapping[str, Host]
    weights: Mapping[str, float]
    salt: str = ""
    shadows: Mapping[str, float] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        """Whether a request that names no variant would be answered."""
        return bool(self._candidates())

    def pick(self, target: str | None, key: str | None, chance: random.Random) -> Host:
        """Choose the host for a request.

        Args:
            target: The variant that the request names.
            key: Whom it is for: the same key goes to the same variant. At random without one.
            chance: Where randomness comes from.

        Raises:
            UnknownVariant: There is no variant ``target``.
            NoneReady: It, or every variant with traffic, is being started again.
        """
        if target is not None:
            return self._named(target)
        candidates = self._candidates()
        if not candidates:
            raise NoneReady("no variant of the endpoint is ready")
        if key is not None:
            return self.hosts[ranked(key, {n: self.weights[n] for n in candidates}, self.salt)[0]]
        if len(candidates) == 1:
            return self.hosts[candidates[0]]
        limits = list(accumulate(self.weights[name] for name in candidates))
        point = chance.random() * limits[-1]
        chosen = next(i for i, limit in enumerate(limits) if point < limit)
        return self.hosts[candidates[chosen]]

    def drawn(self, asked: Host, chance: random.Random) -> list[Host]:
        """Draw the shadow variants that get a copy of a request.

        Args:
            asked: Whose answer is given; it gets none.
            chance: Where randomness comes from.
        """
        shadows = [name for name, share in self.shadows.items() if chance.random() < share]
        return [self.hosts[name] for name in shadows if name != asked.variant]

    def _named(self, target: str) -> Host:
        host = self.hosts.get(target)
        if host is None:
            raise UnknownVariant(f"Variant {target} not found for Request")
        if not host.ready:
            raise NoneReady(f"variant {target} is being started again")
        return host

    def _candidates(self) -> list[str]:
        return [
            name for name, weight in self.weights.items() if weight > 0 and self.hosts[name].ready
        ]
