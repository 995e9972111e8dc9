"""Learning curves: the numbers drawn, the axes, and rows that nobody could train."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from mien.errors import TableError
from mien.evaluation.runs import read_run
from mien.io.files import read_json, write_json
from mien.report.figures.curves import PANELS, draw_study, plot_transfer, study_curves
from report.figures import planted_pictures as planted

REASON = "nobody has the weights"


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    results = tmp_path_factory.mktemp("study")
    write_json(results / "corpus.json", {"corpus": "fer2013", "source": "synthetic"})
    return [
        planted.write_run(results, "fast", learning_rate=1.0e-3, n_epochs=6, loss=2.0),
        planted.write_run(results, "dense", learning_rate=2.0e-5, trained="dense"),
        planted.write_run(results, "absent", reason=REASON),
    ]


def test_the_numbers_drawn_are_those_of_the_histories_in_the_order_of_the_rows(tmp_path, paths):
    out = {f"out_{kind}": tmp_path / f"4.14.{kind}" for kind in ("svg", "png", "csv")}
    info = paths[0].parents[4] / "corpus.json"
    plot_transfer(runs=paths[::-1], corpus_info=info, figure="4.14", **out)
    rows = pd.read_csv(out["out_csv"])
    assert rows["row"].drop_duplicates().tolist() == ["dense", "fast"]
    for path in paths[:2]:
        history, mine = read_run(path).history(), rows[rows["row"] == path.parents[1].name]
        np.testing.assert_allclose(mine[list(PANELS)], history[list(PANELS)], rtol=1e-5)
        assert mine.epoch[mine.chosen].tolist() == [2]
    assert plt.imread(out["out_png"]).std() > 0.03


def test_epochs_that_were_not_evaluated_leave_no_gap_and_no_number(tmp_path):
    path = planted.write_run(tmp_path, "seldom", n_epochs=6)
    history = pd.read_csv(path.with_name("history.csv"))
    evaluated = [column for column in history if column.startswith(("validation", "test"))]
    history.loc[history.epoch % 2 == 1, evaluated] = np.nan
    history.to_csv(path.with_name("history.csv"), index=False)
    run = read_run(path)
    figure = plt.figure()
    draw_study(figure, study_curves([run]), [run], ordered=False)
    axes = dict(zip(PANELS, figure.axes, strict=True))
    line = axes["validation_accuracy"].lines[0]
    assert line.get_xdata().tolist() == [2, 4, 6]
    assert axes["train_accuracy"].lines[0].get_xdata().tolist() == [1, 2, 3, 4, 5, 6]
    assert np.isfinite(axes["validation_accuracy"].get_ylim()).all()
    plt.close(figure)


def test_runs_that_do_not_belong_here_are_refused(tmp_path):
    path = planted.write_run(tmp_path, "row")
    record = read_json(path)
    write_json(path, record | {"config": {"train": {}}})
    with pytest.raises(TableError, match="not a run of `pretrain`"):
        study_curves([read_run(path)])
    write_json(path, record)
    history = pd.read_csv(path.with_name("history.csv")).drop(columns="train_accuracy")
    history.to_csv(path.with_name("history.csv"), index=False)
    with pytest.raises(TableError, match="lacks train_accuracy"):
        study_curves([read_run(path)])
    other = planted.write_run(tmp_path, "other")
    write_json(other, read_json(other) | {"classes": ["a", "b"]})
    with pytest.raises(TableError, match="other classes"):
        study_curves([read_run(other), read_run(path)])
