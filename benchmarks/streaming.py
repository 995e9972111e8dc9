"""Measure what watching and predicting a film costs, part by part, and whether it keeps up with the clock.

    python benchmarks/streaming.py [--seconds 60] [--units] [--threads 1] [--film FILM] [--models FOLDER]

The film: synthetic takes, 640x360 pixels, 25 frames/s, with sound. The networks are those that come with mien, or of
--models. First the parts of `mien watch` take turns and the CPU time of this process is counted; then `mien predict
FILM` and `mien watch FILM --out` run as they do for a user, decoder included, once they are loaded.
"""

import argparse
import os
import resource
import tempfile
import time
from collections import Counter
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy starts its threads
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"

import cv2
import numpy as np
import torch

from mien.apps.annotate import Annotator
from mien.apps.engine import Engine, warm_up
from mien.apps.models import Model, find_trained, load_models
from mien.apps.recording import judge_file
from mien.apps.sources import open_source
from mien.apps.watch import write_film
from mien.config import schema
from mien.io import isolated, media
from mien.io.randomness import rng_for
from mien.synthetic.people import CLEAR, person_for
from mien.synthetic.performance import perform

SIZE = (640, 360)
RATE_FPS, RATE_HZ = 25, 48000
EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")


def make_film(path: Path, seconds: float, seed: int = 0) -> None:
    """Write takes of one person, one after the other."""
    pictures, waves = [], []
    while len(pictures) < seconds * RATE_FPS:
        take = perform(
            person_for(seed, "benchmark", "01", "female"),
            emotion=EMOTIONS[len(waves) % len(EMOTIONS)],
            intensity=1.0,
            sentence="kids",
            size_px=180,
            rate_fps=RATE_FPS,
            rate_hz=RATE_HZ,
            video=CLEAR,
            audio=CLEAR,
            rng=rng_for(seed, "take", len(waves)),
        )
        frames = [_widened(frame) for frame in take.frames]
        pictures += frames
        waves.append(np.resize(take.wave, round(len(frames) / RATE_FPS * RATE_HZ)))
    n_frames = round(seconds * RATE_FPS)
    wave = np.concatenate(waves)[: round(seconds * RATE_HZ)]
    media.write_video(path, pictures[:n_frames], rate_fps=RATE_FPS, wave=wave, rate_hz=RATE_HZ)


def _widened(frame: np.ndarray) -> np.ndarray:
    """Return a frame in the middle of a picture of the size `SIZE`."""
    height, width = SIZE[1], round(frame.shape[1] * SIZE[1] / frame.shape[0])
    large = cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR)
    left = (SIZE[0] - width) // 2
    return cv2.copyMakeBorder(large, 0, 0, left, SIZE[0] - width - left, cv2.BORDER_REPLICATE)


class Meter:
    """CPU time of the process by part, s."""

    def __init__(self) -> None:
        self.spent: Counter[str] = Counter()

    def call(self, part: str, function, *arguments):
        """Call a function and count its time for a part."""
        start = time.process_time()
        result = function(*arguments)
        self.spent[part] += time.process_time() - start
        return result


def measure_parts(film: Path, out: Path, models: list[Model], windows: dict, watch, candide) -> tuple[Counter, int]:
    """Let the parts take turns; return CPU seconds by part and the number of frames."""
    meter, n_frames = Meter(), 0
    engine = Engine(models, **windows, forget_s=watch.forget_s, candide=candide)
    look = engine._look
    engine._look = lambda *picture: meter.call("faces", look, *picture)
    annotator = Annotator(engine.classes, size=SIZE, timeline_s=watch.timeline_s, units=candide is not None)
    source = open_source(str(film), rate_hz=engine.sound.rate_hz)
    with media.FilmWriter(out, rate_fps=source.rate_fps, sound_of=film) as writer:
        items = iter(source)
        while (item := meter.call("decode", next, items, None)) is not None:
            faces = meter.spent["faces"]
            meter.call("networks", engine.add, item.time_s, item.pixels, item.sound, item.cut)
            meter.spent["networks"] -= meter.spent["faces"] - faces
            if item.pixels is None:
                continue
            moment = meter.call("networks", engine.moment, item.time_s, item.pixels)
            annotated = meter.call("annotate", annotator.draw, moment)
            meter.call("encode", writer.write, item.time_s, annotated)
            n_frames += 1
    source.close()
    return meter.spent, n_frames


def measure_whole(what: str, length_s: float, function, *arguments, **options) -> str:
    """Do it as a command does; say what it takes."""
    isolated.end_all()  # the time of a process counts when it has ended
    started, worked = time.perf_counter(), sum(os.times()[:4])
    function(*arguments, **options)
    isolated.end_all()
    cpu = sum(os.times()[:4]) - worked
    return (
        f"{what}: {time.perf_counter() - started:.1f} s on the clock, {cpu:.1f} s of CPU,"
        f" {length_s / cpu:.1f} times as fast as the film"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the film")
    parser.add_argument("--units", action="store_true", help="fit the action units too")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--film", type=Path, help="measure this film instead, 640x360 and 25 frames/s for the headline")
    parser.add_argument("--models", type=Path, help="folder of models instead of those that come with mien")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    params = schema.load(Path(__file__).resolve().parents[1] / "params.yaml")
    watch = schema.section(schema.WatchConfig, params, "watch")
    candide = schema.section(schema.CandideConfig, params, "candide") if args.units else None
    predict = schema.section(schema.PredictConfig, params, "predict")
    windows = {"window_s": predict.window_s, "hop_s": predict.hop_s}
    models = load_models(find_trained(args.models, predict.corpus, predict))
    warm_up(models, **windows)
    with tempfile.TemporaryDirectory() as folder:
        film, out = args.film or Path(folder) / "film.mp4", Path(folder) / "out.mp4"
        if args.film is None:
            make_film(film, args.seconds)
        spent, n_frames = measure_parts(film, out, models, windows, watch, candide)
        rate = media.probe(film).rate_fps
        wholes = [
            measure_whole("predict", n_frames / rate, judge_file, film, models, **windows, forget_s=watch.forget_s),
            measure_whole(
                "watch", n_frames / rate, write_film, film, out, models, predict=predict, watch=watch, candide=candide
            ),
        ]
    print(f"{n_frames} frames at {rate:g} frames/s, {os.cpu_count()} cores,", end=" ")
    print(f"load {os.getloadavg()[0]:.1f}" + (", with action units" if args.units else ""))
    print(f"{'part':12}{'ms CPU/frame':>14}{'share of a core':>18}")
    for part, value in [*spent.items(), ("together", sum(spent.values()))]:
        print(f"{part:12}{1000 * value / n_frames:14.2f}{value / n_frames * rate:18.1%}")
    print("\n".join(wholes))
    print(f"{n_frames / rate:.1f} s of film; at most {_peak_mb():.0f} MB of memory in one process")


def _peak_mb() -> float:
    return max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024


if __name__ == "__main__":
    main()
