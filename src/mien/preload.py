"""Imported by the process from which jobs of the workflow are forked: what takes them longest to load."""

import contextlib
import importlib

import pandas as pd

from mien.cli import STAGES
from mien.errors import ModelError
from mien.faces import detect

for module in sorted(set(STAGES.values()) - {"mien.report.track"}):  # MLflow is what one job takes
    importlib.import_module(module)
with contextlib.suppress(ModelError):  # who needs it is told so
    detect.load()
pd.options.mode.string_storage = "python"  # Arrow's strings cost a page of the report a fifth of its time
