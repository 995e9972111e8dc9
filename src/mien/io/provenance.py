"""What a result depends on: a digest of the code that a command reaches, and the revision of the repository."""

import ast
import hashlib
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
# The schema checks values and computes none: what a command computes from them is in the values that it is given.
NOT_FOLLOWED = ("config.schema", "config.runs")


@dataclass(frozen=True)
class _Module:
    """A parsed module: its top-level definitions by name, and what its imports mean, local name -> dotted target."""

    definitions: Mapping[str, ast.stmt]
    imports: Mapping[str, str]
    statements: tuple[str, ...]  # digests of what is executed on import and defines nothing


@cache
def code_digest(*entries: str) -> str:
    """Return a digest of the definitions of ours that `entries` reach, at any depth.

    A definition is a function, class or constant at the top level of a module. Comments, docstrings, formatting, import
    lines and the module a definition stands in do not count, so code may be moved between files.

    Parameters
    ----------
    *entries : str
        ``"training.train:train"``, a definition, or ``"corpora.ravdess"``, all definitions of a module.

    Raises
    ------
    ModuleNotFoundError, AttributeError
        An entry does not exist.
    """
    pairs = reached(*entries)
    statements = {one for name in {module for module, _ in pairs} for one in _module(name).statements}
    return _digest(*sorted({_definition(*pair)[0] for pair in pairs} | statements))[:12]


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


def forget() -> None:
    """Read the code again: what was parsed is kept as long as a process lives."""
    for function in (code_digest, _module, _definition):
        function.cache_clear()


def _digest(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


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
            statements.append(_Canonical({}).read(node))
    return _Module(definitions, _imports(tree.body), tuple(statements))


def _bound(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name))


def _imports(nodes: Iterable[ast.AST]) -> dict[str, str]:
    """Return local name -> "package.module" or "package.module:name" of the imports of ours among `nodes`."""
    found = {}
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and _is_ours(node):
            package = node.module.removeprefix("mien").removeprefix(".")
            for alias in node.names:
                inner = f"{package}.{alias.name}".removeprefix(".")
                found[alias.asname or alias.name] = inner if _module(inner) else f"{package}:{alias.name}"
    return found


@cache
def _definition(module: str, name: str) -> tuple[str, list[tuple[str, str]]]:
    """Return a digest of a definition, and (module, name) of what it refers to."""
    home = _module(module)
    node = home.definitions[name]
    first = next(one for one, other in home.definitions.items() if other is node)
    if first != name:  # one of several targets of an assignment
        return "", [(module, first)]
    canonical = _Canonical({local: f"{module}:{local}" for local in home.definitions} | dict(home.imports))
    return canonical.read(node), sorted(canonical.references)


class _Canonical:
    """Digests a tree without docstrings and imports of ours, and notes which definitions it refers to.

    What is referred to stands there by the bare name of its definition, however it was imported.
    """

    def __init__(self, names: dict[str, str]) -> None:
        self.names = names
        self.references: set[tuple[str, str]] = set()
        self.texts: list[str] = []

    def read(self, node: ast.stmt) -> str:
        self.names |= _imports(_statements(node))
        self._add(node)
        return _digest(*self.texts)

    def _add(self, value: object) -> None:
        if isinstance(value, list):
            self.texts.append("[")
            for one in value:
                self._add(one)
            self.texts.append("]")
        elif not isinstance(value, ast.AST):
            self.texts.append(repr(value))
        elif isinstance(value, ast.Name):
            self.texts.append(f"name {self._named(self.names.get(value.id, '')) or value.id}")
        elif isinstance(value, ast.Attribute) and (name := self._attribute(value)):
            self.texts.append(f"name {name}")
        elif not _is_text(value) and not (isinstance(value, ast.ImportFrom) and _is_ours(value)):
            self.texts += [type(value).__name__, *_templates(value)]
            for part in value._fields:
                if part not in ("ctx", "kind", "type_comment"):
                    self._add(getattr(value, part, None))

    def _attribute(self, node: ast.Attribute) -> str:
        home = self.names.get(node.value.id, "") if isinstance(node.value, ast.Name) else ""
        return self._named(f"{home}:{node.attr}") if home and ":" not in home else ""

    def _named(self, target: str) -> str:
        """Return the bare name of the definition that "module:name" leads to, empty if it is none of ours."""
        module, _, name = target.partition(":")
        while name and (home := _module(module)) and name not in home.definitions and name in home.imports:
            module, _, name = home.imports[name].partition(":")  # as imported there
        if not name or module in NOT_FOLLOWED or not (home := _module(module)) or name not in home.definitions:
            return ""
        self.references.add((module, name))
        return name


def _templates(node: ast.AST) -> Iterator[str]:
    """Yield the templates that a call of `render_page` may fill in, and those that they import."""
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "render_page":
        parts = getattr(node.args[0], "values", node.args[:1])  # of an f-string
        name = "".join(one.value if isinstance(one, ast.Constant) else "*" for one in parts)
        queue = sorted((PACKAGE / "report" / "templates").glob(f"{name}.md.j2"))
        for path in queue:
            yield (text := path.read_text(encoding="utf-8"))
            queue += [path.with_name(other) for other in re.findall(r'{% import "([^"]+)"', text)]


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Go through a statement and those within it; no imports are in expressions."""
    yield node
    for part in ("body", "orelse", "finalbody", "handlers", "cases"):
        inner = getattr(node, part, ())
        for one in inner if isinstance(inner, list) else ():
            yield from _statements(one)


def _is_ours(node: ast.ImportFrom) -> bool:
    return f"{node.module or ''}.".startswith("mien.")


def _is_text(node: ast.AST) -> bool:
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
