"""Seeds of a row of ``pretrain`` that listens: ResNet-18 learns who speaks, writes the four files and its pairs.

Identification: the speakers are the same in all roles, utterances are divided (`division`). Verification: the pairs of
the corpus's list (veri_test.txt) are scored by the cosine of the features of two utterances, and two equal error rates
are entered into the metrics: eer of all pairs, and eer_unheard of those of which the network was trained on neither
utterance. VoxCeleb1's lists overlap: the 40 speakers of the verification test are among the 1251 of the identification
list, and at mini scale likewise, so the network knows the people of all pairs, and has been trained on the very
utterances of many. Both rates flatter it, the first more; the published ones are of networks trained without these 40.
Where pairs without a voice occur, they stand in pairs.parquet without a score and are counted in run.json.
"""

import logging
from dataclasses import dataclass
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
from mien.models.extractor import ResNetClassifier, extractor, load_trunk
from mien.sound.spectrogram import segment_shape
from mien.training import resume, run_folder
from mien.training.dataset import ROLES
from mien.training.distributed import Team, join
from mien.training.division import divide_voices
from mien.training.identify import FOLLOWED, Job, embed, fit
from mien.training.machine import conditions
from mien.training.pretrain_run import FOLD, UNTRAINED, PretrainRun
from mien.training.progress import Progress
from mien.training.run_folder import outcome, predictions_of
from mien.training.voices import Voices, read_voices

log = logging.getLogger(__name__)

LIST = "veri_test.txt"
PAIRS_FILE = "pairs.parquet"


