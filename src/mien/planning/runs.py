"""Every training that the parameters ask for, and how many multiply-adds it takes at most.

A training pass costs three passes forward: one, and one each for the gradients of inputs and of weights. A branch that
stays as it is costs one. Held-out clips are judged after every epoch. Early stops are not foreseen.
"""

from dataclasses import dataclass

from mien.augment.slicing import SEGMENTS
from mien.core.config import CLASSICAL, Params, StreamConfig, VariantConfig
from mien.core.fuzzy import conditions
from mien.core.needed import needed_folds
from mien.planning import multiply_adds
from mien.planning.corpus_sizes import made_size, size_of
from mien.planning.multiply_adds import AGGREGATORS, CHANNELS, WIDEST, resnet18

LEARNT, KEPT = 3, 1  # passes forward that a training pass costs
VALIDATING = 2  # people of a fold
PER_FILM = 4  # pictures of a film that a network of single pictures learns from
BALANCED = 7 * 7215 / 28_709  # FER2013: all classes as large as the largest, relative to what there is
EMOTIONS = 7  # of FER2013
SHARES = {  # corpus -> shares of clips that train, and that are held out, by the corpus's own division
    "fer2013": (28_709 / 35_887, 7_178 / 35_887),
    "voxceleb": (138_361 / 153_516, 15_155 / 153_516),
}
DIVIDED = (0.7, 0.3)  # where the recordings of each person are divided


@dataclass(frozen=True, kw_only=True)
class Planned:
    """Trainings of one kind.

    clips : that a run learns from in an epoch.   judged : that it judges in the end.
    family : video, audio, joint or vgg16: networks with one speed; empty where no GPU is needed.
    precision : float32 or bfloat16, in which a GPU computes.
    forward : multiply-adds of one pass forward of a clip.   work : multiply-adds of all runs.
    """

    stage: str
    corpus: str
    name: str
    runs: int
    clips: int
    judged: int
    epochs: int
    family: str
    precision: str
    forward: int
    work: float


def planned(params: Params) -> list[Planned]:
    """List all trainings of the resolved parameters, in the order in which they come."""
    return [*_ahead(params), *_variants(params), *_streams(params), *_classifiers(params), *_fuzzy(params)]


def branch(modality: str, steps: int, aggregator: str, params: Params, *, deep: bool = False) -> tuple[int, int]:
    """Return the multiply-adds of a branch's trunk and of its aggregator for one clip of so many steps.

    deep : the trunk looks at all frames at once.
    """
    width = params.train.width
    if deep:
        return resnet18(CHANNELS[modality], (steps, *input_size(modality, params)), width), 0
    if modality == "units":
        trunk = multiply_adds.unit_perceptron(width)
    else:
        trunk = resnet18(CHANNELS[modality], input_size(modality, params), width)
    return steps * trunk, AGGREGATORS[aggregator](WIDEST * width, steps)


