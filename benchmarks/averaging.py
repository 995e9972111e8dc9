"""Whether the networks of several folds judge better together, or one that was trained on everybody.

    python benchmarks/averaging.py RESULTS --corpus ravdess --row Voice [--config FILE] [--networks 3] [--out PAGE]

On every fold, its test people are put aside. From all others `networks` networks are trained, each with the test people
of another fold to validate it, as folds do; and one network on all others, for as many epochs as these have chosen on
average, as `mien train_everybody` does. Those who were put aside are then judged by each of them, by the mean of what
the first say, and by the last. RESULTS has the corpus, its faces and its sound.
"""

import argparse
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import softmax

from mien.config import schema
from mien.evaluation.statistics import gain_of_folds
from mien.models import checkpoint
from mien.report.page import grid, with_interval
from mien.training import clips, run_folder
from mien.training.train import ClipTask, fit_everybody, prepare_run, train_fold

CONFIDENCE = 0.95
KINDS = {"one": "one network of a fold", "mean": "mean of {} such networks", "everybody": "one network of all others"}


def judge_fold(run: run_folder.RunSpec, dataset: clips.ClipDataset, fold: int, n_networks: int) -> dict[str, float]:
    """Return kind of KINDS -> share of the test clips of a fold that are judged right.

    run : without fold; its folder takes the networks.
    """
    people = dataset.folds[dataset.folds.role == "test"].drop_duplicates("group")
    tested = people[people.fold == fold]
    names = np.roll(sorted(people.fold.unique()), -fold)[1 : n_networks + 1].tolist()
    roles = [
        people.assign(fold=name, name=str(name), role=np.where(people.fold == name, "validation", "training"))
        for name in names
    ]
    roles = pd.concat(roles).set_index("group")
    roles.loc[tested.group, "role"] = "test"
    # Checkpoints belong to a digest; training people differ from fold to fold.
    inner = replace(dataset, folds=roles.reset_index(), digest=f"{dataset.digest}-{fold}")
    run = replace(run, out=run.out / str(fold) / run.name)
    run_folder.train_runs(run, lambda one: train_fold(one, inner), folds=names, seeds=[0])
    others = replace(inner, clips=inner.clips[~inner.clips.group.isin(tested.group)])
    last = [run_folder.EVERYBODY]
    run_folder.train_runs(run, lambda one: fit_everybody(one, others), folds=last, seeds=[0])
    rows = clips.split(inner, names[0])["test"]
    label, said = rows.label.to_numpy(), []
    for one in (*names, *last):
        model, card = checkpoint.load(replace(run, fold=one).folder / "model.safetensors")
        task = ClipTask(
            settings=run.settings,
            dataset=inner,
            roles={"training": rows, "test": rows},
            draws=run.draws(card.variant),
            loss_weights={},
        )
        said.append(softmax(task.evaluate(model, "test").logits["fused"].numpy(), axis=1))
    right = [float((one.argmax(axis=1) == label).mean()) for one in (*said, np.mean(said[:-1], axis=0))]
    return {"one": float(np.mean(right[:n_networks])), "mean": right[-1], "everybody": right[n_networks]}


def write_page(found: pd.DataFrame, *, n_networks: int, title: str, command: str) -> str:
    """Return the page; `found`: a row per fold, columns KINDS, shares."""
    percent = 100 * found
    rows = [
        {"judged by": title_of.format(n_networks), "right, %": f"{percent[kind].mean():.1f}"}
        | {name: f"{value:.1f}" for name, value in percent[kind].items()}
        for kind, title_of in KINDS.items()
    ]
    lines = [f"# {title}", "", f"{__doc__.splitlines()[0]} Made by `{command}`.", "", grid(rows), ""]
    for one, other in (("mean", "one"), ("everybody", "one"), ("everybody", "mean")):
        gap = gain_of_folds(one, other, (percent[one] - percent[other]).to_dict(), confidence=CONFIDENCE)
        ends = with_interval(gap.difference, gap.low, gap.high, signed=True)
        lines.append(
            f"- {KINDS[one].format(n_networks)} less {KINDS[other].format(n_networks)}: {ends} points (95%, Student's t"
            f" over {len(found)} folds)"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Train, judge, and print or write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--row", required=True, help="of variants")
    parser.add_argument("--config", default="params.yaml")
    parser.add_argument("--networks", type=int, default=3, help="that judge together")
    parser.add_argument("--folder", type=Path, default=Path("averaging"), help="for the networks")
    parser.add_argument("--out", type=Path, help="page of Markdown")
    options = parser.parse_args()
    what = {"out": options.folder, "data": options.results, "init": None, "config": options.config, "jobs": 1}
    run, dataset = prepare_run(options.corpus, options.row, **what)
    scale = schema.load(options.config)["scale"]
    folds = sorted(dataset.folds.fold.unique().tolist())
    found = {dataset.name_of(fold): judge_fold(run, dataset, fold, options.networks) for fold in folds}
    shutil.rmtree(options.folder)
    table = pd.DataFrame.from_dict(found, orient="index")[list(KINDS)]
    asked = f"--corpus {options.corpus} --row {options.row} --networks {options.networks}"
    page = write_page(
        table,
        n_networks=options.networks,
        title=f"{options.row} of {options.corpus}, averaged or not",
        command=f"mien config {scale}; python benchmarks/averaging.py {options.results} {asked}",
    )
    if options.out:
        options.out.write_text(page, encoding="utf-8")
    else:
        print(page, end="")


if __name__ == "__main__":
    main()
