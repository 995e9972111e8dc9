# Report: the thesis's tables and figures beside ours, headline metrics, and the MLflow store.
# REQUIRED INPUTS  results of all stages before, resources/thesis_tables.yaml
# OUTPUTS          results/{tables,figures,plots}/, results/hypotheses.{md,csv}, results/metrics.json, mlflow.db
# COMMANDS         those of `page` below; mien compare_classifiers, judge_hypotheses, plot_fuzziness, summarise, track, prune

THESIS = "resources/thesis_tables.yaml"
STREAMED = PARAMS.streaming.corpus
FER = type(PARAMS.transfer).corpus
FACES_MADE = [corpus for corpus in FITTED if is_synthetic(corpus)]
TABLED = sorted({run.corpus for run in runs_of("variant")})
LEARNT = {PARAMS.pretrain[run.name].corpus for run in runs_of("pretrain")}
HEADLINED = sorted({*TABLED, STREAMED, *LEARNT})
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


def page(command, *keys, words="", also=(), runs=None, rows=None, **files):
    """Say how a page of the report is made: its command, the arguments, and the inputs.

    keys : parts of the parameters that it is given.   rows : further ones, of which it wants a part.
    words : arguments as they are.   also : inputs that no argument names.   runs : that it reads.
    files : argument -> files, such as thesis=[THESIS] for --thesis.
    """
    arguments = [f"--config {shlex.quote(given(*keys, **(rows or {})))}"] if keys else []
    arguments += [f"--runs {shlex.join(records(runs))}"] if runs is not None else []
    arguments += [f"--{option.replace('_', '-')} {shlex.join(paths)}" for option, paths in files.items()]
    inputs = [*manifests(runs or []), *(path for paths in files.values() for path in paths), *also]
    return {"command": command, "arguments": " ".join([*arguments, words]), "inputs": inputs}


def clips_and_info(*corpora):
    """Give the options of commands that read about clips."""
    return {
        "clips": tables_of(*corpora, names=["clips.parquet"]),
        "corpus_info": tables_of(*corpora, names=["corpus.json"]),
    }


def info_of(corpus):
    """Name the description of what was trained on."""
    if corpus == PAIR:
        return SAMPLES[-1]
    return f"results/corpora/{corpus.removesuffix('_actor')}/corpus.json"


def learnt_on(corpus):
    """List the runs with epochs on a corpus, or on the pair of chapter 4."""
    return [run for run in runs_of(corpus=corpus) if run.has_epochs]


def info(corpus):
    """Give the option of commands that read about a corpus only."""
    return {"corpus_info": [info_of(corpus)]}


def wanted(who):
    """List the runs that a table or figure rests on."""
    return select_wanted(RUNS, who)


