"""The code digest sees code and nothing else."""

import pytest

from mien.core import provenance


@pytest.fixture
def package(tmp_path, monkeypatch):
    for name, text in {
        "__init__.py": "",
        "a/__init__.py": "",
        "a/one.py": "def f():\n    from mien.b.two import g\n    return g()\n",
        "b/__init__.py": "",
        "b/two.py": "def g():\n    return 1\n",
        "b/three.py": "X = 1\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    return tmp_path


def test_closure_follows_imports_inside_functions(package):
    assert provenance.import_closure("a.one") == ["a", "a.one", "b", "b.two"]


@pytest.mark.parametrize(
    ("file", "text", "changes"),
    [
        ("b/two.py", '"""Words."""\n\n\ndef g():  # reason\n    """More words."""\n    return (1)\n', False),
        ("b/two.py", "def g():\n    return 2\n", True),
        ("b/three.py", "X = 2\n", False),
    ],
)
def test_only_reached_code_changes_the_digest(package, file, text, changes):
    before = provenance.code_digest("a.one")
    (package / file).write_text(text)
    assert (provenance.code_digest("a.one") != before) == changes


def test_an_unknown_module_is_an_error(package):
    with pytest.raises(ModuleNotFoundError):
        provenance.code_digest("a.none")


def test_every_command_has_a_digest():
    from mien.cli import COMMANDS

    for module, _ in COMMANDS.values():
        assert provenance.code_digest(module.removeprefix("mien."))
