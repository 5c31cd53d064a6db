"""MLflow models behind an endpoint: an archive that holds an ``MLmodel`` file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlpipe_scriptmode.codec import decode, encode
from mlpipe_scriptmode.errors import BadPayload, ModelFailure, reason
from mlpipe_scriptmode.media import JSON, media_type

if TYPE_CHECKING:
    import numpy as np

#: JSON that says its columns' names, as ``mlflow models serve`` takes it too.
_TABLES = ("dataframe_split", "dataframe_records")


def folder_of(unpacked: Path) -> Path | None:
    """Give the folder with the ``MLmodel``: the archive's own, or the only one in it."""
    found = [path.parent for path in (unpacked / "MLmodel", *unpacked.glob("*/MLmodel"))]
    present = [path for path in found if (path / "MLmodel").is_file()]
    return present[0] if len(present) == 1 else None


def load(folder: Path) -> "MlflowModel":
    """Load a model by its own flavour.

    Raises:
        ModelFailure: MLflow is missing, or cannot load it.
    """
    try:
        import mlflow.pyfunc
    except ImportError as error:
        raise ModelFailure(
            f"this is an MLflow model, and its interpreter has no mlflow: {error}"
        ) from error
    try:
        loaded = mlflow.pyfunc.load_model(str(folder))
    except Exception as error:
        raise ModelFailure(f"MLflow cannot load it: {reason(error)}") from error
    schema = loaded.metadata.get_input_schema()
    columns = () if schema is None or schema.is_tensor_spec() else tuple(schema.inputs)
    named = columns if schema is not None and schema.has_input_names() else ()
    return MlflowModel(loaded, named, "sklearn" in loaded.metadata.flavors)


@dataclass(frozen=True, slots=True)
class MlflowModel:
    """A loaded model, with the steps that ``mlpipe_scriptmode.Batcher`` takes.

    Attributes:
        model: MLflow's ``PyFuncModel``.
        columns: What its signature says of each column, if that names them: rows of a body are
            given those names and types. A model without one is given arrays.
        takes_batches: Whether rows of several requests may be predicted together: those of
            scikit-learn's models.
    """

    model: Any
    columns: Sequence[Any]
    takes_batches: bool

    def invoke(self, body: bytes, content_type: str, accept: str) -> tuple[bytes, str]:
        """Answer a request; see ``mlpipe_scriptmode.Model.invoke``."""
        return self.write(self.predict(self.read(body, content_type)), accept)

    def read(self, body: bytes, content_type: str) -> object:
        """Give rows as array; a table where JSON names its columns."""
        content_type = content_type or JSON
        if media_type(content_type) == JSON and any(each.encode() in body for each in _TABLES):
            return _table(body)
        return decode(body, content_type)

    def predict(self, data: object) -> object:
        """Predict.

        Raises:
            BadPayload: The data is not what the model's signature says.
            ModelFailure: The model's code raised.
        """
        import numpy as np
        from mlflow.exceptions import MlflowException

        given = self._named(data) if self.columns and isinstance(data, np.ndarray) else data
        try:
            return self.model.predict(given)
        except (MlflowException, ValueError) as error:
            raise BadPayload(reason(error)) from error
        except Exception as error:
            raise ModelFailure(reason(error)) from error

    def write(self, prediction: object, accept: str) -> tuple[bytes, str]:
        """Give a prediction as a body."""
        return encode(prediction, accept or JSON)

    def _named(self, rows: "np.ndarray[Any, Any]") -> object:
        """Give rows the names of the signature's columns, and their types where nothing is lost."""
        import pandas as pd

        names = [column.name for column in self.columns]
        if rows.shape[1] != len(names):
            raise BadPayload(
                f"the rows have {rows.shape[1]} columns, the model takes {len(names)}: "
                f"{', '.join(names)}"
            )
        table = pd.DataFrame(rows, columns=names)
        for column in self.columns:
            table[column.name] = _as_declared(table[column.name], column.type)
        return table


def _as_declared(values: Any, declared: Any) -> Any:
    """Give a column the type that the signature wants; as it is, where values would change."""
    wanted = declared.to_numpy() if hasattr(declared, "to_numpy") else values.dtype
    if wanted.kind not in "biuf" or wanted == values.dtype:
        return values
    cast = values.astype(wanted)
    return cast if wanted.kind == "f" or (cast == values).all() else values


def _table(body: bytes) -> object:
    import json

    import pandas as pd

    try:
        value = json.loads(body)
        if "dataframe_split" in value:
            split = value["dataframe_split"]
            return pd.DataFrame(split["data"], columns=split["columns"])
        return pd.DataFrame.from_records(value["dataframe_records"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadPayload(f"the body is no table: {reason(error)}") from None
