"""What a recipe says of a service in a Kubernetes cluster."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mlpipe import Duration, InputFile

#: Names of namespaces, containers and services, as Kubernetes has them.
NAME_PATTERN = r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$"
_CLUSTER = r"^[0-9A-Za-z][A-Za-z0-9_-]{0,99}$"
_KEY_OF_SECRET = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[-._a-zA-Z0-9]+$"

Name = Annotated[str, Field(pattern=NAME_PATTERN)]


class KubernetesConfig(BaseModel):
    """Where a service runs in Kubernetes, and how long it may take to be there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cluster: Annotated[str, Field(pattern=_CLUSTER)] = Field(description="Its name at EKS.")
    namespace: Name = Field(default="default", description="Where the objects go.")
    manifests: InputFile | None = Field(
        default=None,
        description="A YAML file, a folder of them, or a folder with a kustomization.yaml. When "
        "left out, a Deployment and a Service are made from the rest of the block.",
    )
    container: Name | None = Field(
        default=None, description="The container that gets the image; the service's name."
    )
    secrets: dict[str, Annotated[str, Field(pattern=_KEY_OF_SECRET)]] = Field(
        default_factory=dict,
        description="Variables from Secrets of the cluster, as DATABASE_URL: churn-db/url.",
    )
    force: bool = Field(
        default=False, description="Take over fields that somebody else has set to another value."
    )
    timeout: Duration = Field(default=600.0, description="For a rollout, as 10m.")
    patience: Duration = Field(
        default=30.0,
        description="How long what hardly heals by itself is watched: a missing Secret, a quota.",
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.manifests is not None and self.secrets:
            raise ValueError("secrets: the manifests say which Secrets their containers read")
        return self
