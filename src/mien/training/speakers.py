"""Seeds of a row of ``pretrain`` that listens: ResNet-18 learns who speaks, writes the four files and its pairs.

Identification: the speakers are the same in all roles, utterances are divided (`division`). Verification: the pairs of
the corpus's list (veri_test.txt) are scored by the cosine of the features of two utterances, and the equal error rate
is entered into the metrics. VoxCeleb1's lists overlap: the 40 speakers of the verification test are among the 1251 of
the identification list, and at mini scale likewise, so here the network has heard the people of the pairs, and its rate
flatters it; the published ones are of networks trained without these 40. Where pairs without a voice occur, they stand
in pairs.parquet without a score and are counted in run.json.
"""

import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch.nn import functional

from mien.core import tables
from mien.core.errors import ConfigError, TableError
from mien.core.files import digest, read_json, sha256
from mien.core.parts import source_root
from mien.core.provenance import code_digest
from mien.core.rng import seed_for
from mien.evaluation.verification import equal_error_rate, read_pairs
from mien.models.build import n_parameters
from mien.models.cost import multiply_adds
from mien.models.extractor import ResNetClassifier, Settings, extractor, load_trunk
from mien.sound.spectrogram import segment_shape
from mien.training import resume, run_folder
from mien.training.dataset import ROLES
from mien.training.distributed import Team, join
from mien.training.division import divide_voices
from mien.training.identify import FOLLOWED, SELECTIONS, Job, embed, fit
from mien.training.machine import conditions
from mien.training.pretrain_run import FOLD, FOLD_NAME, PretrainRun
from mien.training.progress import Progress
from mien.training.run_folder import outcome
from mien.training.voices import Voices, read_voices

log = logging.getLogger(__name__)

LIST = "veri_test.txt"


@dataclass(frozen=True, kw_only=True, eq=False)
class Speakers:
    """What all seeds of a row listen to.

    clips : table CLIPS with the column role.   voices : U utterances.   speakers : names in the order of labels.
    rows : role -> its utterances.   label : (U,) int64.   pairs : see `read_pairs`; None: the corpus has no list.
    digest : of all files that were read.
    """

    clips: pd.DataFrame
    voices: Voices
    speakers: tuple[str, ...]
    rows: dict[str, np.ndarray]
    label: np.ndarray
    pairs: pd.DataFrame | None
    digest: str


def train_row(run: PretrainRun, *, results: Path, seeds: list[int], out: Path) -> None:
    """Train every seed of a row and write its folder below `out`; a killed seed goes on from its checkpoint.

    Started by torchrun, every process calls this and the first one writes.

    results : folder with corpora/ and sound/.

    Raises
    ------
    ConfigError : something else than a whole network that tells people apart is asked for.
    ModelError : first weights do not fit, or the loss is no longer a number.
    TableError : a stage has not run, or its files are damaged.
    CorpusError : the corpus does not name its people, or its list of pairs is damaged.
    """
    if (run.pretrain.target, run.pretrain.trained) != ("actor", "all"):
        raise ConfigError(
            f"params.yaml: pretrain.{run.name}: networks of sound learn target: actor with trained: all,"
            f" found {run.pretrain.target} and {run.pretrain.trained}"
        )
    team = join()
    heard = read_speakers(run, results)
    for seed in seeds:
        train_seed(run, heard, seed=seed, out=out, team=team)
        team.wait()  # the command deletes checkpoints next: not before the first process has written