SAMPLES_OPTION = f"--samples results/samples/{PAIR}"
STREAM = ["streaming", "streams", "watch", "evaluate", "seed", "scale"]
OVERVIEWED = list(PARAMS.overview.folds)
TABLES = {
    "4.3": page(
        "compare_transfer",
        *("transfer", "pretrain", "evaluate", "seed", "scale"),
        runs=wanted("transfer"),
        **clips_and_info(FER),
        thesis=[THESIS],
        also=TRANSFER_INFO,
    ),
    "5.4": page(
        "build_overview",
        *("overview", "evaluate", "seed", "scale"),
        runs=wanted("overview"),
        **clips_and_info(*OVERVIEWED),
        thesis=[THESIS],
    ),
    "units": page(
        "check_units",
        *("candide", "seed"),
        words=f"--candide results/candide --data data --corpora {' '.join(FACES_MADE)}",
        also=[*expand("data/{corpus}.json", corpus=FACES_MADE), *data_of("candide", FACES_MADE), *MESH],
    ),
    "streams": page("compare_streams", *STREAM, runs=runs_of("stream"), **clips_and_info(STREAMED)),
    "complexity": page(
        "count_complexity",
        *("scale", "train", "faces", "sound", "variants", "streams", "streaming"),
        **info(STREAMED),
        thesis=[THESIS],
    ),
    "intensity": page(
        "compare_intensity",
        *("intensity", "evaluate", "scale"),
        runs=wanted("intensity"),
        **info(PARAMS.intensity.corpus),
    ),
}
FIGURES = {  # each with svg, png and csv
    "2.12": page(
        "plot_features",
        words=" ".join(["--model", *(f"{run.folder}/model.safetensors" for run in wanted("2.12")[:1])])
        + f" {SAMPLES_OPTION} --results results",
        also=[*manifests(wanted("2.12")), *SAMPLES, *data_of("faces", PARAMS.cross.test)],
    ),
    "4.14": page("plot_transfer", words="--figure 4.14", runs=wanted("transfer.rates"), **info(FER)),
    "4.15": page("plot_transfer", words="--figure 4.15", runs=wanted("transfer.frozen"), **info(FER)),
    "5.1": page("plot_embeddings", "embeddings", "seed", embeddings=EMBEDDINGS, **info(EMBEDDED)),
}
for name, table in PARAMS.tables.items():
    rests_on = dict(runs=wanted(f"tables.{name}"), **clips_and_info(table.corpus), words=f"--table {name}")
    TABLES[name] = page("build_table", "tables", "evaluate", "seed", "scale", **rests_on, thesis=[THESIS])
    if table.confusion:
        FIGURES[table.confusion] = page("plot_confusion", "tables", "seed", "scale", **rests_on)
for corpus in PARAMS.trust.corpora:
    TABLES[f"trust-{corpus}"] = page(
        "build_trust",
        *("trust", "evaluate", "seed", "scale"),
        words=f"--corpus {corpus} --assessed results/trust/{corpus}",
        runs=wanted(f"trust.{corpus}"),
        **clips_and_info(corpus),
        votes=tables_of(corpus, names=["votes.parquet"]),
        also=expand("results/trust/{corpus}/{name}.parquet", corpus=corpus, name=PARAMS.trust.rows),
    )
