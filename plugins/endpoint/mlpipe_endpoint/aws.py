"""Endpoints at SageMaker."""

import fcntl
import json
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mlpipe import Action, Artifact, Input
from mlpipe.errors import StageError
from mlpipe_aws import Settings, failing, passing
from mlpipe_endpoint import awsrequests
from mlpipe_endpoint.asking import TARGET_HEADER, Answered, Request
from mlpipe_endpoint.awsdescribing import Describer, There
from mlpipe_endpoint.awsimages import image_of
from mlpipe_endpoint.awsnames import ASKED, VERIFIED, config_name, listed
from mlpipe_endpoint.awsoutcomes import failed, has, is_repeated, once
from mlpipe_endpoint.awsplan import Planner, Step
from mlpipe_endpoint.values import Deployment, Found, Model, Probe

#: Seconds that an endpoint may take for a change, beyond what its rollout waits.
_LONGEST = 3600.0
_ARCHIVE = "model.tar.gz"
#: Seconds between looks: the first, and the longest.
_PAUSES = (0.2, 15.0)
#: Seconds for which SageMaker may describe an endpoint as it was.
_STALE = 60.0


@dataclass(frozen=True)
class AwsBackend:
    """The endpoints of a target.

    Attributes:
        settings: The target's.
        root: The project's folder.
        home: Where this project keeps what it must.
    """

    settings: Settings
    root: Path
    home: Path

    @cached_property
    def _look(self) -> Describer:
        return Describer(self.settings)

    @cached_property
    def _planner(self) -> Planner:
        return Planner(self.settings, self._look, self._model_request)

    @contextmanager
    def exclusively(self, name: str) -> Iterator[None]:
        """Hold off other deploys from this project; SageMaker itself refuses those from others."""
        folder = self.home / name
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def describe(self, name: str) -> Found | None:
        """Look at an endpoint."""
        return self._look.found(name, self._look.there(name))

    def verified(self, name: str) -> Deployment | None:
        """Give what was last read back and probed: at the endpoint, its configuration is noted."""
        there = self._look.there(name)
        config = there.tags.get(VERIFIED) if there is not None else None
        if there is None or config is None:
            return None
        if config == there.config:
            found = self._look.found(name, there)
            return found.deployment if found else None
        with suppress(StageError):  # its record may be gone
            return self._look.recorded(name, config)
        return None

    def actions(self, wanted: Deployment, found: Found | None) -> tuple[Action, ...]:
        """List the calls that lead to a deployment."""
        steps = self._planner.steps(wanted, self._look.there(wanted.name))
        if not steps and found is not None and not found.verified:
            return (
                Action("verify", f"endpoint {wanted.name}", "an earlier deploy did not finish"),
            )
        return tuple(dict.fromkeys(step.action for step in steps))

    def apply(self, wanted: Deployment, found: Found | None, probe: Probe | None) -> None:
        """Make the calls, each once; what a killed run has made is found and used.

        Raises:
            StageError: A call is refused, or the endpoint does not become what it should be.
        """
        if self.settings.role is None:
            raise StageError(
                "is missing: the role that endpoints assume",
                where="targets.<name>.role",
                fix="As role: arn:aws:iam::111122223333:role/hosting",
            )
        there = self._settled(wanted.name)
        for step in self._planner.steps(wanted, there):
            if step.call == "update_endpoint":
                self._record_verified(wanted.name, there)
            if step.call in ("create_endpoint", "update_endpoint"):
                self._record(wanted, config_name(wanted, self.settings))
            self._call(step, wanted)
            if step.waits:
                self._wait(wanted, step)

    def check(self, deployment: Deployment, probe: Probe | None) -> None:
        """Ask each variant the probe. That it is in service, SageMaker has found by its ping.

        Nobody can ask a shadow.
        """
        if probe is None:
            return
        for variant in deployment.answering:
            with failing(f'variant "{variant}" does not answer the probe', deployment.name):
                answer = self.invoke(deployment.name, probe, variant)
            if answer["InvokedProductionVariant"] != variant:
                raise StageError(f'variant "{variant}" was asked, another one answered')

    def confirm(self, name: str) -> None:
        """Note at the endpoint that its configuration was read back and probed."""
        there = self._look.there(name)
        if there is not None and there.tags.get(VERIFIED) != there.config:
            with failing("the endpoint cannot be tagged", name):
                self._look.sagemaker.add_tags(
                    ResourceArn=there.arn, Tags=listed({VERIFIED: there.config})
                )

    def address(self, deployment: Deployment) -> str:
        """Give what an SDK takes as its ``endpoint_url``."""
        own = f"https://runtime.sagemaker.{self.settings.region}.amazonaws.com"
        return self.settings.endpoint_url or own

    def invoke(self, name: str, probe: Probe, variant: str = "") -> dict[str, Any]:
        """Send a request; give what boto3 gives."""
        runtime = self._look.client("sagemaker-runtime")
        # What names a variant is no traffic; SageMaker captures it, so that it is marked.
        named = {"TargetVariant": variant, "InferenceId": f"{ASKED}{uuid.uuid4()}"}
        return dict(
            runtime.invoke_endpoint(
                EndpointName=name,
                Body=probe.body,
                ContentType=probe.content_type,
                Accept=probe.accept,
                **(named if variant else {}),
            )
        )

    def ask(self, name: str, request: Request) -> Answered:
        """Send a request through boto3."""
        headers = request.headers
        body = Probe(request.body, headers["Content-Type"], headers["Accept"])
        with failing("the endpoint does not answer", name):
            answer = self.invoke(name, body, headers.get(TARGET_HEADER, ""))
        return Answered(answer["Body"].read(), answer["InvokedProductionVariant"])

    def records(self, name: str) -> Path:
        """Give the file that ``client`` writes: SageMaker itself records none."""
        return self.home / name / "invocations.jsonl"

    def weigh(self, name: str, weights: dict[str, float]) -> dict[str, float]:
        """Change live weights; give all of them afterwards.

        Raises:
            StageError: The endpoint is not there, or refuses them.
        """
        there = self._settled(name)
        for shadow in (weights.keys() & there.shadows.keys()) if there is not None else ():
            raise StageError(
                f'"{shadow}" is a shadow variant, whose weight is its share of copies',
                where=f"endpoint {name}",
                fix=f"Promote it: mlpipe endpoint promote {name} {shadow}; or change the recipe.",
            )
        request = awsrequests.weights_request(name, weights)
        with failing("the weights cannot be changed", name), once("in-progress"):
            self._look.sagemaker.update_endpoint_weights_and_capacities(**request)
        there = self._settled(name)
        return dict(there.weights) if there is not None else {}

    def stop(self, name: str) -> bool:
        """Delete an endpoint; its models and configurations stay, for the next deploy or ``gc``."""
        if self._settled(name) is None:
            return False
        with failing("the endpoint cannot be deleted", name), once("Could not find"):
            self._look.sagemaker.delete_endpoint(EndpointName=name)
        return True

    # -- doing --------------------------------------------------------------------------------

    def _model_request(self, wanted: Deployment, variant: str, model: Model) -> Mapping[str, Any]:
        """Upload a model, and write the request that makes it SageMaker's."""
        from mlpipe_endpoint import mlflow_model, versions
        from mlpipe_scriptmode import program_of

        folder = versions.ensure(self.home / wanted.name / "versions", variant, model, self.root)
        if mlflow_model.folder_of(folder) is not None:
            raise StageError(
                "what MLflow saved is served on this machine only",
                where=f"variant {variant}",
                fix="SageMaker's images serve by a script: give the output of a training stage.",
            )
        return awsrequests.model_request(
            wanted,
            model,
            self.settings,
            image_of(awsrequests.hosting_of(wanted), self.settings.region),
            self._uploaded(variant, model),
            program_of(folder),
        )

    def _uploaded(self, variant: str, model: Model) -> str:
        """Give where SageMaker finds a model's archive, which may be gone here."""
        if model.location.startswith("s3://"):
            return model.location
        store = self._look.store
        place = store.uri("artifacts", *model.digest.split(":", 1), _ARCHIVE)
        if store.exists(place):
            return place
        path = Input(variant, Artifact(variant, model.digest, model.location), self.root).path()
        return store.put(path, model.digest, _ARCHIVE)

    def _record_verified(self, name: str, there: There | None) -> None:
        """Keep what serves, with its weights of now, before unproven models take its traffic."""
        found = self._look.found(name, there)
        if there is not None and found is not None and found.verified:
            self._record(found.deployment, there.config)

    def _record(self, deployment: Deployment, config: str) -> None:
        """Keep what a configuration serves; the endpoint is described by it."""
        place = self._look.record_key(deployment.name, config)
        body = json.dumps(deployment.to_json()).encode()
        with failing("what is deployed cannot be recorded", f"s3://{self.settings.bucket}"):
            self._look.store.s3.put_object(Bucket=self.settings.bucket, Key=place, Body=body)

    def _call(self, step: Step, wanted: Deployment) -> None:
        request = step.request()
        method = getattr(self._look.client(step.service), step.call)
        from botocore.exceptions import ClientError

        with failing(f"{step.action.operation} {step.action.subject}", wanted.name):
            try:
                method(**request)
            except ClientError as error:
                # Names are by content: what exists is the same, made by a run that was killed or
                # by a call whose answer was lost.
                made = "already existing" in str(error)
                if not made and not (step.waits and self._has_taken(error, wanted)):
                    raise

    def _has_taken(self, error: Exception, wanted: Deployment) -> bool:
        """Tell whether a change is refused since an attempt before has made it, or is about to."""
        if not is_repeated(error):
            return False
        there = self._look.there(wanted.name)
        if there is None:
            return False
        return not there.settled or there.config == config_name(wanted, self.settings)

    def _settled(self, name: str) -> There | None:
        """Wait until nothing is being changed; give the endpoint."""
        pause, deadline = _PAUSES[0], time.monotonic() + _LONGEST
        while True:
            try:
                there = self._look.there(name)
                if there is None or there.settled:
                    return there
            except StageError as error:
                if not passing(error):
                    raise
            if time.monotonic() > deadline:
                raise StageError(
                    f"the endpoint is still being changed after {_LONGEST:g} s", where=name
                )
            time.sleep(pause)
            pause = min(pause * 1.5, _PAUSES[1])

    def _wait(self, wanted: Deployment, step: Step) -> None:
        """Wait until a change is there; a configuration from before may be an old description.

        Raises:
            StageError: SageMaker has led it back, or failed.
        """
        config = config_name(wanted, self.settings) if "weights" not in step.call else ""
        begun, pause = time.monotonic(), _PAUSES[0]
        while True:
            there = self._settled(wanted.name)
            if there is not None and has(there, config, wanted):
                return
            old = there is not None and there.status == "InService" and not there.failure
            if not old or time.monotonic() - begun > _STALE:
                raise failed(wanted, there)
            time.sleep(pause)
            pause = min(pause * 1.5, _PAUSES[1])
