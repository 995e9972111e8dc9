"""Which landmark is which vertex, and which units are fitted (thesis section 4.1, lists L649-697)."""

from mien.candide import mesh

# fmt: off
_PRINTED = {  # landmark of the 68 -> vertex, as the thesis prints them
    35: 26, 31: 59, 30: 5, 33: 6, 28: 94,
    36: 53, 37: 98, 38: 104, 39: 56, 40: 110, 41: 100,
    42: 23, 43: 103, 44: 97, 45: 20, 46: 99, 47: 109,
    17: 48, 19: 49, 21: 50, 22: 17, 24: 16, 26: 15,
    48: 64, 51: 7, 54: 31, 57: 8, 53: 79, 49: 80, 55: 85, 59: 86,
    60: 89, 62: 87, 64: 88, 66: 40,
}
# fmt: on
# The thesis puts four points of the lids on folds that no unit of the lids moves; these are the edges beside them.
_INNER = _PRINTED | {38: 106, 40: 108, 43: 105, 47: 107}

LANDMARKS = tuple(_PRINTED)  # 35 numbers among the 68
VERTICES = {"printed": tuple(_PRINTED.values()), "inner": tuple(_INNER.values())}  # one vertex per entry of LANDMARKS

# Positions in the model file of the units that are fitted, in the order of the thesis.
ACTIONS = (
    mesh.JAW,
    mesh.BROW_LOWER,
    mesh.CORNER,
    mesh.UPPER_LIP,
    mesh.STRETCH,
    mesh.LID_TIGHT,
    mesh.NOSE,
    mesh.EYES_CLOSED,
)
SHAPES = (1, 2, 3, 5, 10, 11, 12)

AU_NAMES = (
    "jaw drop",
    "brow lowerer",
    "lip corner depressor",
    "upper lip raiser",
    "lip stretcher",
    "lid tightener",
    "nose wrinkler",
    "eyes closed",
)
AU_CODES = ("AU26/27", "AU4", "AU13/15", "AU10", "AU20", "AU7", "AU9", "AU42-45")
SHAPE_NAMES = (
    "brows, vertical position",
    "eyes, vertical position",
    "eyes, width",
    "eyes, separation",
    "mouth, vertical position",
    "mouth, width",
    "eyes, vertical difference",
)
