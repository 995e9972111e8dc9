"""What has to hold between the sections of params.yaml; each section by itself is checked where it is declared."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mien.config.labels import AS_VECTORS, FROZEN_ENCODERS, MAX_ACTORS, SPEECH, VECTORS
from mien.config.runs import needed_folds, parts_of
from mien.config.values import hint
from mien.errors import ConfigError

if TYPE_CHECKING:
    from mien.config.schema import CorpusConfig, Params

RESERVED = {  # numbers and names of tables and figures that other sections make
    *("4.1", "4.2", "4.3", "5.4", "5.5", "complexity", "fuzziness", "intensity", "streams", "units"),
}
JUDGED_BY = {"joint": {"video", "audio"}, "video": {"video"}, "audio": {"audio"}}  # keys of predict and watch


def check(params: "Params") -> None:
    """Refuse sections that do not go together.

    Raises
    ------
    ConfigError : says which key, what was found, and what to write instead.
    """
    _check_corpora(params)
    _check_names(params)
    for name in params.variants:
        _check_variant(params, name)
    _check_baselines(params)
    _check_tables(params)
    trained = needed_folds(params)
    _check_studies(params, trained)
    _check_pretrain(params, trained)
    _check_transfer(params)
    _check_streams(params)
    for corpus, variant in trained:
        _check_modalities_of(params, corpus, variant)
        if variant in params.variants:
            _check_people(params, f"variants.{variant}", corpus, params.variants[variant].init)
    for name, stream in params.streams.items():
        _check_people(params, f"streams.{name}", params.streaming.corpus, stream.init)


def check_files(params: "Params") -> None:
    """Refuse corpora, weights and published divisions whose files are not there, or have other folds than ``folds``.

    Not a part of `check`: trained networks can be used where their corpora are not.

    Raises
    ------
    ConfigError : says which key, and what was found.
    """
    for name, corpus in params.corpora.items():
        if corpus.source not in ("synthetic", "download") and not Path(corpus.source).expanduser().exists():
            raise _wrong(f"corpora.{name}.source", f"{corpus.source} is not there; or write synthetic or download")
    for study, rows in (("speech", params.speech), ("vision", params.vision)):
        for name, row in rows.items():
            if not row.file.is_file():
                of = getattr(row, "bundle", name)
                raise _wrong(f"{study}.{name}.weights", f"{row.weights} is no file; name the weights of {of}")
    for name, file in params.splits.items():
        try:
            with Path(file).open(newline="", encoding="utf-8") as rows:
                n_folds = len({row["fold"] for row in csv.DictReader(rows)})
        except (OSError, UnicodeDecodeError, KeyError) as error:
            raise _wrong(f"splits.{name}", f"{file} cannot be read as a table with a column fold ({error})") from None
        if n_folds != params.folds[name]:
            raise _wrong(f"folds.{name}", f"should be {n_folds}, the folds of {file}; got {params.folds[name]}")


def _wrong(where: str, what: str) -> ConfigError:
    return ConfigError(f"params.yaml: {where} {what}" if what.startswith("should") else f"params.yaml: {where}: {what}")


def _check_corpora(params: "Params") -> None:
    for name, corpus in params.corpora.items():
        n_folds, largest = params.folds.get(name), MAX_ACTORS.get(name)
        synthetic = corpus.source == "synthetic"
        if n_folds is None:
            raise ConfigError(f"params.yaml: folds.{name} is missing")
        _check_columns(f"corpora.{name}", name, corpus)
        if synthetic and largest and corpus.actors > largest:
            raise _wrong(f"corpora.{name}.actors", f"should be at most {largest}, got {corpus.actors}")
        if name in ("fer2013", "voxceleb"):
            if n_folds != 1:
                raise _wrong(f"folds.{name}", f"should be 1, its official division; got {n_folds}")
        elif synthetic and not 2 <= n_folds <= corpus.actors:
            raise _wrong(f"folds.{name}", f"should be 2 to {corpus.actors}, the number of its actors; got {n_folds}")
    if (found := params.sound.front_end) != "stft":
        raise _wrong("sound.front_end", f"should be stft, got {found}; rows of variants have a front_end of their own")
    for name in params.validation:
        if name in params.splits:
            raise _wrong(f"validation.{name}", f"splits.{name} says who validates; take one of the two away")
    if params.classify.seeds > params.cross.splits:
        raise _wrong("classify.seeds", f"should be at most cross.splits ({params.cross.splits})")


def _check_columns(where: str, name: str, corpus: "CorpusConfig") -> None:
    """Refuse columns of a corpus that does not come as numbers, and such a corpus without them or without a file."""
    if name not in AS_VECTORS:
        if corpus.columns:
            raise _wrong(f"{where}.columns", f"{name} has no vectors; leave it out, or see {', '.join(AS_VECTORS)}")
        return
    if corpus.source in ("synthetic", "download"):
        raise _wrong(f"{where}.source", f"should be a file of numbers (.npz); got {corpus.source}")
    if not corpus.columns:
        raise _wrong(f"{where}.columns", f"should say where the vectors are, as in {{{next(iter(VECTORS))}: [0, 35]}}")
    last = 0
    for modality, (first, end) in sorted(corpus.columns.items(), key=lambda one: one[1]):
        if not last <= first < end:
            raise _wrong(
                f"{where}.columns.{modality}", f"should begin at {last} or later and end later; got {first}, {end}"
            )
        last = end


def _check_modalities_of(params: "Params", corpus: str, name: str) -> None:
    """Refuse networks and classical methods of vectors on other corpora, and others on corpora of vectors."""
    row = params.baselines.get(name)
    modalities = params.variants[name].modalities if row is None else (row.modality,) * bool(row.modality)
    for modality in modalities:
        known = params.corpora[corpus].columns or ("video", "audio", "units", *params.speech, *params.vision)
        if modality not in known:
            where = f"{'variants' if row is None else 'baselines'}.{name}"
            if modality in FROZEN_ENCODERS and corpus not in AS_VECTORS:
                study, what = ("speech", "bundle and weights") if modality in SPEECH else ("vision", "weights")
                raise _wrong(where, f"is made with {modality}; name its {what} under {study}.{modality}")
            raise _wrong(where, f"looks at {modality}, and {corpus} has {', '.join(known)}; ask for another row there")


def _check_names(params: "Params") -> None:
    """Refuse corpora that there are not, more folds than they have, and variants that are none or learn otherwise."""
    tables, overview, intensity, embeddings = params.tables, params.overview, params.intensity, params.embeddings
    folds = [  # key, corpus, number of folds
        *((f"tables.{name}.folds", table.corpus, table.folds) for name, table in tables.items()),
        *((f"overview.folds.{corpus}", corpus, n_folds) for corpus, n_folds in overview.folds.items()),
        ("intensity.folds", intensity.corpus, intensity.folds),
        ("embeddings.folds", embeddings.corpus, max(embeddings.folds) + 1),
    ]
    corpora = [
        *((f"splits.{corpus}", corpus) for corpus in params.splits),
        *(("cross", corpus) for corpus in (*params.cross.train, params.cross.test)),
        *((where, corpus) for where, corpus, _ in folds),
        ("streaming.corpus", params.streaming.corpus),
    ]
    rows = [  # key, variants, what they learn
        *((f"tables.{name}", (*table.rows, *table.single), "label") for name, table in tables.items()),
        ("overview.rows", overview.rows, "label"),
        ("intensity.rows", intensity.rows, "intensity"),
        *((f"embeddings.rows.{feature}", (name,), "label") for feature, name in embeddings.rows.items()),
        ("fuzziness.rows", params.fuzziness.rows, "label"),
        ("trust.rows", params.trust.rows, "label"),
        ("trust.options", params.trust.options, "label"),
        *((f"predict.{modality}", (getattr(params.predict, modality),), "label") for modality in JUDGED_BY),
    ]
    for where, corpus in corpora:
        if corpus not in params.corpora:
            raise _wrong(where, f"{corpus} is not under corpora")
    for where, corpus, n_folds in folds:
        if n_folds > params.folds[corpus]:
            raise _wrong(where, f"{n_folds} folds, and {corpus} has {params.folds[corpus]}")
    for where, names, target in rows:
        study = where.partition(".")[0]
        for name in names:
            _known_variant(params, where, name)
            row = params.variants[name]
            if target not in (learnt := (row.target, *row.also)):
                raise _wrong(where, f"{name} learns {' and '.join(learnt)}, not {target}")
            front_end = next((one for one in row.modalities if one in FROZEN_ENCODERS), row.front_end)
            if front_end != "stft" and study in ("embeddings", "fuzziness", "trust"):
                raise _wrong(where, f"{name} has the front end {front_end}, which is not there; name another row")
            if row.normalise != "corpus" and study in ("embeddings", "fuzziness", "trust", "predict"):
                raise _wrong(
                    where, f"{name} is normalised by {row.normalise}, which is not done there; name another row"
                )


def _check_variant(params: "Params", name: str) -> None:
    """Refuse a variant whose starts, frozen branches or histories are none."""
    variant, where = params.variants[name], f"variants.{name}"
    for modality, init in variant.init.items():
        _check_branch(params, f"{where}.init.{modality}", init, modality)
        if variant.trunk.get(modality, "resnet18") != "resnet18" and init in params.pretrain:
            trunk = variant.trunk[modality]
            raise _wrong(
                f"{where}.init.{modality}",
                f"{init} looks at single pictures, and the trunk {trunk} at whole clips; leave {modality} out of init",
            )
    if variant.weights:
        _known_variant(params, f"{where}.weights", variant.weights)
        other = params.variants[variant.weights]
        if replace(variant, weights="", normalise=other.normalise) != other or other.normalise == variant.normalise:
            raise _wrong(f"{where}.weights", f"{variant.weights} differs by more than normalise; make the row like it")
    for modality, other in variant.frozen.items():
        _known_variant(params, f"{where}.frozen.{modality}", other)
        if params.variants[other].modalities != (modality,) or params.variants[other].frozen:
            raise _wrong(f"{where}.frozen.{modality}", f"{other} is not a {modality} network")
        if params.variants[other].normalise != variant.normalise:
            raise _wrong(f"{where}.frozen.{modality}", f"{other} is normalised by {params.variants[other].normalise}")
    for head, other in variant.blend.items():
        _known_variant(params, f"{where}.blend.{head}", other)
        row = params.variants[other]
        wanted = variant.modalities if head == "fused" else (head,)
        if set(row.modalities) != set(wanted) or row.frozen or row.blend or row.target != variant.target:
            raise _wrong(
                f"{where}.blend.{head}",
                f"{other} is no network of {' and '.join(wanted)} alone that learns {variant.target} with neither"
                " frozen branches nor a blend",
            )


def _check_baselines(params: "Params") -> None:
    """Refuse baselines that are named like another row, and sums of what are no plain ones."""
    for name, row in params.baselines.items():
        for section in ("variants", "streams", "pretrain"):
            if name in getattr(params, section):
                raise ConfigError(f"params.yaml: {name} is a row of baselines and of {section}; rename one")
        for part in row.parts:
            plain = [other for other, one in params.baselines.items() if one.modality]
            if part not in plain:
                raise _wrong(f"baselines.{name}.parts", f"{part!r} is no svm or logistic row; {hint(part, plain)}")
    for number, table in params.tables.items():
        for name in table.baselines:
            if name not in params.baselines:
                near = hint(name, params.baselines)
                raise _wrong(f"tables.{number}.baselines", f"there is no row {name!r} of baselines; {near}")


def _check_tables(params: "Params") -> None:
    figures: dict[str, str] = {}
    for name, table in params.tables.items():
        for number in {name, table.confusion} & RESERVED:
            raise _wrong(f"tables.{name}", f"{number} is another table or figure")
        if table.confusion:
            other = figures.setdefault(table.confusion, name)
            if other != name or table.confusion in params.tables:
                owner = f"figure of table {other}" if other != name else "table"
                raise _wrong(f"tables.{name}.confusion", f"{table.confusion} is the {owner} as well")
        for row, other in table.thesis.items():
            _known_variant(params, f"tables.{name}.thesis.{row}", other)
            if row not in table.rows:
                raise _wrong(f"tables.{name}.thesis", f"{row!r} is no row of the table; {hint(row, table.rows)}")
        for what, pairs in table.controls.items():
            for row in (*pairs, *pairs.values()):
                if row not in table.rows:
                    near = hint(row, table.rows)
                    raise _wrong(f"tables.{name}.controls.{what}", f"{row!r} is no row of the table; {near}")


def _check_studies(params: "Params", trained: Iterable[tuple[str, str]]) -> None:
    """Refuse studies of rows that lack what they need."""
    for name in params.fuzziness.rows:
        if "units" in params.variants[name].modalities:
            raise _wrong("fuzziness.rows", f"{name} looks at action units; they are not fitted there")
        if missing := [part for part in parts_of(params, name) if part not in params.fuzziness.rows]:
            raise _wrong("fuzziness.rows", f"{name} needs {missing[0]} beside it")
    for corpus in params.trust.corpora:
        for name in params.trust.rows:
            if (corpus, name) not in trained:
                raise _wrong("trust", f"no table asks for {name} on {corpus}; add it to one, or take it out")
    for name, baseline in params.trust.options.items():
        if baseline not in params.trust.rows:
            raise _wrong(f"trust.options.{name}", f"{baseline} is no row; {hint(baseline, params.trust.rows)}")
        if not any((corpus, name) in trained for corpus in params.trust.corpora):
            raise _wrong("trust.options", f"no table asks for {name}; add it to one, or take it out")
    for modality, wanted in JUDGED_BY.items():
        name, corpus = getattr(params.predict, modality), params.predict.corpus
        shown = {part for part in params.variants[name].modalities if part != "units"}  # those are fitted to the face
        _check_modalities(f"predict.{modality}", name, shown, wanted)
        if (corpus, name) not in trained:
            raise _wrong(f"predict.{modality}", f"no table asks for {name} on {corpus}; add it to one")
        name = getattr(params.watch, modality)
        if name not in params.streams:
            raise _wrong(f"watch.{modality}", f"there is no row {name!r} of streams; {hint(name, params.streams)}")
        _check_modalities(f"watch.{modality}", name, params.streams[name].modalities, wanted)


def _check_modalities(where: str, name: str, modalities: Iterable[str], wanted: set[str]) -> None:
    if set(modalities) != wanted:
        raise _wrong(where, f"{name} uses {', '.join(sorted(modalities))}, not {' and '.join(sorted(wanted))}")


def _check_pretrain(params: "Params", trained: Iterable[tuple[str, str]]) -> None:
    """Refuse rows of pretrain without a corpus, with an unusable start, or in the folder of a variant."""
    shared = {corpus for corpus, _ in trained} | {params.streaming.corpus}  # folders of variants
    for name, row in params.pretrain.items():
        where = f"pretrain.{name}"
        if row.corpus not in params.corpora:
            raise _wrong(f"{where}.corpus", f"{row.corpus} is not under corpora; {hint(row.corpus, params.corpora)}")
        if (name in params.variants or name in params.streams) and row.name in shared:
            part = "variants" if name in params.variants else "streams"
            raise ConfigError(
                f"params.yaml: {where} and {part}.{name} would write results/training/{row.name}/{name}; rename one of"
                " them"
            )
        _check_start(params, f"{where}.init", name)


def _check_start(params: "Params", where: str, name: str) -> None:
    """Refuse an init that is nothing, leads back to its row, or leads to another kind of network."""
    row = params.pretrain[name]
    if row.init in ("random", "none") or _is_path(row.init):
        return
    if row.init not in params.pretrain:
        near = hint(row.init, [*params.pretrain, "random", "none"])
        raise _wrong(where, f"{row.init} is neither a row of pretrain nor a path, which has / or .; {near}")
    chain = [name, row.init]
    while (following := params.pretrain[chain[-1]].init) in params.pretrain and chain[-1] not in chain[:-1]:
        chain.append(following)
    if chain[-1] in chain[:-1]:
        raise _wrong(where, f"{' -> '.join(chain)} has no first row; write random or a file in one")
    kinds = {key: (one.network, one.modality) for key, one in params.pretrain.items()}
    if kinds[row.init] != kinds[name]:
        alike = [other for other, kind in kinds.items() if other != name and kind == kinds[name]]
        found = f"{row.init} is a {' of '.join(kinds[row.init])}, {name} a {' of '.join(kinds[name])}"
        raise _wrong(where, f"{found}; {hint(row.init, [*alike, 'random'])}")


def _check_transfer(params: "Params") -> None:
    """Refuse studies of rows that there are not, or that do not learn the emotions of FER2013."""
    corpus = params.transfer.corpus
    fitting = [name for name, row in params.pretrain.items() if row.name == corpus]
    for study in ("rates", "frozen", "table"):
        for name in getattr(params.transfer, study):
            where = f"params.yaml: transfer.{study}: {name}"
            if name not in params.pretrain:
                raise ConfigError(f"{where} is no row of pretrain; {hint(name, fitting)}")
            if name not in fitting:
                row = params.pretrain[name]
                learnt = f"learns {row.target} on {row.corpus}, not the emotions of {corpus}"
                raise ConfigError(f"{where} {learnt}; {hint(name, fitting)}")


def _check_branch(params: "Params", where: str, init: str, modality: str) -> None:
    """Refuse first weights of a branch that are neither a ResNet-18 of its modality nor a file."""
    fitting = [name for name, row in params.pretrain.items() if (row.network, row.modality) == ("resnet18", modality)]
    if init in fitting or (init not in params.pretrain and _is_path(init)):
        return
    row = params.pretrain.get(init)
    found = "neither a row of pretrain nor a path, which has / or ." if row is None else ""
    found = found or f"a {row.network} of {row.modality}, not a resnet18 of {modality}"
    raise _wrong(where, f"{init} is {found}; {hint(init, fitting)}, or leave {modality} out")


def _is_path(text: str) -> bool:
    """Say whether `text` can be meant as a file; names of rows are identifiers."""
    return "/" in text or "." in text


def _check_streams(params: "Params") -> None:
    if twice := sorted(params.variants.keys() & params.streams.keys()):
        raise ConfigError(f"params.yaml: {twice[0]} is a row of variants and of streams; rename one")
    for name, stream in params.streams.items():
        for modality, init in stream.init.items():
            _check_branch(params, f"streams.{name}.init.{modality}", init, modality)


def _check_people(params: "Params", where: str, corpus: str, init: Mapping[str, str]) -> None:
    """Refuse branches that start from a network that was trained on the people of the corpus that is tested on."""
    for modality, start in init.items():
        while start in params.pretrain:
            row = params.pretrain[start]
            if row.corpus == corpus:
                found = f"leads to pretrain.{start}, which was trained on {corpus}: it has seen the people that are"
                raise ConfigError(f"params.yaml: {where}.init.{modality} {found} tested on")
            start = row.init


def _known_variant(params: "Params", where: str, variant: str) -> None:
    if variant not in params.variants:
        raise _wrong(where, f"there is no variant {variant!r}; {hint(variant, params.variants)}")
