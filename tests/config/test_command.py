"""`mien config`: the text of params.yaml after it, and the schema for editors."""

import difflib
import json
import shutil

import jsonschema
import pytest

from mien.config import schema
from mien.config.command import config, json_schema
from mien.config.rows import read_yaml
from mien.errors import ConfigError


@pytest.fixture
def folder(repository, tmp_path):
    shutil.copy(repository / "params.yaml", tmp_path)
    shutil.copytree(repository / "config", tmp_path / "config")
    return tmp_path


def test_values_are_written_with_comments_and_order_as_they_were(folder, capsys):
    path, before = folder / "params.yaml", (folder / "params.yaml").read_text()
    wanted = schema.load(path, folder / "config" / "thesis.yaml")
    config("thesis", params=path, show=True)
    assert "train.width: 8 -> 64\n" in capsys.readouterr().out
    assert path.read_text() == before
    config("thesis", params=path)
    after = schema.load(path)
    assert after == wanted
    assert list(after["pretrain"]) == list(wanted["pretrain"])
    assert "  width: 64  # channels of the first ResNet stage; features are 8 times as many\n" in path.read_text()
    old, new = before.splitlines(), path.read_text().splitlines()
    assert len(old) == len(new)
    assert [line.partition("  #")[2] for line in old] == [line.partition("  #")[2] for line in new]
    assert sorted(file.name for file in folder.iterdir()) == ["config", "params.yaml"]


def test_nothing_is_written_that_would_be_refused(folder):
    before = (folder / "params.yaml").read_text()
    (folder / "config" / "own.yaml").write_text("train: {widht: 8}\n")
    with pytest.raises(ConfigError, match=r"train\.widht is unknown; did you mean width\?"):
        config("own", params=folder / "params.yaml")
    with pytest.raises(ConfigError, match=r"NAME is missing; known: .*thesis"):
        config(params=folder / "params.yaml")
    with pytest.raises(ConfigError, match=r"there is no thesys\.yaml; did you mean thesis\?"):
        config("thesys", params=folder / "params.yaml")
    assert (folder / "params.yaml").read_text() == before


def test_the_shipped_json_schema_is_that_of_the_code_and_accepts_the_shipped_params(repository):
    shipped = (repository / "config" / "params.schema.json").read_text()
    change = "".join(difflib.unified_diff(shipped.splitlines(True), json_schema().splitlines(True)))
    assert not change, f"run `mien config --write-schema`\n{change}"
    raw = read_yaml(repository / "params.yaml")
    assert raw["variants"]["N2"]["like"]
    jsonschema.validate(raw, json.loads(shipped))
    for wrong in ({"train": raw["train"] | {"batc": 8}}, {"variants": {"N3": {"like": 3}}}, {"seed": 0.5}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(raw | wrong, json.loads(shipped))
