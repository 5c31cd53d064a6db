"""From a recipe to a plan: what would run, and why. Pure: reads, never writes."""

from mlpipe.plan.make import Selection, make
from mlpipe.plan.values import Outside, Plan, PlannedStage, Verdict

__all__ = ["Outside", "Plan", "PlannedStage", "Selection", "Verdict", "make"]
