"""The networks behind the page."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mien.core.config import CandideConfig, WatchConfig
from mien.predict.film import write_film
from mien.predict.live import Live, Moment
from mien.predict.live_models import Models
from mien.predict.web.answers import Trace
from mien.predict.web.app import Engine


def engine_of(models: Models, *, watch: WatchConfig, candide: CandideConfig) -> Engine:
    """Return what judges clips and cameras with these networks, which must be warm."""

    def judge(
        clip: Path, folder: Path, *, name: str, has_sound: bool, units: bool, tell: Callable[[float], None]
    ) -> dict[str, Any]:
        trace = Trace(models.classes)

        def note(moment: Moment) -> None:
            trace.add(moment)
            tell(moment.time_s)

        write_film(clip, folder / "film.mp4", models, watch=watch, candide=candide if units else None, on_moment=note)
        trace.write_csv(folder / "timeline.csv")
        return trace.answer(name, has_sound=has_sound)

    def live(units: bool) -> Live:
        return Live(models, watch=watch, candide=candide if units else None)

    return Engine(classes=models.classes, rate_hz=models.sound.rate_hz, judge=judge, live=live)
