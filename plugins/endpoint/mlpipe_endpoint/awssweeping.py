"""What deploys have left at SageMaker that no endpoint uses."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from mlpipe_aws import failing
from mlpipe_endpoint.aws import AwsBackend
from mlpipe_endpoint.awsdescribing import Describer
from mlpipe_endpoint.awsnames import OWNER


@dataclass(frozen=True, slots=True)
class Orphan:
    """Something that nothing uses.

    Attributes:
        kind: ``model``, ``endpoint config`` or ``alarm``.
        name: Its name.
        delete: Deletes it.
    """

    kind: str
    name: str
    delete: Callable[[], Any]


def orphans(backend: AwsBackend) -> list[Orphan]:
    """Find what was made here and no endpoint uses. A rollback makes again what it needs.

    Raises:
        StageError: AWS does not answer.
    """
    look = Describer(backend.settings)
    sagemaker = look.sagemaker
    with failing("what there is cannot be listed"):
        used = {
            each["EndpointName"]: sagemaker.describe_endpoint(EndpointName=each["EndpointName"])
            for page in sagemaker.get_paginator("list_endpoints").paginate()
            for each in page["Endpoints"]
        }
        configs = {each["EndpointConfigName"] for each in used.values()}
        return [
            *_configs(look, configs),
            *_models(look, configs),
            *_alarms(look, set(used)),
        ]


def _configs(look: Describer, used: set[str]) -> Iterator[Orphan]:
    for page in look.sagemaker.get_paginator("list_endpoint_configs").paginate():
        for each in page["EndpointConfigs"]:
            name = each["EndpointConfigName"]
            if name not in used and OWNER in look.tags(each["EndpointConfigArn"]):
                delete = partial(look.sagemaker.delete_endpoint_config, EndpointConfigName=name)
                yield Orphan("endpoint config", name, delete)


def _models(look: Describer, configs: set[str]) -> Iterator[Orphan]:
    describe = look.sagemaker.describe_endpoint_config
    used = {
        variant["ModelName"]
        for config in configs
        for found in (describe(EndpointConfigName=config),)
        for kind in ("ProductionVariants", "ShadowProductionVariants")
        for variant in found.get(kind) or ()
    }
    for page in look.sagemaker.get_paginator("list_models").paginate():
        for each in page["Models"]:
            name = each["ModelName"]
            if name not in used and OWNER in look.tags(each["ModelArn"]):
                yield Orphan("model", name, partial(look.sagemaker.delete_model, ModelName=name))


def _alarms(look: Describer, endpoints: set[str]) -> Iterator[Orphan]:
    cloudwatch = look.client("cloudwatch")
    for page in cloudwatch.get_paginator("describe_alarms").paginate(AlarmNamePrefix="mlpipe-"):
        for each in page["MetricAlarms"]:
            of = {d["Name"]: d["Value"] for d in each.get("Dimensions", ())}.get("EndpointName")
            if each["Namespace"] == "AWS/SageMaker" and of not in endpoints:
                name = each["AlarmName"]
                yield Orphan("alarm", name, partial(cloudwatch.delete_alarms, AlarmNames=[name]))
