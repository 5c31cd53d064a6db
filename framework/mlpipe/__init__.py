"""mlpipe: one recipe, one command, the same run on a laptop and on AWS.

Everything a plugin or a script needs is importable from here. Names load on
first use, so ``import mlpipe`` itself reads nothing and imports no SDK.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlpipe.api import emit as emit
    from mlpipe.api import load_recipe as load_recipe
    from mlpipe.api import promote as promote
    from mlpipe.api import roll_back as roll_back
    from mlpipe.api import run as run
    from mlpipe.engine.releasing import Serving as Serving
    from mlpipe.errors import ExitCode as ExitCode
    from mlpipe.errors import GateMissed as GateMissed
    from mlpipe.errors import MlpipeError as MlpipeError
    from mlpipe.errors import StageError as StageError
    from mlpipe.errors import UserError as UserError
    from mlpipe.plugins.config import OPEN as OPEN
    from mlpipe.plugins.config import Declares as Declares
    from mlpipe.plugins.config import Function as Function
    from mlpipe.plugins.config import InputFile as InputFile
    from mlpipe.plugins.config import Notebook as Notebook
    from mlpipe.plugins.config import ObserverConfig as ObserverConfig
    from mlpipe.plugins.config import OutputPath as OutputPath
    from mlpipe.plugins.config import Scalar as Scalar
    from mlpipe.plugins.config import Script as Script
    from mlpipe.plugins.config import SecretName as SecretName
    from mlpipe.plugins.config import StageConfig as StageConfig
    from mlpipe.plugins.contexts import ObserverContext as ObserverContext
    from mlpipe.plugins.contexts import RollbackContext as RollbackContext
    from mlpipe.plugins.durations import Duration as Duration
    from mlpipe.plugins.markers import hookimpl as hookimpl
    from mlpipe.plugins.stage import Input as Input
    from mlpipe.plugins.stage import Stage as Stage
    from mlpipe.recipe.models import Recipe as Recipe
    from mlpipe.recipe.project import project_root as project_root
    from mlpipe.types import Action as Action
    from mlpipe.types import Artifact as Artifact
    from mlpipe.types import Check as Check
    from mlpipe.types import Event as Event
    from mlpipe.types import Permission as Permission
    from mlpipe.types import Release as Release
    from mlpipe.types import StageResult as StageResult
    from mlpipe.types import Target as Target
    from mlpipe.types import Usage as Usage
    from mlpipe.types import Verb as Verb

__version__ = "0.1.0"

_HOMES = {
    "mlpipe.api": ("emit", "load_recipe", "promote", "roll_back", "run"),
    "mlpipe.engine.releasing": ("Serving",),
    "mlpipe.errors": ("ExitCode", "GateMissed", "MlpipeError", "StageError", "UserError"),
    "mlpipe.plugins.config": (
        "OPEN",
        "Declares",
        "Function",
        "InputFile",
        "Notebook",
        "ObserverConfig",
        "OutputPath",
        "Scalar",
        "Script",
        "SecretName",
        "StageConfig",
    ),
    "mlpipe.plugins.contexts": ("ObserverContext", "RollbackContext"),
    "mlpipe.plugins.durations": ("Duration",),
    "mlpipe.plugins.markers": ("hookimpl",),
    "mlpipe.plugins.stage": ("Input", "Stage"),
    "mlpipe.recipe.models": ("Recipe",),
    "mlpipe.recipe.project": ("project_root",),
    "mlpipe.types": (
        "Action",
        "Artifact",
        "Check",
        "Event",
        "Permission",
        "Release",
        "StageResult",
        "Target",
        "Usage",
        "Verb",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = ["__version__", *sorted(_HOME_OF)]  # noqa: PLE0604 - every entry is a str


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
