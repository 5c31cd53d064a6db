"""SageMaker's script-mode model contract: pack a model with its code, load it, invoke it."""

from mlpipe_scriptmode.archive import pack, pack_folder, unpack
from mlpipe_scriptmode.errors import BadPayload, ModelFailure, UnsupportedContentType
from mlpipe_scriptmode.model import Model, load

__all__ = [
    "BadPayload",
    "Model",
    "ModelFailure",
    "UnsupportedContentType",
    "load",
    "pack",
    "pack_folder",
    "unpack",
]
