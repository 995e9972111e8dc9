"""Structure is tested like behaviour: who may import what."""

import ast
import re
from functools import cache

import pytest

from mien.io.provenance import PACKAGE

BASE = {"config", "io"}  # every package may import these, mien.errors and mien.kernels
OURS = {  # package -> further packages of ours it may import
    "config": set(),
    "io": set(),
    "candide": set(),
    "corpora": set(),
    "synthetic": {"candide", "corpora"},
    "faces": set(),
    "audio": set(),
    "augment": set(),
    "models": set(),
    "classical": set(),
    "training": {"audio", "augment", "classical", "evaluation", "models"},
    "evaluation": {"models"},
    "report": {"audio", "augment", "candide", "classical", "evaluation", "faces", "models"},
    "apps": {"audio", "augment", "candide", "corpora", "evaluation", "faces", "models", "training"},
}
FLOOR = {"config": {"io"}, "io": set()}  # what the two themselves may import beside mien.errors
HOMES = {  # heavy library -> where it may be imported
    "dlib": ("faces/",),
    "torchaudio": ("audio/",),
    "torchvision": ("faces/vision",),
    "matplotlib": ("report/",),
    "mlflow": ("report/track",),
    "onnx": ("models/onnx",),
    "onnxruntime": ("models/onnx",),
    "opensmile": ("audio/functionals",),
}
MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


@cache
def _imports(file: str) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse((PACKAGE / file).read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"mien.{alias.name}" for alias in node.names} if node.module == "mien" else {node.module}
    return names


@pytest.mark.parametrize("file", MODULES)
def test_packages_import_only_what_they_may(file):
    package = file.split("/")[0]
    if package not in OURS:
        return
    allowed = {package, "errors", "kernels"} | FLOOR.get(package, BASE | OURS[package])
    ours = {name.split(".")[1] for name in _imports(file) if name.startswith("mien.")}
    assert ours <= allowed, f"{file} imports {ours - allowed}"


@pytest.mark.parametrize("file", MODULES)
def test_heavy_libraries_have_one_home(file):
    heavy = {name.split(".")[0] for name in _imports(file)} & HOMES.keys()
    for library in heavy:
        assert file.startswith(HOMES[library]), f"{file} imports {library}"


def test_rules_declare_and_compute_nothing(repository):
    for path in (repository / "workflow" / "rules").glob("*.smk"):
        assert not re.search(r"^\s+(run|message|script):", path.read_text(), re.M), path.name
