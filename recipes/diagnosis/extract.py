"""Where the rows come from: a data set that ships inside scikit-learn."""

from pandas import DataFrame
from sklearn.datasets import load_breast_cancer


def extract() -> DataFrame:
    """Give the measurements of 569 breast tumours (Wisconsin, 1995), one a row.

    Returns:
        Thirty features with snake_case names, then ``malignant``: 1 or 0.
    """
    bunch = load_breast_cancer(as_frame=True)
    features: DataFrame = bunch.data.rename(columns=lambda name: name.replace(" ", "_"))
    # scikit-learn's target is 1 for benign; what a model is to find is the other one.
    return features.assign(malignant=1 - bunch.target)
