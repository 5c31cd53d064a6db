"""What tests of plugins are made with."""

from mlpipe.testing.stages import StageProbe, make_stage

__all__ = ["StageProbe", "make_stage"]
