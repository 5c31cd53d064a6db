"""An emulated AWS for tests, on moto, whose training and tuning jobs really run."""

from mlpipe_awstest.aws import REGION, ROLE, Aws, start

__all__ = ["REGION", "ROLE", "Aws", "start"]
