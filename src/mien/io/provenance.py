"""What a result depends on: a digest of the code that a command reaches, and the revision of the repository."""

import ast
import hashlib
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
# The schema checks values and computes none: what a command computes from them is in the values that it is given.
NOT_FOLLOWED = ("config.schema", "config.runs")


@dataclass(frozen=True)
class _Module:
    """A parsed module: its top-level definitions by name, and what its imports mean, local name -> dotted target."""

    name: str
    definitions: Mapping[str, ast.stmt]
    imports: Mapping[str, str]
    statements: tuple[str, ...]  # dumps of what is executed on import and defines nothing


def code_digest(*entries: str) -> str:
    """Return a digest of the definitions of ours that `entries` reach, at any depth.

    A definition is a function, class or constant at the top level of a module. Comments, docstrings, formatting, import
    lines and the module a definition stands in do not count, so code may be moved between files.

    Parameters
    ----------
    *entries : str
        ``"training.train:run"``, a definition, or ``"corpora.ravdess"``, all definitions of a module.

    Raises
    ------
    ModuleNotFoundError, AttributeError
        An entry does not exist.
    """
    return hashlib.sha256("\n".join(sorted(_dumps(entries))).encode()).hexdigest()[:12]


def defines(module: str, name: str) -> bool:
    """Say whether `name` is defined at the top level of a module of ours."""
    return name in _module(module).definitions


def reached(*entries: str) -> set[tuple[str, str]]:
    """Return (module, name) of the definitions of ours that `entries` reach, at any depth, themselves included."""
    seen: set[tuple[str, str]] = set()
    queue = [pair for entry in entries for pair in _pairs(entry)]
    while queue:
        pair = queue.pop()
        if pair not in seen:
            seen.add(pair)
            queue += _definition(*pair)[1]
    return seen


def _dumps(entries: tuple[str, ...]) -> set[str]:
    pairs = reached(*entries)
    statements = {text for name in {module for module, _ in pairs} for text in _module(name).statements}
    return {_definition(*pair)[0] for pair in pairs} | statements


def _pairs(entry: str) -> list[tuple[str, str]]:
    name, _, attribute = entry.partition(":")
    module = _module(name)
    if module is None:
        raise ModuleNotFoundError(f"mien.{name}")
    if not attribute:
        return [(name, one) for one in module.definitions]
    if attribute not in module.definitions:
        raise AttributeError(f"mien.{name} has no {attribute} at its top level")
    return [(name, attribute)]


@cache
def _module(name: str) -> _Module | None:
    path = PACKAGE.joinpath(*name.split("."))
    file = next((one for one in (path.with_suffix(".py"), path / "__init__.py") if one.is_file()), None)
    if file is None:
        return None
    definitions: dict[str, ast.stmt] = {}
    statements = []
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in tree.body:
        if bound := list(_bound(node)):
            definitions |= dict.fromkeys(bound, node)
        elif not isinstance(node, ast.Import | ast.ImportFrom) and not _is_text(node):
            statements.append(ast.dump(node))
    return _Module(name, definitions, _imports(tree.body), tuple(statements))


def _bound(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name))


def _imports(nodes: list[ast.stmt]) -> dict[str, str]:
    """Return local name -> "package.module" or "package.module:name" of the imports of ours among `nodes`."""
    found = {}
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module and f"{node.module}.".startswith("mien."):
            package = node.module.removeprefix("mien").removeprefix(".")
            for alias in node.names:
                inner = f"{package}.{alias.name}".removeprefix(".")
                found[alias.asname or alias.name] = inner if _module(inner) else f"{package}:{alias.name}"
    return found


@cache
def _definition(module: str, name: str) -> tuple[str, list[tuple[str, str]]]:
    """Return a text that stands for a definition, and (module, name) of what it refers to."""
    home = _module(module)
    node = home.definitions[name]
    first = next(one for one, other in home.definitions.items() if other is node)
    if first != name:  # of several targets of an assignment, whose tree is canonical once only
        return "", [(module, first)]
    own = {local: f"{module}:{local}" for local in home.definitions}
    names = own | dict(home.imports) | _imports([one for one in ast.walk(node) if isinstance(one, ast.ImportFrom)])
    canonical = _Canonical(names)
    text = ast.dump(canonical.visit(node))
    return text, sorted(canonical.references)


class _Canonical(ast.NodeTransformer):
    """Takes docstrings and imports of ours away, and notes what is referred to, by the bare name of its definition."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names
        self.references: set[tuple[str, str]] = set()

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.stmt | None:
        return None if f"{node.module or ''}.".startswith("mien.") else node

    def visit_Expr(self, node: ast.Expr) -> ast.stmt | None:
        return None if _is_text(node) else self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._named(node, self.names.get(node.id, ""))

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        home = self.names.get(node.value.id, "") if isinstance(node.value, ast.Name) else ""
        if home and ":" not in home:
            return self._named(node, f"{home}:{node.attr}")
        return self.generic_visit(node)

    def _named(self, node: ast.expr, target: str) -> ast.expr:
        module, _, name = target.partition(":")
        while name and (home := _module(module)) and name not in home.definitions and name in home.imports:
            module, _, name = home.imports[name].partition(":")  # as imported there
        if not name or module in NOT_FOLLOWED or not (home := _module(module)) or name not in home.definitions:
            return node
        self.references.add((module, name))
        return ast.Name(name, ast.Load())


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def git_revision(folder: Path = Path()) -> str:
    """Return the commit of `folder`, with +changes where tracked files differ from it, or unknown outside git."""
    try:
        run = subprocess.run(
            ["git", "-C", str(folder), "describe", "--always", "--abbrev=40", "--dirty=+changes", "--exclude=*"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return run.stdout.strip()
