"""The pictures of four emotions of thesis section 4.2: chosen on some corpora and tested on another.

`select_samples` writes the table SAMPLES and random divisions of the training people; `read_samples`, `vectors` and
`pictures` give classifiers what they read of it.
"""

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mien.config import schema
from mien.config.labels import DIVIDED
from mien.errors import ConfigError, CorpusError, TableError
from mien.io import shards, tables
from mien.io.files import atomic_folder, digest, read_json, sha256, write_json
from mien.io.randomness import rng_for, seed_for

log = logging.getLogger(__name__)

FACE4 = ("neutral", "smile", "surprise", "anger")
COLUMNS = {"AU8": ("units", 8), "FP68": ("points", 136)}  # features -> column of SAMPLES, its length
FITTED, NO_FACE = "fitted", "no face"  # verdicts of FITS
FRONTAL = 90  # degrees; the camera of corpora that name none
RIGHT_EYE, LEFT_EYE = slice(36, 42), slice(42, 48)  # the subject's; in the picture the right eye is on the left
_NONE = 1e-6  # share of the RMS radius below which the eyes are in one place
LABELS = {  # a corpus's own label -> index into FACE4; others are not among the four
    "neutral": 0,
    "happy": 1,  # CK+, RaFD, JAFFE
    "happiness": 1,  # MUG
    "surprise": 2,
    "surprised": 2,  # RaFD
    "anger": 3,
    "angry": 3,  # RaFD, JAFFE
}


def select_samples(*, corpora: Path, faces: Path, candide: Path, out: Path, config: str = "params.yaml") -> None:
    """Select the pictures of four emotions and divide the training people.

    Writes samples.parquet (SAMPLES), splits.parquet (FOLDS: random divisions of the training people) and corpus.json:
    classes, counts per class of the training side, how many faces were found and fitted (coverage), how many training
    pictures were dropped because they are in both sides (dropped), and a digest of samples, splits and face shards.

    Parameters
    ----------
    corpora : Path
        Folder with <corpus>/clips.parquet and corpus.json.
    faces : Path
        Folder with <corpus>/<part>, shards of faces.
    candide : Path
        Folder with <corpus>/<part>, tables of fits.
    out : Path
        results/samples/PAIR.

    Raises
    ------
    CorpusError
        A side lacks one of the four emotions.
    ConfigError
        The people cannot be divided so that every class is learnt.
    TableError
        An earlier stage is missing.
    """
    params = schema.load(config)
    cross = schema.section(schema.CrossConfig, params, "cross")
    seed = schema.section(int, params, "seed")
    folders = {"corpora": corpora, "faces": faces, "candide": candide}
    listed = pd.concat([gather(corpus, "training", **folders) for corpus in cross.train], ignore_index=True)
    tested = gather(cross.test, "test", **folders)
    frontal = listed[listed.angle == FRONTAL]  # as in the thesis: learnt from the front, tested from other sides too
    training = drop_copies(frontal, tested).assign(role="training")
    n_dropped = len(frontal) - len(training)
    if 0 < cross.most < len(training):
        chosen = rng_for(seed, "training pictures", cross.name).choice(len(training), cross.most, replace=False)
        training = training.iloc[np.sort(chosen)]
    tested["role"] = tested.angle.isin(cross.angles).map({True: "test", False: "aside"})
    angles = ", ".join(map(str, sorted(tested.angle.unique())))
    scored, advice = tested[tested.role == "test"], f"cross.angles are {cross.angles}, it has {angles} degrees"
    for side, rows, names, mend in (
        ("training", training, cross.train, "add a corpus to cross.train"),
        ("test", scored, [cross.test], advice),
    ):
        counts = _count_classes(rows)
        if min(counts.values()) == 0:
            found = ", ".join(f"{n} {name}" for name, n in counts.items())
            raise CorpusError(f"the {side} side ({', '.join(names)}) lacks an emotion: found {found}; {mend}")
    splits = divide(training, n_splits=cross.splits, share=cross.validation, seed=seed, scope=cross.name)
    table = pd.concat([training, tested], ignore_index=True)
    names = [*cross.train, cross.test]
    sources = {str(read_json(corpora / name / "corpus.json")["source"]) for name in names}
    parts = [read_json(faces / name / "manifest.json")["parts"] for name in names]
    content = [table.to_json(orient="values", double_precision=15), splits.to_json(orient="values"), parts]
    info = {
        "corpus": cross.name,
        "source": "synthetic" if "synthetic" in sources else "+".join(sorted(sources)),
        "classes": list(FACE4),
        "n_clips": len(table),
        "n_actors": int(table.person.nunique()),
        "counts": _count_classes(training),
        "coverage": coverage(table),
        "digest": digest(content),
        "dropped": n_dropped,
    }
    with atomic_folder(out) as scratch:
        tables.write(scratch / "samples.parquet", table.drop(columns="sha256"), tables.SAMPLES)
        tables.write(scratch / "splits.parquet", splits, tables.FOLDS)
        write_json(scratch / "corpus.json", info)
    log.info("%s: %s; %d splits", cross.name, info["coverage"], cross.splits)


