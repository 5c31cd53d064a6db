"""Waiting for a rollout, by what runs in its pods."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from mlpipe.errors import StageError
from mlpipe_container.kubernetes import troubles
from mlpipe_container.kubernetes.api import Api
from mlpipe_container.kubernetes.refusals import Refusal
from mlpipe_container.kubernetes.troubles import Examiner, Trouble
from mlpipe_container.kubernetes.values import Json, Wanted

_HASH = "pod-template-hash"
#: Seconds between looks: the first, and the longest.
_PAUSES = (0.1, 3.0)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a rollout may take.

    Attributes:
        timeout: Seconds for all of it.
        patience: Seconds for what hardly heals by itself.
    """

    timeout: float
    patience: float


class Overtaken(StageError):
    """Somebody else changed the service meanwhile, whose change stays."""


@dataclass(frozen=True, slots=True)
class Look:
    """A Deployment at one moment.

    Attributes:
        said: Its state in a few words.
        done: Whether exactly the wanted pods run, all ready.
        troubles: What holds it up.
    """

    said: str
    done: bool
    troubles: tuple[Trouble, ...] = ()


@dataclass
class Waiting:
    """Waits for the Deployments of a service.

    Attributes:
        api: The cluster's.
        wanted: The service.
        limits: How long.
    """

    api: Api
    wanted: Wanted
    limits: Limits
    _since: dict[str, float] = field(default_factory=dict)
    _told: tuple[str, ...] = ()

    def wait(self) -> None:
        """Wait until exactly the wanted image runs and is ready.

        Raises:
            Overtaken: Another image was asked for meanwhile.
            StageError: It cannot become so, or takes too long; it says what holds it up.
        """
        deadline = time.monotonic() + self.limits.timeout
        for name in self.wanted.deployments:
            pause = _PAUSES[0]
            while not (look := self._look(name, deadline)).done:
                self._tell(name, look)
                self._check(name, look, deadline)
                time.sleep(pause)
                pause = min(pause * 1.5, _PAUSES[1])
            self._tell(name, look)

    def _look(self, name: str, deadline: float) -> Look:
        """Look; that the API is away for a while, as when EKS updates it, ends no rollout."""
        try:
            return self.look(name)
        except Refusal as error:
            if not error.is_passing or time.monotonic() >= deadline:
                raise
            return Look(error.what, done=False)

    def look(self, name: str) -> Look:
        """Look at a Deployment and its pods."""
        base = f"namespaces/{self.wanted.namespace}"
        deployment = self.api.get(f"/apis/apps/v1/{base}/deployments/{name}")
        self._check_image(deployment)
        status, count = deployment.get("status", {}), deployment["spec"].get("replicas", 1)
        if status.get("observedGeneration", 0) < deployment["metadata"]["generation"]:
            return Look("not seen by the cluster yet", done=False)
        labels = deployment["spec"]["selector"].get("matchLabels") or {}
        query = {"labelSelector": ",".join(f"{key}={value}" for key, value in labels.items())}
        sets = self.api.items(f"/apis/apps/v1/{base}/replicasets", **query)
        sets = _owned(sets, [deployment])
        pods = _owned(self.api.items(f"/api/v1/{base}/pods", **query), sets)
        pods = [pod for pod in pods if _counts(pod)]
        new = _owned(pods, [s for s in sets if _template(s) == _template(deployment)])
        ready = [pod for pod in new if _is_ready(pod) and self._runs(pod)]
        old = len(pods) - len(new)
        said = f"{len(ready)} of {count} ready" + (f", {old} old" if old else "")
        counts = [status.get(f"{each}Replicas", 0) for each in ("updated", "available")]
        done = len(ready) == len(pods) == count and counts == [count, count]
        if done and status.get("replicas", 0) == count:
            return Look(said, done=True)
        unready = [pod for pod in new if not _is_ready(pod)]
        held = Examiner(self.api, self.wanted.namespace).examine(unready)
        others = [troubles.of_image(each) for each in new if _is_ready(each) and each not in ready]
        return Look(said, False, (*troubles.of_deployment(deployment), *held, *others))

    def _check_image(self, deployment: Json) -> None:
        for container in deployment["spec"]["template"]["spec"]["containers"]:
            other = container["image"] != self.wanted.image.reference
            if container["name"] == self.wanted.container and other:
                raise Overtaken(
                    f"something else asked for {container['image']} meanwhile, which stays",
                    where=f"deployment {deployment['metadata']['name']}",
                    fix="Let one pipeline at a time deploy a service. Run the recipe again.",
                )

    def _runs(self, pod: Json) -> bool:
        """Tell whether the containers that have the image run just its digest."""
        statuses = pod["status"].get("containerStatuses", ())
        names = {
            c["name"]
            for c in pod["spec"]["containers"]
            if c["name"] == self.wanted.container or c["image"] == self.wanted.image.reference
        }
        running = [s["imageID"] for s in statuses if s["name"] in names]
        return all(each.endswith(self.wanted.image.digest) for each in running)

    def _tell(self, name: str, look: Look) -> None:
        known = (name, look.said, *(each.reason for each in look.troubles))
        if known != self._told:
            held = "".join(f"; {each.what}" for each in look.troubles)
            print(f"{name}: {look.said}{held}", flush=True)
            self._told = known

    def _check(self, name: str, look: Look, deadline: float) -> None:
        now = time.monotonic()
        reasons = {trouble.reason for trouble in look.troubles}
        self._since = {key: since for key, since in self._since.items() if key in reasons}
        for trouble in look.troubles:
            since = self._since.setdefault(trouble.reason, now)
            late = trouble.heals is None and now - since >= self.limits.patience
            if trouble.heals is False or late:
                raise self._failure(name, look, [trouble])
        if now >= deadline:
            raise self._failure(name, look, look.troubles, f" after {self.limits.timeout:g} s")

    def _failure(
        self, name: str, look: Look, held: Iterable[Trouble], after: str = ""
    ) -> StageError:
        lines = [f"is not rolled out{after}: {look.said}"]
        for trouble in held:
            lines.append(f"   {trouble.what}")
            lines += [f"   | {line}" for line in trouble.log.splitlines()]
        return StageError(
            "\n".join(lines),
            where=f"deployment {name}",
            fix=f"Look closer: kubectl -n {self.wanted.namespace} describe deployment {name}",
        )


def _owned(bodies: Iterable[Json], owners: Iterable[Json]) -> list[Json]:
    uids = {owner["metadata"]["uid"] for owner in owners}
    return [
        body
        for body in bodies
        if any(each["uid"] in uids for each in body["metadata"].get("ownerReferences", ()))
    ]


def _template(body: Json) -> Json:
    """Give the template of pods, without the label that tells ReplicaSets apart."""
    template: Json = body["spec"]["template"]
    meta = template.get("metadata", {})
    labels = {k: v for k, v in (meta.get("labels") or {}).items() if k != _HASH}
    return {**template, "metadata": {**meta, "labels": labels, "creationTimestamp": None}}


def _counts(pod: Json) -> bool:
    """Tell whether a pod is one of its Deployment's: not ended, evicted, or about to go."""
    ended = pod.get("status", {}).get("phase") in ("Failed", "Succeeded")
    return not ended and "deletionTimestamp" not in pod["metadata"]


def _is_ready(pod: Json) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
