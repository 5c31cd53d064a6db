"""Promotions: all traffic to the variant that won, and its model as the champion."""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import mlpipe
from mlpipe import Release, Serving, UserError
from mlpipe.errors import StageError
from mlpipe_endpoint.contract import Backend
from mlpipe_endpoint.deploying import KIND
from mlpipe_endpoint.values import Deployment, Found
from mlpipe_experiments import keeping
from mlpipe_experiments.keeping import Ending, Experiment


def standing(backend: Backend, found: Found) -> Found:
    """Give what a promotion starts from.

    That is not what serves where a deploy was killed before it had asked new models its probe:
    then it is what last answered, so that the promotion takes the others out of service.
    """
    before = None if found.verified else backend.verified(found.deployment.name)
    return found if before is None else replace(found, deployment=before)


def promote(root: Path, found: Found, variant: str = "") -> Serving:
    """Give a variant all traffic; its experiment ends, if it has not yet.

    Args:
        root: The project's folder.
        found: The endpoint.
        variant: Which one; the winner of its experiment when left out.

    Raises:
        UserError: There is no such variant, or nothing says which one won.
        StageError: The endpoint does not serve it so.
    """
    now = found.deployment
    experiment = _experiment(root, now)
    winner = variant or _winner(experiment, now)
    if winner not in now.variants:
        raise UserError(
            f'endpoint "{now.name}" has no variant "{winner}"',
            fix=f"Its variants: {', '.join(now.variants)}.",
        )
    promotion = promoted(now, winner, _incumbent(experiment, now, winner))
    if promotion == now and found.verified:
        raise UserError(
            f'"{winner}" has all traffic of endpoint "{now.name}" already',
            fix=f"The way back: mlpipe rollback {KIND}/{now.name}",
        )
    if experiment is not None:
        experiment.end(Ending(time.time(), "stopped", None, f"{winner} was promoted meanwhile"))
    return mlpipe.promote(Release(KIND, now.name, promotion.payload()), root)


def _experiment(root: Path, now: Deployment) -> Experiment | None:
    """Give the experiment between the variants as they are now."""
    if not keeping.is_begun(root / ".mlpipe", now.name, now.assigned_with):
        return None
    return keeping.newest(root / ".mlpipe", now.name)


def _winner(experiment: Experiment | None, now: Deployment) -> str:
    if experiment is None:
        raise UserError(
            f'nothing says which variant of endpoint "{now.name}" is to be promoted',
            fix=f"Name it: {', '.join(now.variants)}.",
        )
    if experiment.ending is None:
        raise StageError(
            f'the experiment on "{now.name}" is not decided',
            fix=f"Decide it: mlpipe ab decide {now.name}. Or name a variant.",
        )
    if experiment.ending.winner is None:
        raise StageError(
            f'the experiment on "{now.name}" has no winner: {experiment.ending.reason}',
            fix="Name a variant to promote it all the same.",
        )
    return experiment.ending.winner


def _incumbent(experiment: Experiment | None, now: Deployment, winner: str) -> str | None:
    """Name the variant whose place the winner takes, if it is another one."""
    control = experiment.plan.control if experiment else _most(now.weights, winner)
    return control if control != winner else None


def _most(weights: Mapping[str, float], winner: str) -> str | None:
    others = [name for name, weight in weights.items() if name != winner and weight > 0]
    return max(others, key=lambda name: weights[name], default=None)


def promoted(now: Deployment, winner: str, incumbent: str | None) -> Deployment:
    """Give a deployment with all traffic at one variant, which takes another one's place."""
    weights = dict.fromkeys(now.weights, 0.0)
    weights[winner] = sum(now.weights.values())
    replaced = now.replaced if incumbent is None else {incumbent: winner}
    shadow = {name: share for name, share in now.shadow.items() if name != winner}
    return replace(now, weights=weights, replaced=replaced, shadow=shadow)
