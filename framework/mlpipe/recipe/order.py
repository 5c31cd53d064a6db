"""The order in which stages can run, and the circles that leave none."""

from collections.abc import Iterator, Mapping, Sequence

_SHOWN = 12


def ordered(upstream: Mapping[str, Sequence[str]]) -> tuple[list[str], list[list[str]]]:
    """Order stages so that each comes after those it depends on.

    As far as that allows, they keep the order they are given in.

    Args:
        upstream: By stage, those it depends on; others than its keys do not count.

    Returns:
        The order, and circles that have no stage in common, each beginning and ending with the
        same stage and going from a stage to one that depends on it. With circles the order is
        not one.
    """
    order: list[str] = []
    circles: list[list[str]] = []
    finished: set[str] = set()
    in_circle: set[str] = set()
    for first in upstream:
        trail: dict[str, Iterator[str]] = {}
        if first not in finished:
            trail[first] = iter(upstream[first])
        while trail:
            name = next(reversed(trail))
            following = next((n for n in trail[name] if n in upstream and n not in finished), None)
            if following is None:
                del trail[name]
                finished.add(name)
                order.append(name)
            elif following not in trail:
                trail[following] = iter(upstream[following])
            else:
                names = list(trail)
                circle = names[names.index(following) :]
                if in_circle.isdisjoint(circle):
                    circles.append([following, *reversed(circle)])
                    in_circle.update(circle)
    return order, circles


def shown(circle: Sequence[str]) -> str:
    """Write a circle; of a long one the ends."""
    if len(circle) > _SHOWN:
        half = _SHOWN // 2
        between = f"… {len(circle) - 2 * half:,} more …"
        circle = [*circle[:half], between, *circle[-half:]]
    return " → ".join(circle)