CURVES = {
    corpus: page("plot_curves", runs=learnt_on(corpus), **info(corpus))
    for corpus in sorted({*TABLED, *(run.corpus for run in runs_of("pretrain")), PAIR})
}
SHEETS = {
    corpus: page(
        "plot_samples",
        "sound",
        words=f"--faces results/faces/{corpus} --sound results/sound/{corpus}",
        **clips_and_info(corpus),
        also=[*data_of("faces", {corpus}.intersection(PICTURED)), *data_of("sound", {corpus}.intersection(VOICED))],
    )
    for corpus in CORPORA
}
TRUST_PAGES = {
    corpus: page("plot_trust", table=[f"results/tables/trust-{corpus}.csv"], **info(corpus))
    for corpus in PARAMS.trust.corpora
}
MESH_FIGURES = ["3.8", "4.1", "4.2", "4.3", "4.4"]
PICTURE_FIGURES = ["3.1", "4.6", "4.7", "4.8"]
FER_FIGURES = ["4.9", "4.10", "4.11", "4.12", "4.13"]
STRIP_FIGURES = ["4.16", "4.17", "anytime"]
SOUND_FIGURES = ["1.1", "1.2", "4.18", "4.19", "4.20"]
NETWORK_FIGURES = ["5.4", "5.5"]
TRUST_FIGURES = ["reliability", "coverage", "conditions", "people"]
INTO_FIGURES = "--out results/figures"
CANDIDE = page("draw_candide", "candide", words=SAMPLES_OPTION, also=[*SAMPLES, *MESH])
SHOWN = wanted("4.5")[:1]  # the first structural SVM of action units
FITS = page(
    "plot_fits",
    words=f"{SAMPLES_OPTION} --results results"
    + "".join(f" --predictions {run.folder}/predictions.parquet" for run in SHOWN),
    also=[*SAMPLES, *data_of(["faces", "candide"], CROSS_CORPORA), *manifests(SHOWN), *MESH],
)
PICTURES = page(
    "plot_pictures",
    *("augment", "cross", "seed"),
    words=f"{SAMPLES_OPTION} --results results",
    also=[*SAMPLES, *data_of("faces", CROSS_CORPORA)],
)
FER_PAGE = page(
    "plot_fer2013",
    runs=wanted("fer2013"),
    words=f"--results results --people {GALLERY} {' '.join(['--beside', *BESIDE] if BESIDE else [])}",
    also=[*tables_of(*SHOWN_FACES), *data_of("faces", SHOWN_FACES)],
)
STRIPS = page(
    "plot_streams",
    *STREAM,
    runs=runs_of("stream"),
    **clips_and_info(STREAMED),
    words=f"--faces results/faces/{STREAMED}",
    also=data_of("faces", STREAMED),
)
SPECTROGRAMS = page(
    "plot_spectrograms",
    *("sound", "seed"),
    **clips_and_info(STREAMED),
    words=f"--faces results/faces/{STREAMED} --sound results/sound/{STREAMED}",
    also=data_of(["faces", "sound"], STREAMED),
)
CLASSIFIERS = page(
    "compare_classifiers",
    *("classifiers", "cross", "classify", "evaluate", "seed", "scale"),
    runs=runs_of("classifier"),
    thesis=[THESIS],
    words=SAMPLES_OPTION,
    also=SAMPLES,
)
# Verdicts on chapter 5 rest on networks that name emotions.
CLAIMED = [run for run in runs_of("variant") if PARAMS.variants[run.name].target == "label"]
HYPOTHESES = page(
    "judge_hypotheses",
    *("classifiers", "cross", "classify", "transfer", "pretrain", "evaluate", "seed", "scale"),
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
)
FUZZINESS = page(
    "plot_fuzziness",
    *("fuzziness", "evaluate", "scale"),
    rows={"variants": {name: PARAMS.variants[name] for name in FUZZY.rows}},
    predictions=manifests(runs_of("fuzziness")),
)
TRAINED = runs_of()
SUMMARY = page("summarise", runs=TRAINED, clips=tables_of(*HEADLINED, names=["clips.parquet"]))
TRACKED = page(
    "track",
    runs=TRAINED,
    corpus_info=[*tables_of(*HEADLINED, names=["corpus.json"]), SAMPLES[-1]],
)


def kept_paths():
    """List the folders, and the manifests of trainings, below results/ that the parameters still ask for."""
    kept = [
        *(f"corpora/{corpus}" for corpus in ADAPTERS),
        *(f"faces/{corpus}" for corpus in PICTURED),
        *(f"sound/{corpus}" for corpus in VOICED),
        *(f"candide/{corpus}" for corpus in FITTED),
        f"samples/{PAIR}",
        f"embeddings/{EMBEDDED}",
        *(f"trust/{corpus}" for corpus in PARAMS.trust.corpora),
        *(f"fuzziness/{FUZZY.corpus}/seed{seed}" for seed in range(FUZZY.seeds)),
    ]
    trained = [path for run in TRAINED for path in (run.folder, run.manifest)]
    return [*kept, *dict.fromkeys(path.removeprefix("results/") for path in trained)]


def asked(pages, key=None):
    """Give the params of a rule that makes `pages`; `key`: the wildcard, or, of a rule without one, the page itself."""

    def at(wildcards):
        return pages if key is None else pages[wildcards[key]]

    return {
        "code": lambda wildcards: code_digest(entry(at(wildcards)["command"])),
        "command": lambda wildcards: at(wildcards)["command"],
        "arguments": lambda wildcards: at(wildcards)["arguments"],
    }


def needs(pages, key):
    """Give a function that lists the inputs of a page by its wildcard."""
    return lambda wildcards: pages[wildcards[key]]["inputs"]


def out_options(wildcards, output):
    """Give the outputs as arguments; depends on them, hence is not recorded."""
    return " ".join(f"--out-{kind} {shlex.quote(file)}" for kind, file in output.items())


def shown(path, caption, category="Figures", **labels):
    """Put files into Snakemake's report, with a caption of workflow/report."""
    return report(path, caption=f"../report/{caption}.rst", category=category, labels=labels or None)


