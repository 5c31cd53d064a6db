"""From a stage to the deployment that it asks for."""

import re

from mlpipe import Stage
from mlpipe.errors import StageError
from mlpipe_endpoint.config import NAME_PATTERN, EndpointConfig
from mlpipe_endpoint.values import Deployment, Model, Probe


def wanted_of(config: EndpointConfig, stage: Stage) -> Deployment:
    """Read the deployment from a stage's settings and inputs.

    Raises:
        StageError: Inputs and ``traffic`` do not fit together.
    """
    names = tuple(stage.inputs)
    where = f"stages.{stage.name}"
    _check_names(names, where)
    weights = _weights(config, names, where)
    variants = {
        name: Model(stage.inputs[name].artifact.digest, stage.inputs[name].artifact.location)
        for name in weights
    }
    return Deployment(
        config.endpoint, variants, weights, declared=weights, port=config.port, salt=config.salt
    )


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


def _weights(config: EndpointConfig, names: tuple[str, ...], where: str) -> dict[str, float]:
    if not config.traffic and len(names) == 1:
        return {names[0]: 1.0}
    missing = [name for name in names if name not in config.traffic]
    unknown = [name for name in config.traffic if name not in names]
    if missing or unknown:
        faults = [f'"{name}" has no weight' for name in missing]
        faults += [f'"{name}" is not an input' for name in unknown]
        raise StageError(
            f"traffic and inputs name different variants: {', '.join(faults)}",
            where=f"{where}.with.traffic",
            fix=f"Give each input a weight: {', '.join(names)}.",
        )
    return dict(config.traffic)