def read_speakers(run: PretrainRun, results: Path) -> Speakers:
    """Read the utterances of the corpus of a row, divide them and number the speakers.

    All people who are in a role are classes: one whose training utterances cannot be heard is never recognised, and
    counts as a mistake.
    """
    folder = Path(results) / "corpora" / run.base
    clips = tables.read(folder / "clips.parquet", tables.CLIPS)
    clips = clips.assign(role=divide_voices(clips))
    voices = read_voices(results, clips, run.sound)
    taught = clips[clips.role.isin(ROLES)]
    speakers = tuple(sorted(taught.actor.unique()))
    role, actor = (clips.set_index("clip")[name].reindex(voices.clip).to_numpy() for name in ("role", "actor"))
    rows = {name: np.flatnonzero(role == name) for name in ROLES}
    if strangers := sorted(set(speakers) - set(actor[rows["training"]])):
        log.warning("%s: %d speakers, such as %s, have nothing to train on", run.base, len(strangers), strangers[0])
    label = pd.Index(speakers).get_indexer(actor).astype(np.int64)
    listed = find_pairs(run.manifest, run.base)
    files = [sha256(folder / "clips.parquet"), read_json(Path(results) / "sound" / run.base / "manifest.json")["parts"]]
    return Speakers(
        clips=clips,
        voices=voices,
        speakers=speakers,
        rows=rows,
        label=label,
        pairs=None if listed is None else read_pairs(listed),
        digest=digest([*files, "" if listed is None else sha256(listed)]),
    )


def find_pairs(manifest: Path | None, corpus: str) -> Path | None:
    """Return the list of verification pairs in the corpus that data/<corpus>.json describes, if there is one.

    Raises
    ------
    TableError : the manifest is no manifest of this corpus, or the corpus is no longer where it says.
    """
    if manifest is None:
        return None
    root, _ = source_root(manifest, corpus)
    if not root.is_dir():
        raise TableError(f"{manifest}: {root} is not there; run from the repository root, or get_corpus again")
    direct = root / LIST
    return direct if direct.is_file() else min(root.rglob(LIST), default=None)


def train_seed(run: PretrainRun, heard: Speakers, *, seed: int, out: Path, team: Team) -> None:
    """Train with one seed; the first process writes its folder below `out`."""
    settings = _settings(run, heard, seed)
    scope = ("pretrain", run.corpus, seed)  # without the name: rows of one study start alike
    network = extractor(settings, seed=seed_for(run.seed, *scope, "weights"))
    if run.init is not None:
        load_trunk(network, run.init)
    record = _record(run, heard, network, settings)
    folder = Path(out) / resume.run_name(FOLD, seed)
    if reason := _obstacle(run, heard):
        log.info("%s %s seed %d: not applicable: %s", run.corpus, run.name, seed, reason)
        record |= outcome(None, reason)
        nothing = tables.empty(tables.PREDICTIONS)
        if team.is_first:
            run_folder.write(folder, record, predictions=nothing, history=[], weights={}, settings=settings)
        return
    job = _job(run, heard, network, scope=scope, record=record, team=team)
    progress = fit(job)
    pairs = None if heard.pairs is None else _verify(heard, job, progress)
    if not team.is_first:
        return
    if pairs is not None:
        n_missing = int(pairs.score.isna().sum())
        record["n_pairs"] = {"scored": len(pairs) - n_missing, "missing": n_missing}
        log.info("%s: %d of %d pairs have no voice and no score", run.base, n_missing, len(pairs))
    run_folder.write(
        folder,
        record | outcome(progress, ""),
        predictions=pd.concat([_predictions(heard, progress, selection) for selection in SELECTIONS]),
        history=progress.history,
        weights=progress.choices["honest"].weights,
        settings=settings,
    )
    if pairs is not None:
        tables.write(folder / "pairs.parquet", pairs, tables.PAIRS)
    log.info("%s %s seed %d: %s", run.corpus, run.name, seed, outcome(progress, "")["metrics"])


def _settings(run: PretrainRun, heard: Speakers, seed: int) -> Settings:
    return Settings(
        corpus=run.corpus,
        base=run.base,
        variant=run.name,
        fold=FOLD,
        seed=seed,
        modality=run.pretrain.modality,
        network=run.pretrain.network,
        width=run.width,
        size_px=0,
        classes=heard.speakers,
        sound=asdict(run.sound),
        faces={},
    )


