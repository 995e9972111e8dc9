"""What a result depends on: a digest of the code that a command imports, and the revision of the repository."""

import ast
import hashlib
import subprocess
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def code_digest(*modules: str) -> str:
    """Return a digest of the syntax trees of `modules` and of all modules of ours that they import, at any depth.

    modules : names below the package, such as "training.train". Comments, docstrings and formatting do not count.
    """
    hasher = hashlib.sha256()
    for name in import_closure(*modules):
        hasher.update(name.encode() + _tree(name).encode())
    return hasher.hexdigest()[:12]


def import_closure(*modules: str) -> list[str]:
    """Return the sorted dotted names below the package that `modules` reach by import statements.

    Raises
    ------
    ModuleNotFoundError : one of `modules` does not exist.
    """
    for name in modules:
        if _file(name) is None:
            raise ModuleNotFoundError(f"mien.{name}")
    seen: set[str] = set()
    queue = list(modules)
    while queue:
        name = queue.pop()
        if name in seen or _file(name) is None:
            continue
        seen.add(name)
        queue += _imports(name)
    return sorted(seen)


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


def _file(name: str) -> Path | None:
    path = PACKAGE.joinpath(*name.split(".")) if name else PACKAGE
    candidates = (path.with_suffix(".py"), path / "__init__.py") if name else (path / "__init__.py",)
    return next((file for file in candidates if file.is_file()), None)


def _imports(name: str) -> list[str]:
    packages = [name.rpartition(".")[0]] if "." in name else []  # importing a module runs its package
    return packages + _parse(_file(name).read_text(encoding="utf-8"))[0]


def _tree(name: str) -> str:
    return _parse(_file(name).read_text(encoding="utf-8"))[1]


@cache  # a run of the workflow asks for most modules dozens of times
def _parse(text: str) -> tuple[list[str], str]:
    """Return the names below the package that the code of a module imports, and its tree without docstrings."""
    tree = ast.parse(text)
    dotted = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            dotted += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            dotted += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = node.body[1:] or [ast.Pass()]
    return [full.removeprefix("mien.") for full in dotted if full.startswith("mien.")], ast.dump(tree)
