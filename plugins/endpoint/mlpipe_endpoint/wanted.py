"""From a stage to the deployment that it asks for."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from mlpipe import Stage
from mlpipe.errors import StageError
from mlpipe_endpoint.config import NAME_PATTERN, EndpointConfig
from mlpipe_endpoint.places import AWS
from mlpipe_endpoint.values import Access, Deployment, Found, Model, Probe


def wanted_of(config: EndpointConfig, stage: Stage, found: Found | None) -> Deployment:
    """Read the deployment from a stage's settings and inputs.

    A variant that ``traffic`` names and no input gives is what is in service; it is left out while
    nothing is.

    Raises:
        StageError: Inputs and ``traffic`` do not fit together.
    """
    where = f"stages.{stage.name}"
    pythons = {} if stage.target.type == AWS else config.python  # there, images have their own
    given = {
        name: Model(each.artifact.digest, each.artifact.location, pythons.get(name, ""))
        for name, each in stage.inputs.items()
    }
    _check_names(tuple(given), where)
    _check_interpreters(config, tuple(given), where)
    weights = _weights(config, tuple(given), where)
    models = {name: given.get(name) or _incumbent(name, given, found) for name in weights}
    variants = {name: model for name, model in models.items() if model is not None}
    shares = {name: weights[name] for name in variants}
    if not any(shares.values()):  # what was to have it all is not there yet
        shares = dict.fromkeys(variants, 1.0)
    return Deployment(
        config.endpoint,
        variants,
        shares,
        declared=shares,
        port=config.port,
        salt=_salt(config, variants),
        hosting=_hosting(config, stage, len(variants)),
        spares=1 if stage.target.type == AWS else config.spares,
        access=_access(config, stage),
        capture=0.0 if stage.target.type == AWS else config.capture,
        shadow=dict(config.shadow),
    )


def _access(config: EndpointConfig, stage: Stage) -> Access:
    """Say who reaches an endpoint of this machine; at SageMaker IAM does."""
    if stage.target.type == AWS:
        return Access()
    limits = config.limits
    return Access(config.host, config.token or "", int(limits.body), limits.concurrency)


def _hosting(config: EndpointConfig, stage: Stage, variants: int) -> Mapping[str, Any]:
    """Give the block on hosting, which only SageMaker needs."""
    if stage.target.type != AWS:
        return {}
    where = f"stages.{stage.name}.with.hosting"
    if config.shadow:
        _check_sequence(config, variants, f"stages.{stage.name}.with.shadow")
    if config.hosting is None:
        raise StageError(
            "is missing: what SageMaker serves the models with",
            where=where,
            fix='As hosting: {framework: {name: sklearn, version: "1.2-1"}}',
        )
    if config.hosting.serverless is not None and variants > 1:
        raise StageError(
            "SageMaker has one variant only on serverless endpoints",
            where=f"{where}.serverless",
            fix="Give instances instead, or one model.",
        )
    return config.hosting.model_dump(mode="json", exclude_none=True)


def _check_sequence(config: EndpointConfig, variants: int, where: str) -> None:
    """Refuse a shadow beside several variants, which SageMaker cannot have.

    Raises:
        StageError: There is more than one of either.
    """
    if variants - len(config.shadow) > 1 or config.experiment is not None:
        raise StageError(
            "SageMaker has a shadow beside one variant only, not beside an experiment",
            where=where,
            fix="First run the shadow; then take it out and give its model traffic.",
        )
    if len(config.shadow) > 1:
        raise StageError(
            f"SageMaker has one shadow only, not {len(config.shadow)}",
            where=where,
            fix=f"Keep one of {', '.join(config.shadow)}.",
        )


def _incumbent(name: str, given: Mapping[str, Model], found: Found | None) -> Model | None:
    """Give the model in service that new ones are held against."""
    if found is None:
        return None
    there = found.deployment
    known = there.variants
    if all(each in known and known[each].digest == given[each].digest for each in given):
        return known.get(name)  # nothing is new
    standing = there.replaced.get(name, name)
    if standing not in known:
        standing = max(there.weights, key=lambda each: there.weights[each])
    return known[standing]


def _salt(config: EndpointConfig, variants: Mapping[str, Model]) -> str:
    """Give the salt; with an experiment it is another one for other models."""
    if config.salt or config.experiment is None:
        return config.salt
    models = sorted((name, model.digest) for name, model in variants.items())
    return f"{config.endpoint} {hashlib.sha256(repr(models).encode()).hexdigest()[:12]}"


def probe_of(config: EndpointConfig, stage: Stage) -> Probe | None:
    """Read the probe, and the file that holds its body.

    Raises:
        StageError: The file cannot be read.
    """
    probe = config.probe
    if probe is None:
        return None
    body = _read(probe.file, stage) if probe.file is not None else probe.inline()
    return Probe(body, probe.content_type, probe.accept)


def _read(file: str, stage: Stage) -> bytes:
    try:
        return (stage.root / file).read_bytes()
    except OSError as error:
        raise StageError(
            f"cannot read {file}: {error.strerror}", where=f"stages.{stage.name}.with.probe.file"
        ) from error


def _check_names(names: tuple[str, ...], where: str) -> None:
    if not names:
        raise StageError(
            "an endpoint needs at least one model",
            where=where,
            fix="Name it under inputs, as  inputs: {champion: train.model}",
        )
    for name in names:
        if not re.match(NAME_PATTERN, name):
            raise StageError(
                f'"{name}" cannot name a variant',
                where=f"{where}.inputs",
                fix="Use letters, digits and hyphens, at most 63, as SageMaker does.",
            )


def _check_interpreters(config: EndpointConfig, names: tuple[str, ...], where: str) -> None:
    for name in config.python:
        if name not in names:
            raise StageError(
                f'python names "{name}", which is not an input',
                where=f"{where}.with.python",
                fix=f"Name one of the inputs: {', '.join(names)}.",
            )


def _weights(config: EndpointConfig, names: tuple[str, ...], where: str) -> dict[str, float]:
    answering = [name for name in names if name not in config.shadow]
    shadows = {name: 0.0 for name in names if name in config.shadow}
    _check_shadows(config, names, answering, where)
    if not config.traffic and len(answering) == 1:
        return {answering[0]: 1.0, **shadows}
    missing = [name for name in answering if name not in config.traffic]
    unknown = [name for name in config.traffic if name not in names]
    if missing or len(unknown) > 1:
        faults = [f'"{name}" has no weight' for name in missing]
        faults += [f'"{name}" is not an input' for name in unknown]
        raise StageError(
            f"traffic and inputs name different variants: {', '.join(faults)}",
            where=f"{where}.with.traffic",
            fix=f"Give each input a weight: {', '.join(answering)}.",
        )
    return {**shadows, **config.traffic}


def _check_shadows(
    config: EndpointConfig, names: tuple[str, ...], answering: list[str], where: str
) -> None:
    for name in config.shadow:
        if name not in names:
            raise StageError(
                f'"{name}" is not an input',
                where=f"{where}.with.shadow",
                fix=f"The inputs: {', '.join(names)}.",
            )
    if not answering and not config.traffic:
        raise StageError(
            "all inputs are shadow variants, so that nothing answers",
            where=f"{where}.with.shadow",
            fix="Add the model that answers as an input, or name what is in service under traffic.",
        )
