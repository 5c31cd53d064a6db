"""Experiments between an endpoint's variants: begun by its deploy, fixed from then on."""

from pathlib import Path

from mlpipe import Action, Stage
from mlpipe_endpoint.config import EndpointConfig
from mlpipe_endpoint.places import LOCAL
from mlpipe_endpoint.values import Deployment
from mlpipe_experiments import ExperimentPlan, keeping, showing


def plan_of(config: EndpointConfig, wanted: Deployment) -> ExperimentPlan | None:
    """Give the plan of the experiment, where there is one and all that it compares."""
    plan = config.plan
    return plan if plan is not None and plan.weights.keys() <= wanted.variants.keys() else None


def check(plan: ExperimentPlan, wanted: Deployment, stage: Stage) -> None:
    """See that no other plan is under way.

    Raises:
        UserError: One is, with the same salt.
    """
    keeping.check(stage.state_dir, wanted.name, wanted.assigned_with, plan)


def actions(plan: ExperimentPlan, wanted: Deployment, stage: Stage) -> tuple[Action, ...]:
    """List what ``begin`` would do.

    Raises:
        UserError: Another plan is under way with the same salt.
    """
    check(plan, wanted, stage)
    if keeping.is_begun(stage.state_dir, wanted.name, wanted.assigned_with):
        return ()
    detail = f"{plan.metric.name}, at most {showing.takes(plan)}"
    return (Action("begin", f"experiment on {wanted.name}", detail),)


def begin(plan: ExperimentPlan, wanted: Deployment, stage: Stage, records: Path) -> None:
    """Begin an experiment, unless it runs already."""
    place = records.relative_to(stage.state_dir)
    promoting = f"mlpipe endpoint promote {wanted.name}"
    if stage.target.name != LOCAL:
        promoting += f" --target {stage.target.name}"
    keeping.begin(
        stage.state_dir,
        wanted.name,
        wanted.assigned_with,
        plan,
        place,
        promoting,
        run=stage.run,
        stage=stage.name,
    )
    print(f"experiment {plan.digest()[7:19]}: mlpipe ab status {wanted.name}", flush=True)