def _record(run: PretrainRun, heard: Speakers, network: ResNetClassifier, settings: Settings) -> dict[str, Any]:
    """Return what run.json says about the row and its utterances."""
    n_clips = {role: len(rows) for role, rows in heard.rows.items()}
    n_listed = heard.clips.role.value_counts()
    return {
        "corpus": run.corpus,
        "base": run.base,
        "variant": run.name,
        "fold": FOLD,
        "fold_name": FOLD_NAME,
        "seed": settings.seed,
        "classes": list(heard.speakers),
        "n_clips": n_clips,
        "n_missing": {role: int(n_listed.get(role, 0)) - n for role, n in n_clips.items()},  # without a voice
        "n_unlisted": int(n_listed.get("", 0)),  # that the official division does not name
        "n_shown": n_clips["training"] * run.extractor.crops,  # crops of an epoch
        "data_digest": heard.digest,
        "config": run.config(),
        "init": "" if run.init is None else sha256(run.init),
        "n_parameters": n_parameters(network),
        "n_trained": n_parameters(network),
        "multiply_adds": multiply_adds(network, (1, 1, *segment_shape(run.sound))),
    }


def _obstacle(run: PretrainRun, heard: Speakers) -> str:
    """Say why nobody can be learnt from these utterances; empty if somebody can."""
    if not len(heard.voices.clip):
        return f"{run.base} has no usable audio"
    taught = len(set(heard.label[heard.rows["training"]]))
    if taught < 2:
        return f"the training utterances of {run.base} are of {taught} speakers"
    for role in FOLLOWED:
        if not len(heard.rows[role]):
            return f"{run.base} has no utterance for the role {role}"
    return ""


def _job(
    run: PretrainRun,
    heard: Speakers,
    network: ResNetClassifier,
    *,
    scope: tuple[object, ...],
    record: dict[str, Any],
    team: Team,
) -> Job:
    return Job(
        model=network,
        voices=heard.voices,
        label=heard.label,
        rows=heard.rows,
        crops=run.extractor.crops,
        learning_rate=run.pretrain.learning_rate,
        epochs=run.pretrain.epochs,
        batch=run.pretrain.batch,
        seed=run.seed,
        scope=scope,
        checkpoint=resume.folder_of(run.corpus, run.name, fold=FOLD, seed=record["seed"]),
        key=digest([record, code_digest("training.pretrain"), *conditions(), team.size]),
        team=team,
        bfloat16=run.extractor.precision == "bfloat16",
    )


def _verify(heard: Speakers, job: Job, progress: Progress) -> pd.DataFrame:
    """Enter the equal error rate of both selections into `progress`; return PAIRS as the honest network scores them."""
    pairs = heard.pairs
    row_of = pd.Series(np.arange(len(heard.voices.clip)), index=heard.voices.clip)
    one, other = (row_of.reindex(pairs[side]).to_numpy() for side in ("one", "other"))  # NaN: no voice
    scored = ~(np.isnan(one) | np.isnan(other))
    one, other = one[scored].astype(np.int64), other[scored].astype(np.int64)
    rows = np.union1d(one, other)
    scores = {}
    for selection, choice in progress.choices.items():
        job.model.load_state_dict(choice.weights)
        features = functional.normalize(embed(job.model, heard.voices, rows, team=job.team)).numpy()
        sides = (features[np.searchsorted(rows, side)] for side in (one, other))
        scores[selection] = np.einsum("pd,pd->p", *sides).astype(np.float64)
        rate, _ = equal_error_rate(scores[selection], pairs.same[scored].to_numpy())
        choice.metrics = choice.metrics | ({"eer": rate} if np.isfinite(rate) else {})
    score = np.full(len(pairs), np.nan)
    score[scored] = scores["honest"]
    return pairs.assign(score=score)


def _predictions(heard: Speakers, progress: Progress, selection: str) -> pd.DataFrame:
    """Return rows of PREDICTIONS of one selection; training utterances, of which there are too many, are not judged."""
    parts = []
    for role in FOLLOWED:
        rows = heard.rows[role]
        label = heard.label[rows]
        logits = list(progress.choices[selection].logits[role]["fused"].numpy())
        columns = {"selection": selection, "role": role, "clip": heard.voices.clip[rows], "label": label}
        columns |= {"actor": np.array(heard.speakers)[label], "head": "fused", "logits": logits}
        parts.append(pd.DataFrame(columns)[tables.PREDICTIONS.columns.names])
    return pd.concat(parts)
