"""A colour for every emotion, the same in figures, films and on the page; #rrggbb."""

# Paul Tol's bright and muted schemes: told apart with every common colour blindness, on dark pictures and on white.
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


def colour_of(emotion: str) -> str:
    """Return the colour of an emotion under any corpus's name for it; grey for what is none."""
    return PALETTE.get(_SAME.get(emotion, emotion), OTHER)
