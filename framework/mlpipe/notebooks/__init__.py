"""Jupyter notebooks: what they are made of, and running them.

``source`` and ``code`` need the standard library only, as planning does. ``run_notebook``
needs the extra ``notebooks``: papermill and ipykernel.
"""

from mlpipe.notebooks.running import run_notebook
from mlpipe.notebooks.source import CodeCell, code_of, strip

__all__ = ["CodeCell", "code_of", "run_notebook", "strip"]
