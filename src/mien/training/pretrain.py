"""Command `pretrain`: a network of one modality that is trained ahead, or fine-tuned from such a one (thesis 4.3).

Below the output folder, every seed gets a folder fold0-seed<s> with

predictions.parquet  table PREDICTIONS: logits for both selections, a row per clip; the role apart has pictures of the
                     official tests with an identical duplicate in training. Training clips are listed up to a limit
history.csv          a row per epoch; losses are mean cross-entropies per sample, with the accuracy of the training pass
model.safetensors    weights of the honest epoch
run.json             settings, sizes, cost of a pass, chosen epochs and their metrics
pairs.parquet        networks of sound alone: table PAIRS, without rows where the corpus has no list of pairs

Pictures: VGG-16 sees the pictures and the copies of AUG-B as they are (thesis 4.3); ResNet-18 sees them through AUG-A,
new in every epoch, as it is the start of the branches of chapter 5.

Sound: ResNet-18 learns who speaks. Identification: the speakers are the same in all roles, utterances are divided.
Verification: the pairs of the corpus's list (veri_test.txt) are scored by the cosine of the features of two utterances,
and two equal error rates are entered into the metrics: eer of all pairs, and eer_unheard of those of which the network
was trained on neither utterance. VoxCeleb1's lists overlap: the 40 speakers of the verification test are among the 1251
of the identification list, and at mini scale likewise, so the network knows the people of all pairs, and has been
trained on the very utterances of many. Both rates flatter it, the first more; the published ones are of networks
trained without these 40. Pairs without a voice stand in pairs.parquet without a score and are counted in run.json.

Several processes can train one network of sound, see `distributed`.
"""

import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import nn
from torch.nn import functional

from mien.audio.spectrogram import segment_shape
from mien.augment.aug_b import BALANCING
from mien.config import schema
from mien.config.schema import AugmentConfig, FacesConfig, PretrainConfig, SoundConfig, section
from mien.errors import ConfigError, ModelError, TableError
from mien.evaluation.verification import equal_error_rate, read_pairs
from mien.io import tables
from mien.io.files import digest, read_json, sha256
from mien.io.provenance import code_digest
from mien.io.randomness import rng_for, seed_for
from mien.io.shards import source_root
from mien.models import checkpoint
from mien.models.checkpoint import ModelCard, OfGrey
from mien.models.cost import multiply_adds
from mien.models.mrpn import load_backbone, n_parameters
from mien.models.vgg import VGG16, load_descriptor
from mien.training import engine, run_folder
from mien.training.clips import ROLES
from mien.training.distributed import Group, join_group
from mien.training.engine import Progress, TrainSpec
from mien.training.images import FOLD, Album, AlbumDataset, ImageTask, divide_voices, make_dataset, read_album
from mien.training.utterances import SpeakerTask, UtteranceDataset, read_utterances

log = logging.getLogger(__name__)

FOLD_NAME = "official"
UNTRAINED = {"init": "", "n_parameters": 0, "n_trained": 0, "multiply_adds": 0}  # of run.json, without a network
MOST_LISTED = 50_000  # training pictures whose predictions are written; with more, only their accuracy is
LIST = "veri_test.txt"
PAIRS_FILE = "pairs.parquet"


def pretrain(
    *,
    row: str,
    seeds: list[int],
    out: Path,
    data: Path = Path("results"),
    init: Path | None = None,
    manifest: Path | None = None,
    config: str = "params.yaml",
    jobs: int = 1,
) -> None:
    """Train a network of one modality ahead; a run that was killed goes on from its checkpoints.

    Parameters
    ----------
    row : str
        Row of pretrain in params.yaml.
    seeds : list of int
        Repetitions.
    out : Path
        results/training/CORPUS/ROW, or CORPUS_actor/ROW.
    data : Path
        Folder with corpora/, faces/ and sound/.
    init : Path
        File model.safetensors of the row that pretrain.ROW.init names.
    manifest : Path
        data/CORPUS.json; networks of sound: where the verification pairs are.
    config : str
        params.yaml, or its sections as JSON text.
    jobs : int
        Threads.

    Raises
    ------
    ConfigError
        Pretrained weights are given and none are asked for.
    ModelError
        Pretrained weights are missing.
    """
    engine.prepare(jobs)
    run = PretrainRun.of(row, schema.load(config), init=init, manifest=manifest)
    train_row = train_pictures if run.pretrain.modality == "video" else train_speakers
    train_row(run, results=data, seeds=seeds, out=out)
    engine.remove_checkpoints(run.corpus, run.name, [FOLD], seeds)


