"""Parquet tables between stages: columns, types and meaning are declared once, checked on read and write."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mien.errors import TableError
from mien.io.files import atomic_file
from mien.io.prune import CHANGED, is_as_listed

_text, _int, _float, _bool = pa.string(), pa.int64(), pa.float64(), pa.bool_()
FEATURES = {"video": "f_v", "audio": "f_a", "joint": "g_va"}  # key of embeddings.rows -> feature (thesis 5.1)
HISTORY = (  # columns of history.csv, a row per epoch
    "epoch",
    "learning_rate",
    "train_loss",
    "validation_loss",
    "validation_accuracy",
    "test_loss",
    "test_accuracy",
)
TRAIN_ACCURACY = "train_accuracy"  # of the training pass; a last column of history.csv where pretraining follows it


@dataclass(frozen=True)
class Schema:
    """A table's name and its columns in order, as an arrow schema; `note` says what a row is."""

    name: str
    note: str
    columns: pa.Schema


def _schema(name: str, note: str, /, **columns: pa.DataType) -> Schema:
    return Schema(name, note, pa.schema([pa.field(key, kind) for key, kind in columns.items()]))


CLIPS = _schema(
    "CLIPS",
    "one row per clip: a take, an image, an utterance; every file of the corpus is accounted for here or in DEFECTS",
    corpus=_text,
    clip=_text,  # unique within the corpus
    part=_text,  # the shard it belongs to: an actor, a speaker, a block of images
    group=_text,  # what folds assign: the actor, or the official usage where actors are unknown (FER2013)
    actor=_text,  # with the corpus's own numbering; empty where unknown
    sex=_text,  # male, female or empty
    video=_text,  # path of the moving or still picture below the corpus root, or empty
    audio=_text,  # path of the sound below the corpus root, or empty
    item=_int,  # row inside a container such as fer2013.csv, frame order in a sequence, else -1
    sequence=_text,  # frames of one recording share it (CK+, MUG); empty elsewhere
    label=_int,  # index into the corpus's label set, -1 where unlabelled
    label_name=_text,  # empty where unlabelled
    intensity=_text,  # the corpus's own word (normal, strong, LO, ...), or empty
    statement=_text,  # the corpus's own code of what is said, or empty
    view=_text,  # camera angle and gaze (RaFD), or empty
    split=_text,  # the corpus's official split, or empty
    cropped=_bool,  # the picture is a face already: no detection
    has_video=_bool,  # a picture is there and may be used
    has_audio=_bool,  # a sound is there and may be used
    apart=_bool,  # has a duplicate on another side of the official split: in no role of training
    duplicate=_text,  # digest shared by byte-identical clips, else empty
    defect=_text,  # codes of DEFECTS joined by ';', else empty
    sha256=_text,  # of the picture and sound bytes
)
FOLDS = _schema(
    "FOLDS",
    "one row per fold and group",
    fold=_int,
    name=_text,  # as tables print it: A1,2 or S1
    group=_text,
    role=_text,  # training, validation or test
)
VOTES = _schema(
    "VOTES",
    "one row per clip and way in which raters met it; no rows where the corpus has no raters",
    clip=_text,
    modality=_text,  # voice: they heard it; face: they saw it; multimodal: both
    counts=pa.list_(_int),  # (C,) votes in the order of the classes
    n=_int,  # votes in all
    agreement=_float,  # share of the votes that the commonest class has
)
DEFECTS = _schema(
    "DEFECTS",
    "one row per finding, decided and kept on record",
    corpus=_text,
    clip=_text,  # empty if the file belongs to no clip
    path=_text,
    defect=_text,  # twin, silent, empty, pointer, stereo, unreadable, blank, missing, misnamed, unlabelled, ...
    detail=_text,  # what was found
    decision=_text,  # what is done about it: keep, drop, drop audio, drop video, apart, mix down, ...
)
FRAMES = _schema(
    "FRAMES",
    "one row per frame of a face shard, in the order of frames.npy and landmarks.npy",
    clip=_text,
    frame=_int,  # 0.. within the clip, on the resampled time axis
    time_s=_float,
    x=_float,  # left edge of the square region, px of the source picture
    y=_float,  # top edge
    side=_float,  # side of the region, px
    score=_float,  # detector confidence; NaN where tracked or not found
    found=_bool,  # a face was found in this very frame
)
SOUNDS = _schema(
    "SOUNDS",
    "one row per clip of a sound shard: wave.npy[start : start + n_samples]",
    clip=_text,
    start=_int,
    n_samples=_int,
    peak=_float,  # of full scale, before any gain
    rms=_float,
    silent=_bool,  # peak below the silence threshold: no voice
)
FITS = _schema(
    "FITS",
    "one row per frame of a face shard, in its order: the Candide-3 mesh fitted to the landmarks",
    clip=_text,
    frame=_int,
    time_s=_float,
    verdict=_text,  # fitted, no face, not finite, degenerate or not converged; the numbers below belong to fitted
    scale=_float,  # px per model unit; NaN where not fitted, like all that follow
    rotation=pa.list_(_float),  # (3,) rotation vector, rad, of the model in the camera: x right, y up, z to the viewer
    origin=pa.list_(_float),  # (2,) px of the source picture, x right, y down, where the model's origin is seen
    units=pa.list_(_float),  # (8,) action units in the order of the thesis (AU8)
    residual=_float,  # root mean square distance of the 35 points, model units
    iterations=_int,  # of Levenberg-Marquardt; 0 where nothing was tried
)
VECTORS = _schema(
    "VECTORS",
    "one row per clip and modality of which there is one vector",
    clip=_text,
    modality=_text,  # see config.labels.VECTORS
    values=pa.list_(pa.float32()),  # (D,), finite
)
PEOPLE = _schema(
    "PEOPLE",
    "one row per person of a part: the face that the frames are fitted with",
    actor=_text,  # empty where the corpus does not name people
    shape=pa.list_(_float),  # (7,) shape units in the order of the thesis; zeros for the mean face
    source=_text,  # films: all frames; neutral: pictures; first: first of sequences; mean face: there was nothing
    clips=pa.list_(_text),  # pictures that were chosen by label or place; none of films
)
SAMPLES = _schema(
    "SAMPLES",
    "one row per picture of the four emotions: what classifiers are trained on and tested on",
    corpus=_text,
    clip=_text,
    person=_text,  # <corpus>/<actor>
    sex=_text,
    role=_text,  # training (divided anew by every split) or test
    label=_int,  # 0 neutral, 1 smile, 2 surprise, 3 anger
    label_name=_text,
    angle=_int,  # of the camera, degrees, 90 is frontal
    gaze=_text,  # frontal, left, right or empty
    part=_text,  # face shard of the corpus
    row=_int,  # of the shard; -1 where no face was found
    verdict=_text,  # of the fit, see FITS
    shaped=_bool,  # the picture gave the person's neutral shape
    units=pa.list_(_float),  # (8,) AU8; empty where not fitted
    points=pa.list_(_float),  # (136,) FP68, x then y of every landmark in turn; empty where no face was found
)
PAIRS = _schema(
    "PAIRS",
    "one row per verification pair of speakers",
    one=_text,  # clip
    other=_text,  # clip
    same=_bool,  # spoken by one person
    heard=_bool,  # the network was trained on at least one of the two
    score=_float,  # cosine of the two embeddings; NaN where a clip has no voice
)
PREDICTIONS = _schema(
    "PREDICTIONS",
    "one row per clip, selection and head",
    selection=_text,  # honest: epoch chosen on validation actors; optimistic: on the reported actors
    role=_text,  # validation or test; classifiers of pictures are judged in training too
    clip=_text,
    actor=_text,
    label=_int,
    head=_text,  # fused, or a modality
    logits=pa.list_(pa.float32()),  # (C,); of intensity (1,), the number itself
)
EMBEDDINGS = _schema(
    "EMBEDDINGS",
    "one row per clip and network of a fold: the vector that the network's scoring component sees",
    variant=_text,
    feature=_text,  # f_v, f_a (normalised, of one modality) or g_va (joint, normalised)
    clip=_text,
    actor=_text,
    role=_text,  # training or test
    label=_int,
    values=pa.list_(pa.float32()),  # (D,), or (M * D,) of a joint network
)
ASSESSMENTS = _schema(
    "ASSESSMENTS",
    "one row per condition, fold, seed and test clip that a trained network judges, by its fused head",
    condition=_text,  # clean, or what is disturbed or missing, see evaluation.conditions
    fold=_int,
    seed=_int,
    clip=_text,
    actor=_text,
    label=_int,
    logits=pa.list_(pa.float32()),  # (C,)
)
FUZZY = _schema(
    "FUZZY",
    "one row per condition, network and test clip of one repetition of the experiment on fuzzy information",
    seed=_int,  # the repetition
    kind=_text,  # missing or blended; empty where all clips are clear
    modality=_text,  # that is so: video, audio or empty
    share=_float,  # of the clips, in training as in test
    variant=_text,
    clip=_text,
    actor=_text,
    label=_int,
    affected=_bool,  # this clip was drawn, and its modality is not what it is in the clear version
    logits=pa.list_(pa.float32()),  # (C,) of the fused head
)
STREAM = _schema(
    "STREAM",
    "one row per judgement of a running network on a recording that it follows from beginning to end",
    role=_text,  # validation or test
    clip=_text,
    actor=_text,
    label=_int,
    time_s=_float,  # of the look, of the end of a second of sound, or of the joint judgement, from the clip's beginning
    head=_text,  # fused; of joint networks also video and audio
    logits=pa.list_(pa.float32()),  # (C,)
)

