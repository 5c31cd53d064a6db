"""SageMaker's script-mode model contract: pack a model with its code, load it, invoke it."""

from mlpipe_scriptmode.archive import facts_of, pack, pack_files, pack_folder, program_of, unpack
from mlpipe_scriptmode.batching import Batcher, Request
from mlpipe_scriptmode.codec import decode
from mlpipe_scriptmode.errors import BadPayload, ModelFailure, UnsupportedContentType
from mlpipe_scriptmode.model import Model, load

__all__ = [
    "BadPayload",
    "Batcher",
    "Model",
    "ModelFailure",
    "Request",
    "UnsupportedContentType",
    "decode",
    "facts_of",
    "load",
    "pack",
    "pack_files",
    "pack_folder",
    "program_of",
    "unpack",
]
