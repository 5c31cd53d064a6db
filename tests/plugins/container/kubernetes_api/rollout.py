"""The controllers: Deployments make ReplicaSets, these make Pods, and nodes run them."""

import copy
import hashlib
import json
import math
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.plugins.container.kubernetes_api.images import Images
from tests.plugins.container.kubernetes_api.managing import Json, now
from tests.plugins.container.kubernetes_api.objects import Objects

_HASH = "pod-template-hash"
_CORES = 4.0


@dataclass
class Life:
    """What a node knows of a pod.

    Attributes:
        begun: When its container was started last, by the monotonic clock.
        restarts: How often it ended.
        pulls: How often its image was asked for.
    """

    begun: float
    restarts: int = 0
    pulls: int = 0


@dataclass
class Controllers:
    """All of a cluster's.

    Attributes:
        objects: What they act on.
        images: What nodes can pull.
        pace: Seconds that a node takes for a step.
    """

    objects: Objects
    images: Images
    pace: float = 0.02
    _lives: dict[str, Life] = field(default_factory=dict)
    _since: dict[str, tuple[int, float]] = field(default_factory=dict)

    def step(self) -> None:
        """Do what is due."""
        with self.objects.lock:
            for pod in list(self.objects.all("Pod")):
                if pod["status"].get("phase") != "Failed":
                    self._run(pod)
            for deployment in list(self.objects.all("Deployment")):
                self._reconcile(deployment)

    # -- Deployments ------------------------------------------------------------------------------

    def _reconcile(self, deployment: Json) -> None:
        meta, spec = deployment["metadata"], deployment["spec"]
        namespace, wanted = meta["namespace"], spec["replicas"]
        current = self._replica_set(deployment)
        sets = [s for s in self.objects.all("ReplicaSet", namespace) if _owned(s, meta["uid"])]
        pods = {s["metadata"]["name"]: self._pods(s) for s in sets}
        new = pods[current["metadata"]["name"]]
        old = [
            p for name, each in pods.items() if name != current["metadata"]["name"] for p in each
        ]
        failure = ""
        surge = wanted + math.ceil(wanted / 4)
        paused = deployment["spec"].get("paused", False)
        while len(new) < wanted and len(new) + len(old) < surge and not (failure or paused):
            failure = self._add_pod(current, new)
        for pod in new[wanted:]:
            self._end(pod)
        least = wanted - wanted // 4
        for pod in sorted(old, key=_is_ready):
            ready = [p for p in (*new, *old) if _is_ready(p)]
            if not _is_ready(pod) or len(ready) > least:
                self._end(pod)
                old.remove(pod)
        self._report(deployment, new[:wanted], old, failure)

    def _replica_set(self, deployment: Json) -> Json:
        meta, template = deployment["metadata"], copy.deepcopy(deployment["spec"]["template"])
        digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]
        name = f"{meta['name']}-{digest}"
        found = self.objects.find("ReplicaSet", meta["namespace"], name)
        if found is not None:
            return found
        template.setdefault("metadata", {}).setdefault("labels", {})[_HASH] = digest
        owner = {"apiVersion": "apps/v1", "kind": "Deployment", "controller": True}
        owner |= {"name": meta["name"], "uid": meta["uid"]}
        labels = template["metadata"]["labels"]
        body = {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {"name": name, "labels": labels, "ownerReferences": [owner]},
            "spec": {"selector": {"matchLabels": labels}, "template": template},
        }
        return self.objects.put("ReplicaSet", meta["namespace"], body)

    def _pods(self, replica_set: Json) -> list[Json]:
        meta = replica_set["metadata"]
        pods = [p for p in self.objects.all("Pod", meta["namespace"]) if _owned(p, meta["uid"])]
        return [pod for pod in pods if pod["status"].get("phase") != "Failed"]

    def _add_pod(self, replica_set: Json, pods: list[Json]) -> str:
        """Make a pod; say why that is forbidden, or ``""``."""
        meta = replica_set["metadata"]
        name = f"{meta['name']}-{uuid.uuid4().hex[:5]}"
        used = sum(1 for _ in self.objects.all("Pod", meta["namespace"]))
        for quota in self.objects.all("ResourceQuota", meta["namespace"]):
            hard = int(quota["spec"]["hard"].get("pods", 1000))
            if used >= hard:
                return (
                    f'pods "{name}" is forbidden: exceeded quota: {quota["metadata"]["name"]}, '
                    f"requested: pods=1, used: pods={used}, limited: pods={hard}"
                )
        owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "controller": True}
        owner |= {"name": meta["name"], "uid": meta["uid"]}
        template = copy.deepcopy(replica_set["spec"]["template"])
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {**template["metadata"], "name": name, "ownerReferences": [owner]},
            "spec": template["spec"],
            "status": {"phase": "Pending"},
        }
        pods.append(self.objects.put("Pod", meta["namespace"], body))
        return ""

    def _end(self, pod: Json) -> None:
        self.objects.remove("Pod", pod["metadata"]["namespace"], pod["metadata"]["name"])

    def _report(self, deployment: Json, new: list[Json], old: list[Json], failure: str) -> None:
        meta, wanted = deployment["metadata"], deployment["spec"]["replicas"]
        ready = sum(map(_is_ready, (*new, *old)))
        done = len(new) == wanted == sum(map(_is_ready, new)) and not old
        generation, begun = self._since.get(meta["uid"], (0, 0.0))
        if generation != meta["generation"]:
            begun = time.monotonic()
            self._since[meta["uid"]] = (meta["generation"], begun)
        late = time.monotonic() - begun > deployment["spec"]["progressDeadlineSeconds"]
        reason = "ReplicaSetUpdated"
        if done:
            reason = "NewReplicaSetAvailable"
        elif late:
            reason = "ProgressDeadlineExceeded"
        progressing = _condition("Progressing", not late or done, reason)
        conditions = [_condition("Available", ready >= wanted, "MinimumReplicas"), progressing]
        if failure:
            conditions.append(_condition("ReplicaFailure", True, "FailedCreate", failure))
        status = {
            "observedGeneration": meta["generation"],
            "replicas": len(new) + len(old),
            "updatedReplicas": len(new),
            "readyReplicas": ready,
            "availableReplicas": ready,
            "conditions": conditions,
        }
        body = {**deployment, "metadata": dict(meta), "status": status}
        self.objects.put("Deployment", meta["namespace"], body)

    # -- nodes ------------------------------------------------------------------------------------

    def _run(self, pod: Json) -> None:
        meta, spec = pod["metadata"], pod["spec"]
        life = self._lives.setdefault(meta["uid"], Life(time.monotonic()))
        status: Json = {"phase": "Pending", "podIP": "10.0.1.1"}
        cores = sum(_cores(c["resources"].get("requests", {})) for c in spec["containers"])
        if cores > _CORES:
            why = "0/3 nodes are available: 3 Insufficient cpu."
            status["conditions"] = [_condition("PodScheduled", False, "Unschedulable", why)]
            self._event(pod, "FailedScheduling", why)
        elif time.monotonic() - life.begun >= self.pace:
            containers = [self._container(pod, c, life) for c in spec["containers"]]
            ready = all(c["ready"] for c in containers)
            if all("running" in c["state"] for c in containers):
                status["phase"] = "Running"
            status["containerStatuses"] = containers
            status["conditions"] = [_condition("Ready", ready, "ContainersNotReady")]
        self.objects.put(
            "Pod", meta["namespace"], {**pod, "metadata": dict(meta), "status": status}
        )

    def _container(self, pod: Json, container: Json, life: Life) -> Json:
        image = container["image"]
        status: Json = {"name": container["name"], "image": image, "imageID": "", "ready": False}
        status["restartCount"] = life.restarts
        waiting = self._waiting(pod, container, life)
        if waiting is not None:
            return {**status, "state": {"waiting": waiting}}
        status["imageID"] = self.images.identity(image)
        program, age = self.images.program(image), time.monotonic() - life.begun
        if program.crashes:
            life.begun, life.restarts = time.monotonic(), life.restarts + 1
            ended = {"exitCode": 1, "reason": "Error", "startedAt": now(), "finishedAt": now()}
            why = f"back-off 10s restarting failed container={container['name']}"
            status |= {"restartCount": life.restarts, "lastState": {"terminated": ended}}
            return {**status, "state": {"waiting": {"reason": "CrashLoopBackOff", "message": why}}}
        status["ready"] = program.ready and age >= self.pace + program.seconds
        if not program.ready:
            path = container.get("readinessProbe", {}).get("httpGet", {}).get("path", "/")
            self._event(
                pod,
                "Unhealthy",
                f"Readiness probe failed: HTTP probe failed with statuscode: 503 ({path})",
            )
        return {**status, "state": {"running": {"startedAt": now()}}}

    def _waiting(self, pod: Json, container: Json, life: Life) -> Json | None:
        """Say what keeps a container from starting."""
        missing = self.images.missing(container["image"]) if not life.restarts else ""
        if missing:
            life.pulls += 1
            self._event(pod, "Failed", f'Failed to pull image "{container["image"]}": {missing}')
            said = "ErrImagePull" if life.pulls == 1 else "ImagePullBackOff"
            self._event(pod, "Failed", f"Error: {said}")
            if life.pulls == 1:
                return {"reason": "ErrImagePull", "message": missing}
            why = f'Back-off pulling image "{container["image"]}"'
            return {"reason": "ImagePullBackOff", "message": why}
        for variable in container.get("env", ()):
            secret = variable.get("valueFrom", {}).get("secretKeyRef")
            name = secret["name"] if secret else ""
            if secret and self.objects.find("Secret", pod["metadata"]["namespace"], name) is None:
                return {
                    "reason": "CreateContainerConfigError",
                    "message": f'secret "{name}" not found',
                }
        return None

    def _event(self, pod: Json, reason: str, message: str) -> None:
        meta = pod["metadata"]
        name = f"{meta['name']}.{hashlib.sha256((reason + message).encode()).hexdigest()[:16]}"
        if self.objects.find("Event", meta["namespace"], name):
            return
        about = {"kind": "Pod", "name": meta["name"], "namespace": meta["namespace"]}
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name},
            "involvedObject": {**about, "uid": meta["uid"]},
            "type": "Warning",
            "reason": reason,
            "message": message,
            "lastTimestamp": now(),
        }
        self.objects.put("Event", meta["namespace"], body)


def _condition(kind: str, holds: bool, reason: str, message: str = "") -> Json:
    said = {"type": kind, "status": str(bool(holds)), "reason": reason}
    return {**said, "message": message} if message else said


def _is_ready(pod: Json) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _owned(body: Json, uid: str) -> bool:
    return any(o["uid"] == uid for o in body["metadata"].get("ownerReferences", ()))


def _cores(requests: Mapping[str, Any]) -> float:
    cpu = str(requests.get("cpu", "0"))
    return float(cpu[:-1]) / 1000 if cpu.endswith("m") else float(cpu)
