"""From the few lines of a recipe to what runs in a cluster."""

from mlpipe import Action, Stage, StageResult
from mlpipe.errors import StageError
from mlpipe_container.config import DeployConfig
from mlpipe_container.kubernetes import deploying
from mlpipe_container.kubernetes.config import KubernetesConfig
from mlpipe_container.kubernetes.values import Image, Service


def preview(config: DeployConfig, stage: Stage) -> tuple[Action, ...]:
    """List what ``deploy`` would do. Read-only."""
    return deploying.preview(_block(config), _service(config), _image(config, stage), stage)


def deploy(config: DeployConfig, stage: Stage) -> StageResult:
    """Bring the stage's image into service.

    Raises:
        StageError: It does not run, or does not answer; what was verified before runs again.
    """
    return deploying.deploy(_block(config), _service(config), _image(config, stage), stage)


def _block(config: DeployConfig) -> KubernetesConfig:
    if config.kubernetes is None:
        raise StageError(
            "on a target of type aws, services run in Kubernetes, and no cluster is named",
            where="with.kubernetes",
            fix="Name it: kubernetes: {cluster: production, namespace: scoring}",
        )
    if config.secrets:
        raise StageError(
            "secrets: reach containers of this machine; a cluster has its own",
            where="with.secrets",
            fix="Name the Secret and its key: kubernetes: {secrets: {API_KEY: scoring/api-key}}",
        )
    return config.kubernetes


def _service(config: DeployConfig) -> Service:
    resources = {"cpu": f"{config.resources.cpus:g}"} if config.resources.cpus else {}
    if config.resources.memory:
        resources["memory"] = config.resources.memory
    return Service(
        config.service,
        config.container_port,
        config.replicas,
        dict(config.env),
        resources,
        config.probe.path,
    )


def _image(config: DeployConfig, stage: Stage) -> Image:
    return Image.at(stage.inputs["image"].uri(), config.version, config.commit)
