"""A tiny corpus of three speakers, each with a pitch, divided as VoxCeleb is, with its list of pairs."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from mien.io import shards, tables
from mien.io.files import write_json
from mien.io.randomness import rng_for
from training.tiny_corpus import PARAMS, RATE_HZ

SPEAKERS = ("id10001", "id10002", "id10003")
VIDEOS = {"train": ("a", "b", "c", "d"), "dev": ("e",), "test": ("f", "g")}
SILENT = "id10001-g1-00001"  # of the role test
SHORT = "id10002-f2-00001"  # shorter than a segment


def params(**changes) -> str:
    """Return the parameters as JSON, with `changes` of the row Voices."""
    row = yaml.safe_load("""{corpus: voxceleb, modality: audio, target: actor, network: resnet18, init: random,
      trained: all, balance: false, learning_rate: 1.0e-3, epochs: 2, batch: 8}""")
    extractor = {"vgg_width": 2, "vgg_size_px": 32, "crops": 2, "precision": "float32"}
    return json.dumps(PARAMS | {"extractor": extractor, "pretrain": {"Voices": row | changes}})


def write_voices(root: Path, *, split: bool = True) -> Path:
    """Write data/ and results/ below `root`, the official division only if `split`; return results/."""
    clips, waves, sounds, start = [], [], [], 0
    for k, speaker in enumerate(SPEAKERS):
        for side, videos in VIDEOS.items():
            for video in videos:
                clip = f"{speaker}-{video}{k + 1}-00001"
                clips.append(_clip(clip, speaker, k, side if split else ""))
                wave = _wave(clip, k)
                waves.append(wave)
                sounds.append((clip, start, len(wave), 0.2, 0.1, clip == SILENT))
                start += len(wave)
    results = root / "results"
    folder = results / "corpora" / "voxceleb"
    tables.write(folder / "clips.parquet", pd.DataFrame(clips)[tables.CLIPS.columns.names], tables.CLIPS)
    index = pd.DataFrame(sounds, columns=tables.SOUNDS.columns.names)
    shards.write_sound(results / "sound" / "voxceleb" / "p", shards.SoundShard(np.concatenate(waves), index))
    write_json(results / "sound" / "voxceleb" / "manifest.json", {"parts": {"p": "x"}, "rate_hz": RATE_HZ})
    (root / "data" / "voxceleb").mkdir(parents=True)
    first, second, third = SPEAKERS
    pairs = [
        f"1 {first}/f1/00001.wav {first}/g1/00001.wav",  # the second one is silent
        f"1 {second}/f2/00001.wav {second}/g2/00001.wav",
        f"1 {third}/a3/00001.wav {third}/g3/00001.wav",  # the first one is trained on
        f"0 {first}/f1/00001.wav {second}/f2/00001.wav",
        f"0 {second}/a2/00001.wav {third}/b3/00001.wav",
        f"0 {first}/f1/00001.wav id19999/f/00001.wav",  # of somebody whom the corpus does not have
    ]
    (root / "data" / "voxceleb" / "veri_test.txt").write_text("\n".join(pairs) + "\n")
    manifest = {"corpus": "voxceleb", "source": "x", "digest": "x", "root": str(root / "data" / "voxceleb")}
    write_json(root / "data" / "voxceleb.json", manifest)
    return results


def _clip(clip: str, speaker: str, label: int, side: str) -> dict:
    texts = dict.fromkeys(("sequence", "intensity", "statement", "view", "duplicate", "defect", "video"), "")
    flags = {"cropped": False, "has_video": False, "has_audio": True, "apart": False}
    people = {"part": "p", "group": speaker, "actor": speaker, "sex": "female", "label_name": speaker, "label": label}
    names = {"corpus": "voxceleb", "clip": clip, "audio": clip, "item": -1, "split": side, "sha256": clip}
    return texts | flags | people | names


def _wave(clip: str, k: int) -> np.ndarray:
    rng = rng_for(0, clip)
    n = 12000 if clip == SHORT else RATE_HZ + int(rng.integers(0, 2 * RATE_HZ))
    hum = np.sin(2 * np.pi * (300 + 900 * k + rng.normal(0, 20)) * np.arange(n) / RATE_HZ)
    wave = 0.1 * (hum + rng.normal(0, 0.3, n)) * (clip != SILENT)
    return (wave * shards.FULL_SCALE).astype(np.int16)