def figures(names, *suffixes):
    """List files of figures."""
    return expand("results/figures/{name}.{suffix}", name=names, suffix=suffixes)


REPORT = [
    *expand(
        "results/tables/{table}.{suffix}",
        table=[*TABLES, "4.1", "4.2", "fuzziness"],
        suffix=["csv", "md"],
    ),
    *figures(FIGURES, "svg", "png", "csv"),
    *figures(expand("curves-{corpus}", corpus=CURVES), "svg"),
    *figures(expand("samples-{corpus}", corpus=SHEETS), "png"),
    *figures([*MESH_FIGURES, *FER_FIGURES, *STRIP_FIGURES, *NETWORK_FIGURES, "fuzziness"], "svg", "png"),
    *figures([*PICTURE_FIGURES, *SOUND_FIGURES, *(["4.5"] if SHOWN else [])], "png"),
    *figures(expand("trust-{corpus}-{figure}", corpus=TRUST_PAGES, figure=TRUST_FIGURES), "svg", "png"),
    "results/hypotheses.md",
    "results/metrics.json",
    "mlflow.db",
]


rule table:
    """Put a table of the thesis, or one of ours, together."""
    input:
        needs(TABLES, "table"),
    output:
        csv=shown("results/tables/{table}.csv", "tables", "Tables", table="{table}"),
        md="results/tables/{table}.md",
    log:
        "logs/table/{table}.log",
    wildcard_constraints:
        table=one_of(map(re.escape, TABLES)),
    params:
        **asked(TABLES, "table"),
        out=out_options,
    shell:
        "python -m mien {params.command} {params.arguments} {params.out} >{log:q} 2>&1"


use rule table as figure with:
    input:
        needs(FIGURES, "figure"),
    output:
        svg=shown("results/figures/{figure}.svg", "figures", figure="{figure}"),
        png="results/figures/{figure}.png",
        csv="results/figures/{figure}.csv",
    log:
        "logs/figure/{figure}.log",
    wildcard_constraints:
        figure=one_of(map(re.escape, FIGURES)),
    params:
        **asked(FIGURES, "figure"),


use rule table as plot_curves with:
    input:
        needs(CURVES, "trained"),
    output:
        svg=shown("results/figures/curves-{trained}.svg", "curves", "Training", corpus="{trained}"),
    log:
        "logs/plot_curves/{trained}.log",
    wildcard_constraints:
        trained=one_of(CURVES),
    params:
        **asked(CURVES, "trained"),


use rule table as plot_samples with:
    input:
        needs(SHEETS, "corpus"),
    output:
        png=shown("results/figures/samples-{corpus}.png", "samples", "Corpora", corpus="{corpus}"),
    log:
        "logs/plot_samples/{corpus}.log",
    wildcard_constraints:
        corpus=one_of(SHEETS),
    params:
        **asked(SHEETS, "corpus"),


use rule table as plot_fits with:
    input:
        FITS["inputs"],
    output:
        png=shown("results/figures/4.5.png", "fits", figure="4.5"),
        csv="results/figures/4.5.csv",
    log:
        "logs/plot_fits.log",
    params:
        **asked(FITS),


# Rules that draw several figures at once.
use rule table as draw_candide with:
    input:
        CANDIDE["inputs"],
    output:
        shown(figures(MESH_FIGURES, "svg"), "candide"),
        figures(MESH_FIGURES, "png"),
    log:
        "logs/draw_candide.log",
    params:
        **asked(CANDIDE),
        out=INTO_FIGURES,


use rule draw_candide as plot_pictures with:
    input:
        PICTURES["inputs"],
    output:
        shown(figures(PICTURE_FIGURES, "png"), "pictures"),
        figures("3.1", "csv"),
    log:
        "logs/plot_pictures.log",
    params:
        **asked(PICTURES),


