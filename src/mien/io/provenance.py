"""What a result depends on: a digest of the code that a command reaches, and the revision of the repository."""

import ast
import gc
import hashlib
import re
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
    collects = gc.isenabled()
    gc.disable()  # syntax trees are 100 000 objects and no garbage; to look for it takes as long as to read the code
    try:
        pairs = reached(*entries)
        statements = {one for name in {module for module, _ in pairs} for one in _module(name).statements}
        return _digest(*sorted({_definition(*pair)[0] for pair in pairs} | statements))[:12]
    finally:
        if collects:
            gc.enable()


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
    for function in (code_digest, _module, _definition, _find):
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
    imports: dict[str, str] = {}
    statements = []
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if bound := _bound(node):
            definitions |= dict.fromkeys(bound, node)
        elif isinstance(node, ast.ImportFrom):
            imports |= _imported(node)
        elif not isinstance(node, ast.Import) and not _is_text(node):
            statements.append(_read(node, {})[0])
    return _Module(definitions, imports, tuple(statements))


def _bound(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)]


def _imported(node: ast.ImportFrom) -> dict[str, str]:
    """Return local name -> "package.module" or "package.module:name" of an import; nothing if it is none of ours."""
    top, _, package = (node.module or "").partition(".")
    found = {}
    for alias in node.names if top == "mien" else ():
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
    return _read(node, {local: f"{module}:{local}" for local in home.definitions} | dict(home.imports))


_END = object()  # of a list


def _read(node: ast.stmt, names: dict[str, str]) -> tuple[str, list[tuple[str, str]]]:
    """Return a digest of a tree without docstrings and imports of ours, and the definitions that it refers to.

    What is referred to stands there by the bare name of its definition, however it was imported.
    """
    texts: list[str] = []
    references: set[tuple[str, str]] = set()
    stack: list[object] = [node]
    while stack:  # a loop, because there are a quarter of a million nodes
        value = stack.pop()
        kind = type(value)
        if kind is list:
            texts.append("[")
            stack += [_END, *reversed(value)]
        elif value is _END:
            texts.append("]")
        elif not isinstance(value, ast.AST):
            texts.append(repr(value))
        elif (kind is ast.Name or kind is ast.Attribute) and (pair := _referred(value, names)):
            references.add(pair)
            texts.append(f"name {pair[1]}")
        elif kind is ast.Name:
            texts.append(f"name {value.id}")
        elif kind is ast.ImportFrom and (imported := _imported(value)):
            names |= imported
        elif kind is not ast.Expr or not _is_text(value):
            texts.append(kind.__name__)
            if kind is ast.Call:
                texts += _templates(value)
            stack += [getattr(value, part) for part in _parts(kind)]
    return _digest(*texts), sorted(references)


@cache
def _parts(kind: type[ast.AST]) -> list[str]:
    return [part for part in reversed(kind._fields) if part not in ("ctx", "kind", "type_comment")]


def _referred(node: ast.Name | ast.Attribute, names: Mapping[str, str]) -> tuple[str, str] | None:
    if isinstance(node, ast.Name):
        target = names.get(node.id, "")
    else:
        home = names.get(node.value.id, "") if isinstance(node.value, ast.Name) else ""
        target = f"{home}:{node.attr}" if home and ":" not in home else ""
    return _find(target) if target else None


@cache
def _find(target: str) -> tuple[str, str] | None:
    """Return where the definition stands that "module:name" leads to; None if it is none of ours."""
    module, _, name = target.partition(":")
    while name and (home := _module(module)) and name not in home.definitions and name in home.imports:
        module, _, name = home.imports[name].partition(":")  # as imported there
    if not name or module in NOT_FOLLOWED or not (home := _module(module)) or name not in home.definitions:
        return None
    return module, name


def _templates(call: ast.Call) -> Iterator[str]:
    """Yield the templates that a call of `render_page` may fill in, and those that they import."""
    if getattr(call.func, "id", "") == "render_page":
        parts = getattr(call.args[0], "values", call.args[:1])  # of an f-string
        name = "".join(one.value if isinstance(one, ast.Constant) else "*" for one in parts)
        queue = sorted((PACKAGE / "report" / "templates").glob(f"{name}.md.j2"))
        for path in queue:
            yield (text := path.read_text(encoding="utf-8"))
            queue += [path.with_name(other) for other in re.findall(r'{% import "([^"]+)"', text)]


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