def input_size(modality: str, params: Params) -> tuple[int, int]:
    """Return the sides of a stored face, or the rows and columns of a segment of the sound, as a network sees them."""
    if modality == "video":
        return params.faces.size_px, params.faces.size_px
    return (params.sound.window // 2 + 1) // params.sound.pool, params.sound.segment // params.sound.pool


def _ahead(params: Params) -> list[Planned]:
    found = []
    for name, row in params.pretrain.items():
        size, extractor = size_of(row.corpus, params), params.extractor
        learnt, held = SHARES.get(row.corpus, DIVIDED)
        learnt, held = learnt * size.clips, held * size.clips
        passes = held
        if row.modality == "audio":
            learnt, passes = learnt * extractor.crops, held * size.seconds  # held-out sounds are cut into seconds
        else:
            learnt *= (BALANCED if row.balance else 1) * (PER_FILM if size.seconds else 1)
        if row.network == "vgg16":
            classes = size.people if row.target == "actor" else EMOTIONS
            forward = multiply_adds.vgg16(extractor.vgg_size_px, extractor.vgg_width, classes)
        else:
            forward = branch(row.modality, 1, "none", params)[0]
        factor = LEARNT if row.trained == "all" else KEPT
        runs = int(row.init != "none")
        found.append(
            Planned(
                stage="pretrain",
                corpus=row.corpus,
                name=name,
                runs=runs,
                clips=round(learnt),
                judged=round(held),
                epochs=row.epochs,
                family="vgg16" if row.network == "vgg16" else row.modality,
                precision=extractor.precision,
                forward=forward,
                work=runs * row.epochs * forward * (factor * learnt + passes),
            )
        )
    return found


def _variants(params: Params) -> list[Planned]:
    found = []
    for (corpus, name), n_folds in needed_folds(params).items():
        learnt, judged = _of_a_fold(corpus, params)
        epochs = params.train.epochs
        forward, learning = _variant(params.variants[name], params)
        runs = n_folds * params.repeats
        found.append(
            Planned(
                stage="variants",
                corpus=corpus,
                name=name,
                runs=runs,
                clips=round(learnt),
                judged=round(judged),
                epochs=epochs,
                family=_family(params.variants[name]),
                precision=params.train.precision,
                forward=forward,
                work=runs * epochs * (learnt * learning + judged * forward),
            )
        )
    return found


def _streams(params: Params) -> list[Planned]:
    streaming = params.streaming
    learnt, judged = _of_a_fold(streaming.corpus, params)
    seconds = size_of(streaming.corpus, params).seconds
    rates = {"video": streaming.rate_fps, "audio": 1 / streaming.hop_s}  # steps per second
    runs = params.folds[streaming.corpus] * params.repeats
    found = []
    for name, row in params.streams.items():
        second = sum(rates[one] * sum(branch(one, 1, row.aggregator, params)) for one in row.modalities)
        work = LEARNT * learnt * second * min(streaming.window_s, seconds) + judged * second * seconds
        found.append(
            Planned(
                stage="streams",
                corpus=streaming.corpus,
                name=name,
                runs=runs,
                clips=round(learnt),
                judged=round(judged),
                epochs=streaming.epochs,
                family=_family(row),
                precision="float32",
                forward=round(second * min(streaming.window_s, seconds)),
                work=runs * streaming.epochs * work,
            )
        )
    return found


def _classifiers(params: Params) -> list[Planned]:
    """Plan chapter 4; all pictures of its corpora are counted, of which some show other emotions."""
    cross, classify = params.cross, params.classify
    clips = sum(size_of(corpus, params).clips for corpus in cross.train)
    found = []
    for name, row in params.classifiers.items():
        neural = row.model not in CLASSICAL
        epochs = classify.epochs_image if row.features == "image" else classify.epochs_vector
        runs = classify.seeds if neural else cross.splits
        forward = multiply_adds.cnn(row.model, row.size_px)
        found.append(
            Planned(
                stage="classifiers",
                corpus=cross.name,
                name=name,
                runs=runs,
                clips=clips,
                judged=size_of(cross.test, params).clips,
                epochs=epochs if neural else 0,
                family="video" if neural else "",
                precision="float32",
                forward=forward,
                work=runs * epochs * LEARNT * clips * forward,
            )
        )
    return found


def _fuzzy(params: Params) -> list[Planned]:
    """Plan the experiment on missing and fuzzy information: nothing wrong, and all that a network can notice."""
    fuzzy = params.fuzziness
    size = made_size(fuzzy.corpus, fuzzy.actors, takes=1)
    judged = size.clips * fuzzy.tested / fuzzy.actors
    learnt = size.clips - judged
    found = []
    for name in fuzzy.rows:
        row = params.variants[name]
        noticed = [one for one in conditions(fuzzy.shares) if one.modality != "video" or "video" in row.modalities]
        runs = len(noticed) * fuzzy.seeds
        forward, learning = _variant(row, params)
        found.append(
            Planned(
                stage="fuzziness",
                corpus=fuzzy.corpus,
                name=name,
                runs=runs,
                clips=round(learnt),
                judged=round(judged),
                epochs=fuzzy.epochs,
                family=_family(row),
                precision=params.train.precision,
                forward=forward,
                work=runs * (fuzzy.epochs * learnt * learning + judged * forward),
            )
        )
    return found


def _variant(row: VariantConfig, params: Params) -> tuple[int, int]:
    """Return the multiply-adds of a pass forward of a clip, and of a training pass."""
    steps = {"video": params.train.frames, "audio": SEGMENTS[row.augmentation], "units": params.train.frames}
    forward = learning = 0
    for modality in row.modalities:
        deep = row.trunk.get(modality, "resnet18") != "resnet18"
        trunk, memory = branch(modality, steps[modality], row.aggregator, params, deep=deep)
        kept = modality in row.frozen
        forward += trunk + memory
        learning += (KEPT if kept or row.extractors == "frozen" else LEARNT) * trunk
        learning += (KEPT if kept else LEARNT) * memory
    return forward, learning


def _of_a_fold(corpus: str, params: Params) -> tuple[float, float]:
    """Return the clips that a fold learns from, and those that it judges, on average."""
    size = size_of(corpus, params)
    held = min(1 / params.folds[corpus] + VALIDATING / size.people, 1.0)
    return size.clips * (1 - held), size.clips * held


def _family(row: VariantConfig | StreamConfig) -> str:
    return row.modalities[0] if len(row.modalities) == 1 else "joint"
