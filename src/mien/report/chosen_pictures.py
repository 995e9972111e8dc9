"""Which pictures the figures 4.6 to 4.8 show."""

import numpy as np
import pandas as pd

from mien.core.errors import TableError
from mien.samples.face4 import FACE4


def choose_training(table: pd.DataFrame, n_people: int) -> pd.DataFrame:
    """Return a picture with a face per emotion and column for `n_people` columns, with a column `column`, 1 and on.

    Rows of SAMPLES. A column is a different person in every row: the people of an emotion are spread evenly over
    their names. Of a person the last clip by name is taken, of the neutral ones the first.

    Raises
    ------
    TableError : no training picture of an emotion has a face.
    """
    rows = table[(table.role == "training") & (table["row"] >= 0)].sort_values("clip")
    chosen = []
    for emotion in FACE4:
        mine = rows[rows.label_name == emotion].drop_duplicates(
            "person", keep="first" if emotion == "neutral" else "last"
        )
        if mine.empty:
            raise TableError(f"samples.parquet: no training picture of {emotion} has a face; run select_samples again")
        mine = mine.sort_values("person")
        places = np.linspace(0, len(mine) - 1, min(n_people, len(mine))).round().astype(int)
        chosen.append(mine.iloc[places].assign(column=[str(k + 1) for k in range(len(places))]))
    return pd.concat(chosen)


def choose_test(table: pd.DataFrame) -> pd.DataFrame:
    """Return a picture per emotion and camera of one tested person, with a column `column`, the camera's angle.

    The person with most faces among its pictures, then the first by name; gaze to the front. Pictures without a face
    stay, with row -1.

    Raises
    ------
    TableError : there is no tested picture.
    """
    rows = table[(table.role != "training") & table.gaze.isin(["", "frontal"])]
    if rows.empty:
        raise TableError("samples.parquet: nothing is to be tested; look at cross.test and run select_samples again")
    n_faces = (rows["row"] >= 0).groupby(rows.person).sum()
    person = min(n_faces.index, key=lambda name: (-n_faces[name], name))
    mine = rows[rows.person == person].sort_values("clip").drop_duplicates(["label_name", "angle"])
    return mine.assign(column=mine.angle.map("{}°".format)).sort_values(["angle", "clip"])


def most_lopsided(pictures: dict[str, np.ndarray]) -> np.ndarray:
    """Return the picture (S, S) that differs most from its mirror image, so that mirroring shows."""
    return max(pictures.values(), key=lambda picture: float(np.abs(picture - picture[:, ::-1].astype(float)).mean()))
