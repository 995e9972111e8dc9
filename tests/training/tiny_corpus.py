"""A tiny corpus of shards whose class shows in the colour of a face and in the pitch of a voice."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from mien.config.schema import FacesConfig, SoundConfig
from mien.io import shards, tables
from mien.io.files import write_json
from mien.io.randomness import rng_for
from mien.training import clips
from mien.training.clips import ClipDataset

CLASSES = ("low", "high")
RATE_HZ = 16000
PARAMS = yaml.safe_load("""
seed: 0
faces: {rate_fps: 10, size_px: 16, detect_px: 240, detect_every: 8, margin: 1.2, region_s: 2.0}
sound: {rate_hz: 16000, silence_dbfs: -60.0, window: 512, hop: 64, segment: 250, log: true, pool: 8}
augment: {mirror: 0.5, crop: 0.1, blur: 0.5, blur_sigma: 0.5, contrast: [0.9, 1.1], noise: 5.0, scale: [0.9, 1.1],
  translate: 0.1, rotate: 25.0, shear: 8.0, slice: 0.8}
train: {protocol: honest, width: 2, frames: 2, batch: 6, learning_rate: 1.0e-2, weight_decay: 0.01, dropout: 0.1,
  epochs: 3, patience: 2, stop: 10, precision: float32}
variants:
  AM: {modalities: [audio], fusion: single}
  VM: {modalities: [video], fusion: single}
  N0_late: {modalities: [video, audio], fusion: n0, frozen: {video: VM, audio: AM}}
  N1: {modalities: [video, audio], fusion: n1}
  N2: {modalities: [video, audio], fusion: mrpn}
""")
SOUND = SoundConfig(**PARAMS["sound"])
FACES = FacesConfig(**PARAMS["faces"])


@dataclass(frozen=True)
class TinyCorpus:
    """A results folder with one corpus of shards, and the parameters to train on it."""

    results: Path
    name: str
    params: dict

    def read(self, *modalities: str, running: bool = False) -> ClipDataset:
        """Return the corpus as a network of these modalities sees it."""
        return clips.read(self.results, self.name, modalities, faces=FACES, sound=SOUND, running=running)


def write_corpus(results: Path, *, name="tiny", n_actors=6, takes=4, with_video=True, seed=0) -> TinyCorpus:
    """Write clips, folds and shards: actor a0 tests, a1 validates; a0's first clip has no face, its last is silent."""
    rng = rng_for(seed, name)
    listed, frames, sounds = [], {}, {}
    for actor in range(n_actors):
        part = f"a{actor}"
        for take in range(2 * takes):
            clip, label = f"{part}-{take}", take % 2
            listed.append(_clip(name, clip, part, label, with_video))
            frames.setdefault(part, []).append(_face(clip, label, 0 if (actor, take) == (0, 0) else 2, rng))
            sounds.setdefault(part, []).append(_voice(clip, label, (actor, take) == (0, 2 * takes - 1), rng))
    folder = results / "corpora" / name
    rows = pd.DataFrame(listed)
    tables.write(folder / "clips.parquet", rows[tables.CLIPS.columns.names], tables.CLIPS)
    roles = {0: "test", 1: "validation"}
    folds = [(0, "A0", f"a{actor}", roles.get(actor, "training")) for actor in range(n_actors)]
    tables.write(folder / "folds.parquet", pd.DataFrame(folds, columns=tables.FOLDS.columns.names), tables.FOLDS)
    write_json(folder / "corpus.json", {"corpus": name, "source": "synthetic", "classes": list(CLASSES)})
    for part in sorted(frames) if with_video else []:
        shards.write_faces(results / "faces" / name / part, _face_shard(frames[part]))
    for part in sorted(sounds):
        shards.write_sound(results / "sound" / name / part, _sound_shard(sounds[part]))
    write_json(results / "faces" / name / "manifest.json", {"parts": dict.fromkeys(frames, "x") if with_video else {}})
    write_json(results / "sound" / name / "manifest.json", {"parts": dict.fromkeys(sounds, "x")})
    return TinyCorpus(results, name, PARAMS)


def _clip(corpus, clip, part, label, with_video) -> dict:
    texts = dict.fromkeys(("sequence", "intensity", "statement", "view", "split", "duplicate", "defect"), "")
    names = {
        "corpus": corpus,
        "clip": clip,
        "part": part,
        "group": part,
        "actor": part,
        "sex": "female",
        "sha256": clip,
    }
    files = {"video": "v", "audio": "a", "item": -1, "cropped": False, "has_video": with_video, "has_audio": True}
    return texts | names | files | {"sha256": clip, "label": label, "label_name": CLASSES[label], "apart": False}


def _face(clip, label, n_lost, rng):
    """Ten frames, dark or bright; with `n_lost` > 0 some of the first ones show no face, with 0 none does."""
    n = 10
    pixels = rng.normal(90 + 80 * label, 15, size=(n, 16, 16, 3)).clip(0, 255).astype(np.uint8)
    found = np.arange(n) >= n_lost if n_lost else np.zeros(n, dtype=bool)
    pixels[~found] = 255 * (1 - label)  # what a network must not look at
    time_s = np.arange(n) / 10
    index = {"clip": clip, "frame": np.arange(n), "time_s": time_s, "x": 0.0, "y": 0.0, "side": 16.0, "score": 1.0}
    return pixels, pd.DataFrame(index | {"found": found})


def _voice(clip, label, silent, rng):
    n = RATE_HZ + int(rng.integers(0, 4000))
    wave = np.sin(2 * np.pi * (300 + 1500 * label) * np.arange(n) / RATE_HZ) + rng.normal(0, 0.3, n)
    return clip, (wave * 0.2 * (not silent) * shards.FULL_SCALE).astype(np.int16), silent


def _face_shard(parts) -> shards.FaceShard:
    frames = np.concatenate([pixels for pixels, _ in parts])
    landmarks = np.zeros((len(frames), 68, 2), np.float32)
    return shards.FaceShard(
        frames, landmarks, pd.concat([index for _, index in parts], ignore_index=True), along=frames
    )


def _sound_shard(parts) -> shards.SoundShard:
    names, waves, silent = zip(*parts, strict=True)
    n = [len(wave) for wave in waves]
    index = pd.DataFrame({"clip": names, "start": np.cumsum([0, *n])[:-1], "n_samples": n, "peak": 0.2, "rms": 0.1})
    return shards.SoundShard(np.concatenate(waves), index.assign(silent=silent))