def fp68(landmarks: np.ndarray) -> np.ndarray:
    """Normalise landmarks: centroid to 0, RMS radius to 1, the line from the right to the left eye along +x.

    The eyes are the means of their six points. The thesis does not say how it normalises; this is the similarity
    transform, so that a face keeps its own shape and yaw.

    Parameters
    ----------
    landmarks : (N, 68, 2) px, x right, y down; NaN where there is no face.

    Returns
    -------
    (N, 136), x and y of every landmark in turn; a row of NaN where a landmark is not finite, where all landmarks are in
    one place or where the eyes are.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    if points.ndim != 3 or points.shape[1:] != (68, 2):
        raise ValueError(f"landmarks should be (N, 68, 2), got {points.shape}")
    extent = np.abs(points).max(axis=(1, 2))  # of equal points, centring leaves a rounding error of this size
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        points = points - points.mean(axis=1, keepdims=True)
        radius = np.sqrt((points**2).sum(axis=2).mean(axis=1))  # (N,)
        points = points / radius[:, None, None]
        eyes = points[:, LEFT_EYE].mean(axis=1) - points[:, RIGHT_EYE].mean(axis=1)  # (N, 2)
        length = np.hypot(*eyes.T)
        cosine, sine = (eyes / length[:, None]).T
        x = cosine[:, None] * points[..., 0] + sine[:, None] * points[..., 1]
        y = cosine[:, None] * points[..., 1] - sine[:, None] * points[..., 0]
        vectors = np.stack([x, y], axis=2).reshape(len(points), 136)
        usable = np.isfinite(vectors).all(axis=1) & (radius > 1e-9 * extent) & (length > _NONE)
    return np.where(usable[:, None], vectors, np.nan)


def gather(corpus: str, side: str, *, corpora: Path, faces: Path, candide: Path) -> pd.DataFrame:
    """Return SAMPLES of a corpus, sorted by clip, with the additional column sha256 and an empty role.

    A clip is one picture here: its first frame with a face. Clips that stand apart or have no picture are left out;
    clips without a face stay, with row -1. Of a corpus that its publisher divides, those of the other side are left
    out; who is not named is one person a picture.

    side : training or test.
    corpora, faces, candide : folders with <corpus>/clips.parquet and with the parts of the two stages.

    Raises
    ------
    CorpusError : no clip shows one of the four emotions, or a view names no camera.
    TableError : a stage has not run, or its parts do not fit together.
    """
    clips = tables.read(Path(corpora) / corpus / "clips.parquet", tables.CLIPS)
    usable = clips.label_name.isin(LABELS) & clips.has_video & ~clips.apart
    if corpus in DIVIDED:
        folds = tables.read(Path(corpora) / corpus / "folds.parquet", tables.FOLDS)
        usable &= clips.group.isin(folds.group[folds.role == "test"]) == (side == "test")
    if not usable.any():
        names = ", ".join(sorted(set(clips.label_name) - {""})) or "none"
        raise CorpusError(f"{corpus}: no usable picture of {', '.join(FACE4)}; its labels: {names}; mend the corpus")
    clips = clips[usable].sort_values("clip")
    parts = [
        _features(rows, Path(faces) / corpus / part, Path(candide) / corpus / part)
        for part, rows in clips.groupby("part", sort=True)
    ]
    views = clips["view"].str.partition(" ")  # such as "090 frontal"; empty where there is one camera
    if (strange := clips[(clips["view"] != "") & ~views[0].str.isdigit()]).size:
        row = strange.iloc[0]
        raise CorpusError(
            f"{corpus}: the view {row['view']!r} of {row['clip']} starts with no angle in degrees; index it again"
        )
    label = clips.label_name.map(LABELS).astype(np.int64)
    rows = clips.assign(
        person=corpus + "/" + clips.actor.where(clips.actor != "", clips["clip"]),
        role="",
        label=label,
        label_name=label.map(dict(enumerate(FACE4))),
        angle=views[0].replace("", str(FRONTAL)).astype(np.int64),
        gaze=views[2],
    ).merge(pd.concat(parts), on="clip")
    log.info("%s: %d pictures, a face in %d, %d fitted", corpus, *_count(rows).values())
    return rows[[*tables.SAMPLES.columns.names, "sha256"]].reset_index(drop=True)


def coverage(table: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Return role, and camera of the test corpus such as "45", -> how many pictures, faces and fits."""
    tested = table[table.role != "training"]
    return {str(name): _count(rows) for by in (table.groupby("role"), tested.groupby("angle")) for name, rows in by}


