"""What holds up a rollout, as a cluster says it in several places."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mlpipe_container.kubernetes.api import Api
from mlpipe_container.kubernetes.refusals import Refusal
from mlpipe_container.kubernetes.values import Json

_PULLING = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")
_CONFIGURING = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
#: Words of registries that say the same tomorrow, in lower case.
_FINAL = (
    "not found",
    "manifest unknown",
    "no basic auth",
    "unauthorized",
    "denied",
    "403 forbidden",
    "couldn't parse image",
)
#: Containers may end a few times until what they need is there.
_RESTARTS = 3
_LINES = 10


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that holds up a rollout.

    Attributes:
        reason: In the cluster's word, which stays the same while the trouble does.
        what: For people; names of pods in it may change from look to look.
        heals: Whether it may pass: ``True``, ``False``, or ``None`` where that is unlikely.
        log: The last lines of the container, where it ran.
    """

    reason: str
    what: str
    heals: bool | None = True
    log: str = ""


def of_deployment(deployment: Json) -> Iterator[Trouble]:
    """Say what keeps pods from being made."""
    if deployment["spec"].get("paused"):
        yield Trouble("Paused", "the Deployment is paused: kubectl rollout resume", heals=False)
    for condition in deployment.get("status", {}).get("conditions", ()):
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            yield Trouble(
                "FailedCreate", f"no pod can be made: {condition.get('message', '')}", None
            )
        if condition.get("reason") == "ProgressDeadlineExceeded":
            yield Trouble(
                condition["reason"], "the cluster gave up: ProgressDeadlineExceeded", heals=False
            )


def of_image(pod: Json) -> Trouble:
    """Say what a pod runs that is ready, but of another digest than was asked for."""
    running = ", ".join(each["imageID"] for each in pod["status"]["containerStatuses"])
    return Trouble("OtherImage", f"pod {pod['metadata']['name']} is ready, but runs {running}")


@dataclass(frozen=True, slots=True)
class Examiner:
    """Looks at the pods of a namespace.

    Attributes:
        api: The cluster's.
        namespace: The pods'.
    """

    api: Api
    namespace: str

    def examine(self, pods: Sequence[Json]) -> list[Trouble]:
        """Say what keeps pods from being ready; the same of several pods once."""
        return list(dict.fromkeys(each for pod in pods for each in self._of_pod(pod)))

    def _of_pod(self, pod: Json) -> Iterator[Trouble]:
        status = pod.get("status", {})
        for condition in status.get("conditions", ()):
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                what = f"{condition.get('reason')}: {condition.get('message', '')}"
                yield Trouble("Unschedulable", f"a pod has no node: {what}")
        statuses = (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ()))
        for container in statuses:
            waiting = container.get("state", {}).get("waiting")
            if waiting:
                yield from self._waiting(pod, container, waiting)
            elif "running" in container.get("state", {}) and not container["ready"]:
                yield from self._unready(pod, container)

    def _waiting(self, pod: Json, container: Json, waiting: Json) -> Iterator[Trouble]:
        reason, said = waiting.get("reason", ""), waiting.get("message", "")
        name = container["name"]
        if reason in _PULLING:
            why = self._event(pod, "Failed", "Failed to pull") or said
            final = reason == "InvalidImageName" or any(word in why.lower() for word in _FINAL)
            yield Trouble("ImagePull", f"{reason}: {why}", heals=not final)
        elif reason in _CONFIGURING:
            yield Trouble(reason, f'container "{name}": {reason}: {said}', None)
        elif reason == "CrashLoopBackOff":
            ended = container.get("lastState", {}).get("terminated", {})
            code = ended.get("exitCode", "?")
            what = f'container "{name}" ends with exit code {code} again and again: {reason}'
            final = container["restartCount"] >= _RESTARTS
            log = self._log(pod, name) if final else ""
            yield Trouble(reason, what, heals=not final, log=log)

    def _unready(self, pod: Json, container: Json) -> Iterator[Trouble]:
        said = self._event(pod, "Unhealthy")
        if said:
            yield Trouble("Unready", f'container "{container["name"]}" is not ready: {said}')

    def _event(self, pod: Json, reason: str, begins: str = "") -> str:
        """Give the last message of an event about a pod: one reason has messages of many kinds."""
        path = f"/api/v1/namespaces/{self.namespace}/events"
        about = f"involvedObject.uid={pod['metadata']['uid']}"
        try:
            events = self.api.items(path, fieldSelector=about)
        except Refusal:  # to read events is not needed for a deploy
            return ""
        found = [each for each in events if each["reason"] == reason]
        found = sorted((e for e in found if e["message"].startswith(begins)), key=_when)
        return str(found[-1]["message"]) if found else ""

    def _log(self, pod: Json, container: str) -> str:
        """Give the last lines that a container wrote before it ended."""
        path = f"/api/v1/namespaces/{self.namespace}/pods/{pod['metadata']['name']}/log"
        query = {"container": container, "tailLines": str(_LINES)}
        try:
            return self.api.text(path, previous="true", **query)
        except Refusal:  # the node has thrown it away, or it is not ours to read
            return ""


def _when(event: Any) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or "")