@dataclass(frozen=True, kw_only=True)
class PretrainRun:
    """A row of ``pretrain`` with what it depends on of the other sections of params.yaml."""

    name: str  # of the row
    pretrain: PretrainConfig
    uses: Mapping[str, Any]  # the keys that `PretrainConfig.uses` names, nested as in params.yaml
    seed: int
    width: int  # channels of the first stage
    size_px: int  # side of the picture that the network looks at; 0 for sound
    dropout: float  # of vgg16; 0 for others
    crops: int  # of an utterance in an epoch; 0 for pictures
    precision: str
    faces: FacesConfig | None  # of pictures
    augment: AugmentConfig | None  # of pictures that are changed anew in every epoch
    sound: SoundConfig | None  # of voices
    init: Path | None  # model file with the pretrained weights; None: random, or not named
    manifest: Path | None = None  # data/<corpus>.json: says where the corpus keeps its list of verification pairs

    @classmethod
    def of(
        cls, name: str, params: Mapping[str, Any], *, init: Path | None = None, manifest: Path | None = None
    ) -> "PretrainRun":
        """Take a row and what it uses out of the parameters; the file `init` is that of the row it starts from.

        Raises
        ------
        ConfigError
            A key is missing, or pretrained weights are given and none are asked for.
        ModelError
            Pretrained weights are missing.
        """
        row = section(PretrainConfig, params, "pretrain", name)
        uses = _pick(params, row.uses)
        faces = section(FacesConfig, uses, "faces") if "faces" in uses else None
        of_vgg = row.network == "vgg16"
        return cls(
            name=name,
            pretrain=row,
            uses=uses,
            seed=section(int, uses, "seed"),
            width=section(int, uses, "extractor", "vgg_width") if of_vgg else section(int, uses, "train", "width"),
            size_px=section(int, uses, "extractor", "vgg_size_px") if of_vgg else 0 if faces is None else faces.size_px,
            dropout=section(float, uses, "extractor", "vgg_dropout") if of_vgg else 0.0,
            crops=section(int, uses, "extractor", "crops") if row.modality == "audio" else 0,
            precision=section(str, uses, "extractor", "precision"),
            faces=faces,
            augment=section(AugmentConfig, uses, "augment") if "augment" in uses else None,
            sound=section(SoundConfig, uses, "sound") if "sound" in uses else None,
            init=_find_init(name, row.init, init),
            manifest=manifest,
        )

    @property
    def base(self) -> str:
        """Return the corpus of the clips."""
        return self.pretrain.corpus

    @property
    def corpus(self) -> str:
        """Return the name under which its results are kept, such as voxceleb_actor."""
        return self.pretrain.name

    def settings(self, classes: tuple[str, ...], *, seed: int) -> ModelCard:
        """Return the header of the model file of a seed."""
        return ModelCard(
            kind="extractor",
            corpus=self.corpus,
            base=self.base,
            variant=self.name,
            fold=FOLD,
            seed=seed,
            modalities=(self.pretrain.modality,),
            model=self.pretrain.network,
            width=self.width,
            size_px=self.size_px,
            classes=classes,
            sound={} if self.sound is None else asdict(self.sound),
            faces={} if self.faces is None else asdict(self.faces),
        )

    def record(self, classes: tuple[str, ...], *, seed: int) -> dict[str, Any]:
        """Return what run.json says about every row."""
        return {
            "corpus": self.corpus,
            "base": self.base,
            "variant": self.name,
            "fold": FOLD,
            "fold_name": FOLD_NAME,
            "seed": seed,
            "classes": list(classes),
            "config": {"pretrain": asdict(self.pretrain), **self.uses},
        }

    def check_init(self) -> Iterable[tuple[bool, str]]:
        """Yield why there are no weights to start from."""
        yield (
            self.pretrain.init == "none",
            f"no file of first weights is named; write its path under pretrain.{self.name}.init",
        )
        bare = self.init is not None and checkpoint.is_bare(self.init)
        yield bare, f"{self.pretrain.init}, which it starts from, was not trained"

    def spec(self, *, seed: int, key: str) -> TrainSpec:
        """Return how a seed is trained."""
        return TrainSpec(
            learning_rate=self.pretrain.learning_rate,
            epochs=self.pretrain.epochs,
            checkpoint=engine.checkpoint_folder(self.corpus, self.name, fold=FOLD, seed=seed),
            key=key,
        )


