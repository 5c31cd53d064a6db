"""Taking out rows that no model should learn from."""

from pandas import DataFrame

_MEASURES = ("radius", "texture", "perimeter", "area", "smoothness")


def clean(frame: DataFrame) -> DataFrame:
    """Drop repeated and impossible rows.

    Args:
        frame: As extracted.

    Returns:
        Rows whose sizes are above zero, and whose worst values are not below their means.
    """
    possible = (frame[[f"mean_{name}" for name in _MEASURES]] > 0).all(axis="columns")
    for name in _MEASURES:
        possible &= frame[f"worst_{name}"] >= frame[f"mean_{name}"]
    return frame[possible].drop_duplicates()