def _count(rows: pd.DataFrame) -> dict[str, int]:
    return {"total": len(rows), "found": int((rows["row"] >= 0).sum()), "fitted": int((rows.verdict == FITTED).sum())}


def _features(clips: pd.DataFrame, faces: Path, candide: Path) -> pd.DataFrame:
    """Return clip, row, verdict, shaped, units and points of the clips of one part."""
    shard = shards.read_faces(faces)
    fits = shards.read_fits(candide)
    people = tables.read(candide / "people.parquet", tables.PEOPLE)
    if not fits[["clip", "frame"]].equals(shard.index[["clip", "frame"]]):
        raise TableError(f"{candide / 'index.parquet'}: other frames than {faces}; run fit_candide again")
    found = shard.index[shard.index.found].reset_index().groupby("clip", sort=False)["index"].first()
    row = clips["clip"].map(found).fillna(-1).astype(np.int64).to_numpy()
    landmarks = np.full((len(row), 68, 2), np.nan)
    landmarks[row >= 0] = shard.landmarks[row[row >= 0]]
    verdicts = [fits.verdict[k] if k >= 0 else NO_FACE for k in row]
    shape_givers = {(person.actor, clip) for person in people.itertuples() for clip in person.clips}
    return pd.DataFrame(
        {
            "clip": clips["clip"].to_numpy(),
            "row": row,
            "verdict": verdicts,
            "shaped": [key in shape_givers for key in zip(clips.actor, clips["clip"], strict=True)],
            "units": [fits.units[k] if it == FITTED else np.empty(0) for k, it in zip(row, verdicts, strict=True)],
            "points": [values if np.isfinite(values).all() else np.empty(0) for values in fp68(landmarks)],
        }
    )


def drop_copies(training: pd.DataFrame, tested: pd.DataFrame) -> pd.DataFrame:
    """Return `training` without pictures whose bytes are also tested on, or are somebody else's in training.

    Copies of one person stay: a person is on one side of every split.
    """
    known = training.sha256 != ""
    crossing = known & training.sha256.isin(set(tested.sha256))
    owner = training.groupby("sha256").person.transform("first")
    twins = known & ~crossing & (training.person != owner)
    if crossing.any() or twins.any():
        log.info(
            "dropped from training: %d pictures that are byte for byte in the test corpus too, %d of two people",
            *(int(crossing.sum()), int(twins.sum())),
        )
    return training[~crossing & ~twins]


def _count_classes(rows: pd.DataFrame) -> dict[str, int]:
    return {name: int((rows.label == k).sum()) for k, name in enumerate(FACE4)}


@dataclass(frozen=True, eq=False)
class Samples:
    """The pictures of a pair of training corpora and test corpus.

    table : SAMPLES, index 0..N-1.   splits : FOLDS (fold = split, group = person).   info : corpus.json.
    digest : of all of it; corpus.json holds that of the face shards.
    """

    table: pd.DataFrame
    splits: pd.DataFrame
    info: dict[str, Any]
    digest: str

    @property
    def title(self) -> str:
        """Return what is learnt on and what is tested on, such as "ckplus to rafd" or "ckplus+mug to rafd"."""
        sides = self.table.groupby(self.table.role == "training", sort=False).corpus.unique()
        return f"{'+'.join(sides[True])} to {'+'.join(sides[False])}"

    def roles(self, split: int) -> pd.Series:
        """Return training, validation, test or aside for every row of the table.

        Raises
        ------
        TableError : the split does not exist, or does not say where a training person belongs.
        """
        rows = self.splits[self.splits.fold == split]
        if rows.empty:
            known = sorted(self.splits.fold.unique().tolist())
            raise TableError(f"splits.parquet: there is no split {split}; it has {known}; raise cross.splits")
        side = self.table.person.map(dict(zip(rows.group, rows.role, strict=True)))
        learnt = self.table.role == "training"
        if rows.group.duplicated().any() or (learnt & ~side.isin(["training", "validation"])).any():
            raise TableError(f"splits.parquet: split {split} does not divide the people; run select_samples again")
        return self.table.role.where(~learnt, side)


def read_samples(folder: Path) -> Samples:
    """Read results/samples/<pair>.

    Raises
    ------
    TableError : a file is missing or damaged, or a clip is listed twice.
    """
    folder = Path(folder)
    table = tables.read(folder / "samples.parquet", tables.SAMPLES)
    splits = tables.read(folder / "splits.parquet", tables.FOLDS)
    info = read_json(folder / "corpus.json")
    if not isinstance(info, dict) or not {"corpus", "classes", "source"} <= info.keys():
        raise TableError(f"{folder / 'corpus.json'}: corpus, classes or source is missing; run select_samples again")
    if twice := sorted(table["clip"][table["clip"].duplicated()]):
        raise TableError(f"{folder / 'samples.parquet'}: {twice[0]} is listed twice; run select_samples again")
    files = [sha256(folder / name) for name in ("samples.parquet", "splits.parquet")]
    return Samples(table, splits, info, digest([info, files]))


