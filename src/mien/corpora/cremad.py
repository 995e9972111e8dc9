"""CREMA-D (Cao et al. 2014): 91 actors, 12 sentences, 6 emotions; <actor>_<sentence>_<emotion>_<level>.

With the votes of raters on what they heard, saw, or both, as the authors tabulate them.
"""

import itertools
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mien.corpora.base import Access, Listing, find_file, list_files, parse_names, plain_name, read_rows
from mien.errors import CorpusError
from mien.io import tables

CORPUS = "cremad"
CLASSES = ("neutral", "happy", "sad", "angry", "fear", "disgust")
EXAMPLE = "AudioWAV/1001_IEO_ANG_HI.wav"
ACCESS = Access(
    address="https://github.com/CheyneyComputerScience/CREMA-D",
    terms="Open Database License 1.0",
    files="AudioWAV/, VideoFlash/, VideoDemographics.csv and processedResults/ (a git-lfs clone)",
    open=True,
)
DEMOGRAPHICS = "VideoDemographics.csv"
VOTES_FILE = "tabulatedVotes.csv"

_CODES = {"NEU": 0, "HAP": 1, "SAD": 2, "ANG": 3, "FEA": 4, "DIS": 5}
_VOTED = "NHSAFD"  # columns of the votes, in the order of CLASSES
_VOTE_BLOCK = 100_000  # rows 1xxxxx are of voices, 2xxxxx of faces, 3xxxxx of both
_VOTE_MODALITIES = {1: "voice", 2: "face", 3: "multimodal"}
_SENTENCES = ("DFA", "IEO", "IOM", "ITH", "ITS", "IWL", "IWW", "MTI", "TAI", "TIE", "TSI", "WSI")
_NAME = re.compile(rf"(\d{{4}})_({'|'.join(_SENTENCES)})_({'|'.join(_CODES)})_(LO|MD|HI|XX)")
PUBLISHED = {"clip": 7442, "actor": 91, "label_name": dict.fromkeys(CLASSES, 1271) | {"neutral": 1087}}
_SUFFIXES = (".wav", ".flv", ".mp3")  # of AudioWAV, VideoFlash and AudioMP3
_STATED = {  # what the authors say of single takes: clip -> streams lost, what is wrong
    "1064_IEO_DIS_MD": ("video and audio", "a minute long, all emotions"),
    "1064_TIE_SAD_XX": ("video and audio", "no duration"),
    "1076_MTI_SAD_XX": ("video and audio", "bad in every file"),
    "1076_MTI_NEU_XX": ("video", "the picture is very short"),
}


def find(root: Path) -> Listing:
    """List the clips below `root`: the picture from VideoFlash, the sound from AudioWAV.

    Where the WAV of a clip is not there, its sound is that of the film, else the MP3; some of these are silent where
    the WAV is not.

    Raises
    ------
    CorpusError : the actors' sexes (VideoDemographics.csv) are missing or unreadable.
    """
    listing = Listing(CORPUS, CLASSES)
    files = list_files(root)
    sexes = _read_sexes(root, files)

    def is_known(clip: str) -> bool:
        """Tell an actor at hand, and a graded level of no other sentence than IEO."""
        match = _NAME.fullmatch(clip)
        return match is not None and match[1] in sexes and (match[4] == "XX" or match[2] == "IEO")

    def parse(path: str) -> tuple[str, str] | None:
        clip, _, suffix = plain_name(path).rpartition(".")
        return (clip.upper(), f".{suffix}") if is_known(clip.upper()) else None

    takes: dict[str, dict[str, str]] = defaultdict(dict)  # clip -> suffix -> path
    media = [path for path in files if Path(path).suffix.lower() in _SUFFIXES]  # others: labels, documents
    for path, (clip, suffix) in parse_names(listing, media, parse, EXAMPLE):
        takes[clip][suffix] = path
    n_unused = 0
    for clip, of_suffix in sorted(takes.items()):
        mp3 = [of_suffix.pop(".mp3")] if ".mp3" in of_suffix else []
        films = [of_suffix[".flv"]] if ".flv" in of_suffix else []
        sounds = [of_suffix[".wav"]] if ".wav" in of_suffix else films + mp3
        n_unused += len(set(mp3) - set(sounds))
        if ".wav" in of_suffix:
            listing.voiced |= set(films)
        else:
            listing.add_defect("missing", clip=clip, detail="no .wav file", decision=f"use {sounds[0]}")
            of_suffix[".wav"] = sounds[0]
        actor, sentence, emotion, level = clip.split("_")
        lost, detail = _STATED.get(clip, ("", ""))
        if lost:
            listing.add_defect("stated", clip=clip, detail=f"the authors: {detail}", decision=f"drop {lost}")
        listing.add_clip(
            clip,
            label=_CODES[emotion],
            actor=actor,
            sex=sexes[actor],
            intensity=level,
            statement=sentence,
            pictures=[] if "video" in lost else films,
            sounds=[] if "audio" in lost else sounds,
        )
    # the grid of 82 combinations, as far as this copy has the actors and sentences
    actors, sentences = (sorted({clip.split("_")[k] for clip in takes}) for k in (0, 1))
    grid = [
        f"{actor}_{sentence}_{emotion}_{level}"
        for actor, sentence, emotion in itertools.product(actors, sentences, _CODES)
        for level in (("LO", "MD", "HI") if sentence == "IEO" and emotion != "NEU" else ("XX",))
    ]
    listing.add_gaps(grid, takes, words={".flv": ".flv", ".wav": ".wav"}, partly="use the file that is there")
    if n_unused:
        decision = "ignore: the wav is used"  # some MP3s are silent where the WAV is not
        listing.add_defect("unused", path="AudioMP3", detail=f"{n_unused} files", decision=decision)
    judged = votes(root)
    if judged.empty:
        decision, path = "how people understood the clips is not reported", f"processedResults/{VOTES_FILE}"
        listing.add_defect("missing", path=path, detail="no votes of raters", decision=decision)
    for clip in sorted(clip for clip in set(judged["clip"]) if not is_known(clip)):
        listing.add_defect("misnamed", clip=clip, path=VOTES_FILE, detail="votes of no clip", decision="ignore")
    return listing


