"""Executing a plan: workers, the runner, observers, recovery."""