def has_features(table: pd.DataFrame, features: str) -> np.ndarray:
    """Return (N,) bool: which rows of SAMPLES have "AU8", "FP68" or, for "image", a face."""
    if features == "image":
        return table["row"].to_numpy() >= 0
    column, length = COLUMNS[features]
    return (table[column].map(len) == length).to_numpy(bool)


def vectors(table: pd.DataFrame, features: str) -> np.ndarray:
    """Return (N, 8) for "AU8" or (N, 136) for "FP68", float64, with rows of NaN where a sample has none."""
    column, length = COLUMNS[features]
    values = np.full((len(table), length), np.nan)
    present = has_features(table, features)
    if present.any():
        values[present] = np.stack(table[column][present].to_list())
    return values


def pictures(table: pd.DataFrame, results: Path, size_px: int) -> np.ndarray:
    """Return (N, size_px, size_px) uint8: the stored face regions in grey (luma of BT.601); zeros without a face.

    results : folder with faces/<corpus>/<part>, the shards that SAMPLES names.

    Raises
    ------
    TableError : a shard is missing or shorter than SAMPLES says.
    """
    import cv2

    grey = np.zeros((len(table), size_px, size_px), np.uint8)
    with_face = table.assign(place=np.arange(len(table)))[table["row"] >= 0]
    for (corpus, part), chosen in with_face.groupby(["corpus", "part"]):
        folder = Path(results) / "faces" / corpus / part
        frames = shards.read_faces(folder).frames
        if chosen["row"].max() >= len(frames):
            raise TableError(f"{folder}: {len(frames)} frames, SAMPLES names a later one; run select_samples again")
        for place, row in zip(chosen.place, chosen["row"], strict=True):
            frame = cv2.cvtColor(np.ascontiguousarray(frames[row]), cv2.COLOR_RGB2GRAY)
            way = cv2.INTER_AREA if len(frame) > size_px else cv2.INTER_LINEAR
            grey[place] = cv2.resize(frame, (size_px, size_px), interpolation=way)
    return grey


def divide(training: pd.DataFrame, *, n_splits: int, share: float, seed: int, scope: str) -> pd.DataFrame:
    """Return FOLDS: for every split the people of `training` with the role training or validation.

    People are dealt to round(1 / share) folds of similar class frequencies (`StratifiedGroupKFold`), of which one that
    is drawn at random validates: the first always gets the person with the most uneven classes.

    Parameters
    ----------
    training : rows of SAMPLES, columns person and label.
    scope : name of the stream of random numbers.

    Raises
    ------
    ConfigError : there are fewer than two people, or no division leaves every class to learn from.
    """
    training = training.sort_values(["person", "clip"])
    people = training.person.unique()  # sorted
    if len(people) < 2:
        raise ConfigError(
            f"cross.train: {len(people)} people with the four emotions cannot be divided into training and validation;"
            " add a corpus to cross.train, or actors to its corpus"
        )
    rows = []
    for split in range(n_splits):
        chosen = _validating(training, min(round(1 / share), len(people)), seed, (scope, split))
        roles = np.where(np.isin(people, chosen), "validation", "training")
        rows += [(split, f"split {split + 1}", person, role) for person, role in zip(people, roles, strict=True)]
    return pd.DataFrame(rows, columns=tables.FOLDS.columns.names)


def _validating(training: pd.DataFrame, n_folds: int, seed: int, scope: tuple) -> np.ndarray:
    from sklearn.model_selection import StratifiedGroupKFold

    person, label = training.person.to_numpy(), training.label.to_numpy()
    folds = []
    if n_folds <= np.bincount(label).max():
        folder = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed_for(seed, "split", *scope) % 2**32)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The least populated class", UserWarning)  # what matters is checked below
            folds = list(folder.split(label, label, person))
    for k in rng_for(seed, "validating fold", *scope).permutation(len(folds)):
        learnt, held = folds[k]
        if len(held) and len(np.unique(label[learnt])) == len(FACE4):
            return np.unique(person[held])
    people = training.groupby("label").person.nunique()
    counts = ", ".join(f"{name} of {people.get(k, 0)}" for k, name in enumerate(FACE4))
    rare = [FACE4[k] for k in people.index[people == people.min()]]
    raise ConfigError(
        f"cross.validation: split {scope[-1] + 1} would leave no {'/'.join(rare)} to learn from (people:"
        f" {counts}); lower cross.validation, or add a corpus to cross.train or actors to its corpus"
    )
