# Report: the thesis's tables and figures beside ours, headline metrics, and the MLflow store.
# REQUIRED INPUTS  results of all stages before, resources/thesis_tables.yaml
# OUTPUTS          results/{tables,figures,plots}/, results/hypotheses.{md,csv}, results/metrics.json, mlflow.db
# COMMANDS         those of JOBS; mien prune
# A job makes what is read together, in one process: to start one costs more than most pages.

from collections import namedtuple

from mien.report.titles import find_entries

# A command of a job: its arguments, and the files that it reads and makes.
Call = namedtuple("Call", "command arguments inputs outputs")

THESIS = "resources/thesis_tables.yaml"
STREAMED = PARAMS.streaming.corpus
FER = type(PARAMS.transfer).corpus
FACES_MADE = [corpus for corpus in FITTED if is_synthetic(corpus)]
TRAINED = runs_of()
# Thousands of trainings of a second are in tables alone.
FOLLOWED = [run for run in TRAINED if run.corpus not in AS_VECTORS]
TABLED = sorted({run.corpus for run in FOLLOWED if run.kind == "variant"})
LEARNT = {PARAMS.pretrain[run.name].corpus for run in runs_of("pretrain")}
HEADLINED = sorted({*TABLED, STREAMED, *LEARNT})
# Verdicts on chapter 5 rest on networks that name emotions.
CLAIMED = [
    run for run in runs_of("variant") if PARAMS.variants[run.name].target == "label" and run.corpus not in AS_VECTORS
]
# Whose faces figure 4.9 shows: those that a start of table 4.3 has learnt to tell apart, else any film corpus's.
TOLD_APART = [
    PARAMS.pretrain[run.name].corpus
    for run in select_wanted(RUNS, "transfer")
    if PARAMS.pretrain[run.name].target == "actor"
]
GALLERY = (TOLD_APART or TABLED)[0]
BESIDE = [corpus for corpus in ("jaffe", "ckplus") if corpus in CORPORA]
SHOWN_FACES = list(dict.fromkeys([FER, GALLERY, *BESIDE]))
TRANSFER_INFO = tables_of(
    *sorted({FER, *(PARAMS.pretrain[run.name].corpus for run in select_wanted(RUNS, "transfer"))}),
    names=["corpus.json"],
)


def call(command, keys="", *, words="", also=(), makes=(), runs=None, rows=None, **files):
    """Say how a command is called.

    keys : parts of the parameters that it is given.   rows : further ones, of which it wants a part.
    words : arguments as they are.   runs : that it reads.   also, makes : what it reads and makes that is no argument.
    files : argument -> files, such as thesis=[THESIS] for --thesis; it makes those of arguments that begin with out.
    """
    arguments = [f"--config {shlex.quote(given(*keys.split(), **(rows or {})))}"] if keys else []
    arguments += [f"--runs {shlex.join(records(runs))}"] if runs is not None else []
    arguments += [f"--{option.replace('_', '-')} {shlex.join(paths)}" for option, paths in files.items()]
    read = [path for option, paths in files.items() if not option.startswith("out") for path in paths]
    made = [path for option, paths in files.items() if option.startswith("out") for path in paths]
    return Call(command, " ".join([*arguments, words]), [*manifests(runs or []), *read, *also], [*made, *makes])


def table(name):
    """Give the options of the two files of a table."""
    return {f"out_{suffix}": [f"results/tables/{name}.{suffix}"] for suffix in ("csv", "md")}


def figure(name, *suffixes):
    """Give the options of the files of a figure."""
    return {f"out_{suffix}": figures([name], suffix) for suffix in suffixes}


def figures(names, *suffixes):
    """List files of figures."""
    return expand("results/figures/{name}.{suffix}", name=names, suffix=suffixes)


def clips_and_info(*corpora):
    """Give the options of commands that read about clips."""
    return {
        "clips": tables_of(*corpora, names=["clips.parquet"]),
        "corpus_info": tables_of(*corpora, names=["corpus.json"]),
    }