CHANGES = _schema(
    "CHANGES",
    "one row per test clip, number of clips before it, and kind of memory of a running network",
    network=_text,
    fold=_int,
    seed=_int,
    clip=_text,
    actor=_text,
    label=_int,
    n_before=_int,  # clips of the same actor with other labels, as one recording with it
    memory=_text,  # endless | bounded
    right=_bool,  # its last judgement
    previous=_bool,  # that is still the label of the clip before
    follow_s=_float,  # from its beginning to the judgement from which on the label is right; NaN: never
)


def write(path: Path, rows: pd.DataFrame, schema: Schema) -> None:
    """Write `rows` in the columns of `schema`; a missing, additional or mistyped column is an error."""
    _check_names(path, list(rows.columns), schema)
    try:
        table = pa.Table.from_pandas(rows, schema=schema.columns, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise TableError(f"{path}: cannot be written as {schema.name}: {error}") from error
    with atomic_file(path) as scratch:
        pq.write_table(table.replace_schema_metadata(None), scratch)


def read(path: Path, schema: Schema) -> pd.DataFrame:
    """Read a table and check it against `schema`; of a run, also whether it is what the training wrote."""
    if not is_as_listed(Path(path)):
        raise TableError(f"{path}: {CHANGED}")
    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise TableError(f"{path} is missing; run the stage that writes it (snakemake {path})") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise TableError(f"{path} is not a parquet table ({error}); delete it and run the stage again") from error
    _check_names(path, table.schema.names, schema)
    try:
        table = table.cast(schema.columns)
        table.validate(full=True)  # text is decoded when it is used, far from here
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise TableError(f"{path}: holds no {schema.name} ({error}); delete it and run the stage again") from error
    return table.to_pandas()


def empty(schema: Schema) -> pd.DataFrame:
    """Return a table of `schema` without rows."""
    return schema.columns.empty_table().to_pandas()


def _check_names(path: Path, names: list[str], schema: Schema) -> None:
    wanted = schema.columns.names
    if missing := [name for name in wanted if name not in names]:
        raise TableError(f"{path}: table {schema.name} lacks {missing}; it has {names}")
    if unknown := [name for name in names if name not in wanted]:
        raise TableError(f"{path}: table {schema.name} has no column {unknown}; known: {wanted}")
