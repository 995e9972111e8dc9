"""The Candide-3 mesh on every tracked frame of a corpus."""

import dataclasses
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mien.candide.mesh import mesh_digest
from mien.config import schema
from mien.errors import TableError
from mien.io import provenance, shards, tables
from mien.io.files import atomic_folder, digest, read_json, write_json

log = logging.getLogger(__name__)

USED = ["clip", "actor", "label_name", "view", "sequence", "item", "defect"]  # columns of CLIPS that a fit depends on
NEUTRAL = "neutral"
FRONTAL = "090"  # how the view of a frontal camera begins; corpora with one camera leave it empty
BLANK = "blank"  # defect of a picture of one colour
AT_REST = ("neutral", "films")  # sources that show the face at rest, as far as can be known
PEOPLE = "people.parquet"  # beside the index of a part
SOURCES = ("neutral", "first", "films", "mean face")


@dataclasses.dataclass(frozen=True)
class Work:
    """What a process needs to fit a part; `rows` holds the columns `USED` of its clips."""

    shard: Path
    rows: list[dict[str, Any]]
    config: schema.CandideConfig


def fit_candide(
    *, corpus: str, manifest: Path, clips: Path, faces: Path, out: Path, config: str = "params.yaml", jobs: int = 1
) -> None:
    """Fit the Candide-3 mesh to the landmarks of every frame of a corpus.

    Writes per part index.parquet (FITS, in the order of the face shard) and people.parquet (PEOPLE), and once
    manifest.json: digests of the parts, verdicts, where the faces of the people come from, iterations and residuals.

    Parameters
    ----------
    manifest : Path
        manifest.json of extract_faces.
    out : Path
        Folder for the fits and manifest.json.
    jobs : int
        Number of processes.
    """
    from mien.candide.fit import FITTED

    facts = read_json(manifest)
    if not isinstance(facts, dict) or not isinstance(facts.get("parts"), dict):
        raise TableError(f"{manifest}: not a manifest of extract_faces: it lists no parts; run that stage again")
    if facts.get("corpus") != corpus:
        raise TableError(
            f"{manifest}: describes {facts.get('corpus')}, not {corpus}; pass the manifest.json that extract_faces"
            f" wrote for {corpus}, or run it again"
        )
    candide = schema.section(schema.CandideConfig, schema.load(config), "candide")
    listed = tables.read(clips, tables.CLIPS)
    code = provenance.code_digest("candide.extract:fit_candide")
    mesh = mesh_digest()
    tasks = {}
    for part, shard in facts["parts"].items():
        work = Work(faces / part, listed.loc[listed.part == part, USED].to_dict("records"), candide)
        tasks[part] = shards.Task(digest([code, mesh, shard, work.rows, dataclasses.asdict(candide)]), work)
    reports = shards.build_parts(out, tasks, build_part, jobs=jobs)

    fits = [tables.read(out / part / shards.INDEX, tables.FITS) for part in reports] or [tables.empty(tables.FITS)]
    frames = pd.concat([table[["verdict", "residual", "iterations"]] for table in fits], ignore_index=True)
    fitted = frames[frames.verdict == FITTED]
    sources = [(actor, source) for report in reports.values() for actor, source in report["sources"].items()]
    people = {kind: sum(source == kind for _, source in sources) for kind in SOURCES}

    def rounded(value: float) -> float | None:
        return round(float(value), 6) if np.isfinite(value) else None

    summary = {
        "corpus": corpus,
        "parts": {part: report["digest"] for part, report in reports.items()},
        "n_frames": len(frames),
        "verdicts": {verdict: int(n) for verdict, n in frames.verdict.value_counts().sort_index().items()},
        "people": people,
        "persons_without_neutral": sorted({actor for actor, source in sources if actor and source not in AT_REST}),
        "mean_iterations": rounded(fitted.iterations.mean()),
        "residual_median": rounded(fitted.residual.median()),
        "residual_q95": rounded(fitted.residual.quantile(0.95)),
    }
    if sources and not any(people[source] for source in AT_REST):
        summary["warning"] = (
            f"{corpus} has no neutral frontal face of anybody, nor films of it: units are measured from the mean face"
            f" ({people['mean face']} people or parts) or from the first frames of sequences ({people['first']})"
        )
    write_json(out / "manifest.json", summary)
    told = (", ".join(f"{name} {n}" for name, n in summary[key].items()) or "none" for key in ("verdicts", "people"))
    log.info(
        "%s: %d frames (%s); people (%s); %s iterations on average, residual %s in the median, %s at 95 %%",
        *(corpus, len(frames), *told),
        *(summary[key] for key in ("mean_iterations", "residual_median", "residual_q95")),
    )
    if summary["persons_without_neutral"]:
        log.warning("no neutral frontal face of, nor films of: %s", ", ".join(summary["persons_without_neutral"]))
    if "warning" in summary:
        log.warning("%s", summary["warning"])


