"""What must be true of the data before anything is trained on it."""

from pandas import DataFrame

LABEL = "malignant"
ROWS_AT_LEAST = 500
FEATURES = 30

#: Lowest and highest plausible value, in the data set's own units.
RANGES = {
    "mean_radius": (5, 40),
    "mean_texture": (5, 60),
    "mean_perimeter": (30, 250),
    "mean_area": (100, 4000),
    "mean_smoothness": (0.01, 0.3),
}


def check(frame: DataFrame) -> list[str]:
    """Say what is wrong; an empty list when nothing is.

    Args:
        frame: As cleaned.
    """
    columns = [*RANGES, LABEL]
    if absent := [name for name in columns if name not in frame]:
        return [f"no column {name}" for name in absent]
    return [*_missing(frame), *_out_of_range(frame), *_shape(frame)]


def _missing(frame: DataFrame) -> list[str]:
    gaps = frame.isna().sum()
    return [f"{name}: {count} values are missing" for name, count in gaps.items() if count]


def _out_of_range(frame: DataFrame) -> list[str]:
    failures = []
    for name, (low, high) in RANGES.items():
        present = frame[name].dropna()
        if count := int((~present.between(low, high)).sum()):
            failures.append(f"{name}: {count} values are not between {low} and {high}")
    return failures


def _shape(frame: DataFrame) -> list[str]:
    failures = []
    if len(frame) < ROWS_AT_LEAST:
        failures.append(f"{len(frame)} rows, expected at least {ROWS_AT_LEAST}")
    if len(frame.columns) != FEATURES + 1:
        failures.append(f"{len(frame.columns) - 1} features, expected {FEATURES}")
    if set(frame[LABEL].dropna()) != {0, 1}:
        failures.append(f"{LABEL}: expected both 0 and 1, and nothing else")
    return failures