def info(corpus):
    """Give the option of commands that read about what was trained on: a corpus, or the pair of chapter 4."""
    if corpus == PAIR:
        return {"corpus_info": [SAMPLES[-1]]}
    return {"corpus_info": [f"results/corpora/{corpus.removesuffix('_actor')}/corpus.json"]}


def wanted(who):
    """List the runs that a table or figure rests on."""
    return select_wanted(RUNS, who)


SAMPLES_OPTION = f"--samples results/samples/{PAIR}"
STREAM = "streaming streams watch evaluate scale"
STREAM_FILES = dict(runs=runs_of("stream"), **clips_and_info(STREAMED))
FEATURED = wanted("2.12")[:1]
SHOWN_FITS = wanted("4.5")[:1]  # the first structural SVM of action units
OVER_EPOCHS = sorted({*TABLED, *(run.corpus for run in runs_of("pretrain")), PAIR})


def table_of_chapter_5(name, row):
    """List the calls that make a row of `tables`, and its figure."""
    files = dict(runs=wanted(f"tables.{name}"), **clips_and_info(row.corpus), words=f"--table {name}")
    calls = [call("build_table", "tables evaluate seed scale", **files, thesis=[THESIS], **table(name))]
    if row.confusion:
        shown = figure(row.confusion, "svg", "png", "csv")
        calls.append(call("plot_confusion", "tables seed scale", **files, **shown))
    return calls


def trust_in(corpus):
    """List the calls that make the table and figures of section `trust` on a corpus."""
    name = f"trust-{corpus}"
    return [
        call(
            "build_trust",
            "trust evaluate seed scale",
            words=f"--corpus {corpus} --assessed results/trust/{corpus}",
            runs=wanted(f"trust.{corpus}"),
            **clips_and_info(corpus),
            votes=tables_of(corpus, names=["votes.parquet"]),
            also=expand("results/trust/{corpus}/{name}.parquet", corpus=corpus, name=PARAMS.trust.asked),
            **table(name),
        ),
        call(
            "plot_trust",
            table=table(name)["out_csv"],
            **info(corpus),
            words="--out results/figures",
            makes=figures(
                [f"{name}-{shown}" for shown in ("reliability", "coverage", "conditions", "people")], "svg", "png"
            ),
        ),
    ]


def check_of(name, row):
    """Give the call that judges the recordings of a row of `checks`."""
    rows = [model for model in row.models if not model.endswith(".safetensors")]
    options = {
        "material": row.material,
        "corpus": row.corpus,
        "group": row.group,
        "folder": row.folder,
        "label": row.label,
        "most": row.most or "",
    }
    words = [f"--{key} {shlex.quote(str(value))}" for key, value in options.items() if value]
    words += ["--by-fold"] * row.by_fold + ["--reference"] * row.reference
    words += ["--models", *(shlex.quote(f"results/training/{m}" if m in rows else m) for m in row.models)]
    return call(
        "check_models",
        "predict",
        words=" ".join(words),
        also=[
            *(run.manifest for run in runs_of(seed="0") if f"{run.corpus}/{run.name}" in rows),
            *(tables_of(row.corpus) + [f"data/{row.corpus}.json"] if row.corpus else [row.folder]),
            *(model for model in row.models if model not in rows),
        ],
        out_csv=[f"results/predicted/{name}.csv"],
    )


