"""Where the rows come from: a data set that ships inside scikit-learn."""

from pandas import DataFrame
from sklearn.datasets import load_wine


def analyses() -> DataFrame:
    """Give the analyses of 178 wines from one region of Italy (Forina et al., 1991), one a row.

    Returns:
        Thirteen measurements with snake_case names, then ``cultivar``: 0, 1 or 2.
    """
    bunch = load_wine(as_frame=True)
    measured: DataFrame = bunch.data.rename(columns={"od280/od315_of_diluted_wines": "od_ratio"})
    return measured.assign(cultivar=bunch.target)
