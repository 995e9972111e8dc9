"""`mien` in Python: recordings, arrays and streams become tables. docs/python.md shows how."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mien.apps.engine import Engine, Row, table
from mien.apps.models import VARIABLE, Model, find_trained
from mien.apps.models import load_models as load_files
from mien.apps.outputs import model_facts, name_verdict
from mien.apps.recording import BATCH, judge_file
from mien.apps.reference import read_reference
from mien.audio.resample import Resampler, to_mono
from mien.config import schema
from mien.config.values import plain
from mien.errors import ModelError
from mien.io.shards import FULL_SCALE


@dataclass(frozen=True, eq=False)
class Models:
    """Trained networks, ready to judge; made by `mien.load_models`.

    Attributes
    ----------
    networks : list of Model
        Of each window, the one judges that uses most of what is there.
    window_s, hop_s : float
        Length of a window and step from one to the next, in s.
    """

    networks: list[Model]
    window_s: float
    hop_s: float

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the emotions, in the order of the columns ``p_...``."""
        return self.networks[0].settings.classes

    def predict(
        self,
        clip: str | os.PathLike[str] | None = None,
        *,
        frames: Iterable[np.ndarray] | None = None,
        times: Iterable[float] | None = None,
        samples: np.ndarray | None = None,
        rate: int | None = None,
        cropped: bool = False,
        reference: str | os.PathLike[str] | None = None,
    ) -> pd.DataFrame:
        """Judge a recording: a file, or arrays.

        Parameters
        ----------
        clip : path, optional
            A video, a sound file or a picture.
        frames : iterable of (H, W, 3) uint8, optional
            Pictures, RGB, in the order of time; an array (T, H, W, 3) or anything that yields them.
        times : iterable of float, optional
            When each of them is shown, in s from the beginning of the sound, ascending.
        samples : (N,) or (channels, N), optional
            Sound, float in -1..1 or int16.
        rate : int, optional
            Of the samples, Hz.
        cropped : bool
            Every picture is a face and nothing else: none is looked for.
        reference : path, optional
            Folder with other recordings of the person; for models that were trained with ``normalise: subject`` and
            loaded with ``load_models(reference=True)``.

        Returns
        -------
        pandas.DataFrame
            A row per person and window: file, person, start_s, end_s, label, ``p_<class>``, face_share, voice_share,
            confidence, used (docs/outputs.md says what each means). ``attrs["verdict"]`` has the label and the
            probabilities of the whole recording, ``attrs["model"]`` who judged, ``attrs["reference"]`` which reference
            of the person was used: none, running (what was there until then), or folder.

        Raises
        ------
        mien.errors.MediaError
            The file cannot be read.
        ValueError
            The arrays do not go together.
        """
        own = read_reference([Path(reference)], self.networks) if reference is not None else None
        if clip is not None:
            if frames is not None or samples is not None:
                raise ValueError("give a clip, or frames and samples, not both")
            windows = {"window_s": self.window_s, "hop_s": self.hop_s}
            found = judge_file(Path(clip), self.networks, **windows, cropped=cropped, reference=own)
            return self._finish(found.table, found.probabilities, found.model, found.reference)
        if frames is None and samples is None:
            raise ValueError("there is nothing to judge: give a clip, frames with their times, or samples with rate")
        engine = self._engine(batch=BATCH, cropped=cropped, reference=own)
        rows = [] if frames is not None else engine.end_pictures()
        if samples is not None:
            rows += engine.add_sound(to_mono(_as_channels(samples), _as_rate(rate), engine.sound.rate_hz))
        if frames is not None:
            for time_s, picture in _in_order(frames, times):
                rows += engine.add_picture(time_s, picture)
        rows += engine.finish()
        return self._finish(table(rows, engine.classes), engine.verdict, engine.verdict_model, engine.reference)

    def stream(self, *, pictures: bool = True) -> "Stream":
        """Begin to judge something that is still going on.

        Parameters
        ----------
        pictures : bool
            False where there will be sound only; rows then come as the sound does.
        """
        return Stream(self, pictures=pictures)

    def _engine(self, **how: Any) -> Engine:
        return Engine(self.networks, window_s=self.window_s, hop_s=self.hop_s, **how)

    def _finish(
        self, rows: pd.DataFrame, probabilities: np.ndarray, model: Model | None, reference: str
    ) -> pd.DataFrame:
        rows.attrs["verdict"] = name_verdict(probabilities, self.classes)
        rows.attrs["model"] = model_facts(model or self.networks[0])
        rows.attrs["reference"] = reference
        return rows


