# Data: corpora in their own formats, lists of their clips, faces, sound, the mesh, and the samples of chapter 4.
# REQUIRED INPUTS  none (or the folder or archive that params.yaml names)
# OUTPUTS          data/<corpus>/, data/<corpus>.json, results/corpora/<corpus>/{clips,folds,defects,votes}.parquet,
#                  results/{faces,sound,vectors,candide}/<corpus>/manifest.json and a shard per part beside it,
#                  results/samples/<pair>/
# COMMANDS         mien get_corpus, index_corpus, extract_faces, extract_sound, extract_vectors, extract_speech,
#                  extract_vision, fit_candide, select_samples
# After what the first table needs, data stages come first (priority): they fill all cores, which a training job of one
# thread would leave half idle.
# Corpora that are made here are small: their jobs take one core each and start no processes.

MESH = expand(
    "resources/candide3/{table}.csv",
    table=["vertices", "faces", "units", "displacements"],
)
FITTED = [corpus for corpus in PICTURED if corpus in CORPORA]
CROSS_CORPORA = list(dict.fromkeys([*PARAMS.cross.train, PARAMS.cross.test]))
SAMPLES = expand(
    "results/samples/{pair}/{file}",
    pair=PAIR,
    file=["samples.parquet", "splits.parquet", "corpus.json"],
)
FUZZY_FACES = replace(PARAMS.faces, rate_fps=FUZZY.rate_fps)


def is_synthetic(corpus):
    """Say whether the people of a corpus are made here."""
    return corpus in FUZZY_VERSIONS or PARAMS.corpora[corpus].source == "synthetic"


def up_to(cores):
    """Give a function that gives so many cores to the job of a corpus; of synthetic ones several run side by side."""
    return lambda wildcards: 1 if is_synthetic(wildcards.corpus) else cores


def source_of(wildcards):
    """Name the folder or archive that params.yaml takes a corpus from."""
    source = "" if is_synthetic(wildcards.corpus) else PARAMS.corpora[wildcards.corpus].source
    return [] if source in ("", "download") else str(Path(source).expanduser())


def corpus_sections(wildcards):
    """Give what get_corpus depends on: how people are synthesised matters to a synthetic corpus only."""
    if wildcards.corpus in CORPORA:
        also = ["synthetic", "seed"] if is_synthetic(wildcards.corpus) else []
        return given(f"corpora.{wildcards.corpus}", *also)
    # Versions have the same people, of their own, and takes, once each.
    films = {"size_px": FUZZY.size_px, "rate_fps": FUZZY.rate_fps, "takes": 1}
    return given(
        corpora={FUZZY.corpus: {"source": "synthetic", "actors": FUZZY.actors}},
        synthetic=plain(PARAMS.synthetic) | films | made_as(FUZZY_VERSIONS[wildcards.corpus]),
        seed=seed_for(PARAMS.seed, "fuzziness") % 2**31,
    )


def corpus_code(wildcards):
    """Digest the code that makes a corpus: how people are synthesised matters to a synthetic corpus only."""
    made = ["synthetic.corpora", f"synthetic.write_{ADAPTERS[wildcards.corpus]}"]
    return code_digest(entry("get_corpus"), *(made if is_synthetic(wildcards.corpus) else []))


def fold_sections(wildcards):
    """Give the number of folds and who validates; the people of fuzziness are divided when networks are trained."""
    if wildcards.corpus in CORPORA:
        also = [f"validation.{wildcards.corpus}"] if wildcards.corpus in PARAMS.validation else []
        return given(f"folds.{wildcards.corpus}", *also)
    return given(folds={FUZZY.corpus: 2})


def face_sections(wildcards):
    """Give section `faces`."""
    return given(faces=PARAMS.faces if wildcards.corpus in CORPORA else FUZZY_FACES)


def split_option(wildcards, input):
    """Give the file of a published division as an argument."""
    return f"--split {shlex.quote(input.split)}" if input.split else ""


rule corpora_all:
    input:
        tables_of(*ADAPTERS),


rule faces_all:
    input:
        data_of("faces", PICTURED),


rule sound_all:
    input:
        data_of("sound", VOICED),


rule candide_all:
    input:
        data_of("candide", FITTED),
        SAMPLES,


rule get_corpus:
    """Put a corpus, in its own format, where its manifest says; of a folder, what is at its top is watched."""
    input:
        mesh=lambda wildcards: MESH if is_synthetic(wildcards.corpus) else [],
        source=source_of,
    output:
        manifest="data/{corpus}.json",
    log:
        "logs/get_corpus/{corpus}.log",
    priority: soon(40)
    threads: up_to(2)
    params:
        code=corpus_code,
        config=corpus_sections,
        adapter=lambda wildcards: ADAPTERS[wildcards.corpus],
    shell:
        """
        python -m mien get_corpus --config {params.config:q} --jobs {threads} \
            --corpus {params.adapter} --out {output.manifest:q} >{log:q} 2>&1
        """


