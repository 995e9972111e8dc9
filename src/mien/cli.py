"""The command line: every command is a function, its options are the function's signature and docstring.

cyclopts makes it from these: it reads numpydoc, takes several values after one option of a stage, as rules of the
workflow list files, and imports the module of the command that is asked for, no other. Rules that need several commands
put --then between them: one process, as to start one costs more than most pages. Options that stages share are
explained here.
"""

import difflib
import importlib
import itertools
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from mien import kernels
from mien.errors import MienError, NotJudgedError

if TYPE_CHECKING:
    import cyclopts

log = logging.getLogger(__name__)

PEOPLE = {  # command -> (module, one line of help); the function has the command's name
    "predict": ("mien.apps.predict", "emotion of a clip or a folder of clips"),
    "watch": ("mien.apps.watch", "emotion of a film, a camera or a pipe as it runs"),
    "serve": ("mien.apps.serve", "a local page for clips and the camera"),
    "export_model": ("mien.apps.models", "trained models as files to give away"),
    "export_onnx": ("mien.apps.models", "models as ONNX files for other programs"),
    "doctor": ("mien.apps.doctor", "what is installed, which models judge, which devices there are"),
    "plan": ("mien.report.plan", "say what all trainings take in runs, hours and disk"),
    "compare": ("mien.report.compare", "say where results differ from published ones"),
    "config": ("mien.config.command", "write the values of config/NAME.yaml into params.yaml"),
}
STAGES = {  # command -> module; called by the rules of the workflow
    "get_corpus": "mien.corpora.download",
    "index_corpus": "mien.corpora.index",
    "extract_faces": "mien.faces.extract",
    "extract_sound": "mien.audio.extract",
    "extract_speech": "mien.audio.speech",
    "extract_vision": "mien.faces.vision",
    "extract_vectors": "mien.corpora.vectors",
    "fit_candide": "mien.candide.extract",
    "select_samples": "mien.classical.samples",
    "fit_classical": "mien.classical.fit",
    "train_classifier": "mien.training.classify",
    "pretrain": "mien.training.pretrain",
    "train": "mien.training.train",
    "train_vectors": "mien.training.train",
    "train_everybody": "mien.training.train",
    "fit_baseline": "mien.training.baselines",
    "assess": "mien.training.robustness",
    "measure_changes": "mien.training.changes",
    "embed": "mien.training.embed",
    "train_stream": "mien.training.stream",
    "train_fuzzy": "mien.training.noise",
    "check_models": "mien.apps.check",
    "build_predicted": "mien.report.tables.predicted",
    "build_pictures": "mien.report.tables.pictures",
    "build_table": "mien.report.tables.comparison",
    "build_overview": "mien.report.tables.overview",
    "plot_confusion": "mien.report.figures.confusion",
    "plot_curves": "mien.report.figures.curves",
    "plot_detectors": "mien.report.figures.detectors",
    "plot_embeddings": "mien.report.figures.embeddings",
    "plot_samples": "mien.report.figures.samples",
    "check_units": "mien.synthetic.check_units",
    "compare_classifiers": "mien.report.tables.classifiers",
    "judge_hypotheses": "mien.report.claims",
    "compare_transfer": "mien.report.tables.transfer",
    "plot_transfer": "mien.report.figures.curves",
    "plot_fer2013": "mien.report.figures.fer2013",
    "plot_features": "mien.report.figures.images",
    "draw_candide": "mien.report.figures.candide",
    "draw_networks": "mien.report.figures.networks",
    "plot_fits": "mien.report.figures.candide",
    "plot_pictures": "mien.report.figures.images",
    "build_trust": "mien.report.tables.trust",
    "plot_trust": "mien.report.figures.trust",
    "compare_intensity": "mien.report.tables.intensity",
    "plot_fuzziness": "mien.report.figures.fuzziness",
    "compare_streams": "mien.report.tables.streams",
    "plot_streams": "mien.report.figures.streams",
    "plot_spectrograms": "mien.report.figures.spectrograms",
    "count_complexity": "mien.report.tables.complexity",
    "summarise": "mien.report.tables.summary",
    "track": "mien.report.track",
    "list_runs": "mien.io.prune",
    "prune": "mien.io.prune",
    "write_docs": "mien.report.docs",
}

