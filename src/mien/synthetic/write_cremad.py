"""Write a synthetic CREMA-D: VideoFlash/ (flv), AudioWAV/, demographics, sentences and perceived labels."""

import csv
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from scipy.signal import resample_poly

from mien.config.schema import SyntheticConfig
from mien.io.media import write_sound, write_video
from mien.synthetic.containers import copy_video
from mien.synthetic.performance import Actor, Planted, Scene, Truth

NAMES = [str(k) for k in range(1001, 1092)]  # every other is a man
EMOTIONS = {"NEU": "neutral", "HAP": "happy", "SAD": "sad", "ANG": "angry", "FEA": "fearful", "DIS": "disgust"}
SENTENCES = ("IEO", "TIE", "IOM", "IWW", "TAI", "MTI", "IWL", "ITH", "DFA", "ITS", "TSI", "WSI")
WAV_HZ = 16000
FLASH_HZ = 22050  # a rate that flv knows

_LEVELS = {"LO": 0.4, "MD": 0.7, "HI": 1.0, "XX": 0.8}
_VOTES = "ADFHNS"  # columns of tabulatedVotes.csv
_N_RATERS = 10
_SENSES = {"Voice": 0.4, "Face": 0.58, "MultiModal": 0.64}  # -> chance that a rater names the intended emotion


def write_actor(scene: Scene, root: Path, actor: Actor) -> Iterator[Truth]:
    """Write the clips of one actor: every sentence in six emotions, the first one in three levels."""
    flash, sounds = root / "VideoFlash", root / "AudioWAV"
    for folder in (flash, sounds):
        folder.mkdir(exist_ok=True)
    for sentence, emotion, level in _cells(scene.config):
        clip = f"{actor.name}_{sentence}_{emotion}_{level}"
        how = {"emotion": EMOTIONS[emotion], "intensity": _LEVELS[level], "sentence": sentence}
        frames, wave, truth = scene.film(actor, clip, **how, rate_hz=WAV_HZ)
        write_sound(sounds / f"{clip}.wav", wave, WAV_HZ)
        write_video(
            flash / f"{clip}.flv",
            frames,
            rate_fps=scene.config.rate_fps,
            wave=resample_poly(wave, FLASH_HZ // 50, WAV_HZ // 50).astype(np.float32),
            rate_hz=FLASH_HZ,
            codecs=("flv", "libmp3lame"),
            options={"qscale": "4", "flags": "+bitexact+qscale", "global_quality": "472"},  # 4 x 118
        )
        yield truth


def finish(scene: Scene, root: Path, actors: list[Actor]) -> list[Planted]:
    """Write the tables of the corpus and plant defects that the real one has."""
    _write_tables(scene, root, actors)
    rng = scene.rng("planted")
    cells = itertools.product([actor.name for actor in actors], ("HAP", "SAD"), ("LO", "HI"))
    graded = [f"{actor}_IEO_{emotion}_{level}" for actor, emotion, level in cells]
    empty, mute, silent, missing, other_missing = rng.choice(graded, 5, replace=False)
    take = f"{rng.choice([actor.name for actor in actors])}_TIE_"
    flash, sounds = root / "VideoFlash", root / "AudioWAV"
    (flash / f"{empty}.flv").write_bytes(b"")
    copy_video(flash / f"{mute}.flv", scratch := flash / "mute.flv")
    scratch.replace(flash / f"{mute}.flv")
    write_sound(sounds / f"{silent}.wav", np.zeros(2 * WAV_HZ, np.float32), WAV_HZ)
    for clip in (missing, other_missing):
        (flash / f"{clip}.flv").unlink()
        (sounds / f"{clip}.wav").unlink()
    one, other = (f"{take}{emotion}_XX" for emotion in ("ANG", "FEA"))
    (sounds / f"{other}.wav").write_bytes((sounds / f"{one}.wav").read_bytes())
    return [
        Planted(empty, f"VideoFlash/{empty}.flv", "empty"),
        Planted(mute, f"VideoFlash/{mute}.flv", "mute"),
        Planted(silent, f"AudioWAV/{silent}.wav", "silent"),
        *(Planted(clip, "", "missing") for clip in (missing, other_missing)),
        *(Planted(clip, f"AudioWAV/{clip}.wav", "twin") for clip in (one, other)),
    ]


def _cells(config: SyntheticConfig) -> list[tuple[str, str, str]]:
    """Return sentence, emotion and level of every clip of an actor: all sentences, or with one take the first few."""
    cells = []
    sentences = SENTENCES if config.takes > 1 else SENTENCES[: 1 + config.statements]
    for sentence, emotion in itertools.product(sentences, EMOTIONS):
        graded = sentence == "IEO" and emotion != "NEU"
        cells += [(sentence, emotion, level) for level in (("LO", "MD", "HI") if graded else ("XX",))]
    return cells


def _write_tables(scene: Scene, root: Path, actors: list[Actor]) -> None:
    rng = scene.rng("tables")
    people = [(a.name, int(rng.integers(20, 75)), a.sex.capitalize(), "Unknown", "Not Hispanic") for a in actors]
    _write_csv(root / "VideoDemographics.csv", ("ActorID", "Age", "Sex", "Race", "Ethnicity"), people)
    clips = [f"{a.name}_{'_'.join(cell)}" for a in actors for cell in _cells(scene.config)]
    _write_csv(root / "SentenceFilenames.csv", ("Stimulus_Number", "Filename"), enumerate(clips, start=1))
    votes, summary = [], []
    for k, clip in enumerate(clips, start=1):
        words: list[object] = [k, clip]
        for block, sharpness in enumerate(_SENSES.values(), start=1):
            chances = np.full(len(_VOTES), (1 - sharpness) / (len(_VOTES) - 1))
            chances[_VOTES.index(clip.split("_")[2][0])] = sharpness
            drawn = rng.multinomial(_N_RATERS, chances).tolist()
            top = _VOTES[int(np.argmax(drawn))]
            votes.append((100000 * block + k, *drawn, clip, _N_RATERS, max(drawn) / _N_RATERS, top))
            words += [top, round(float(rng.normal(65.0, 12.0)), 2)]
        summary.append(words)
    (root / "processedResults").mkdir()
    heads = [f"{sense}{what}" for sense in _SENSES for what in ("Vote", "Level")]
    _write_csv(root / "processedResults" / "summaryTable.csv", ("", "FileName", *heads), summary)
    heads = ("", *_VOTES, "fileName", "numResponses", "agreement", "emoVote")
    _write_csv(root / "processedResults" / "tabulatedVotes.csv", heads, sorted(votes))


def _write_csv(path: Path, heads: Iterable[str], rows: Iterable[Iterable]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC)
        table.writerow(heads)
        table.writerows(rows)