# Job -> its call, or its calls in order.
JOBS = {
    "candide": call(
        "draw_candide",
        "candide",
        words=f"{SAMPLES_OPTION} --out results/figures",
        also=[*SAMPLES, *MESH],
        makes=figures(["3.8", "4.1", "4.2", "4.3", "4.4"], "svg", "png"),
    ),
    "pictures": [
        call(
            "plot_pictures",
            "augment cross seed",
            words=f"{SAMPLES_OPTION} --results results --out results/figures",
            also=[*SAMPLES, *data_of("faces", CROSS_CORPORA)],
            makes=[*figures(["3.1", "3.3", "4.6", "4.7", "4.8"], "png"), *figures(["3.1"], "csv")],
        ),
        call(
            "plot_detectors",
            "cross faces",
            words=SAMPLES_OPTION,
            clips=tables_of(PARAMS.cross.test, names=["clips.parquet"]),
            manifest=[f"data/{PARAMS.cross.test}.json"],
            also=SAMPLES,
            **figure("3.4", "png", "csv"),
        ),
    ],
    "fits": [
        call(
            "plot_fits",
            words=f"{SAMPLES_OPTION} --results results --predictions {run.folder}/predictions.parquet",
            also=[*SAMPLES, *data_of(["faces", "candide"], CROSS_CORPORA), *manifests([run]), *MESH],
            **figure("4.5", "png", "csv"),
        )
        for run in SHOWN_FITS
    ],
    "units": call(
        "check_units",
        "candide seed",
        words=f"--candide results/candide --data data --corpora {' '.join(FACES_MADE)}",
        also=[*expand("data/{corpus}.json", corpus=FACES_MADE), *data_of("candide", FACES_MADE), *MESH],
        **table("units"),
    ),
    "classifiers": call(
        "compare_classifiers",
        "classifiers cross classify evaluate seed scale",
        runs=runs_of("classifier"),
        thesis=[THESIS],
        words=f"{SAMPLES_OPTION} --out-41 results/tables/4.1 --out-42 results/tables/4.2",
        also=SAMPLES,
        makes=expand("results/tables/{table}.{suffix}", table=["4.1", "4.2"], suffix=["csv", "md"]),
    ),
    "features": [
        call(
            "plot_features",
            words=f"--model {run.folder}/model.safetensors {SAMPLES_OPTION} --results results",
            also=[*manifests(wanted("2.12")), *SAMPLES, *data_of("faces", PARAMS.cross.test)],
            **figure("2.12", "svg", "png", "csv"),
        )
        for run in FEATURED
    ],
    "transfer": [
        call(
            "compare_transfer",
            "transfer pretrain evaluate seed scale",
            runs=wanted("transfer"),
            **clips_and_info(FER),
            thesis=[THESIS],
            also=TRANSFER_INFO,
            **table("4.3"),
        ),
        *(
            call(
                "plot_transfer",
                words=f"--figure {name}",
                runs=wanted(who),
                **info(FER),
                **figure(name, "svg", "png", "csv"),
            )
            for name, who in [("4.14", "transfer.rates"), ("4.15", "transfer.frozen")]
        ),
    ],
    "fer2013": call(
        "plot_fer2013",
        runs=wanted("fer2013"),
        words=f"--results results --people {GALLERY} {' '.join(['--beside', *BESIDE] if BESIDE else [])}"
        " --out results/figures",
        also=[*tables_of(*SHOWN_FACES), *data_of("faces", SHOWN_FACES)],
        makes=[
            *figures(["4.9", "4.10", "4.11", "4.12", "4.13"], "svg", "png"),
            *figures(["4.11", "4.12", "4.13"], "csv"),
        ],
    ),
    "streams": [
        call(
            "compare_streams",
            STREAM,
            **STREAM_FILES,
            changes=[CHANGES],
            **table("streams"),
        ),
        call(
            "plot_streams",
            STREAM,
            **STREAM_FILES,
            words=f"--faces results/faces/{STREAMED} --out results/figures",
            also=data_of("faces", STREAMED),
            makes=[*figures(["4.16", "4.17", "anytime"], "svg", "png"), *figures(["anytime"], "csv")],
        ),
    ],
    "complexity": call(
        "count_complexity",
        "scale train faces sound variants streams streaming",
        **info(STREAMED),
        thesis=[THESIS],
        **table("complexity"),
    ),
    "spectrograms": call(
        "plot_spectrograms",
        "sound seed",
        **clips_and_info(STREAMED),
        words=f"--faces results/faces/{STREAMED} --sound results/sound/{STREAMED} --out results/figures",
        also=data_of(["faces", "sound"], STREAMED),
        makes=figures(["1.1", "1.2", "4.18", "4.19", "4.20"], "png"),
    ),
    "networks": call(
        "draw_networks",
        words="--out results/figures",
        makes=[*figures(["2.5", "2.6", "5.2", "5.4", "5.5"], "svg", "png"), *figures(["5.2"], "csv")],
    ),
    "embeddings": call(
        "plot_embeddings",
        "embeddings seed",
        embeddings=EMBEDDINGS,
        **info(EMBEDDED),
        **figure("5.1", "svg", "png", "csv"),
    ),
    "overview": call(
        "build_overview",
        "overview evaluate seed scale",
        runs=wanted("overview"),
        **clips_and_info(*PARAMS.overview.folds),
        thesis=[THESIS],
        **table("5.4"),
    ),
    "intensity": call(
        "compare_intensity",
        "intensity evaluate scale",
        runs=wanted("intensity"),
        **info(PARAMS.intensity.corpus),
        **table("intensity"),
    ),
    "fuzziness": call(
        "plot_fuzziness",
        "fuzziness evaluate scale",
        rows={"variants": {name: PARAMS.variants[name] for name in FUZZY.rows}},
        predictions=manifests(runs_of("fuzziness")),
        words="--out-figures results/figures",
        makes=figures(["fuzziness"], "svg", "png"),
        **table("fuzziness"),
    ),
    "hypotheses": call(
        "judge_hypotheses",
        "classifiers cross classify transfer pretrain evaluate seed scale",
        runs=runs_of("classifier"),
        thesis=[THESIS],
        transfer_clips=tables_of(FER, names=["clips.parquet"]),
        variant_clips=tables_of(*TABLED, names=["clips.parquet"]),
        words=f"{SAMPLES_OPTION} --transfer-runs {shlex.join(records(wanted('transfer')))}"
        f" --variant-runs {shlex.join(records(CLAIMED))}",
        also=[
            *SAMPLES,
            *manifests([*wanted("transfer"), *CLAIMED]),
            *TRANSFER_INFO,
            *tables_of(*TABLED, names=["corpus.json"]),
        ],
        out_md=["results/hypotheses.md"],
        out_csv=["results/hypotheses.csv"],
    ),
    "curves": [
        call(
            "plot_curves",
            runs=[run for run in runs_of(corpus=corpus) if run.has_epochs],
            **info(corpus),
            **figure(f"curves-{corpus}", "svg"),
        )
        for corpus in OVER_EPOCHS
    ],
    "samples": [
        call(
            "plot_samples",
            "sound",
            words=f"--faces results/faces/{corpus} --sound results/sound/{corpus}",
            **clips_and_info(corpus),
            also=[*data_of("faces", {corpus}.intersection(PICTURED)), *data_of("sound", {corpus}.intersection(VOICED))],
            **figure(f"samples-{corpus}", "png"),
        )
        for corpus in CORPORA
        if corpus not in AS_VECTORS
    ],
    "summary": call(
        "summarise",
        "evaluate",
        runs=FOLLOWED,
        clips=tables_of(*HEADLINED, names=["clips.parquet"]),
        words="--plots results/plots",
        out=["results/metrics.json"],
        makes=[directory("results/plots")],
    ),
    "store": call(
        "track",
        runs=FOLLOWED,
        corpus_info=[*tables_of(*HEADLINED, names=["corpus.json"]), SAMPLES[-1]],
        models=sorted(map(str, Path("resources/models").glob("*.safetensors"))),
        words="--db mlflow.db --artifacts mlartifacts",
        makes=[update("mlflow.db")],
    ),
}
JOBS |= {f"table_{name}": table_of_chapter_5(name, row) for name, row in PARAMS.tables.items()}
JOBS |= {f"trust_{corpus}": trust_in(corpus) for corpus in PARAMS.trust.corpora}
JOBS |= {f"predicted_{name}": check_of(name, row) for name, row in PARAMS.checks.items()}
if PARAMS.checks:
    JUDGED = [f"results/predicted/{name}.csv" for name in PARAMS.checks]
    JOBS["predicted"] = call("build_predicted", "evaluate", judged=JUDGED, **table("predicted"))
    judges = {model for row in PARAMS.checks.values() for model in row.models}
    if OF_PICTURES := [run for run in runs_of("pretrain", corpus="fer2013") if f"fer2013/{run.name}" in judges]:
        JOBS["fer2013_tests"] = call(
            "build_pictures",
            "evaluate",
            runs=OF_PICTURES,
            clips=tables_of("fer2013", names=["clips.parquet"]),
            **table("pictures"),
        )
