"""From a deployment and what is there to the calls between them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mlpipe import Action
from mlpipe_aws import Settings
from mlpipe_endpoint import awsrequests
from mlpipe_endpoint.awsdescribing import Describer, There
from mlpipe_endpoint.awsnames import config_name, listed, model_name, tags_of
from mlpipe_endpoint.values import Deployment, Model, near, shares


@dataclass(frozen=True)
class Step:
    """A call that changes something.

    Attributes:
        action: What people are told of it.
        service: As boto3 names it.
        call: The client's method.
        request: Gives its arguments; it may upload what they name.
        waits: Whether the endpoint takes its time for it.
    """

    action: Action
    service: str
    call: str
    request: Callable[[], Mapping[str, Any]]
    waits: bool = False


@dataclass(frozen=True)
class Planner:
    """Plans deployments on a target.

    Attributes:
        settings: The target's.
        look: Looks at what is there.
        model_request: Writes CreateModel of a model, uploading it.
    """

    settings: Settings
    look: Describer
    model_request: Callable[[Deployment, str, Model], Mapping[str, Any]]

    def steps(self, wanted: Deployment, there: There | None) -> tuple[Step, ...]:
        """List the calls that lead to a deployment, in order."""
        if there is not None and there.status == "Failed":
            return (self._removal(wanted), *self.steps(wanted, None))
        found = self.look.found(wanted.name, there)
        if there is not None and found is not None and _same_content(wanted, found.deployment):
            return tuple(self._in_place(wanted, there, found.deployment))
        return (
            *self._models(wanted),
            *self._alarms(wanted),
            *self._config(wanted),
            self._endpoint(wanted, there),
            *self._scaling(wanted),
            *(() if there is None else self._tags(wanted, there)),
        )

    def _removal(self, wanted: Deployment) -> Step:
        subject = f"endpoint {wanted.name}"
        request = {"EndpointName": wanted.name}
        action = Action("delete", subject, "it failed to be created")
        return Step(action, "sagemaker", "delete_endpoint", lambda: request)

    def _in_place(self, wanted: Deployment, there: There, now: Deployment) -> Iterator[Step]:
        """Change what needs no new configuration."""
        if not near(wanted.weights, now.weights):
            request = awsrequests.weights_request(wanted.name, wanted.answering)
            yield Step(
                Action(
                    "update",
                    f"weights of {wanted.name}",
                    f"{shares(now.weights)} → {shares(wanted.weights)}",
                ),
                "sagemaker",
                "update_endpoint_weights_and_capacities",
                lambda: request,
                waits=True,
            )
        yield from self._tags(wanted, there)

    def _models(self, wanted: Deployment) -> Iterator[Step]:
        made = set()
        for variant, model in wanted.variants.items():
            name = model_name(wanted, model, self.settings)
            if name in made or self.look.described("model", ModelName=name) is not None:
                continue
            made.add(name)
            yield Step(
                Action("create", f"model {name}", f"{variant}, {model.short}"),
                "sagemaker",
                "create_model",
                lambda v=variant, m=model: self.model_request(wanted, v, m),  # type: ignore[misc]
            )

    def _alarms(self, wanted: Deployment) -> Iterator[Step]:
        for request in awsrequests.alarm_requests(wanted):
            yield Step(
                Action("set", f"alarm {request['AlarmName']}", f"above {request['Threshold']:g}"),
                "cloudwatch",
                "put_metric_alarm",
                lambda request=request: request,  # type: ignore[misc]
            )

    def _config(self, wanted: Deployment) -> Iterator[Step]:
        name = config_name(wanted, self.settings)
        if self.look.described("endpoint_config", EndpointConfigName=name) is None:
            yield Step(
                Action("create", f"endpoint config {name}", _said(wanted)),
                "sagemaker",
                "create_endpoint_config",
                lambda: awsrequests.config_request(wanted, self.settings),
            )

    def _endpoint(self, wanted: Deployment, there: There | None) -> Step:
        config = config_name(wanted, self.settings)
        subject = f"endpoint {wanted.name}"
        if there is None:
            request: Mapping[str, Any] = {
                "EndpointName": wanted.name,
                "EndpointConfigName": config,
                "Tags": [
                    *awsrequests.own_tags(wanted, self.settings),
                    *listed(tags_of(wanted)),
                ],
            }
            return Step(
                Action("create", subject, shares(wanted.weights)),
                "sagemaker",
                "create_endpoint",
                lambda: request,
                waits=True,
            )
        rollout = awsrequests.hosting_of(wanted).rollout
        how = f", {rollout.type.replace('_', ' ')}" if rollout else ""
        return Step(
            Action("update", subject, f"{shares(wanted.weights)}{how}"),
            "sagemaker",
            "update_endpoint",
            lambda: awsrequests.update_request(wanted, self.settings),
            waits=True,
        )

    def _scaling(self, wanted: Deployment) -> Iterator[Step]:
        scaling = awsrequests.hosting_of(wanted).autoscaling
        if scaling is None:
            return
        for variant in wanted.answering:
            bounds, policy = awsrequests.scaling_requests(wanted, scaling, variant)
            subject = f"scaling of {variant}"
            detail = f"{scaling.least} to {scaling.most} instances"
            for call, request in (
                ("register_scalable_target", bounds),
                ("put_scaling_policy", policy),
            ):
                yield Step(
                    Action("set", subject, detail),
                    "application-autoscaling",
                    call,
                    lambda request=request: request,  # type: ignore[misc]
                )

    def _tags(self, wanted: Deployment, there: There) -> Iterator[Step]:
        tags = {k: v for k, v in tags_of(wanted).items() if there.tags.get(k, "") != v}
        if tags:
            what = ", ".join(name.removeprefix("mlpipe:") for name in tags)
            yield Step(
                Action("update", f"tags of {wanted.name}", what),
                "sagemaker",
                "add_tags",
                lambda: {"ResourceArn": there.arn, "Tags": listed(tags)},
            )


def _same_content(wanted: Deployment, now: Deployment) -> bool:
    """Tell whether two deployments differ in nothing that a configuration says."""
    there = replace(
        now,
        weights=wanted.weights,
        declared=wanted.declared,
        salt=wanted.salt,
        replaced=wanted.replaced,
    )
    digests = [{n: m.digest for n, m in each.variants.items()} for each in (wanted, there)]
    same = dict(wanted.hosting) == dict(there.hosting) and near(wanted.shadow, there.shadow)
    return digests[0] == digests[1] and same


def _said(wanted: Deployment) -> str:
    shadow = f", shadow {shares(wanted.shadow)}" if wanted.shadow else ""
    return f"{shares(wanted.answering)}{shadow}"
