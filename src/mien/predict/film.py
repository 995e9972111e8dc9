"""The annotated film of a recording: what the running networks see and hear in it, as `mien watch` shows it live."""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

from mien.core import media
from mien.core.config import CandideConfig, WatchConfig
from mien.core.errors import ConfigError, MediaError
from mien.predict.annotate import Painter
from mien.predict.live import Live, Moment
from mien.predict.live_models import Models
from mien.predict.sources import Sound, open_source


def write_film(
    path: Path,
    out: Path,
    models: Models,
    *,
    watch: WatchConfig,
    candide: CandideConfig | None = None,
    on_moment: Callable[[Moment], None] | None = None,
) -> int:
    """Write the annotated film of `path` to `out`: every picture at its own time, with the sound; return their number.

    With `candide`, the action units of the main face are shown too. `on_moment` is told every moment; what it raises
    ends the film.

    Raises
    ------
    MediaError : `path` cannot be decoded to its end, shows no picture, or `out` cannot be written; then there is no
        file `out`, or still the one that was there before.
    """
    live, painter, n_pictures = Live(models, watch=watch, candide=candide), None, 0
    with contextlib.closing(open_source(str(path), rate_hz=models.sound.rate_hz)) as source:
        sound_of = path if source.has_sound else None
        with media.FilmWriter(out, rate_fps=source.rate_fps, sound_of=sound_of) as film:
            for item in source:
                if isinstance(item, Sound):
                    live.listen(item.samples)
                    continue
                if painter is None:
                    size = item.pixels.shape[1::-1]
                    painter = Painter(models.classes, size=size, timeline_s=watch.timeline_s, units=candide is not None)
                moment = live.look(item.time_s, item.pixels)
                film.write(item.time_s, painter.paint(moment))
                if on_moment is not None:
                    on_moment(moment)
                n_pictures += 1
            if source.problem:
                raise MediaError(source.problem)
    return n_pictures


def why_no_film(path: Path) -> str:
    """Say why there is no film to write of a clip; empty where there is one."""
    if path.suffix.lower() in media.IMAGE_SUFFIXES:
        return "a still picture has no film"
    if path.suffix.lower() in media.SOUND_SUFFIXES or not media.probe(path).has_video:
        return "a sound without pictures has no film"
    return ""


def film_paths(clips: Sequence[Path], stems: Sequence[str], out: Path, *, alone: bool) -> list[Path]:
    """Return where the film of each clip is written: `out` itself for one clip, else <stem>.mp4 in the folder `out`.

    alone : one file was named, neither several nor a folder.

    Raises
    ------
    ConfigError : a folder is needed and `out` is a file or has the name of a film, or a film would take the place of
        a clip.
    MediaError : the one film has a name that is none of a film.
    """
    if alone and not out.is_dir():
        media.FilmWriter(out)  # refuses what it could not write
        films = [out]
    elif out.is_file() or (not out.is_dir() and out.suffix.lower() in media.FILM_SUFFIXES):
        raise ConfigError(f"{out}: --video should be a folder where there are several clips")
    else:
        films = [out / f"{stem}.mp4" for stem in stems]
    sources = {clip.resolve() for clip in clips}
    if over := next((film for film in films if film.resolve() in sources), None):
        raise ConfigError(f"{over}: --video would write over this clip; name another place")
    return films