JOBS = {page: calls if isinstance(calls, list) else [calls] for page, calls in JOBS.items() if calls}
REPORT = [str(path) for calls in JOBS.values() for one in calls for path in one.outputs]
KEYS = [path.removeprefix("results/").rpartition(".")[0] for path in REPORT]
ENTRIES = find_entries(KEYS, Path("workflow/report/titles.yaml"))


def kept_paths():
    """List the folders, and the manifests of trainings, below results/ that the parameters still ask for."""
    kept = [
        *(f"corpora/{corpus}" for corpus in ADAPTERS),
        *(f"faces/{corpus}" for corpus in PICTURED),
        *(f"sound/{corpus}" for corpus in VOICED),
        *(f"candide/{corpus}" for corpus in FITTED),
        *(f"vectors/{corpus}" for corpus in CORPORA if corpus in AS_VECTORS),
        *(f"vectors/{corpus}-{model}" for corpus in VOICED for model in PARAMS.speech),
        *(f"vectors/{corpus}-{model}" for corpus in PICTURED for model in PARAMS.vision),
        f"samples/{PAIR}",
        f"embeddings/{EMBEDDED}",
        *(f"trust/{corpus}" for corpus in PARAMS.trust.corpora),
        *(f"fuzziness/{FUZZY.corpus}/seed{seed}" for seed in range(FUZZY.seeds)),
        f"streams/{STREAMED}",
    ]
    trained = [path for run in TRAINED for path in (run.folder, run.manifest)]
    final = [f"{Path(run.folder).parent}/everybody-seed{run.seed}" for run in TRAINED if run.kind == "variant"]
    trained += [f"{folder}{suffix}" for folder in final for suffix in ("", ".json")]
    return [*kept, *dict.fromkeys(path.removeprefix("results/") for path in trained)]


