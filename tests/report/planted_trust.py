"""Networks that are right on chosen clips under chosen conditions, with votes of raters, as files."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

import planted
from mien.config.schema import TrustConfig
from mien.evaluation.calibration import CLEAN, Condition, conditions
from mien.io import tables
from mien.io.files import read_json, write_json
from mien.io.randomness import rng_for

MODALITIES = {"AM": ["audio"], "N2": ["video", "audio"]}
TRUST = {
    "corpora": ["cremad"],
    "rows": list(MODALITIES),
    "bins": 10,
    "noise_db": [0.0],
    "picture_noise": [10.0],
    "blur_px": [1.0],
    "light": [0.5],
}
CORPUS, N_ACTORS, N_FOLDS = "cremad", 6, 2
TOLD = 3.0  # logit of the class that is named

Right = Callable[[str, str, str], bool]  # network, condition, clip -> whether it is right


def config(**changes) -> str:
    """Return the JSON that a rule passes to build_trust."""
    values = {"seed": 0, "scale": "mini", "trust": TRUST | changes, "evaluate": planted.EVALUATE}
    return json.dumps(values)


def write_world(
    root: Path, right: Right, *, selections=("honest", "optimistic"), reason: str = "", options=()
) -> list[Path]:
    """Write clips, votes, runs and judgements below `root`; return the run.json files.

    reason : why AM could not be trained, if it could not.   options : further joint networks, of the first fold only.
    """
    networks = MODALITIES | dict.fromkeys(options, MODALITIES["N2"])
    folder = planted.write_corpus(root, n_actors=N_ACTORS, corpus=CORPUS)
    clips = tables.read(folder / "clips.parquet", tables.CLIPS)
    clips["intensity"] = ["HI" if clip.endswith(("0", "1")) else "LO" for clip in clips["clip"]]
    clips.loc[clips.label == 0, "intensity"] = "XX"
    tables.write(folder / "clips.parquet", clips, tables.CLIPS)
    counts = pd.Series({name: int((clips.label_name == name).sum()) for name in planted.CLASSES})
    write_json(folder / "corpus.json", read_json(folder / "corpus.json") | {"counts": counts.to_dict()})
    tables.write(folder / "votes.parquet", votes_on(clips), tables.VOTES)
    paths, judged = [], {network: [] for network in networks}
    for fold in range(N_FOLDS):
        actors = tuple(range(1 + fold, N_ACTORS + 1, N_FOLDS))
        for network, modalities in networks.items():
            if fold and network in options:
                continue
            why = reason if network == "AM" else ""
            files = {"corpus": CORPUS, "selections": selections, "reason": why}
            path = planted.write_run(root, network, fold, actors=actors, fold_name=f"S{fold + 1}", **files)
            run = read_json(path)
            run["config"]["variant"]["modalities"] = modalities
            write_json(path, run)
            paths.append(path)
            judged[network] += [] if why else _judgements(network, modalities, fold, actors, right)
            if "honest" in selections and not why:
                _validate(path, network, fold)
    for network, rows in judged.items():
        frame = pd.DataFrame(rows, columns=tables.ASSESSMENTS.columns.names)
        tables.write(root / "results" / "trust" / CORPUS / f"{network}.parquet", frame, tables.ASSESSMENTS)
    return paths


def votes_on(clips: pd.DataFrame) -> pd.DataFrame:
    """Return votes of ten raters each: who saw and heard a clip names the intended class.

    Of those who heard it 6 name the intended class in takes 0 and 1, 4 in take 2, and 5 in take 3; all others the next.
    """
    rows, n = [], len(planted.CLASSES)
    for clip, label in zip(clips["clip"], clips.label, strict=True):
        own, other = np.eye(n, dtype=int)[label], np.eye(n, dtype=int)[(label + 1) % n]
        heard = {"0": 6 * own + 4 * other, "1": 6 * own + 4 * other, "2": 4 * own + 6 * other, "3": 5 * (own + other)}
        for modality, counts in (("voice", heard[clip[-1]]), ("multimodal", 10 * own)):
            rows.append((clip, modality, counts.tolist(), 10, counts.max() / 10))
    return pd.DataFrame(rows, columns=tables.VOTES.columns.names)


def _judgements(network: str, modalities: list[str], fold: int, actors: tuple[int, ...], right: Right) -> list[tuple]:
    rows, n = [], len(planted.CLASSES)
    for condition in _conditions():
        for actor in actors if condition.concerns(modalities) else ():
            for clip, label in planted.clip_names(actor):
                said = label if right(network, condition.name, clip) else (label + 1) % n
                logits = (TOLD * np.eye(n)[said]).astype(np.float32)
                rows.append((condition.name, fold, 0, clip, f"{actor:02d}", label, logits))
    return rows


def _validate(path: Path, network: str, fold: int) -> None:
    """Replace the validation rows by 60 clips that a network names with logit TOLD and 80 % of the time rightly."""
    rows = tables.read(path.with_name("predictions.parquet"), tables.PREDICTIONS)
    rng, n = rng_for(0, "validation", network, fold), len(planted.CLASSES)
    new = []
    for number in range(60):
        label = int(rng.integers(n))
        said = label if number % 5 else (label + 1) % n
        logits = (TOLD * np.eye(n)[said]).astype(np.float32)
        new.append(("honest", "validation", f"validation-{number}", "99", label, "fused", logits))
    kept = rows[rows.role == "test"]
    frame = pd.concat([kept, pd.DataFrame(new, columns=tables.PREDICTIONS.columns.names)])
    tables.write(path.with_name("predictions.parquet"), frame, tables.PREDICTIONS)


def _conditions() -> list[Condition]:
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in TRUST.items()}
    found = conditions(TrustConfig(**values))
    assert found[0].name == CLEAN
    return found