class Stream:
    """Something that is still going on; made by `Models.stream`. Rows come back as soon as their windows end."""

    def __init__(self, models: Models, *, pictures: bool = True) -> None:
        self._models, self._engine = models, models._engine(batch=1)
        self._pictures = pictures
        self._rate_hz: int | None = None
        self._resampler: Resampler | None = None
        self._rows: list[Row] = [] if pictures else self._engine.end_pictures()
        self._newest_s = -np.inf

    def add_sound(self, samples: np.ndarray, rate: int) -> pd.DataFrame:
        """Take the next samples; those up to a picture's time come before the picture.

        Parameters
        ----------
        samples : (N,) or (channels, N)
            Float in -1..1 or int16; the first of all is at time 0.
        rate : int
            Hz; the same in every call.

        Returns
        -------
        pandas.DataFrame
            The rows of the windows that ended, perhaps none.
        """
        rate = _as_rate(rate)
        if self._rate_hz not in (None, rate):
            raise ValueError(f"the sound had a rate of {self._rate_hz} Hz and now has {rate}; begin a new stream")
        if self._resampler is None:
            self._rate_hz, self._resampler = rate, Resampler(rate, self._engine.sound.rate_hz)
        mono = _as_channels(samples).mean(axis=0)
        return self._keep(self._engine.add_sound(self._resampler.take(mono)))

    def add_picture(self, time_s: float, picture: np.ndarray) -> pd.DataFrame:
        """Take the next picture.

        Parameters
        ----------
        time_s : float
            When it is shown, in s from the beginning of the stream; times ascend.
        picture : (H, W, 3) uint8
            RGB.

        Returns
        -------
        pandas.DataFrame
            The rows of the windows that ended, perhaps none.
        """
        if not self._pictures:
            raise ValueError("this stream was begun without pictures; begin one with models.stream()")
        _check_picture(picture, float(time_s), self._newest_s)
        self._newest_s = float(time_s)
        return self._keep(self._engine.add_picture(self._newest_s, picture))

    def finish(self) -> pd.DataFrame:
        """Return all rows of the stream, which is over, with ``attrs`` as of `Models.predict`."""
        if self._resampler is not None:
            self._rows += self._engine.add_sound(self._resampler.finish())
        self._rows += self._engine.finish()
        rows = table(self._rows, self._engine.classes)
        engine = self._engine
        return self._models._finish(rows, engine.verdict, engine.verdict_model, engine.reference)

    def _keep(self, rows: list[Row]) -> pd.DataFrame:
        self._rows += rows
        return table(rows, self._engine.classes)


def predict(
    clip: str | os.PathLike[str],
    *,
    models: Models | None = None,
    cropped: bool = False,
    reference: str | os.PathLike[str] | None = None,
) -> pd.DataFrame:
    """Judge a video, a sound file or a picture.

    Parameters
    ----------
    clip : path
        The file.
    models : Models, optional
        Networks that were loaded before; by default those of `load_models`, loaded anew in each call.
    cropped, reference
        See `Models.predict`.

    Returns
    -------
    pandas.DataFrame
        See `Models.predict`.
    """
    if models is not None and not isinstance(models, Models):
        raise TypeError(f"models should come from mien.load_models(FOLDER), got {models!r}")
    models = models or load_models(reference=reference is not None)
    return models.predict(clip, cropped=cropped, reference=reference)


