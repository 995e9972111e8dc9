"""The table of runs: every training that the parameters ask for, who wants it, and which others it is made from.

The workflow takes its jobs and their inputs from it; `mien plan` and `mien prune` are filters of it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from mien.config.labels import AS_VECTORS, CLASSICAL

if TYPE_CHECKING:
    from mien.config.schema import Params

# Who wants -> (corpus, name, folds, seeds), in the order of its rows.
Wanted = dict[str, list[tuple[str, str, Iterable[int], Iterable[int]]]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """One training.

    kind : variant | baseline | stream | classifier | pretrain | fuzziness.   corpus : as results/ names it.
    fold : of fuzziness: the number of the condition.
    folder : of its files, from the repository's root; a run of fuzziness has none of its own.
    manifest : what the job that trains it declares as its output; lists `folder`, and those of the job's other runs.
    has_epochs : with a learning curve and a file of weights.
    init : modality, empty of pretrain -> file with its first weights; random where absent.
    wanted_by : table or study -> place among its rows.   made_from : runs whose files it reads.
    """

    kind: str
    corpus: str
    name: str
    fold: int
    seed: int
    folder: str
    manifest: str
    has_epochs: bool = True
    init: Mapping[str, str] = field(default_factory=dict)
    wanted_by: Mapping[str, int] = field(default_factory=dict)
    made_from: tuple["Run", ...] = ()


def list_runs(params: "Params") -> list[Run]:
    """Return every run: variants, baselines, streams, classifiers, what is trained ahead, the study of fuzziness.

    A row of pretrain that no study wants and no run is made from has none.
    """
    repeated = _list_ahead(params)
    ahead = {name: runs[0] for name, runs in repeated.items()}
    trained = _list_variants(params, ahead)
    corpus, seeds = params.streaming.corpus, range(params.streaming.repeats or params.repeats)
    streams = [
        _run("stream", corpus, name, fold, seed, **_begin(row.init, ahead))
        for name, row in params.streams.items()
        for fold in range(params.folds[corpus])
        for seed in seeds
    ]
    classifiers = _list_classifiers(params)
    fuzzy, begun = _list_fuzzy(params, ahead), [run for name in params.pretrain for run in repeated[name]]
    studied = [run for run in begun if run.wanted_by]
    used = {part for run in [*trained, *streams, *fuzzy, *studied] for part in _lineage(run)}
    return [*trained, *streams, *classifiers, *(run for run in begun if run in used), *fuzzy]


def select_wanted(runs: Iterable[Run], who: str) -> list[Run]:
    """Return the runs that a table or study wants, in the order of its rows, then of folds and seeds."""
    return sorted((run for run in runs if who in run.wanted_by), key=lambda run: run.wanted_by[who])


def needed_folds(params: "Params") -> dict[tuple[str, str], int]:
    """Return (corpus, variant) -> the number of folds, from the first on, that tables and studies need it on.

    Baselines are among them. A variant whose branches or history another one uses is needed wherever that one is.
    """
    return {key: max(fold for fold, _ in trainings) + 1 for key, trainings in _needed_trainings(params).items()}


def _needed_trainings(params: "Params") -> dict[tuple[str, str], set[tuple[int, int]]]:
    """Return (corpus, variant) -> folds and seeds that tables and studies need it with."""
    needed: dict[tuple[str, str], set[tuple[int, int]]] = {}

    def need(corpus: str, variant: str, trainings: set[tuple[int, int]]) -> None:
        needed.setdefault((corpus, variant), set()).update(trainings)
        for other in parts_of(params, variant):
            need(corpus, other, trainings)

    for rows in _tables(params).values():
        for corpus, variant, folds, seeds in rows:
            need(corpus, variant, {(fold, seed) for fold in range(max(folds) + 1) for seed in seeds})
    return dict(sorted(needed.items()))


def parts_of(params: "Params", variant: str) -> list[str]:
    """Return the variants that `variant` is made from: its network, branches of it, or what weighs its losses.

    Of a baseline, the baselines whose log probabilities it adds.
    """
    if variant in params.baselines:
        return sorted(params.baselines[variant].parts)
    row = params.variants[variant]
    return sorted({*row.frozen.values(), *row.blend.values(), *([row.weights] if row.weights else [])})


def _tables(params: "Params") -> Wanted:
    """Return what tables and studies of chapter 5 want."""
    wanted: Wanted = {
        f"tables.{name}": [
            (
                table.corpus,
                variant,
                range(table.folds or params.folds[table.corpus]),
                range(1 if variant in params.baselines else table.repeats or params.repeats),
            )
            for variant in (*table.rows, *table.baselines)
        ]
        for name, table in params.tables.items()
    }
    overview, intensity, embeddings = params.overview, params.intensity, params.embeddings
    wanted["overview"] = [
        (corpus, variant, range(overview.folds[corpus]), range(overview.repeats or params.repeats))
        for variant, row in overview.rows.items()
        for corpus in row.corpora
    ]
    seeds = range(intensity.repeats or params.repeats)
    wanted["intensity"] = [(intensity.corpus, variant, range(intensity.folds), seeds) for variant in intensity.rows]
    rows = embeddings.rows.values()
    wanted["embeddings"] = [(embeddings.corpus, variant, embeddings.folds, (0,)) for variant in rows]
    return wanted


def _list_ahead(params: "Params") -> dict[str, list[Run]]:
    """Return row of pretrain -> its trainings, by seed: several of the rows of table 4.3 and of what these start from.

    A training starts from that of the same seed, so that a start is as much a matter of chance as what follows it. All
    that is no row of the study starts from the first.
    """
    wanted, transfer = _transfers(params), params.transfer
    studied = {start for name in transfer.table for start in (name, *_starts(params, name))}
    found: dict[str, list[Run]] = {}
    for name in sorted(params.pretrain, key=lambda name: len(_starts(params, name))):  # after what it starts from
        row = params.pretrain[name]
        found[name] = []
        for seed in range(transfer.repeats if name in studied else 1):
            begun = _begin({"": row.init}, {start: runs[seed] for start, runs in found.items() if seed < len(runs)})
            found[name].append(_run("pretrain", row.name, name, 0, seed, wanted=wanted, **begun))
    return found


def _transfers(params: "Params") -> Wanted:
    """Return what the study of transfer learning wants of the rows of pretrain."""
    corpus, transfer = type(params.transfer).corpus, params.transfer
    learnt = [name for name, row in params.pretrain.items() if row.name == corpus]
    chain = {start for name in learnt for start in (name, *_starts(params, name))}
    studies = {
        "transfer": [name for name in params.pretrain if name in chain],
        "transfer.rates": transfer.rates,
        "transfer.frozen": transfer.frozen,
        "fer2013": dict.fromkeys([*transfer.table, *learnt]),
    }
    seeds = {"transfer": range(transfer.repeats)}  # figures show the first training
    return {
        who: [(params.pretrain[name].name, name, (0,), seeds.get(who, (0,))) for name in names]
        for who, names in studies.items()
    }


def _starts(params: "Params", name: str) -> list[str]:
    """Return the row of pretrain that a row starts from, that which this one starts from, and so on."""
    chain = []
    while (name := params.pretrain[name].init) in params.pretrain:
        chain.append(name)
    return chain


def _lineage(run: Run) -> Iterator[Run]:
    """Yield a run, those that it is made from, those that these are made from, and so on."""
    yield run
    for part in run.made_from:
        yield from _lineage(part)


def _list_variants(params: "Params", ahead: Mapping[str, Run]) -> list[Run]:
    needed, wanted = _needed_trainings(params), _tables(params)
    for corpus in params.trust.corpora:
        folds, seeds = zip(*set.intersection(*(needed[corpus, name] for name in params.trust.rows)), strict=True)
        wanted[f"trust.{corpus}"] = [(corpus, name, folds, seeds) for name in params.trust.rows]
        options = [name for name in params.trust.options if (corpus, name) in needed]
        wanted[f"trust.{corpus}"] += [
            (corpus, name, *zip(*sorted(needed[corpus, name]), strict=True)) for name in options
        ]

    @cache
    def make(corpus: str, name: str, fold: int, seed: int) -> Run:
        parts = [make(corpus, other, fold, seed) for other in parts_of(params, name)]
        if name in params.baselines:
            run = _run("baseline", corpus, name, fold, seed, wanted=wanted, **_begin({}, ahead, parts))
            return replace(run, has_epochs=False)
        begun = _begin(params.variants[name].init, ahead, parts)
        run = _run("variant", corpus, name, fold, seed, wanted=wanted, **begun)
        return replace(run, manifest=_all_seeds(run)) if corpus in AS_VECTORS else run  # a training takes a second

    return [
        make(corpus, name, fold, seed)
        for (corpus, name), trainings in needed.items()
        for fold, seed in sorted(trainings)
    ]


def _list_classifiers(params: "Params") -> list[Run]:
    """Return the classifiers of chapter 4: a job trains a row on all its divisions or with all its seeds."""
    corpus, rows = params.cross.name, params.classifiers
    shown = [name for name, row in rows.items() if (row.features, row.model) == ("AU8", "ssvm")][:1]
    cnns = [name for name, row in rows.items() if row.model == "cnn1"]
    featured = sorted(cnns, key=lambda name: rows[name].size_px)[-1:]
    wanted = {
        who: [(corpus, name, (0,), range(10**9)) for name in names]
        for who, names in (("4.5", shown), ("2.12", featured))
    }
    found = []
    for name, row in rows.items():
        classical = row.model in CLASSICAL
        for seed in range(params.cross.splits if classical else params.classify.seeds):
            run = _run("classifier", corpus, name, 0, seed, wanted=wanted)
            found.append(replace(run, has_epochs=not classical, manifest=_all_seeds(run)))
    return found


def _all_seeds(run: Run) -> str:
    """Return the output of the job that trains a row of a corpus on all folds, with all seeds."""
    return f"results/training/{run.corpus}/{run.name}/seeds.json"


def _list_fuzzy(params: "Params", ahead: Mapping[str, Run]) -> list[Run]:
    """Return the runs of the experiment on fuzziness: nothing wrong, and all that a network can notice."""
    from mien.config.fuzziness import conditions

    fuzzy = params.fuzziness
    return [
        Run(
            kind="fuzziness",
            corpus=fuzzy.corpus,
            name=name,
            fold=number,
            seed=seed,
            folder="",
            manifest=f"results/fuzziness/{fuzzy.corpus}/seed{seed}/predictions.parquet",
            **_begin(params.variants[name].init, ahead),
        )
        for name in fuzzy.rows
        for seed in range(fuzzy.seeds)
        for number, condition in enumerate(conditions(fuzzy.shares))
        if condition.modality != "video" or "video" in params.variants[name].modalities
    ]


def _begin(init: Mapping[str, str], ahead: Mapping[str, Run], parts: Iterable[Run] = ()) -> dict[str, Any]:
    """Return the fields `init` and `made_from` of a run; of files that params.yaml names, no run is made."""
    named = {modality: row for modality, row in sorted(init.items()) if row not in ("random", "none")}
    rows = (ahead[row] for row in dict.fromkeys(named.values()) if row in ahead)
    models = {row: f"{run.folder}/model.safetensors" for row, run in ahead.items()}
    return {
        "init": {modality: models.get(row, row) for modality, row in named.items()},
        "made_from": (*parts, *rows),
    }


def _run(kind: str, corpus: str, name: str, fold: int, seed: int, *, wanted: Wanted | None = None, **begun: Any) -> Run:
    """Return a run with its paths, and its places among the rows of those that want it."""
    places = {
        who: place
        for who, rows in (wanted or {}).items()
        for place, (on, row, folds, seeds) in reversed(list(enumerate(rows)))
        if (on, row) == (corpus, name) and fold in folds and seed in seeds
    }
    return Run(
        kind=kind,
        corpus=corpus,
        name=name,
        fold=fold,
        seed=seed,
        folder=f"results/training/{corpus}/{name}/fold{fold}-seed{seed}",
        manifest=f"results/training/{corpus}/{name}/seed{seed}.json",
        wanted_by=places,
        **begun,
    )
