"""The four emotions of thesis chapter 4.2, and the words that corpora have for them."""

FACE4 = ("neutral", "smile", "surprise", "anger")

_WORDS = {
    "neutral": 0,
    "happy": 1,  # CK+, RaFD, JAFFE
    "happiness": 1,  # MUG
    "surprise": 2,
    "surprised": 2,  # RaFD
    "anger": 3,
    "angry": 3,  # RaFD, JAFFE
}


def label_of(label_name: str) -> int | None:
    """Return the index into `FACE4` of a corpus's own label, or None for an emotion that is not among the four."""
    return _WORDS.get(label_name)