rule index_corpus:
    """List the clips, folds, defects and votes of a corpus."""
    input:
        manifest="data/{corpus}.json",
        split=lambda wildcards: PARAMS.splits.get(wildcards.corpus, []),
    output:
        expand(
            "results/corpora/{{corpus}}/{table}.parquet",
            table=["clips", "folds", "defects", "votes"],
        ),
        info="results/corpora/{corpus}/corpus.json",
    log:
        "logs/index_corpus/{corpus}.log",
    priority: soon(30)
    threads: up_to(2)
    params:
        code=lambda wildcards: code_digest(entry("index_corpus"), f"corpora.{ADAPTERS[wildcards.corpus]}"),
        config=fold_sections,
        adapter=lambda wildcards: ADAPTERS[wildcards.corpus],
        folder=subpath(output.info, parent=True),
        split=split_option,
    shell:
        """
        python -m mien index_corpus --config {params.config:q} --jobs {threads} --corpus {params.adapter} \
            --manifest {input.manifest:q} --out {params.folder:q} {params.split} >{log:q} 2>&1
        """


rule extract_faces:
    """Find and follow faces, store their regions and landmarks."""
    input:
        manifest="data/{corpus}.json",
        clips="results/corpora/{corpus}/clips.parquet",
    output:
        manifest="results/faces/{corpus}/manifest.json",
    log:
        "logs/extract_faces/{corpus}.log",
    priority: soon(20)
    threads: up_to(8)
    params:
        code=code("extract_faces"),
        config=face_sections,
        adapter=lambda wildcards: ADAPTERS[wildcards.corpus],
        folder=subpath(output.manifest, parent=True),
    shell:
        """
        python -m mien {rule} --config {params.config:q} --jobs {threads} --corpus {params.adapter} \
            --manifest {input.manifest:q} --clips {input.clips:q} --out {params.folder:q} >{log:q} 2>&1
        """


# Decode, mix down and resample the sound of a corpus.
use rule extract_faces as extract_sound with:
    output:
        manifest="results/sound/{corpus}/manifest.json",
    log:
        "logs/extract_sound/{corpus}.log",
    params:
        code=code("extract_sound"),
        config=sections("sound"),


# Cut the numbers of a corpus that comes as such into vectors.
use rule extract_faces as extract_vectors with:
    output:
        manifest="results/vectors/{corpus}/manifest.json",
    log:
        "logs/extract_vectors/{corpus}.log",
    wildcard_constraints:
        corpus=one_of(AS_VECTORS),
    threads: 1
    params:
        code=code("extract_vectors"),
        config=sections("corpora.{corpus}"),


rule extract_speech:
    """Say what a self-supervised network of speech hears in the sound of a corpus."""
    input:
        parts="results/sound/{corpus}/manifest.json",
        weights=lambda wildcards: str(PARAMS.speech[wildcards.model].file),
    output:
        manifest="results/vectors/{corpus}-{model}/manifest.json",
    log:
        "logs/extract_speech/{corpus}-{model}.log",
    wildcard_constraints:
        corpus=one_of(VOICED),
        model=one_of(PARAMS.speech),
    priority: soon(10)
    threads: up_to(8)
    params:
        code=code("extract_speech"),
        config=sections("speech.{model}", "sound.rate_hz"),
        parts=subpath(input.parts, parent=True),
        folder=subpath(output.manifest, parent=True),
    shell:
        """
        python -m mien {rule} --config {params.config:q} --jobs {threads} --corpus {wildcards.corpus} \
            --model {wildcards.model} --parts {params.parts:q} --out {params.folder:q} >{log:q} 2>&1
        """


# Say what a network of pictures sees in the faces of a corpus.
use rule extract_speech as extract_vision with:
    input:
        parts="results/faces/{corpus}/manifest.json",
        weights=lambda wildcards: str(PARAMS.vision[wildcards.model].file),
    log:
        "logs/extract_vision/{corpus}-{model}.log",
    wildcard_constraints:
        corpus=one_of(PICTURED),
        model=one_of(PARAMS.vision),
    params:
        code=code("extract_vision"),
        config=sections("vision.{model}"),
        parts=subpath(input.parts, parent=True),
        folder=subpath(output.manifest, parent=True),


rule fit_candide:
    """Fit the Candide-3 mesh to the landmarks of every frame of a corpus."""
    input:
        clips="results/corpora/{corpus}/clips.parquet",
        faces="results/faces/{corpus}/manifest.json",
        mesh=MESH,
    output:
        manifest="results/candide/{corpus}/manifest.json",
    log:
        "logs/fit_candide/{corpus}.log",
    priority: soon(10)
    params:
        code=code("fit_candide"),
        config=sections("candide"),
        faces=subpath(input.faces, parent=True),
        folder=subpath(output.manifest, parent=True),
    shell:
        """
        python -m mien fit_candide --config {params.config:q} --jobs {threads} --corpus {wildcards.corpus} \
            --clips {input.clips:q} --manifest {input.faces:q} --faces {params.faces:q} \
            --out {params.folder:q} >{log:q} 2>&1
        """


rule select_samples:
    """Select the pictures of four emotions and divide the training people."""
    input:
        tables_of(*CROSS_CORPORA),
        data_of(["faces", "candide"], CROSS_CORPORA),
    output:
        SAMPLES,
    log:
        "logs/select_samples.log",
    params:
        code=code("select_samples"),
        config=sections("cross", "seed"),
        pair=PAIR,
    shell:
        """
        python -m mien select_samples --config {params.config:q} --corpora results/corpora --faces results/faces \
            --candide results/candide --out results/samples/{params.pair} >{log:q} 2>&1
        """
