"""Names that sections of params.yaml are made of, levels of intensity, and the colours of emotions."""

from collections.abc import Sequence

import numpy as np

LEVELS = {  # corpus -> its words for the intensity of a clip, in ascending order: 0, 1, ...
    "ravdess": ("normal", "strong"),
    "cremad": ("LO", "MD", "HI"),
}


def nearest_level(value: np.ndarray, n_levels: int) -> np.ndarray:
    """Return for every number (N,) the nearest of 0..n_levels - 1, int64 (N,); the lower one of two."""
    return np.ceil(np.asarray(value, dtype=np.float64) - 0.5).clip(0, n_levels - 1).astype(np.int64)


# The same colours in figures, films and on the page. Paul Tol's bright and muted schemes: told apart with every common
# colour blindness, on dark pictures and on white.
PALETTE = {
    "neutral": "#9aa0a6",
    "calm": "#66ccee",
    "happy": "#ccbb44",
    "sad": "#4477aa",
    "angry": "#ee6677",
    "fearful": "#aa3377",
    "disgust": "#228833",
    "surprised": "#ee8833",
}
_SAME = {"fear": "fearful", "surprise": "surprised", "anger": "angry", "happiness": "happy", "sadness": "sad"}
OTHER = "#777777"


_ALIKE = {"calm": "neutral"}  # RAVDESS's second word for a face and a voice at rest, which no other corpus has


def colour_of(emotion: str) -> str:
    """Return the colour of an emotion under any corpus's name for it; grey for what is none."""
    return PALETTE.get(_SAME.get(emotion, emotion), OTHER)


CORPORA = ("ravdess", "cremad", "fer2013", "ckplus", "rafd", "mug", "jaffe", "voxceleb", "ravdess_au")
# Corpora that come as numbers, one vector of a face or a voice per clip -> the corpus whose clips these are.
AS_VECTORS = {"ravdess_au": "ravdess"}
ACTED = ("ravdess", "cremad")  # films of emotions, with sentences and intensities
FACED = ("ckplus", "rafd", "mug", "jaffe")  # people with a neutral face each
DIVIDED = ("fer2013",)  # pictures of people without names, which their publisher divides
CLASSICAL = ("ssvm", "svm_poly", "eigenfaces", "fisherfaces")  # classifiers without epochs
# Networks of speech that stay as they are (section speech): what each says of a voice is a modality.
SPEECH = ("wav2vec2", "hubert", "wavlm")
# The same of faces (section vision): torchvision's names.
VISION = ("resnet50", "efficientnet_b0", "vit_b_16", "swin_t", "convnext_tiny")
FROZEN_ENCODERS = (*SPEECH, *VISION)
# Modality of one vector per clip -> the column of CLIPS that says whether it is there.
VECTORS = {
    "face_features": "has_video",
    "voice_features": "has_audio",
    **dict.fromkeys(SPEECH, "has_audio"),
    **dict.fromkeys(VISION, "has_video"),
}
MODALITIES = ("video", "audio", "units", *VECTORS)  # of variants; units: the action units of the Candide-3 fit
# People that can be synthesised: as many as the names of the corpus allow.
MAX_ACTORS = {"ravdess": 24, "cremad": 91, "ckplus": 123, "rafd": 67, "mug": 86, "jaffe": 10, "voxceleb": 1251}
NETWORKS = ("dnn_au", "dnn_fp", "cnn1", "cnn2", "cnn3")


def common_name(emotion: str) -> str:
    """Return the name of an emotion that networks of several corpora share; calm counts as neutral."""
    return _ALIKE.get(name := _SAME.get(emotion, emotion), name)


def common_names(*vocabularies: Sequence[str]) -> tuple[str, ...]:
    """Return the common names that all vocabularies have a word for, in the order of the first."""
    first, *others = ([common_name(word) for word in words] for words in vocabularies)
    return tuple(dict.fromkeys(name for name in first if all(name in other for other in others)))


def label_map(words: Sequence[str], names: Sequence[str]) -> np.ndarray:
    """Return (C, L) 0 and 1: which of the common names (L) each word of a vocabulary (C) counts as, if any."""
    return np.array([[common_name(word) == name for name in names] for word in words], dtype=np.float64)
