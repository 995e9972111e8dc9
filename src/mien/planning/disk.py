"""What the stages leave on the disk, in bytes, from the parameters alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from mien.core.config import CLASSICAL, Params
from mien.core.fuzzy import VERSIONS
from mien.planning.corpus_sizes import Size, made_size, size_of
from mien.planning.runs import Planned

GB = 1e9
VOICED = ("ravdess", "cremad", "voxceleb")
DOWNLOADS = {"ravdess": 26.6 * GB, "cremad": 3.7 * GB, "fer2013": 0.3 * GB, "voxceleb": 33.7 * GB}  # unpacked
LANDMARKS = 68 * 2 * 4  # bytes of a frame
ROW = 50  # bytes of a row of predictions.parquet with eight logits, as measured on our own
SELECTIONS = 2
FLOAT = 4
COPIES = 5  # weights in a checkpoint: the network, two moments of Adam, the best of two selections
TRUNKS = {"video": 11_176_512, "audio": 11_170_240, "units": 133_000}  # weights at the standard width
WHOLE_CLIPS = 33_203_904
VGG = 134_289_223
MEMORIES = {"none": 0, "lstm": 2_101_248, "bilstm": 1_576_960, "transformer": 4_238_336}
WIDTH = 64


@dataclass(frozen=True)
class Space:
    """What a stage leaves for a corpus, or while it runs."""

    stage: str
    corpus: str
    what: str
    bytes: float


def spaces(params: Params, runs: Sequence[Planned]) -> list[Space]:
    """List what all stages leave; `runs` are the trainings of the same parameters."""
    found = []
    for corpus in params.corpora:
        size, real = size_of(corpus, params), params.corpora[corpus].source != "synthetic"
        if real and corpus in DOWNLOADS:
            found.append(Space("data", corpus, "the corpus, unpacked", DOWNLOADS[corpus]))
        found += _extracted(corpus, corpus, size, params)
    fuzzy = params.fuzziness
    twin = made_size(fuzzy.corpus, fuzzy.actors, params.synthetic.takes)
    for version in VERSIONS:
        found += _extracted(fuzzy.corpus, f"{fuzzy.corpus}, {version}", twin, params)
    for run in runs:
        if run.stage != "fuzziness":  # which keeps what its networks say
            weights = run.runs * FLOAT * weights_of(run, params)
            found.append(Space("training", run.corpus, f"{run.name}: models", weights))
        rows = run.runs * run.judged * SELECTIONS * _heads(run, params)
        found.append(Space("training", run.corpus, f"{run.name}: predictions", rows * ROW))
    if runs:
        largest = max(runs, key=lambda run: weights_of(run, params))
        kept = COPIES * FLOAT * weights_of(largest, params)
        found.append(Space("checkpoints", largest.corpus, f"while {largest.name} is trained", kept))
    return [space for space in found if space.bytes > 0]


def weights_of(run: Planned, params: Params) -> int:
    """Return the number of weights of one network, nearly: without heads and fusion, which have a fiftieth."""
    if run.stage == "classifiers":
        return 0
    if run.stage == "pretrain":
        row = params.pretrain[run.name]
        width = params.extractor.vgg_width if row.network == "vgg16" else params.train.width
        return round((VGG if row.network == "vgg16" else TRUNKS[row.modality]) * (width / WIDTH) ** 2)
    row = params.streams[run.name] if run.stage == "streams" else params.variants[run.name]
    trunks = getattr(row, "trunk", {})
    total = 0
    for modality in row.modalities:
        deep = trunks.get(modality, "resnet18") != "resnet18"
        total += WHOLE_CLIPS if deep else TRUNKS[modality] + MEMORIES[row.aggregator]
    return round(total * (params.train.width / WIDTH) ** 2)


def _extracted(corpus: str, name: str, size: Size, params: Params) -> list[Space]:
    """Return the face regions of a corpus, twice where there are films (frames.npy, along.npy), and its sound."""
    found = []
    if corpus != "voxceleb":
        region = params.faces.size_px**2 * 3 * (2 if size.seconds else 1)
        frames = size.frames(params.faces.rate_fps)
        found.append(Space("faces", name, "regions and landmarks", frames * (region + LANDMARKS)))
    if corpus in VOICED:
        found.append(Space("sound", name, "mono, int16", size.clips * size.seconds * params.sound.rate_hz * 2))
    return found


def _heads(run: Planned, params: Params) -> int:
    if run.stage == "classifiers":
        return 1 if params.classifiers[run.name].model in CLASSICAL else SELECTIONS
    row = {**params.variants, **params.streams}.get(run.name)
    return 1 + len(row.modalities) if row is not None and row.fusion in ("n1", "mrpn") else 1