def shown(path, others):
    """Put a table or a figure into Snakemake's report, once, with its title and the caption of its kind."""
    key, _, suffix = path.removeprefix("results/").rpartition(".")
    kind = {"csv": "table", "svg": "figure", "png": "figure"}.get(suffix)
    drawn_again = suffix == "png" and path.replace(".png", ".svg") in others
    if not kind or drawn_again or (suffix == "csv" and key.startswith("figures/")):
        return path
    entry = ENTRIES[key]
    labels = {"title": entry.title, "file": f"{kind} {Path(path).stem}"}
    return report(path, caption=f"../report/{entry.caption}.rst", category=entry.chapter, labels=labels)


def in_turn(calls):
    """Give the calls of a job as one command line; a function, so that braces are not taken for wildcards."""
    return lambda wildcards: " --then ".join(f"{one.command} {one.arguments}" for one in calls)


for page, calls in JOBS.items():
    made = [path for one in calls for path in one.outputs]

    rule:
        name:
            page
        input:
            [path for path in dict.fromkeys(path for one in calls for path in one.inputs) if path not in made],
        output:
            [shown(path, made) for path in made],
        log:
            f"logs/report/{page}.log",
        priority: 100 * (page == f"table_{FIRST_TABLE}")
        params:
            code=code(*sorted({one.command for one in calls})),
            calls=in_turn(calls),
        shell:
            "python -m mien {params.calls} >{log:q} 2>&1"


rule prune:
    """Delete results of what params.yaml no longer lists; runs whenever it is asked for."""
    log:
        "logs/prune.log",
    params:
        keep=kept_paths(),
    shell:
        "python -m mien prune --root results --keep {params.keep} >{log:q} 2>&1"