def votes(root: Path) -> pd.DataFrame:
    """Return VOTES of the corpus below `root`; no rows where the copy has no votes, which `find` puts on record.

    Raises
    ------
    CorpusError : the table of votes is damaged.
    """
    path = find_file(list_files(root), VOTES_FILE)
    return tables.empty(tables.VOTES) if path is None else read_votes(Path(root) / path, _VOTED)


def read_votes(path: Path, codes: Sequence[str]) -> pd.DataFrame:
    """Return VOTES of a tabulatedVotes.csv.

    codes : columns of the classes, in the order of their labels.

    Raises
    ------
    CorpusError : the file cannot be read, lacks columns, or contradicts itself.
    """
    rows = []
    for number, row in enumerate(read_rows(path, "", *codes, "fileName", "numResponses"), start=2):
        try:
            counts = [int(row[code]) for code in codes]
            modality = _VOTE_MODALITIES[int(row[""]) // _VOTE_BLOCK]
            n, clip = int(row["numResponses"]), row["fileName"]
        except (KeyError, TypeError, ValueError) as error:
            raise CorpusError(
                f"{path}, line {number}: needs a number beginning with 1, 2 or 3, the columns {', '.join(codes)},"
                f" fileName and numResponses ({error!r}); fetch it again"
            ) from error
        if n < 1 or sum(counts) != n or min(counts) < 0:
            raise CorpusError(f"{path}, line {number}: {clip} has the votes {counts} of {n} raters; fetch it again")
        rows.append((clip, modality, counts, n, max(counts) / n))
    votes = pd.DataFrame(rows, columns=tables.VOTES.columns.names)
    twice = votes[votes.duplicated(["clip", "modality"])]
    if len(twice):
        modality, clip = twice[["modality", "clip"]].iloc[0]
        raise CorpusError(f"{path}: two rows for the {modality} of {clip}; fetch it again")
    return votes.sort_values(["clip", "modality"], ignore_index=True)


def _read_sexes(root: Path, files: list[str]) -> dict[str, str]:
    path = find_file(files, DEMOGRAPHICS)
    if path is None:
        raise CorpusError(f"{root}: {DEMOGRAPHICS} is missing; fetch it from {ACCESS.address}")
    sexes: dict[str, str] = {}
    for row in read_rows(Path(root) / path, "ActorID", "Sex"):
        actor, sex = row["ActorID"], row["Sex"].lower()
        if sexes.setdefault(actor, sex) != sex:
            raise CorpusError(f"{root}/{path}: {actor} is {sexes[actor]} in one row, {sex} in another; mend it")
    if not sexes or not set(sexes.values()) <= {"male", "female"}:
        raise CorpusError(f"{root}/{path}: Sex should be Male or Female, found {sorted(set(sexes.values()))}")
    return sexes