def _pick(params: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    """Return the parts of nested parameters that dotted keys lead to, nested as before."""
    chosen: dict[str, Any] = {}
    for key in keys:
        *parents, last = key.split(".")
        source, target = params, chosen
        for parent in parents:
            source, target = source.get(parent, {}), target.setdefault(parent, {})
        if last not in source:
            raise ConfigError(f"params.yaml: {key} is missing; a row of pretrain needs {', '.join(keys)}")
        target[last] = source[last]
    return chosen


def _find_init(row: str, init: str, given: Path | None) -> Path | None:
    """Return the file of the pretrained weights, or None where they are random or nobody has named one."""
    if init in ("random", "none"):
        if given is not None:
            raise ConfigError(f"--init {given}: pretrain.{row}.init is {init}; leave --init away or name a row there")
        return None
    path = Path(init) if given is None else given
    if not path.is_file():
        advice = "train that row first" if given else "give a row's model file with --init, fetch the file"
        raise ModelError(f"{path}: no such file of first weights for {row}; {advice}, or write init: random")
    return path


def train_pictures(run: PretrainRun, *, results: Path, seeds: list[int], out: Path) -> None:
    """Train every seed of a row that looks at pictures and write its folder below `out`.

    Raises
    ------
    ModelError
        Pretrained weights do not fit, pictures are too small, or the loss is no longer a number.
    TableError
        A stage has not run, or its files are damaged.
    CorpusError
        People are asked for and the corpus does not name them.
    ConfigError
        Several processes are started by torchrun.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError(f"pretrain.{run.name} looks at pictures: one process trains it; run it without torchrun")
    album = read_album(results, run.base, target=run.pretrain.target, faces=run.faces)
    for seed in seeds:
        _train_pictures(run, album, seed=seed, out=out)


def _train_pictures(run: PretrainRun, album: Album, *, seed: int, out: Path) -> None:
    settings = run.settings(album.classes, seed=seed)
    scope = ("pretrain", run.corpus, seed)  # without the name: rows of one study start alike and see the same copies
    copies = rng_for(run.seed, *scope, "copies") if run.pretrain.balance else None
    data = make_dataset(album, size_px=settings.size_px, rng=copies)
    record = run.record(album.classes, seed=seed) | {
        "n_clips": {role: len(data.rows.get(role, ())) for role in (*ROLES, "apart")},
        "n_shown": len(data.shown),  # pictures of an epoch, copies included
        "n_copies": len(data.copies),
        "data_digest": album.digest,
    }
    if run.pretrain.balance:
        record["config"]["aug_b"] = asdict(BALANCING)
    folder = Path(out) / engine.name_run(FOLD, seed)
    if reason := run_folder.find_reason(_check_pictures(run, album, data)):
        run_folder.write(folder, record | UNTRAINED, settings, reason=reason)
        return
    network = checkpoint.network(settings, seed=seed_for(run.seed, *scope, "weights"), dropout=run.dropout)
    init = _load_init(run, network)
    model = OfGrey(network)
    record |= {
        "init": init,
        "n_parameters": n_parameters(network),
        "n_trained": sum(weight.numel() for weight in network.parameters() if weight.requires_grad),
        "multiply_adds": multiply_adds(model, (1, 1, data.size_px, data.size_px), computed=True),
    }
    task = ImageTask(
        data=data,
        batch=run.pretrain.batch,
        augment=run.augment,
        seed=run.seed,
        scope=scope,
        precision=run.precision,
        follow_training=True,
    )
    key = digest([record, code_digest("training.pretrain:train_pictures"), *engine.environment()])
    progress = engine.fit(model, task, run.spec(seed=seed, key=key))
    task.evaluate_choices(model, progress)
    weights = progress.choices["honest"].weights
    listed = {role: rows for role, rows in data.rows.items() if role != "training" or len(rows) <= MOST_LISTED}
    samples = {role: album.clips.iloc[album.clip[rows]] for role, rows in listed.items()}
    samples = {role: rows[["clip", "actor"]].assign(label=rows.target) for role, rows in samples.items()}
    run_folder.write(
        folder,
        record,
        settings,
        progress=progress,
        predictions=run_folder.list_predictions(progress, samples),
        weights={name.removeprefix("network."): weight for name, weight in weights.items()},
    )


def _load_init(run: PretrainRun, network: nn.Module) -> str:
    """Load pretrained weights into `network` and freeze what is not trained; return the SHA-256 of the file, or empty.

    The last layer starts anew: equally many classes need not be the same ones.
    """
    found = ""
    if run.init is not None and isinstance(network, VGG16):
        found = load_descriptor(network, run.init, last_layer=False)
    elif run.init is not None:
        load_backbone(network, run.init, of="resnet18", where="pretrain.*.init")
        found = sha256(run.init)
    if run.pretrain.trained == "dense":
        if not isinstance(network, VGG16):
            raise ConfigError(f"params.yaml: pretrain.{run.name}: only vgg16 has dense layers to train alone")
        network.freeze_convolutions()
    return found


def _check_pictures(run: PretrainRun, album: Album, data: AlbumDataset) -> Iterable[tuple[bool, str]]:
    """Yield what keeps the row from being trained on these pictures."""
    yield not len(album.clips), f"{run.base} has no usable video"
    yield len(data.pictures) < 2, f"{run.base} has {len(data.pictures)} pictures to train on"
    for role in ROLES[1:]:
        yield role not in data.rows, f"{run.base} has no picture for the role {role}"
    yield len(set(data.label[data.pictures])) < 2, f"the training pictures of {run.base} are of one class"
    yield from run.check_init()


@dataclass(frozen=True, kw_only=True, eq=False)
class Speakers:
    """What all seeds of a row listen to.

    clips : table CLIPS with the column role, "" for clips in none.   utterances : U utterances.
    speakers : names in the order of labels.
    rows : role -> its utterances.   label : (U,) int64, -1 for people who are no class.
    pairs : see `read_pairs`; None: the corpus has no list.
    digest : of all files that were read.
    """

    clips: pd.DataFrame
    utterances: UtteranceDataset
    speakers: tuple[str, ...]
    rows: dict[str, np.ndarray]
    label: np.ndarray
    pairs: pd.DataFrame | None
    digest: str


def train_speakers(run: PretrainRun, *, results: Path, seeds: list[int], out: Path) -> None:
    """Train every seed of a row that listens and write its folder below `out`.

    Started by torchrun, every process calls this and the first one writes.

    Raises
    ------
    ConfigError
        Something else than a whole network that tells people apart is asked for.
    ModelError
        Pretrained weights do not fit, the loss is no longer a number, or processes have different data.
    TableError
        A stage has not run, or its files are damaged.
    CorpusError
        The corpus does not name its people, or its list of pairs is damaged.
    """
    if (run.pretrain.target, run.pretrain.trained) != ("actor", "all"):
        raise ConfigError(
            f"params.yaml: pretrain.{run.name}: networks of sound learn target: actor with trained: all,"
            f" found {run.pretrain.target} and {run.pretrain.trained}"
        )
    group = join_group()
    heard = read_speakers(run, results)
    for seed in seeds:
        _train_speakers(run, heard, seed=seed, out=out, group=group)
        group.wait()  # the command deletes checkpoints next: not before the first process has written


def read_speakers(run: PretrainRun, results: Path) -> Speakers:
    """Read the utterances of the corpus of a row, divide them and number the speakers.

    All people who are in a role are classes: one whose training utterances cannot be heard is never recognised, and
    counts as a mistake.
    """
    folder = Path(results) / "corpora" / run.base
    clips = tables.read(folder / "clips.parquet", tables.CLIPS)
    utterances = read_utterances(results, clips, run.sound)
    clips = clips.assign(role=divide_voices(clips, audible=clips["clip"].isin(utterances.clip)))
    taught = clips[clips.role.isin(ROLES)]
    speakers = tuple(sorted(taught.actor.unique()))
    role, actor = (clips.set_index("clip")[name].reindex(utterances.clip).to_numpy() for name in ("role", "actor"))
    rows = {name: np.flatnonzero(role == name) for name in ROLES}
    if strangers := sorted(set(speakers) - set(actor[rows["training"]])):
        log.warning("%s: %d speakers, such as %s, have nothing to train on", run.base, len(strangers), strangers[0])
    listed = find_pairs(run.manifest, run.base)
    files = [sha256(folder / "clips.parquet"), read_json(Path(results) / "sound" / run.base / "manifest.json")["parts"]]
    return Speakers(
        clips=clips,
        utterances=utterances,
        speakers=speakers,
        rows=rows,
        label=pd.Index(speakers).get_indexer(actor).astype(np.int64),
        pairs=None if listed is None else read_pairs(listed),
        digest=digest([*files, "" if listed is None else sha256(listed)]),
    )


def find_pairs(manifest: Path | None, corpus: str) -> Path | None:
    """Return the list of verification pairs in the corpus that data/<corpus>.json describes, if there is one.

    Raises
    ------
    TableError
        The manifest is no manifest of this corpus, or the corpus is no longer where it says.
    """
    if manifest is None:
        return None
    root, _ = source_root(manifest, corpus)
    if not root.is_dir():
        raise TableError(f"{manifest}: {root} is not there; run from the repository root, or get_corpus again")
    direct = root / LIST
    return direct if direct.is_file() else min(root.rglob(LIST), default=None)


def _train_speakers(run: PretrainRun, heard: Speakers, *, seed: int, out: Path, group: Group) -> None:
    settings = run.settings(heard.speakers, seed=seed)
    scope = ("pretrain", run.corpus, seed)  # without the name: rows of one study start alike
    n_clips, n_listed = {role: len(rows) for role, rows in heard.rows.items()}, heard.clips.role.value_counts()
    record = run.record(heard.speakers, seed=seed) | {
        "n_clips": n_clips,
        "n_missing": {role: int(n_listed.get(role, 0)) - n for role, n in n_clips.items()},  # without a voice
        "n_unlisted": int(n_listed.get("", 0)),  # in no role, see divide_voices
        "n_shown": n_clips["training"] * run.crops,  # crops of an epoch
        "data_digest": heard.digest,
        "init": "" if run.init is None else sha256(run.init),
    }
    key = digest([record, code_digest("training.pretrain:train_speakers"), *engine.environment(), group.size])
    group.require_equal(key, f"{run.corpus} {run.name} seed {seed}")
    folder = Path(out) / engine.name_run(FOLD, seed)
    if reason := run_folder.find_reason(_check_speakers(run, heard)):
        if group.is_first:
            further = {PAIRS_FILE: (None, tables.PAIRS)}
            run_folder.write(folder, record | UNTRAINED, settings, reason=reason, further=further)
        return
    network = checkpoint.network(settings, seed=seed_for(run.seed, *scope, "weights"))
    if run.init is not None:
        load_backbone(network, run.init, of="resnet18", where="pretrain.*.init")
    task = SpeakerTask(
        utterances=heard.utterances,
        label=heard.label,
        rows=heard.rows,
        crops=run.crops,
        batch=run.pretrain.batch,
        seed=run.seed,
        scope=scope,
        precision=run.precision,
        group=group,
    )
    spec = run.spec(seed=seed, key=key)
    progress = engine.fit(network, task, spec, group=group)
    pairs = _verify(heard, task, network, progress)
    if not group.is_first:
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
    clip, actor = heard.utterances.clip, np.array(heard.speakers)
    samples = {  # those of training, of which there are too many, are not evaluated
        role: pd.DataFrame({"clip": clip[rows], "actor": actor[heard.label[rows]], "label": heard.label[rows]})
        for role, rows in heard.rows.items()
        if role in spec.roles
    }
    run_folder.write(
        folder,
        record,
        settings,
        progress=progress,
        predictions=run_folder.list_predictions(progress, samples),
        weights=progress.choices["honest"].weights,
        further={PAIRS_FILE: (pairs, tables.PAIRS)},
    )


def _check_speakers(run: PretrainRun, heard: Speakers) -> Iterable[tuple[bool, str]]:
    """Yield what keeps speakers from being learnt from these utterances."""
    yield not len(heard.utterances.clip), f"{run.base} has no usable audio"
    taught = len(set(heard.label[heard.rows["training"]]))
    yield taught < 2, f"the training utterances of {run.base} are of {taught} speakers"
    for role in ROLES[1:]:
        yield not len(heard.rows[role]), f"{run.base} has no utterance for the role {role}"
    yield from run.check_init()


def _verify(heard: Speakers, task: SpeakerTask, model: nn.Module, progress: Progress) -> pd.DataFrame:
    """Enter the equal error rates of both selections into `progress`; return PAIRS as the honest network scores them.

    There are no pairs where the corpus has no list.
    """
    if heard.pairs is None:
        return tables.empty(tables.PAIRS)
    clip = heard.utterances.clip
    row_of = pd.Series(np.arange(len(clip)), index=clip)
    one, other = (row_of.reindex(heard.pairs[side]).to_numpy() for side in ("one", "other"))  # NaN: no voice
    scored = ~(np.isnan(one) | np.isnan(other))
    trained_on = clip[heard.rows["training"]]
    pairs = heard.pairs.assign(
        heard=heard.pairs.one.isin(trained_on) | heard.pairs.other.isin(trained_on), score=np.nan
    )
    one, other = one[scored].astype(np.int64), other[scored].astype(np.int64)
    rows = np.union1d(one, other)
    same, unheard = pairs.same[scored].to_numpy(), ~pairs.heard[scored].to_numpy()
    for selection, choice in progress.choices.items():
        model.load_state_dict(choice.weights)
        features = functional.normalize(task.embed(model, rows)).numpy()
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