COMMANDS = [*PEOPLE, *STAGES]
OPTIONS = {  # of stages: what an option means whose stage does not say it
    "config": "params.yaml, or its sections as JSON text.",
    "jobs": "Threads.",
    "corpus": "Name of the corpus.",
    "corpus_info": "corpus.json of the corpus.",
    "clips": "Table CLIPS of the corpus.",
    "data": "Folder with corpora/, faces/ and sound/.",
    "faces": "Folder of the corpus's face shards.",
    "sound": "Folder of the corpus's sound shards.",
    "samples": "Folder of select_samples, with samples.parquet and corpus.json.",
    "folds": "Folds to test on, from 0.",
    "seeds": "Repetitions.",
    "runs": "run.json of every row, fold and seed.",
    "thesis": "The thesis's numbers.",
    "table": "Number of the table under tables in params.yaml.",
    "out_csv": "The numbers.",
    "out_md": "The page.",
    "out_svg": "The figure.",
    "out_png": "The figure.",
}


def main(argv: list[str] | None = None) -> None:
    """Run a command, or several with --then between.

    Exit with a message and 2 when the user can mend what is wrong, or 1 when only some files could not be judged.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", datefmt="%H:%M:%S")
    argv = sys.argv[1:] if argv is None else argv
    calls = [list(words) for then, words in itertools.groupby(argv, "--then".__eq__) if not then]
    for words in calls or [[]]:
        _run(words)
    if calls and calls[0][0] in STAGES:
        log.info("CPU seconds %.2f", sum(os.times()[:4]))  # with those of the processes that it waited for


def run_logged(argv: list[str], log_file: str, folder: str, environment: dict[str, str]) -> None:
    """Run `main` in a forked process, with a log, working directory and environment of its own."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    kernels.pin()
    with Path(log_file).open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    main(argv)


def _run(argv: list[str]) -> None:
    import cyclopts  # here, because the workflow reads STAGES

    command = next(iter(argv), "")
    if command and not command.startswith("-") and command not in COMMANDS:  # cyclopts would import all of them
        near = difflib.get_close_matches(command, COMMANDS, n=3) or PEOPLE
        sys.exit(_refuse(f"{command} is no command; did you mean {', '.join(near)}? See mien --help"))
    try:
        build_app(command)(argv, exit_on_error=False, print_error=False)
    except cyclopts.CycloptsError as error:
        sys.exit(_refuse(f"{str(error).rstrip('.')}; see mien{f' {command}' * (command in COMMANDS)} --help"))
    except MienError as error:
        _refuse(str(error), command)
        sys.exit(1 if isinstance(error, NotJudgedError) else 2)
    except ImportError as error:  # the commands of people need fewer packages than those of the workflow
        name = getattr(error.__cause__ or error, "name", None) or "mien"  # cyclopts wraps what an import raises
        if name.startswith("mien"):
            raise
        sys.exit(_refuse(f"{name} is not installed; pip install 'mien[workflow]' installs it", command))
    except OSError as error:  # a folder that cannot be written, a full disk
        if not error.filename:
            raise
        sys.exit(_refuse(f"{error.filename}: {error.strerror}", command))
    except KeyboardInterrupt:
        _refuse("interrupted", command)
        sys.exit(130)


def build_app(command: str = "") -> "cyclopts.App":
    """Build the command line; of stages, only `command` is imported and explained."""
    import cyclopts

    app = cyclopts.App(
        name="mien",
        help="Emotion recognition from faces and voices. Stages of the workflow are commands too: mien STAGE --help.",
        version=_version,
        default_parameter=cyclopts.Parameter(consume_multiple=command in STAGES, negative=()),
        help_formatter="plain",
        suppress_keyboard_interrupt=False,
        result_action="return_value",
    )
    for name, (module, line) in PEOPLE.items():  # without its line, a command is imported to be described
        app.command(f"{module}:{name}", name=name, help=None if name == command else line)
    for name, module in STAGES.items():
        stage = _explain(getattr(importlib.import_module(module), name)) if name == command else f"{module}:{name}"
        app.command(stage, name=name, show=False)
    app.register_install_completion_command(help="Complete commands and options in this shell (bash, zsh, fish).")
    return app


def _version() -> str:
    from mien.apps.doctor import version

    return version("mien")


def _explain(stage: Callable[..., None]) -> Callable[..., None]:
    """Give the options of a stage that its docstring does not explain the help that OPTIONS has for them."""
    import cyclopts

    explained, lines = dict(OPTIONS), stage.__doc__.splitlines()
    for line, text in itertools.pairwise(map(str.strip, lines)):  # cyclopts takes "a, b : Path" for one name
        names = line.partition(" : ")[0].split(", ")
        explained |= dict.fromkeys(names, text if len(names) > 1 else "")
    for name in explained.keys() & stage.__annotations__.keys():
        if explained[name]:
            help_text = cyclopts.Parameter(help=explained[name])
            stage.__annotations__[name] = Annotated[stage.__annotations__[name], help_text]
    return stage


def _refuse(message: str, command: str = "") -> int:
    print(f"mien{f' {command}' * bool(command)}: {message}", file=sys.stderr)
    return 2
