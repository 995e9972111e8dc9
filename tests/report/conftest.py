"""Run a command of the report as the command line does, without leaving the process."""

from argparse import ArgumentParser
from collections.abc import Callable

import pytest

import planted


@pytest.fixture
def command() -> Callable[..., None]:
    """Return call(module, *arguments, config=JSON): parse the arguments and run the module's command."""

    def call(module, *arguments, config: str | None = None) -> None:
        parser = ArgumentParser()
        module.add_arguments(parser)
        args = parser.parse_args([str(argument) for argument in arguments])
        args.config, args.jobs = config or planted.config(), 1
        module.run(args)

    return call
