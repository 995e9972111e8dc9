"""Networks that are trained ahead, no rules: which there are, what they depend on, who starts from them."""

PRETRAINED = {  # row -> folder below results/training
    row: section(PretrainConfig, PARAMS, "pretrain", row).name
    for row in PARAMS["pretrain"]
}
# Corpora with a table of variants, and those of networks that are trained ahead.
HEADLINED = sorted(
    {
        *TRAINED_CORPORA,
        STREAMED,
        *(row["corpus"] for row in PARAMS["pretrain"].values()),
    }
)
ALL_TRAINED = sorted({*TRAINED_CORPORA, *PRETRAINED.values(), CROSS.name})
FER = TransferConfig.corpus
TRANSFER = PARAMS["transfer"]


def with_starts(rows):
    """Add the rows that some rows of pretrain start from, and those that these start from."""
    chain = list(rows)
    for row in chain:  # grows as it goes
        init = PARAMS["pretrain"][row]["init"]
        chain += [init] if init in PRETRAINED and init not in chain else []
    return [row for row in PRETRAINED if row in chain]


TRANSFERRED = with_starts(row for row, learnt in PRETRAINED.items() if learnt == FER)
TRANSFER_INFO = sorted(
    {
        f"results/corpora/{corpus}/corpus.json"
        for corpus in (FER, *(PARAMS["pretrain"][row]["corpus"] for row in TRANSFERRED))
    }
)
JUDGES = list(
    dict.fromkeys(
        [
            *TRANSFER["table"],
            *(row for row, learnt in PRETRAINED.items() if learnt == FER),
        ]
    )
)
CURVE_FIGURES = {"4.14": TRANSFER["rates"], "4.15": TRANSFER["frozen"]}
FER_FIGURES = ["4.9", "4.10", "4.11", "4.12", "4.13"]
# Whose faces figure 4.9 shows: those that a start of table 4.3 has learnt to tell apart, else any film corpus's.
GALLERY = next(
    (
        PARAMS["pretrain"][row]["corpus"]
        for row in TRANSFERRED
        if PARAMS["pretrain"][row]["target"] == "actor"
    ),
    TRAINED_CORPORA[0],
)
BESIDE = [corpus for corpus in ("jaffe", "ckplus") if corpus in CORPORA]
SHOWN_FACES = list(dict.fromkeys([FER, GALLERY, *BESIDE]))
FEATURED = [  # CNN-1 with the largest picture
    f"results/training/{CROSS.name}/{name}/fold0-seed0/model.safetensors"
    for name in sorted(NEURAL, key=lambda name: CLASSIFIERS[name]["size_px"])
    if CLASSIFIERS[name]["model"] == "cnn1"
][-1:]


def pretrain_runs(file, *, rows=None):
    """List one file of every network that is trained ahead, or of some of them in their order."""
    return [
        f"results/training/{PRETRAINED[row]}/{row}/fold0-seed0/{file}"
        for row in (PRETRAINED if rows is None else rows)
    ]


def pretrain_rows(modality):
    """List the networks of one modality that are trained ahead."""
    return [
        row for row in PRETRAINED if PARAMS["pretrain"][row]["modality"] == modality
    ]


def one_of(names):
    """Give the expression of a wildcard that is one of `names`; nothing matches it if there are none."""
    return "|".join(sorted(set(names))) or "(?!)"


def pretrain_sections(wildcards):
    """Give what a row depends on; its place in table 4.3 is no reason to train it again."""
    row = section(PretrainConfig, PARAMS, "pretrain", wildcards.row)
    chosen = json.loads(sections("pretrain.{row}", *row.uses)(wildcards))
    chosen["pretrain"][wildcards.row]["thesis"] = ""
    return json.dumps(chosen, sort_keys=True)


def pretrain_file(pattern):
    """Give a function that fills the corpus of a row of pretrain into a path."""
    return lambda wildcards: pattern.format(
        corpus=PARAMS["pretrain"][wildcards.row]["corpus"]
    )


def pretrain_weights(wildcards):
    """Name the file of the first weights of a row, if it has one."""
    init = PARAMS["pretrain"][wildcards.row]["init"]
    if init in PRETRAINED:
        return (
            f"results/training/{PRETRAINED[init]}/{init}/fold0-seed0/model.safetensors"
        )
    return [] if init in ("random", "none") else init


def initial_files(kind, name):
    """Give modality -> file of the first weights of a row of variants or streams."""
    return {
        modality: (
            f"results/training/{PRETRAINED[init]}/{init}/fold0-seed0/model.safetensors"
            if init in PRETRAINED
            else init
        )
        for modality, init in sorted(PARAMS[kind][name]["init"].items())
    }


def initial_arguments(kind, name):
    """Give the files of first weights of a row as arguments."""
    pairs = [
        f"{modality}={file}" for modality, file in initial_files(kind, name).items()
    ]
    return f"--init {shlex.join(pairs)}" if pairs else ""
