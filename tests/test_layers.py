"""Structure is tested like behaviour: who may import what, and one name for one thing."""

import ast
import re
from functools import cache

import pytest

from mien.cli import COMMANDS
from mien.core.provenance import PACKAGE

OURS = {  # room -> rooms of ours it may import, itself aside
    "core": set(),
    "candide": {"core"},
    "corpora": {"core"},
    "synthetic": {"core", "candide", "corpora"},
    "faces": {"core"},
    "sound": {"core"},
    "augment": {"core"},
    "models": {"core"},
    "samples": {"core"},
    "classical": {"core", "samples"},
    "training": {"core", "augment", "evaluation", "models", "samples", "sound"},
    "evaluation": {"core", "models"},
    "report": {"core", "augment", "candide", "classical", "evaluation", "models", "samples", "sound"},
    "planning": {"core", "augment", "report"},
    "predict": {"core", "augment", "candide", "faces", "models", "sound"},
}
HOMES = {  # heavy library -> where it may be imported
    "dlib": ("faces/",),
    "torchaudio": ("sound/",),
    "torchvision": (),
    "matplotlib": ("report/",),
    "mlflow": ("core/track",),
}
MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


@cache
def _nodes(file: str) -> list[ast.AST]:
    return list(ast.walk(ast.parse((PACKAGE / file).read_text())))


@cache
def _imports(file: str) -> set[str]:
    names = set()
    for node in _nodes(file):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("file", MODULES)
def test_rooms_import_only_what_they_may(file):
    room = file.split("/")[0]
    if room not in OURS:
        return
    ours = {name.split(".")[1] for name in _imports(file) if name.startswith("mien.")}
    assert ours - {room} <= OURS[room], f"{file} imports {ours - {room} - OURS[room]}"


@pytest.mark.parametrize("file", MODULES)
def test_heavy_libraries_have_one_home(file):
    heavy = {name.split(".")[0] for name in _imports(file)} & HOMES.keys()
    for library in heavy:
        assert file.startswith(HOMES[library]), f"{file} imports {library}"


@pytest.mark.parametrize("file", MODULES)
def test_modules_stay_readable(file):
    assert len((PACKAGE / file).read_text().splitlines()) <= 400
    for node in _nodes(file):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.lineno < 60, f"{file}: {node.name} does not fit on a screen"


def test_a_command_is_a_module_and_a_rule_of_its_name(repository):
    rules = "".join(path.read_text() for path in (repository / "workflow" / "rules").glob("*.smk"))
    for command, (module, _) in COMMANDS.items():
        assert module.rpartition(".")[2] == command
        if not module.startswith(("mien.predict.", "mien.planning.")):  # on your clips, or before a run
            assert re.search(rf"python -m mien {command}\b", rules), command


def test_rules_declare_and_compute_nothing(repository):
    for path in (repository / "workflow" / "rules").glob("*.smk"):
        text = path.read_text()
        assert not re.search(r"^\s+(run|message|script):", text, re.M), path.name
        assert len(text.splitlines()) <= 250, path.name