def build_part(folder: Path, work: Work) -> dict[str, Any]:
    """Fit the faces of the people of one face shard, then its frames; write both and report where faces came from.

    Raises
    ------
    TableError : the shard is damaged, or holds clips that CLIPS does not list.
    """
    from mien.candide.fit import fit_frames

    shard = shards.read_faces(work.shard)  # pixels stay where they are: they are mapped, never read
    if shard.landmarks.shape[1:] != (68, 2):
        path = work.shard / "landmarks.npy"
        raise TableError(f"{path}: expected landmarks (N, 68, 2), found {shard.landmarks.shape}; extract faces again")
    clips = pd.DataFrame(work.rows, columns=USED)
    if unknown := sorted(set(shard.index["clip"]) - set(clips["clip"])):
        raise TableError(
            f"{work.shard / shards.INDEX}: CLIPS has no clip {unknown[0]!r} in this part ({len(unknown)} unknown in"
            " all); the faces are those of another state of the corpus: run extract_faces again"
        )
    frames = shard.index.assign(row=np.arange(len(shard.index))).merge(clips, on="clip", how="left", validate="m:1")
    # In a picture that was cropped beforehand nobody looked for a face: one of a single colour has none.
    frames["found"] &= ~frames.defect.str.split(";").map(lambda codes: BLANK in codes)
    landmarks = np.asarray(shard.landmarks, dtype=np.float64)
    people, fits = [], []
    for actor, rows in frames.groupby("actor", sort=True):
        own, found = landmarks[rows.row], rows.found.to_numpy(bool)
        person = person_of(own, rows, work.config)
        people.append({"actor": actor, **person})
        fitted = fit_frames(own, found=found, recordings=recordings_of(rows), shape=person["shape"], config=work.config)
        values = {name: list(getattr(fitted, name)) for name in ("rotation", "origin", "units")}
        values |= {name: getattr(fitted, name) for name in ("scale", "residual", "iterations")}
        kept = rows[["row", "clip", "frame", "time_s"]]
        fits.append(kept.assign(verdict=fitted.verdict.astype(str), **values))
    table = pd.concat(fits).sort_values("row") if fits else tables.empty(tables.FITS)
    with atomic_folder(folder) as scratch:
        tables.write(scratch / shards.INDEX, table[tables.FITS.columns.names], tables.FITS)
        found = pd.DataFrame(people) if people else tables.empty(tables.PEOPLE)
        tables.write(scratch / PEOPLE, found, tables.PEOPLE)
    return {"n_frames": len(table), "sources": {person["actor"]: person["source"] for person in people}}


def person_of(landmarks: np.ndarray, frames: pd.DataFrame, config: schema.CandideConfig) -> dict[str, Any]:
    """Return what PEOPLE says of one person: stage 1 of the fit.

    Of a person in films, those whose clips have more than one frame (chapter 5), it is `fit_median_shape` of all their
    frontal frames: no label is needed, so nothing is known of tested people that is not seen. In still pictures, each
    another person's or emotion's, the protocol of the thesis (4.1) holds: the median, unit by unit, over the neutral
    frontal pictures; without one that can be fitted, over the first pictures of the sequences, which begin with a
    neutral face in CK+ and MUG. Without these, it is the mean face. Pictures without a name show many people, so
    theirs is the mean face too.

    Parameters
    ----------
    landmarks : (T, 68, 2) px, NaN where no face was found.
    frames : T rows with actor, clip, found, label_name, view, sequence and item, those of a clip in time order.
    """
    from mien.candide.fit import FITTED, fit_median_shape, fit_shapes
    from mien.candide.mesh import SHAPES

    frontal = (frames["view"] == "") | frames["view"].str.startswith(FRONTAL)
    usable = (frames.actor != "") & frames.found & frontal
    unknown = {"shape": np.zeros(len(SHAPES)), "source": "mean face", "clips": []}
    if frames["clip"].duplicated().any():
        shape = fit_median_shape(landmarks[usable], config)
        return unknown if shape is None else {"shape": shape, "source": "films", "clips": []}
    candidates = {
        "neutral": usable & (frames.label_name == NEUTRAL),
        "first": usable & (frames["sequence"] != "") & (frames["item"] == 0),
    }
    for source, chosen in candidates.items():
        places = np.flatnonzero(chosen)
        shapes, verdicts = fit_shapes(landmarks[places], config)
        fitted = verdicts == FITTED
        if fitted.any():
            clips = sorted(frames["clip"].iloc[places[fitted]])
            return {"shape": np.median(shapes[fitted], axis=0), "source": source, "clips": clips}
    return unknown


def recordings_of(frames: pd.DataFrame) -> list[np.ndarray]:
    """Return the places, in time order, of the frames of every recording: a clip, or the stills of one sequence."""
    still = frames["sequence"] != ""
    keyed = pd.DataFrame(
        {
            "still": still,
            "recording": frames["sequence"].where(still, frames["clip"]),
            "item": frames["item"].where(still, 0),
            "frame": frames["frame"],
            "place": np.arange(len(frames)),
        }
    ).sort_values(["still", "recording", "item", "frame", "place"])
    return [rows.place.to_numpy() for _, rows in keyed.groupby(["still", "recording"], sort=True)]
