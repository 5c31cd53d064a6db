"""From what is wanted and what is there to the actions between them. Pure."""

from collections.abc import Iterator
from dataclasses import replace

from mlpipe import Action
from mlpipe_endpoint.values import Deployment, Found, shares


def settle(wanted: Deployment, found: Found | None) -> Deployment:
    """Fill in what a recipe leaves to the endpoint as it is.

    The port is kept. So are weights that were changed by hand, for as long as the recipe goes on
    asking for the same ones, and by a promotion, for as long as it asks for the same models too:
    running it again must not undo them. A shadow variant that was given traffic is none any more.
    """
    if found is None:
        return wanted
    there = found.deployment
    same = wanted.declared == there.declared and wanted.variants.keys() == there.weights.keys()
    promoted = bool(there.replaced)
    kept = same and (not promoted or _digests(wanted) == _digests(there))
    weights = there.weights if kept else wanted.weights
    return replace(
        wanted,
        weights=weights,
        shadow={name: share for name, share in wanted.shadow.items() if not weights[name]},
        replaced=there.replaced if kept else {},
        port=wanted.port or there.port,
    )


def actions(wanted: Deployment, found: Found | None) -> tuple[Action, ...]:
    """List the changes that lead from ``found`` to ``wanted``, in order."""
    if found is None:
        return tuple(_creation(wanted))
    changes = (
        *_process(wanted, found),
        *_variants(wanted, found),
        *_weights(wanted, found),
        *_salt(wanted, found),
        *_spares(wanted, found),
        *_shadow(wanted, found),
        *_access(wanted, found),
    )
    if changes or found.verified:
        return changes
    return (Action("verify", _subject(wanted), "an earlier deploy did not finish"),)


def _digests(deployment: Deployment) -> dict[str, str]:
    return {name: model.digest for name, model in deployment.variants.items()}


def _subject(wanted: Deployment) -> str:
    return f"endpoint {wanted.name}"


def _creation(wanted: Deployment) -> Iterator[Action]:
    port = f"port {wanted.port}" if wanted.port else "a free port"
    yield Action("create", _subject(wanted), f"{shares(wanted.weights)}, {port}")
    for name, model in wanted.variants.items():
        shadow = f", a shadow: {wanted.shadow[name]:g}" if name in wanted.shadow else ""
        yield Action("create", f"variant {name}", f"model {model.short}{shadow}")


def _process(wanted: Deployment, found: Found) -> Iterator[Action]:
    port = found.deployment.port
    if not found.running:
        yield Action("start", _subject(wanted), f"port {wanted.port}")
    elif wanted.port != port:
        yield Action("restart", _subject(wanted), f"port {port} → {wanted.port}")
    elif listens_elsewhere(wanted, found.deployment):
        hosts = f"{found.deployment.access.host} → {wanted.access.host}"
        yield Action("restart", _subject(wanted), hosts)


def _variants(wanted: Deployment, found: Found) -> Iterator[Action]:
    there = found.deployment.variants
    for name, model in wanted.variants.items():
        if name not in there:
            yield Action("create", f"variant {name}", f"model {model.short}")
        elif there[name].digest != model.digest:
            yield Action("update", f"variant {name}", f"model {there[name].short} → {model.short}")
        elif there[name].python != model.python:
            change = f"{there[name].python or 'own'} → {model.python or 'own'}"
            yield Action("update", f"python of {name}", change)
    for name in there.keys() - wanted.variants.keys():
        yield Action("delete", f"variant {name}", f"model {there[name].short}")


def _weights(wanted: Deployment, found: Found) -> Iterator[Action]:
    there = found.deployment
    if wanted.weights != there.weights:
        change = f"{shares(there.weights) or 'none'} → {shares(wanted.weights)}"
        yield Action("update", f"weights of {wanted.name}", change)
    elif wanted.declared != there.declared:
        yield Action(
            "update", f"weights of {wanted.name}", f"{shares(wanted.weights)}, as they are"
        )


def _salt(wanted: Deployment, found: Found) -> Iterator[Action]:
    if wanted.salt != found.deployment.salt:
        yield Action("update", f"salt of {wanted.name}", "keys are assigned anew")


def _spares(wanted: Deployment, found: Found) -> Iterator[Action]:
    if wanted.spares != found.deployment.spares:
        change = f"{found.deployment.spares} → {wanted.spares} for each variant"
        yield Action("update", f"spares of {wanted.name}", change)


def _shadow(wanted: Deployment, found: Found) -> Iterator[Action]:
    there = found.deployment.shadow
    if wanted.shadow != there:
        change = f"{shares(there) or 'none'} → {shares(wanted.shadow) or 'none'}"
        yield Action("update", f"shadow of {wanted.name}", change)


def listens_elsewhere(wanted: Deployment, there: Deployment) -> bool:
    """Tell whether another socket is needed."""
    return (wanted.port, wanted.access.host) != (there.port, there.access.host)


def _access(wanted: Deployment, found: Found) -> Iterator[Action]:
    if wanted.capture != found.deployment.capture:
        change = f"{found.deployment.capture:g} → {wanted.capture:g}"
        yield Action("update", f"capture of {wanted.name}", change)
    now, then = found.deployment.access, wanted.access
    if now.token != then.token:
        yield Action("update", f"token of {wanted.name}", then.token or "none")
    if (now.body, now.concurrency) != (then.body, then.concurrency):
        limits = f"{then.body:,} bytes, {then.concurrency} requests at once"
        yield Action("update", f"limits of {wanted.name}", limits)
