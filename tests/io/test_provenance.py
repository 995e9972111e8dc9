"""The code digest sees what a command reaches, and nothing else."""

import pytest

from mien.io import provenance

FILES = {
    "__init__.py": "",
    "a/__init__.py": "",
    "a/one.py": "from mien.b import three\n\n\ndef f():\n    from mien.b.two import g\n\n    return g() + three.X\n",
    "b/__init__.py": "",
    "b/two.py": "from mien.config.schema import Schema\n\n\ndef g(schema: Schema):\n    return 1\n\n\nH = 3\n",
    "b/three.py": "X = 1\nY = 2\n",
    "config/__init__.py": "",
    "config/schema.py": "class Schema:\n    key: int = 1\n",
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Return a function that writes modules of a small package and gives the digest of a.one:f."""
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)

    def write(**changed):
        for name, text in (FILES | changed).items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text)
        provenance.forget()
        return provenance.code_digest("a.one:f")

    yield write
    provenance.forget()


def test_what_is_reached_goes_through_imports_of_modules_and_of_names(package):
    package()
    assert provenance.reached("a.one:f") == {("a.one", "f"), ("b.two", "g"), ("b.three", "X")}


@pytest.mark.parametrize(
    ("changed", "differs"),
    [
        ({"b/two.py": FILES["b/two.py"].replace("return 1", '"""Words."""\n    return (1)  # reason')}, False),
        ({"b/two.py": FILES["b/two.py"].replace("return 1", "return 2")}, True),
        ({"b/two.py": FILES["b/two.py"].replace("H = 3", "H = 4")}, False),
        ({"b/three.py": "X = 1\nY = 3\n"}, False),
        ({"b/three.py": "X = 2\nY = 2\n"}, True),
        ({"config/schema.py": "class Schema:\n    key: int = 1\n    new: int = 0\n"}, False),
        (
            {"a/one.py": "from mien.b.three import X\nfrom mien.b.two import g\n\n\ndef f():\n    return g() + X\n"},
            False,
        ),
        (  # g moved to another file
            {
                "b/two.py": "",
                "b/three.py": "X = 1\n\n\ndef g(schema: Schema):\n    return 1\n",
                "a/one.py": FILES["a/one.py"].replace("mien.b.two", "mien.b.three"),
            },
            False,
        ),
    ],
)
def test_only_what_is_computed_changes_the_digest(package, changed, differs):
    assert (package() != package(**changed)) == differs


def test_an_unknown_entry_is_an_error(package):
    package()
    with pytest.raises(ModuleNotFoundError):
        provenance.code_digest("a.none")
    with pytest.raises(AttributeError):
        provenance.code_digest("a.one:none")
