"""A tiny corpus of shards whose class shows in the colour of a face and in the pitch of a voice."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mien.io import shards, tables
from mien.io.files import write_json
from mien.io.randomness import rng_for

CLASSES = ("low", "high")
RATE_HZ = 16000
PARAMS = {
    "seed": 0,
    "faces": {"rate_fps": 10, "size_px": 16, "detect_px": 240, "detect_every": 8, "margin": 1.2, "region_s": 2.0},
    "sound": {
        "rate_hz": RATE_HZ,
        "silence_dbfs": -60.0,
        "window": 512,
        "hop": 64,
        "segment": 250,
        "log": True,
        "pool": 8,
    },
    "augment": {
        "mirror": 0.5,
        "crop": 0.1,
        "blur": 0.5,
        "blur_sigma": 0.5,
        "contrast": [0.9, 1.1],
        "noise": 5.0,
        "scale": [0.9, 1.1],
        "translate": 0.1,
        "rotate": 25.0,
        "shear": 8.0,
        "slice": 0.8,
    },
    "train": {
        "protocol": "honest",
        "width": 2,
        "frames": 2,
        "batch": 6,
        "learning_rate": 1.0e-2,
        "weight_decay": 0.01,
        "dropout": 0.1,
        "epochs": 3,
        "patience": 2,
        "stop": 10,
        "precision": "float32",
    },
    "variants": {
        name: {
            "modalities": modalities,
            "fusion": fusion,
            "aggregator": "lstm",
            "augmentation": "VA+AO",
            "side_head": "dense",
            "init": {},
            "frozen": frozen,
        }
        for name, modalities, fusion, frozen in (
            ("AM", ["audio"], "single", {}),
            ("VM", ["video"], "single", {}),
            ("N0_late", ["video", "audio"], "n0", {"video": "VM", "audio": "AM"}),
            ("N1", ["video", "audio"], "n1", {}),
            ("N2", ["video", "audio"], "mrpn", {}),
        )
    },
}


@dataclass(frozen=True)
class TinyCorpus:
    """A results folder with one corpus of shards, and the parameters to train on it."""

    results: Path
    name: str
    params: dict

    def config(self, **changes) -> str:
        """Return the parameters as JSON, with `changes` of the section train."""
        return json.dumps(self.params | {"train": self.params["train"] | changes})


def write_corpus(results: Path, *, name="tiny", n_actors=6, takes=4, with_video=True, seed=0) -> TinyCorpus:
    """Write clips, folds and shards: actor a0 tests, a1 validates; a0's first clip has no face, its last is silent."""
    rng = rng_for(seed, name)
    clips, frames, sounds = [], {}, {}
    for actor in range(n_actors):
        part = f"a{actor}"
        for take in range(2 * takes):
            clip, label = f"{part}-{take}", take % 2
            clips.append(_clip(name, clip, part, label, with_video))
            frames.setdefault(part, []).append(_face(clip, label, 0 if (actor, take) == (0, 0) else 2, rng))
            sounds.setdefault(part, []).append(_voice(clip, label, (actor, take) == (0, 2 * takes - 1), rng))
    folder = results / "corpora" / name
    rows = pd.DataFrame(clips)
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
    return texts | {
        "corpus": corpus,
        "clip": clip,
        "part": part,
        "group": part,
        "actor": part,
        "sex": "female",
        "video": "v",
        "audio": "a",
        "item": -1,
        "label": label,
        "label_name": CLASSES[label],
        "cropped": False,
        "has_video": with_video,
        "has_audio": True,
        "apart": False,
        "sha256": clip,
    }


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


def _face_shard(clips) -> shards.FaceShard:
    frames = np.concatenate([pixels for pixels, _ in clips])
    landmarks = np.zeros((len(frames), 68, 2), np.float32)
    index = pd.concat([index for _, index in clips], ignore_index=True)
    return shards.FaceShard(frames, landmarks, index, along=frames)


def _sound_shard(clips) -> shards.SoundShard:
    waves = [wave for _, wave, _ in clips]
    starts = np.cumsum([0, *(len(wave) for wave in waves)])[:-1]
    index = pd.DataFrame(
        {
            "clip": [clip for clip, _, _ in clips],
            "start": starts,
            "n_samples": [len(wave) for wave in waves],
            "peak": 0.2,
            "rms": 0.1,
            "silent": [silent for _, _, silent in clips],
        }
    )
    return shards.SoundShard(np.concatenate(waves), index)
