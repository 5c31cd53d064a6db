"""What lists answer: the items that are asked for, sorted, a page at a time."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlpipe_awstest.errors import invalid

_PAGE = 10  # SageMaker's own, where a request does not say
_OBJECTIVE = "FinalHyperParameterTuningJobObjectiveMetric"


def page(
    items: Sequence[Mapping[str, Any]], kind: str, request: Mapping[str, Any]
) -> dict[str, Any]:
    """Give a page of a list.

    Args:
        items: All there are, in the order of their making.
        kind: Of items, as ``TrainingJob``: what their fields are named by.
        request: Says which, in which order, and which page.

    Raises:
        Refused: The page is none of the list.
    """
    found = _sorted(list(_wanted(items, kind, request)), kind, request)
    token = request.get("NextToken") or "0"
    if not token.isdecimal() or int(token) > len(found):
        raise invalid("The pagination token is not valid.")
    end = int(token) + int(request.get("MaxResults", _PAGE))
    more = str(end) if end < len(found) else None
    return {f"{kind}Summaries": found[int(token) : end], "NextToken": more}


def _wanted(
    items: Sequence[Mapping[str, Any]], kind: str, request: Mapping[str, Any]
) -> Iterator[Mapping[str, Any]]:
    for item in items:
        made = item["CreationTime"]
        if (
            request.get("NameContains", "") in item[f"{kind}Name"]
            and request.get("StatusEquals") in (None, item[f"{kind}Status"])
            and request.get("CreationTimeAfter", made) <= made
            and request.get("CreationTimeBefore", made) >= made
        ):
            yield item


def _sorted(
    items: list[Mapping[str, Any]], kind: str, request: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    by = request.get("SortBy", "CreationTime")
    if by == "FinalObjectiveMetricValue":
        items = [item for item in items if _OBJECTIVE in item]

    def key(item: Mapping[str, Any]) -> Any:
        if by == "FinalObjectiveMetricValue":
            return item[_OBJECTIVE]["Value"]
        return item[{"Name": f"{kind}Name", "Status": f"{kind}Status"}.get(by, by)]

    return sorted(items, key=key, reverse=request.get("SortOrder") == "Descending")