def load_models(
    folder: str | os.PathLike[str] | None = None,
    *,
    window_s: float | None = None,
    hop_s: float | None = None,
    reference: bool = False,
    runtime: str = "torch",
) -> Models:
    """Load trained networks once, onto the GPU if there is one.

    Parameters
    ----------
    folder : path, optional
        Folder with model files (of ``mien export_model``, or ``model.safetensors`` of runs), or with the results of the
        workflow. By default that of the environment variable MIEN_MODELS, else of results here, those beside mien and
        what came with it the first that was trained on people. Which rows of them judge is said by section ``predict``
        of params.yaml here, or of that of mien.
    window_s, hop_s : float, optional
        Length of a window and step from one to the next, in s; by default as in that section.
    reference : bool
        There will be other recordings of the person: of models that judge by the same, those that use them are taken.
    runtime : {"torch", "onnx"}
        What runs the networks; onnxruntime on the CPU.

    Raises
    ------
    mien.errors.ModelError
        There is no model, or one that cannot be loaded.
    mien.errors.ConfigError
        A window or a step is not positive, or a step is longer than a window.
    """
    settings = schema.section(schema.PredictConfig, schema.load(""), "predict")
    folder = folder or os.environ.get(VARIABLE)
    try:
        files = find_trained(Path(folder) if folder else None, settings.corpus, settings)
    except ModelError:
        files = sorted(Path(folder).glob("*.safetensors")) if folder else []  # of runs, not exported
        if not files:
            raise
    networks = load_files(files, reference=reference, runtime=runtime)
    given = {name: value for name, value in (("window_s", window_s), ("hop_s", hop_s)) if value is not None}
    settings = schema.section(schema.PredictConfig, {"predict": plain(settings) | given}, "predict")
    return Models(networks, settings.window_s, settings.hop_s)


def _in_order(frames: Iterable[np.ndarray], times: Iterable[float] | None) -> Iterator[tuple[float, np.ndarray]]:
    """Yield (time in s, picture).

    Raises
    ------
    ValueError : not as many times as pictures, times that do not ascend, or what is no picture.
    """
    if times is None:
        raise ValueError("frames need times: when each is shown, in s")
    newest_s, n = -np.inf, 0
    try:
        for time_s, picture in zip(times, frames, strict=True):
            _check_picture(picture, float(time_s), newest_s)
            newest_s, n = float(time_s), n + 1
            yield newest_s, picture
    except ValueError as error:
        if "zip()" not in str(error):
            raise
        raise ValueError(f"there should be as many times as frames; one of them ended after {n}") from None
    if not n:
        raise ValueError("frames are empty; leave them out where there is sound only")


def _check_picture(picture: Any, time_s: float, newest_s: float) -> None:
    kind = getattr(picture, "dtype", type(picture).__name__), getattr(picture, "shape", ())
    if kind[0] != np.uint8 or len(kind[1]) != 3 or kind[1][2] != 3 or 0 in kind[1]:
        raise ValueError(f"a picture should be an array (H, W, 3) of uint8, RGB; got {kind[0]} {kind[1]}")
    if not 0 <= time_s < np.inf or time_s <= newest_s:
        raise ValueError(f"times should ascend from 0 s on; got {time_s:g} after {max(newest_s, 0.0):g}")


def _as_rate(rate: int | None) -> int:
    if rate is None or rate <= 0:
        raise ValueError(f"samples need their rate in Hz; got {rate}")
    return int(rate)


def _as_channels(samples: np.ndarray) -> np.ndarray:
    """Return samples (channels, N) float32 in -1..1.

    Raises
    ------
    ValueError : they have another shape or kind.
    """
    values = np.atleast_2d(np.asarray(samples))
    is_whole = values.dtype == np.int16
    if values.ndim != 2 or not (is_whole or np.issubdtype(values.dtype, np.floating)):
        raise ValueError(
            f"samples should be an array (N,) or (channels, N), float in -1..1 or int16; got {values.dtype}"
            f" {np.shape(samples)}"
        )
    if values.shape[0] > values.shape[1] > 0 and values.shape[0] > 32:
        raise ValueError(f"samples are (channels, N); {np.shape(samples)} looks like its transpose")
    return values.astype(np.float32) / (FULL_SCALE if is_whole else 1.0)
