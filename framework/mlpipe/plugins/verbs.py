"""The ten verbs and what the engine may assume of each."""

from types import MappingProxyType

from mlpipe.types import Verb

VERBS = MappingProxyType(
    {
        verb.name: verb
        for verb in (
            Verb("checkout", summary="bring in the sources of one exact commit"),
            Verb("prepare", summary="extract, clean, validate, split and version data"),
            Verb("check", summary="unit tests, quality, security"),
            Verb("build", summary="package code into an archive, image or zip"),
            Verb("push", cached=False, effects=True, summary="store a package under a version"),
            Verb("train", summary="fit a model"),
            Verb("tune", summary="search hyperparameters"),
            Verb("evaluate", summary="measure a model against a gate"),
            Verb("deploy", cached=False, effects=True, summary="put a version into service"),
            Verb("monitor", cached=False, summary="look at what is in service"),
        )
    }
)
