"""Pages that plugins write: one file each, nothing from elsewhere, light and dark."""

from mlpipe_pages.drawing import INK, LINE, SOFT, Plot, figure, series
from mlpipe_pages.page import page

__all__ = ["INK", "LINE", "SOFT", "Plot", "figure", "page", "series"]
