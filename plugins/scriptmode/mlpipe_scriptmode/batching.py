"""Answering several requests by one call of the model, where that changes no answer.

Most of what a small prediction costs is paid per call and not per row: scikit-learn checks its
input for 500 µs before it multiplies for 10. So requests that wait together are predicted
together, if

- the model is a scikit-learn estimator that its script serves by SageMaker's defaults, without
  a ``predict_fn`` and the like: scikit-learn asks of all its estimators that they predict each
  row for itself (``check_methods_subset_invariance``); or its script says ``MLPIPE_BATCH =
  True``. A function of the script's own may look at its rows together, count its calls or
  refuse a request for its first row, which nobody can tell from outside. ``MLPIPE_BATCH =
  False`` keeps an estimator's requests apart, too; and
- the rows are arrays of the same width and type of number; and
- the first batches were predicted row by row as well, and the predictions were the same. One
  that differs ends batching for good.

Labels and whole numbers are then the ones that each request would have got alone. Floats may
differ in their last digits, as those of a row alone and among others do: processors add up
in another order.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

    Rows = np.ndarray[Any, Any]

#: How many batches are predicted apart as well, and compared.
COMPARED = 8
#: Rows that one call predicts at most, unless a single request has more.
MOST_ROWS = 4096

#: By how much floats may differ, relative to their size, by the number of their bytes.
_ROUNDING = {2: 1e-2, 4: 1e-4, 8: 1e-9}

#: A body and its content type.
Answer = tuple[bytes, str]

#: Which request, and its answer or what it raises.
Outcome = tuple[int, Answer | Exception]


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a model; see ``Model.invoke``."""

    body: bytes
    content_type: str
    accept: str


class Servable(Protocol):
    """A model whose steps can be taken one by one."""

    @property
    def takes_batches(self) -> bool:
        """Whether rows of several requests may be predicted together."""
        ...

    def invoke(self, body: bytes, content_type: str, accept: str) -> Answer:
        """Take all steps."""
        ...

    def read(self, body: bytes, content_type: str) -> object:
        """Give what a body holds."""
        ...

    def predict(self, data: object) -> object:
        """Predict."""
        ...

    def write(self, prediction: object, accept: str) -> Answer:
        """Give a prediction as a body."""
        ...


class Batcher:
    """Answers requests, together where it may.

    Args:
        model: Who predicts.
    """

    def __init__(self, model: Servable) -> None:
        self._model = model
        self._together = model.takes_batches
        self._to_compare = COMPARED

    def answers(self, requests: Sequence[Request]) -> list[Answer | Exception]:
        """Answer each request, or say what it would have raised alone."""
        found = dict(pair for part in self.parts(requests) for pair in part)
        return [found[number] for number in range(len(requests))]

    def parts(self, requests: Sequence[Request]) -> Iterator[list[Outcome]]:
        """Answer requests, in any order; give those answered together as soon as they are."""
        if len(requests) == 1 or not self._together:
            for number, request in enumerate(requests):
                yield [(number, self._alone(request))]
            return
        inputs = [self._read(request) for request in requests]
        yield [(number, each) for number, each in enumerate(inputs) if isinstance(each, Exception)]
        for group in _groups(inputs):
            for part, predictions in self._predictions(group, inputs):
                pairs = zip(part, predictions, strict=True)
                yield [(number, self._written(y, requests[number].accept)) for number, y in pairs]

    def _alone(self, request: Request) -> Answer | Exception:
        try:
            return self._model.invoke(request.body, request.content_type, request.accept)
        except Exception as error:
            return error

    def _read(self, request: Request) -> object:
        try:
            return self._model.read(request.body, request.content_type)
        except Exception as error:
            return error

    def _written(self, prediction: object, accept: str) -> Answer | Exception:
        if isinstance(prediction, Exception):
            return prediction
        try:
            return self._model.write(prediction, accept)
        except Exception as error:
            return error

    def _predictions(
        self, group: Sequence[int], inputs: Sequence[Any]
    ) -> Iterator[tuple[Sequence[int], Sequence[object]]]:
        """Predict together, or one by one where that cannot be; give each as soon as it is."""
        together = self._at_once([inputs[number] for number in group])
        if together is not None and not self._to_compare:
            yield group, together
            return
        apart = []
        for number in group:
            apart.append(self._predicted(inputs[number]))
            yield [number], apart[-1:]
        if together is not None:
            self._compare(together, apart)

    def _at_once(self, inputs: Sequence["Rows"]) -> Sequence["Rows"] | None:
        """Predict together; nothing where that fails, or gives no array with a row for each."""
        import numpy as np

        if len(inputs) == 1 or not self._together:
            return None
        try:
            made = self._model.predict(np.concatenate(inputs))
        except Exception:
            return None  # one of them is at fault, and alone will say so
        ends = list(accumulate(len(rows) for rows in inputs))
        if not isinstance(made, np.ndarray) or not made.ndim or len(made) != ends[-1]:
            return None
        return [made[start:end] for start, end in pairwise([0, *ends])]

    def _predicted(self, rows: object) -> object:
        try:
            return self._model.predict(rows)
        except Exception as error:
            return error

    def _compare(self, together: Sequence["Rows"], apart: Sequence[object]) -> None:
        self._to_compare -= 1
        if not all(_same(*pair) for pair in zip(together, apart, strict=True)):
            self._together = False
            print(
                "the model predicts rows together otherwise than alone; requests are kept apart",
                file=sys.stderr,
                flush=True,
            )


def _groups(inputs: Sequence[object]) -> list[list[int]]:
    """Give the places of inputs that can be stacked; what failed to be read is in none."""
    import numpy as np

    groups: dict[object, list[int]] = {}
    for number, rows in enumerate(inputs):
        if isinstance(rows, np.ndarray) and rows.ndim == 2:
            groups.setdefault((rows.dtype, rows.shape[1]), []).append(number)
        elif not isinstance(rows, Exception):
            groups[number] = [number]
    return [part for group in groups.values() for part in _parts(group, inputs)]


def _parts(group: Sequence[int], inputs: Sequence[Any]) -> list[list[int]]:
    """Cut a group where its rows become too many."""
    if len(group) == 1:
        return [list(group)]
    parts: list[list[int]] = []
    size = MOST_ROWS
    for number in group:
        rows = len(inputs[number])
        if size + rows > MOST_ROWS:
            parts.append([])
            size = 0
        parts[-1].append(number)
        size += rows
    return parts


def _same(together: "Rows", alone: object) -> bool:
    import numpy as np

    if not isinstance(alone, np.ndarray) or alone.dtype.kind != together.dtype.kind:
        return False
    if together.dtype.kind not in "fc" or together.shape != alone.shape:
        return np.array_equal(together, alone)
    close = _ROUNDING.get(together.dtype.itemsize, 1e-9)
    return np.allclose(together, alone, rtol=close, atol=close * 1e-3, equal_nan=True)