@dataclass(frozen=True, kw_only=True, eq=False)
class Speakers:
    """What all seeds of a row listen to.

    clips : table CLIPS with the column role, "" for clips in none.   voices : U utterances.
    speakers : names in the order of labels.
    rows : role -> its utterances.   label : (U,) int64, -1 for people who are no class.
    pairs : see `read_pairs`; None: the corpus has no list.
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
    ModelError : first weights do not fit, the loss is no longer a number, or processes have different data.
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
    voices = read_voices(results, clips, run.sound)
    clips = clips.assign(role=divide_voices(clips, audible=clips["clip"].isin(voices.clip)))
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
    settings = run.settings(heard.speakers, seed=seed)
    scope = ("pretrain", run.corpus, seed)  # without the name: rows of one study start alike
    record = run.record(heard.speakers, seed=seed) | _counts(run, heard)
    record["init"] = "" if run.init is None else sha256(run.init)
    key = digest([record, code_digest("training.speakers"), *conditions(), team.size])
    team.agree(key, f"{run.corpus} {run.name} seed {seed}")
    folder = Path(out) / resume.run_name(FOLD, seed)
    if reason := _obstacle(run, heard) or run.no_start():
        log.info("%s %s seed %d: not applicable: %s", run.corpus, run.name, seed, reason)
        if team.is_first:
            run_folder.write_not_applicable(
                folder, record | UNTRAINED, reason=reason, settings=settings, further={PAIRS_FILE: tables.PAIRS}
            )
        return
    network = extractor(settings, seed=seed_for(run.seed, *scope, "weights"))
    if run.init is not None:
        load_trunk(network, run.init)
    job = _job(run, heard, network, scope=scope, seed=seed, key=key, team=team)
    progress = fit(job)
    pairs = _verify(heard, job, progress)
    if not team.is_first:
        return
    n_missing = int(pairs.score.isna().sum())
    log.info("%s: %d of %d pairs have no voice and no score", run.base, n_missing, len(pairs))
    record |= {
        "n_parameters": n_parameters(network),
        "n_trained": n_parameters(network),
        "multiply_adds": multiply_adds(network, (1, 1, *segment_shape(run.sound)), computed=True),
        "n_pairs": {
            "scored": len(pairs) - n_missing,
            "unheard": int((pairs.score.notna() & ~pairs.heard).sum()),  # of the scored ones
            "missing": n_missing,
        },
    }
    run_folder.write(
        folder,
        record | outcome(progress, ""),
        predictions=predictions_of(progress, _judged(heard)),
        history=progress.history,
        weights=progress.choices["honest"].weights,
        settings=settings,
        further={PAIRS_FILE: (pairs, tables.PAIRS)},
    )
    log.info("%s %s seed %d: %s", run.corpus, run.name, seed, outcome(progress, "")["metrics"])


def _counts(run: PretrainRun, heard: Speakers) -> dict[str, Any]:
    """Return what run.json says about the utterances."""
    n_clips = {role: len(rows) for role, rows in heard.rows.items()}
    n_listed = heard.clips.role.value_counts()
    return {
        "n_clips": n_clips,
        "n_missing": {role: int(n_listed.get(role, 0)) - n for role, n in n_clips.items()},  # without a voice
        "n_unlisted": int(n_listed.get("", 0)),  # in no role, see divide_voices
        "n_shown": n_clips["training"] * run.crops,  # crops of an epoch
        "data_digest": heard.digest,
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
    seed: int,
    key: str,
    team: Team,
) -> Job:
    return Job(
        model=network,
        voices=heard.voices,
        label=heard.label,
        rows=heard.rows,
        crops=run.crops,
        learning_rate=run.pretrain.learning_rate,
        epochs=run.pretrain.epochs,
        batch=run.pretrain.batch,
        seed=run.seed,
        scope=scope,
        checkpoint=resume.folder_of(run.corpus, run.name, fold=FOLD, seed=seed),
        key=key,
        team=team,
        bfloat16=run.precision == "bfloat16",
    )


def _verify(heard: Speakers, job: Job, progress: Progress) -> pd.DataFrame:
    """Enter the equal error rates of both selections into `progress`; return PAIRS as the honest network scores them.

    There are no pairs where the corpus has no list.
    """
    if heard.pairs is None:
        return tables.empty(tables.PAIRS)
    row_of = pd.Series(np.arange(len(heard.voices.clip)), index=heard.voices.clip)
    one, other = (row_of.reindex(heard.pairs[side]).to_numpy() for side in ("one", "other"))  # NaN: no voice
    scored = ~(np.isnan(one) | np.isnan(other))
    trained_on = heard.voices.clip[heard.rows["training"]]
    pairs = heard.pairs.assign(
        heard=heard.pairs.one.isin(trained_on) | heard.pairs.other.isin(trained_on), score=np.nan
    )
    one, other = one[scored].astype(np.int64), other[scored].astype(np.int64)
    rows = np.union1d(one, other)
    same, unheard = pairs.same[scored].to_numpy(), ~pairs.heard[scored].to_numpy()
    for selection, choice in progress.choices.items():
        job.model.load_state_dict(choice.weights)
        features = functional.normalize(embed(job.model, heard.voices, rows, team=job.team)).numpy()
        sides = (features[np.searchsorted(rows, side)] for side in (one, other))
        score = np.einsum("pd,pd->p", *sides).astype(np.float64)
        if selection == "honest":
            pairs.loc[scored, "score"] = score
        rates = {
            "eer": equal_error_rate(score, same)[0],
            "eer_unheard": equal_error_rate(score[unheard], same[unheard])[0],
        }
        choice.metrics = choice.metrics | {name: rate for name, rate in rates.items() if np.isfinite(rate)}
    return pairs


def _judged(heard: Speakers) -> dict[str, pd.DataFrame]:
    """Return role -> its utterances; those of training, of which there are too many, are not judged."""
    speakers = np.array(heard.speakers)
    return {
        role: pd.DataFrame(
            {"clip": heard.voices.clip[rows], "actor": speakers[heard.label[rows]], "label": heard.label[rows]}
        )
        for role, rows in heard.rows.items()
        if role in FOLLOWED
    }
