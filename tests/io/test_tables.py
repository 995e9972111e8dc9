"""Table and shard contracts hold on the way in and on the way out."""

import numpy as np
import pandas as pd
import pytest

from mien.errors import TableError
from mien.io import shards, tables

FOLDS = pd.DataFrame({"fold": [0, 0], "name": ["A1,2"] * 2, "group": ["01", "02"], "role": ["test", "training"]})


def test_round_trip_keeps_rows_and_bytes(tmp_path):
    first, second = tmp_path / "a.parquet", tmp_path / "b.parquet"
    tables.write(first, FOLDS, tables.FOLDS)
    tables.write(second, tables.read(first, tables.FOLDS), tables.FOLDS)
    pd.testing.assert_frame_equal(tables.read(first, tables.FOLDS), FOLDS, check_dtype=False)
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        (FOLDS.drop(columns="role"), "lacks"),
        (FOLDS.assign(colour="red"), "colour"),
        (FOLDS.assign(fold="first"), "cannot be written"),
    ],
)
def test_a_table_that_breaks_its_contract_is_refused(tmp_path, rows, word):
    with pytest.raises(TableError, match=word):
        tables.write(tmp_path / "a.parquet", rows, tables.FOLDS)
    assert not list(tmp_path.iterdir())


def test_a_missing_or_damaged_table_is_named(tmp_path):
    path = tmp_path / "a.parquet"
    with pytest.raises(TableError, match="missing"):
        tables.read(path, tables.FOLDS)
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(TableError, match="not a parquet table"):
        tables.read(path, tables.FOLDS)


def _sound(n_samples: int) -> shards.SoundShard:
    index = pd.DataFrame(
        {"clip": ["a"], "start": [0], "n_samples": [n_samples], "peak": [0.5], "rms": [0.1], "silent": [False]}
    )
    return shards.SoundShard(np.arange(n_samples, dtype=np.int16), index)


@pytest.mark.parametrize("n_samples", [0, 100])
def test_a_sound_shard_comes_back_as_it_was(tmp_path, n_samples):
    shards.write_sound(tmp_path / "s", _sound(n_samples))
    np.testing.assert_array_equal(shards.read_sound(tmp_path / "s").wave, np.arange(n_samples))


def test_a_truncated_shard_is_refused(tmp_path):
    shards.write_sound(tmp_path / "s", _sound(100))
    wave = tmp_path / "s" / "wave.npy"
    wave.write_bytes(wave.read_bytes()[:-20])
    with pytest.raises(TableError, match="damaged"):
        shards.read_sound(tmp_path / "s")


def test_a_shard_whose_index_disagrees_is_refused():
    with pytest.raises(TableError, match="index names"):
        shards.SoundShard(np.zeros(5, np.int16), _sound(4).index)
