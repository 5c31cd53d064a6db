"""Registered models: one version for each digest, aliases for what is in service."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlpipe_mlflow.location import RUN_TAG, STAGE_TAG
from mlpipe_mlflow.writing import quoted

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

DIGEST_TAG = "mlpipe.digest"
PROGRAM_TAG = "mlpipe.program"

#: Names that MLflow keeps for itself.
_RESERVED = re.compile(r"latest|v\d+", re.IGNORECASE)


class Registry:
    """MLflow's model registry.

    Args:
        client: MLflow.
    """

    def __init__(self, client: "MlflowClient") -> None:
        self._client = client

    def version(self, model: str, digest: str) -> "ModelVersion | None":
        """Find the version with a digest."""
        found = self._client.search_model_versions(
            f"name = {quoted(model)} and tags.`{DIGEST_TAG}` = {quoted(digest)}"
        )
        return min(found, key=lambda each: int(each.version), default=None)

    def register(
        self, model: str, folder: Path, run: str, digest: str, tags: Mapping[str, str]
    ) -> "ModelVersion":
        """Upload a model to a run and make a version of it.

        Args:
            model: The registered model; made where there is none.
            folder: The model as ``mlflow.pyfunc`` saved it.
            run: The MLflow run that it comes from.
            digest: That of the archive it was made of.
            tags: Further tags of the version.
        """
        self._ensure(model)
        place = f"models/{digest.rpartition(':')[2][:12]}"
        self._client.log_artifacts(run, str(folder), place)
        root = self._client.get_run(run).info.artifact_uri
        return self._client.create_model_version(
            model,
            f"{root}/{place}",
            run_id=run,
            tags={DIGEST_TAG: digest, **tags},
            await_creation_for=0,
        )

    def point(self, model: str, service: str, versions: Mapping[str, str]) -> None:
        """Make aliases those of a service's variants; drop those of variants that are gone.

        Args:
            model: The registered model.
            service: What the model is served by, as ``endpoint/churn``.
            versions: Version by alias.
        """
        tag = _service_tag(service)
        registered = self._client.get_registered_model(model)
        before = registered.tags.get(tag, "").split()
        # Both old and new are noted before anything moves: a crash leaves no alias unknown.
        self._client.set_registered_model_tag(model, tag, " ".join({*before, *versions}))
        for alias, version in versions.items():
            if str(registered.aliases.get(alias)) != version:
                self._client.set_registered_model_alias(model, alias, version)
        for alias in before:
            if alias not in versions and alias in registered.aliases:
                self._client.delete_registered_model_alias(model, alias)
        self._client.set_registered_model_tag(model, tag, " ".join(sorted(versions)))

    def served_by(self, service: str) -> Sequence[str]:
        """Name the registered models that a service's releases pointed at."""
        found = self._client.search_registered_models(f"tags.`{_service_tag(service)}` LIKE '%'")
        return [str(each.name) for each in found]

    def _ensure(self, model: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(model)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise


def version_tags(run: str, stage: str, program: str = "") -> dict[str, str]:
    """Give the tags that say where a version comes from."""
    tags = {RUN_TAG: run, STAGE_TAG: stage, PROGRAM_TAG: program}
    return {name: value for name, value in tags.items() if value}


def can_be_alias(variant: str) -> bool:
    """Tell whether MLflow takes a variant's name for an alias."""
    return _RESERVED.fullmatch(variant) is None


def _service_tag(service: str) -> str:
    """Give the tag under which a registered model keeps a service's aliases."""
    return f"mlpipe.{service}"