use rule draw_candide as plot_fer2013 with:
    input:
        FER_PAGE["inputs"],
    output:
        shown(figures(FER_FIGURES, "svg"), "fer2013"),
        figures(FER_FIGURES, "png"),
        figures(["4.11", "4.12", "4.13"], "csv"),
    log:
        "logs/plot_fer2013.log",
    params:
        **asked(FER_PAGE),


use rule draw_candide as plot_streams with:
    input:
        STRIPS["inputs"],
    output:
        shown(figures(STRIP_FIGURES, "svg"), "strips"),
        figures(STRIP_FIGURES, "png"),
        figures("anytime", "csv"),
    log:
        "logs/plot_streams.log",
    params:
        **asked(STRIPS),


use rule draw_candide as plot_spectrograms with:
    input:
        SPECTROGRAMS["inputs"],
    output:
        shown(figures(SOUND_FIGURES, "png"), "spectrograms"),
    log:
        "logs/plot_spectrograms.log",
    params:
        **asked(SPECTROGRAMS),


use rule draw_candide as draw_networks with:
    input:
        [],
    output:
        shown(figures(NETWORK_FIGURES, "svg"), "networks"),
        figures(NETWORK_FIGURES, "png"),
    log:
        "logs/draw_networks.log",
    params:
        **asked(page("draw_networks")),


use rule draw_candide as plot_trust with:
    input:
        needs(TRUST_PAGES, "trusted"),
    output:
        shown(figures(expand("trust-{{trusted}}-{figure}", figure=TRUST_FIGURES), "svg"), "trust_figures"),
        figures(expand("trust-{{trusted}}-{figure}", figure=TRUST_FIGURES), "png"),
    log:
        "logs/plot_trust/{trusted}.log",
    wildcard_constraints:
        trusted=one_of(TRUST_PAGES),
    params:
        **asked(TRUST_PAGES, "trusted"),


# Rules whose outputs are tables and more.
use rule table as plot_fuzziness with:
    input:
        manifests(runs_of("fuzziness")),
    output:
        csv=shown("results/tables/fuzziness.csv", "fuzziness", "Tables", table="fuzziness"),
        md="results/tables/fuzziness.md",
        figures=[
            shown("results/figures/fuzziness.svg", "fuzziness", figure="fuzziness"),
            "results/figures/fuzziness.png",
        ],
    log:
        "logs/plot_fuzziness.log",
    params:
        **asked(FUZZINESS),
        out="--out-csv results/tables/fuzziness.csv --out-md results/tables/fuzziness.md --out-figures results/figures",


use rule table as compare_classifiers with:
    input:
        CLASSIFIERS["inputs"],
    output:
        shown("results/tables/4.1.csv", "classifiers", "Tables", table="4.1"),
        shown("results/tables/4.2.csv", "repeats", "Tables", table="4.2"),
        "results/tables/4.1.md",
        "results/tables/4.2.md",
    log:
        "logs/compare_classifiers.log",
    params:
        **asked(CLASSIFIERS),
        out="--out-41 results/tables/4.1 --out-42 results/tables/4.2",


use rule table as judge_hypotheses with:
    input:
        HYPOTHESES["inputs"],
    output:
        md="results/hypotheses.md",
        csv=shown("results/hypotheses.csv", "hypotheses", "Tables", table="hypotheses"),
    log:
        "logs/judge_hypotheses.log",
    params:
        **asked(HYPOTHESES),


use rule table as summarise with:
    input:
        SUMMARY["inputs"],
    output:
        metrics="results/metrics.json",
        plots=directory("results/plots"),
    log:
        "logs/summarise.log",
    params:
        **asked(SUMMARY),
        out="--out results/metrics.json --plots results/plots",


use rule table as track with:
    input:
        TRACKED["inputs"],
    output:
        update("mlflow.db"),
    log:
        "logs/track.log",
    params:
        **asked(TRACKED),
        out="--db mlflow.db --artifacts mlartifacts",


rule prune:
    """Delete results of what params.yaml no longer lists; runs whenever it is asked for."""
    log:
        "logs/prune.log",
    params:
        keep=kept_paths(),
    shell:
        "python -m mien prune --root results --keep {params.keep} >{log:q} 2>&1"
