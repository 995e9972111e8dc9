"""Trained networks on recordings of your own: predict, watch, serve."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

Jobs = Annotated[int, Parameter(validator=Number(gte=1))]
Names = Annotated[list[str] | None, Parameter(consume_multiple=True)]  # an option with several values
Models = Annotated[Path | None, Parameter(name=("--models", "--results"))]  # an option of the commands
