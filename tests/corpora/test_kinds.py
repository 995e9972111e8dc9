"""Corpora as people have them: every kind of input, on every corpus it applies to, is read or said, never silent."""

import contextlib
import os
import re
import shutil
import socket
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.corpora.cremad import DEMOGRAPHICS, VOTES_FILE
from mien.corpora.download import describe_folder, open_source
from mien.corpora.index import compare_counts, index
from mien.errors import CorpusError
from mien.io.media import write_sound, write_video
from mien.synthetic.containers import write_pointer

RNG = np.random.default_rng(0)
CREMAD_ACTORS = {"1001": "Male", "1002": "Female", "1003": "Male"}
CREMAD_TAKES = ("DFA_ANG_XX", "DFA_SAD_XX")
SPEAKERS = ("id10001", "id10002", "id10003", "id10004")
MEDIA = (".wav", ".mp4", ".flv", ".png", ".jpg", ".tiff", ".mp3")


def noise(n=4000):
    return RNG.normal(0.0, 0.1, n).astype(np.float32)


def put(path: Path, content: bytes | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def sound(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_sound(path, noise(), 16000)


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 255, (48, 48), dtype=np.uint8)).save(path)


def film(path: Path, **how) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = RNG.integers(0, 255, (10, 32, 32, 3), dtype=np.uint8)
    write_video(path, frames, rate_fps=10, **how)


def write_ravdess(root):
    for actor in ("01", "02", "03"):
        for take in ("01-01-01-01", "03-01-01-01"):
            sound(root / f"Actor_{actor}/03-01-{take}-{actor}.wav")
        film(root / f"Actor_{actor}/01-01-01-01-01-01-{actor}.mp4", wave=noise(48000))


def write_cremad(root):
    put(root / DEMOGRAPHICS, "ActorID,Age,Sex\n" + "".join(f"{a},30,{sex}\n" for a, sex in CREMAD_ACTORS.items()))
    rows = [f"10000{k},1,0,0,0,0,0,{actor}_DFA_ANG_XX,1\n" for k, actor in enumerate(CREMAD_ACTORS)]
    put(root / "processedResults" / VOTES_FILE, ",A,D,F,H,N,S,fileName,numResponses\n" + "".join(rows))
    for actor in CREMAD_ACTORS:
        for take in CREMAD_TAKES:
            sound(root / f"AudioWAV/{actor}_{take}.wav")
            film(
                root / f"VideoFlash/{actor}_{take}.flv",
                wave=noise(22050),
                rate_hz=22050,
                codecs=("flv", "libmp3lame"),
                options={},
            )


def fer_row(usage, label=3, **values):
    pixels = " ".join(str(v) for v in RNG.integers(0, 255, 48 * 48))
    return f"{label},{values.get('pixels', pixels)},{usage}\n"


def write_fer2013(root):
    usages = ("Training", "Training", "PublicTest", "PrivateTest")
    put(root / "fer2013.csv", "emotion,pixels,Usage\n" + "".join(map(fer_row, usages)))


def write_fer2013_images(root):
    for name in ("train/happy/Training_1", "train/sad/Training_2", "test/sad/PublicTest_3", "test/fear/PrivateTest_4"):
        picture(root / f"{name}.jpg")


def write_ckplus(root):
    for subject in ("S005", "S010", "S011"):
        for number in range(1, 6):
            picture(root / f"cohn-kanade-images/{subject}/001/{subject}_001_{number:08d}.png")
        put(root / f"Emotion/{subject}/001/{subject}_001_00000005_emotion.txt", "   3.0000000e+00\n")


def write_rafd(root):
    for model in ("01", "02", "03"):
        for emotion in ("angry", "happy"):
            picture(root / f"Rafd090_{model}_Caucasian_male_{emotion}_frontal.jpg")


def write_mug(root):
    for subject in ("001", "002", "003"):
        for number in range(6):
            picture(root / f"subjects3/{subject}/anger/take000/img_{number:04d}.jpg")


def write_jaffe(root):
    for model in ("KA", "KL", "YM"):
        for k, emotion in enumerate(("AN1", "HA1"), start=39):
            picture(root / f"{model}.{emotion}.{k}.tiff")


def write_voxceleb(root):
    names = [f"{speaker}/1zcIwhmdeo4/{number:05d}.wav" for speaker in SPEAKERS for number in (1, 2)]
    for name in names:
        sound(root / "wav" / name)
    put(root / "iden_split.txt", "".join(f"{1 + 2 * (k % 2)} {name}\n" for k, name in enumerate(names)))
    put(root / "veri_test.txt", f"1 {names[0]} {names[1]}\n")
    rows = [f"{speaker}\tA_B\t{'mf'[k % 2]}\tX\tdev\n" for k, speaker in enumerate(SPEAKERS)]
    put(root / "vox1_meta.csv", "VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet\n" + "".join(rows))


WRITERS = {
    "ravdess": write_ravdess,
    "cremad": write_cremad,
    "fer2013": write_fer2013,
    "fer2013/images": write_fer2013_images,
    "ckplus": write_ckplus,
    "rafd": write_rafd,
    "mug": write_mug,
    "jaffe": write_jaffe,
    "voxceleb": write_voxceleb,
}
ALL = tuple(WRITERS)
HELD = tuple(name for name in ALL if name != "fer2013")  # a file per medium
LISTED = ("cremad", "fer2013", "ckplus", "voxceleb")  # with label files


def read(copy: str, source: Path, folder: Path):
    """Return what both commands make of a source."""
    corpus = copy.split("/")[0]
    root = open_source(corpus, source, folder)
    assert describe_folder(root)["n_files"]
    return index(corpus, root, n_folds=1 if corpus in ("fer2013", "voxceleb") else 3)


@pytest.fixture(scope="session")
def originals(tmp_path_factory):
    """Return a function copy -> (its folder, what is read from it); each is written when it is first asked for."""
    made = {}

    def get(copy):
        if copy not in made:
            root = tmp_path_factory.mktemp("kinds") / "source"
            WRITERS[copy](root)
            made[copy] = root, read(copy, root, root.parent / "unused")
        return made[copy]

    return get


def media_of(root):
    return sorted(path for path in root.rglob("*") if path.suffix.lower() in MEDIA)


def files_of(root):
    return sorted(path for path in root.rglob("*") if path.is_file())


def first(root):
    """Return the medium that most kinds damage: of several of a clip, one that has a substitute or none."""
    return media_of(root)[0]


def rename_all(change):
    def damage(root):
        for path in files_of(root):
            path.rename(path.with_name(change(path)))

    return damage


def rewrite(change, *names):
    """Change the bytes of label files."""

    def damage(root):
        for path in files_of(root):
            if path.suffix in (".txt", ".csv") and (not names or path.name in names):
                path.write_bytes(change(path.read_bytes()))

    return damage


def on_first(change):
    return lambda root: change(first(root))


def replace_first(make):
    """Put what is no file in the place of a medium."""

    def damage(root):
        path = first(root)
        path.unlink()
        make(path)

    return damage


def pack(target, root, paths, mode="zip"):
    if mode == "zip":
        with zipfile.ZipFile(target, "w") as archive:
            for path in paths:
                archive.write(path, path.relative_to(root))
    else:
        with tarfile.open(target, f"w:{mode}") as archive:
            for path in paths:
                archive.add(path, path.relative_to(root))


def pack_all(name, mode="zip", keep=lambda k: False):
    """Pack every file into one archive, and leave those that `keep` names beside it."""

    def damage(root):
        paths = files_of(root)
        pack(root / name, root, paths, mode)
        for k, path in enumerate(paths):
            if not keep(k):
                path.unlink()

    return damage


def pack_half(root):
    paths = files_of(root)[::2]
    pack(root / "part (1).ZIP", root, paths)
    for path in paths:
        path.unlink()


def pack_nested(root):
    pack_all("inner.zip")(root)
    pack(root / "middle.tar.gz", root, [root / "inner.zip"], "gz")
    (root / "inner.zip").unlink()
    pack(root / "outer.zip", root, [root / "middle.tar.gz"])
    (root / "middle.tar.gz").unlink()


def pack_deep(root):
    pack_all("a0.zip")(root)
    for k in range(5):
        pack(root / f"a{k + 1}.zip", root, [root / f"a{k}.zip"])
        (root / f"a{k}.zip").unlink()


def unpack_partly(root):
    """Leave an archive and what was unpacked from it until it broke off, in the middle of a file."""
    pack_all("all.zip", keep=lambda k: k < 9)(root)
    cut(first(root))


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def add_junk(root):
    medium = first(root)
    for path in (medium.with_name(f"._{medium.name}"), medium.with_name("Thumbs.db"), root / ".DS_Store"):
        put(path, b"\0\1")
    put(root / "__MACOSX" / f"._{medium.name}", b"\0")


def nest_one(root):
    medium = first(root)
    put(root / "again" / medium.relative_to(root), medium.read_bytes())


def nest_one_rival(root):
    medium = first(root)
    put(root / "again" / medium.relative_to(root), medium.read_bytes() + b"\0")


def add_loop(root):
    (root / "loop").symlink_to(root)
    (first(root).parent / f"self{first(root).suffix}").symlink_to(f"self{first(root).suffix}")


def add_latin_name(root):
    with contextlib.suppress(OSError):  # file systems that take UTF-8 only
        Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9.wav")).write_bytes(b"?")


def plug(path):
    short = Path(tempfile.mkdtemp()) / "s"  # a path of a socket is short
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(short))
        short.rename(path)
    short.parent.rmdir()


def bomb(path):
    """Write a PNG of 400 million pixels in 60 bytes."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 20000, 20000, 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))


def set_rate(path):
    content = bytearray(path.read_bytes())
    content[24:28] = struct.pack("<I", 1)
    path.write_bytes(content)


def not_finite(path):
    wave = noise()
    wave[5] = np.nan
    body = wave.astype("<f4").tobytes()
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 36 + len(body), b"WAVE", b"fmt ", 16, 3, 1, 16000, 64000, 4, 32)
    path.write_bytes(head + struct.pack("<4sI", b"data", len(body)) + body)


def of_suffix(suffix, change):
    def damage(root):
        change(next(path for path in media_of(root) if path.suffix == suffix))

    return damage


def remove(*patterns):
    def damage(root):
        for path in [path for pattern in patterns for path in root.glob(pattern)]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return damage


def append(name, text):
    def damage(root):
        path = root / name
        path.write_bytes(path.read_bytes() + text.encode())

    return damage


def both(*steps):
    def damage(root):
        for step in steps:
            step(root)

    return damage


def to_mp3(root):
    for path in sorted((root / "AudioWAV").iterdir()):
        (root / "AudioMP3").mkdir(exist_ok=True)
        write_sound(root / "AudioMP3" / f"{path.stem}.mp3", noise(16000), 16000, codec="libmp3lame")
    shutil.rmtree(root / "AudioWAV")
    shutil.rmtree(root / "VideoFlash")


def same_number(root):
    picture(root / "train/surprise/Training_1.jpg")


@dataclass(frozen=True)
class Same:
    """The tables are those of the whole copy."""


@dataclass(frozen=True)
class Row:
    """DEFECTS has `n` rows more, of this code, whose detail or decision has the words."""

    defect: str
    words: str = ""
    n: int = 1
    also: tuple[str, ...] = ()  # codes of further rows


@dataclass(frozen=True)
class Error:
    """One sentence with these words."""

    words: str


GAP = r"no [\w ,.-]+ file$|the grid of takes"  # what a copy lacks of its own grid
CSV_TO = {
    "semicolons": lambda text: text.replace(b",", b";").replace(b"\t", b";"),
    "tabs": lambda text: text.replace(b",", b"\t"),
    "commas": lambda text: text.replace(b"\t", b","),
}
TABLES = (DEMOGRAPHICS, VOTES_FILE, "vox1_meta.csv")
CREMAD_VOTES = f"processedResults/{VOTES_FILE}"
PEAK = "Emotion/S005/001/S005_001_0000000{}_emotion.txt"

# kind of input, copies it applies to, how it is made, what must come out
KINDS: list[tuple[str, tuple[str, ...], Callable[[Path], object], object]] = [
    ("suffixes in capitals", ALL, rename_all(lambda p: f"{p.stem}{p.suffix.upper()}"), Same()),
    ("names in capitals", ALL, rename_all(lambda p: p.name.upper()), Same()),
    ("names in small letters", ALL, rename_all(lambda p: p.name.lower()), Same()),
    ("(1) in every name", ALL, rename_all(lambda p: f"{p.stem} (1){p.suffix}"), Same()),
    ("Copy in every name", ALL, rename_all(lambda p: f"{p.stem} - Copy{p.suffix}"), Same()),
    ("hidden and system files", HELD, add_junk, Same()),
    ("a document beside", ALL[1:], lambda root: put(root / "README.pdf", b"%PDF"), Same()),
    ("one zip", ALL, pack_all("all.zip"), Same()),
    ("one tar.gz", ALL, pack_all("all.tar.gz", "gz"), Same()),
    ("one tar.xz", ALL, pack_all("all.tar.xz", "xz"), Same()),
    ("a ZIP beside what it lacks", HELD, pack_half, Same()),
    ("a zip beside what was unpacked", HELD, pack_all("all.zip", keep=lambda k: k < 4), Same()),
    ("archives in archives", ALL, pack_nested, Same()),
    ("archives in archives without end", ("jaffe",), pack_deep, Error("deeper than 3")),
    ("unpacking broke off", HELD, unpack_partly, Error("differs from the same file of an archive beside it")),
    ("a damaged zip beside", ALL, lambda root: put(root / "more.zip", b"PK??"), Error(r"more\.zip: damaged")),
    ("a rar beside", ALL, lambda root: put(root / "more.rar", b"Rar!"), Row("packed", "unpack it")),
    ("a part of an archive", ALL, lambda root: put(root / "dev_wav_partaa", b"PK"), Row("packed", "join the parts")),
    ("a name that is not UTF-8", ALL, add_latin_name, Row("unreadable", "not UTF-8")),
    ("the same file again", HELD, nest_one, Row("twin copy", "same name and bytes")),
    ("another file of this name", HELD, nest_one_rival, Row("rival copy", "other bytes")),
    ("links that go round", HELD, add_loop, Row("misnamed")),
    ("an empty medium", HELD, on_first(lambda p: p.write_bytes(b"")), Row("empty", "0 bytes")),
    ("a git-lfs pointer", HELD, on_first(lambda p: write_pointer(p, "0" * 64, 9)), Row("pointer", "git lfs pull")),
    ("a text for a medium", HELD, on_first(lambda p: p.write_text("gone\n" * 99)), Row("unreadable", "not a")),
    ("a link to nothing", HELD, replace_first(lambda p: p.symlink_to("nowhere")), Row("unreadable", "not a file")),
    ("a pipe", HELD, replace_first(os.mkfifo), Row("unreadable", "not a file")),
    ("a socket", HELD, replace_first(plug), Row("unreadable", "not a file")),
    ("labels with BOM and CRLF", LISTED, rewrite(lambda t: b"\xef\xbb\xbf" + t.replace(b"\n", b"\r\n")), Same()),
    (
        "labels in UTF-16",
        ("cremad", "ckplus", "voxceleb"),
        rewrite(lambda t: t.decode().encode("utf-16")),
        Same(),
    ),
    *(
        (f"labels between {name}", ("cremad", "voxceleb"), rewrite(change, *TABLES), Same())
        for name, change in CSV_TO.items()
    ),
    ("half a picture", ("ckplus", "rafd", "mug", "jaffe", "fer2013/images"), on_first(cut), Row("unreadable")),
    ("400 million pixels", ("ckplus",), on_first(bomb), Row("unreadable", "decompression bomb")),
    ("half a wav", ("cremad", "voxceleb"), of_suffix(".wav", cut), Row("truncated", r"\d+% of the samples.*keep")),
    (
        "half a wav, no film",
        ("ravdess",),
        both(remove("*/*.mp4"), of_suffix(".wav", cut)),
        Row("truncated", "keep"),
    ),
    ("half an flv", ("cremad",), of_suffix(".flv", cut), Row("truncated", r"ends after .* of .*keep")),
    ("half an mp4", ("ravdess",), of_suffix(".mp4", cut), Row("unreadable", "drop video")),
    ("a rate of 1 Hz", ("voxceleb", "cremad"), of_suffix(".wav", set_rate), Row("unreadable", "1 Hz")),
    ("samples that are no numbers", ("voxceleb", "cremad"), of_suffix(".wav", not_finite), Row("unreadable")),
    ("two people", ("ravdess", "jaffe"), remove("Actor_03", "YM*"), Row("few people", "without folds")),
    ("films without wav", ("cremad",), remove("AudioWAV"), Row("missing", r"use VideoFlash/.*\.flv", n=6)),
    (
        "films of one person",
        ("cremad",),
        remove("AudioWAV", "VideoFlash/100[23]*"),
        Row("missing", "use VideoFlash", n=2, also=("few people",)),
    ),
    ("MP3s alone", ("cremad",), to_mp3, Row("missing", r"use AudioMP3/.*\.mp3", n=6)),
    ("no demographics", ("cremad",), remove(DEMOGRAPHICS), Error("is missing; fetch it")),
    ("an actor of two sexes", ("cremad",), append(DEMOGRAPHICS, "1001,30,Female\n"), Error("1001 is male in one row")),
    ("a field too large", ("cremad",), append(DEMOGRAPHICS, "1004,3," + "x" * 140_000), Error("field larger than")),
    ("no votes", ("cremad",), remove(CREMAD_VOTES), Row("missing", "no votes")),
    ("empty votes", ("cremad",), lambda root: put(root / CREMAD_VOTES, b""), Row("missing", "no votes")),
    ("votes of no clip", ("cremad",), append(CREMAD_VOTES, "100099,1,0,0,0,0,0,X,1\n"), Row("misnamed", "votes of")),
    (
        "votes twice",
        ("cremad",),
        append(CREMAD_VOTES, "100009,1,0,0,0,0,0,1001_DFA_ANG_XX,1\n"),
        Error("two rows for the voice"),
    ),
    ("no test pictures", ("fer2013/images",), remove("test/*/Private*"), Row("missing", "no pictures of PrivateTest")),
    ("two pictures of one number", ("fer2013/images",), same_number, Same()),
    (
        "a table beside the pictures",
        ("fer2013/images",),
        lambda root: put(root / "fer2013.csv", "emotion,pixels,Usage\n"),
        Row("unused", "the image files have the pictures"),
    ),
    (
        "two tables",
        ("fer2013",),
        lambda root: put(root / "train.csv", "emotion,pixels\n"),
        Row("unused", "have the pictures"),
    ),
    ("rows of one usage", ("fer2013",), rewrite(lambda t: t.replace(b"Private", b"Public")), Row("missing")),
    ("a pixel too large", ("fer2013",), append("fer2013.csv", fer_row("Training", pixels="1" * 30)), Row("unreadable")),
    ("a row that breaks off", ("fer2013",), append("fer2013.csv", "3,1 2 3"), Error("line 6.*the row breaks off")),
    ("semicolons", ("fer2013",), rewrite(CSV_TO["semicolons"]), Error("commas between its columns")),
    (
        "a label that is no text",
        ("ckplus",),
        lambda root: put(root / PEAK.format(5), b"\xff\0\1"),
        Row("label", also=("unlabelled",)),
    ),
    (
        "two labels of a sequence",
        ("ckplus",),
        lambda root: put(root / PEAK.format(4), "5.0"),
        Row("label", "in another file", also=("unlabelled",)),
    ),
    ("the same label twice", ("ckplus",), lambda root: put(root / PEAK.format(4), "3.0"), Same()),
    ("no first frame", ("ckplus",), remove("*/S005/*/*01.png"), Row("missing", "without a neutral frame")),
    ("no last frame", ("ckplus",), remove("*/S005/*/*05.png"), Row("missing", "lacks 1 frames, the first is 5")),
    ("no first frame", ("mug",), remove("*/001/*/*/*0.jpg"), Row("missing", "without a neutral frame")),
    (
        "a model of two sexes",
        ("rafd",),
        lambda root: picture(root / "Rafd090_01_Kid_female_sad_frontal.jpg"),
        Row("identity"),
    ),
    ("no list", ("voxceleb",), remove("iden_split.txt"), Row("missing", "no such list.*without the split")),
    ("an empty list", ("voxceleb",), rewrite(lambda t: b"", "veri_test.txt"), Row("missing", "the list is empty")),
    ("no sexes", ("voxceleb",), remove("vox1_meta.csv"), Row("missing", "sexes unknown")),
    (
        "a file in two parts",
        ("voxceleb",),
        append("iden_split.txt", f"2 {SPEAKERS[0]}/1zcIwhmdeo4/00001.wav\n"),
        Row("label", "dev and train"),
    ),
    (
        "a listed file that is not there",
        ("voxceleb",),
        append("iden_split.txt", f"2 {SPEAKERS[0]}/1zcIwhmdeo4/00009.wav\n"),
        Row("missing", "listed in iden_split"),
    ),
    (
        "speakers that are not there",
        ("voxceleb",),
        append("iden_split.txt", "2 id10999/1zcIwhmdeo4/00009.wav\n"),
        Row("missing", "nothing of 1 speakers"),
    ),
    (
        "a file in no list",
        ("voxceleb",),
        lambda root: sound(root / f"wav/{SPEAKERS[0]}/1zcIwhmdeo4/00007.wav"),
        Row("unlisted", "without a split"),
    ),
    (
        "pairs of others",
        ("voxceleb",),
        rewrite(lambda t: t.replace(b"id10001", b"id10999"), "veri_test.txt"),
        Row("missing", "the last tenth of the speakers is tested"),
    ),
]
CASES = [
    pytest.param(copy, damage, outcome, id=f"{kind}-{copy}")
    for kind, copies, damage, outcome in KINDS
    for copy in copies
]


@pytest.mark.parametrize(("copy", "damage", "outcome"), CASES)
def test_every_kind_of_input_is_read_or_said(copy, damage, outcome, originals, tmp_path):
    original, (clips, folds, defects, _) = originals(copy)
    source = tmp_path / "source"
    shutil.copytree(original, source)
    damage(source)
    if isinstance(outcome, Error):
        with pytest.raises(CorpusError, match=outcome.words) as caught:
            read(copy, source, tmp_path / "data")
        assert len(str(caught.value).splitlines()) == 1
        return
    found, found_folds, found_defects, _ = read(copy, source, tmp_path / "data")
    if isinstance(outcome, Same):
        columns = ["clip", "label", "group", "sex", "split", "item", "has_video", "has_audio", "sha256"]
        assert Counter(found_defects.defect) == Counter(defects.defect), found_defects
        if damage is same_number:
            assert len(found) == len(clips) + 1
        else:
            assert found[columns].equals(clips[columns])
            assert found_folds.equals(folds)
        return
    known = set(defects[["clip", "defect", "detail"]].itertuples(index=False, name=None))
    is_new = [
        row not in known for row in found_defects[["clip", "defect", "detail"]].itertuples(index=False, name=None)
    ]
    of_grid = found_defects.detail.str.match(GAP) & ~found_defects.decision.str.match("use [AV]")
    new = found_defects[np.array(is_new) & ~of_grid]  # the grid is that of the copy
    assert Counter(new.defect) == Counter({outcome.defect: outcome.n}) + Counter(outcome.also), found_defects
    told = new[new.defect == outcome.defect]
    matches = [row for row in (told.detail + " / " + told.decision) if re.search(outcome.words, row)]
    assert len(matches) == outcome.n, told
    assert told.decision.ne("").all()
    found_defects.to_parquet(tmp_path / "defects.parquet")


@contextlib.contextmanager
def as_stranger():
    """Let the rights of files count, for the administrator too."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize(("copy", "what"), [("jaffe", "file"), ("voxceleb", "folder"), ("ravdess", "folder")])
def test_what_may_not_be_read_is_on_record(copy, what, originals):
    original, (clips, *_) = originals(copy)
    with tempfile.TemporaryDirectory() as place:  # pytest's own folder is closed to others
        Path(place).chmod(0o755)
        source = Path(place) / "source"
        shutil.copytree(original, source)
        path = first(source) if what == "file" else first(source).parent
        path.chmod(0)
        try:
            with as_stranger():
                found, _, defects, _ = read(copy, source, Path(place) / "data")
        finally:
            path.chmod(0o755)
    told = defects[defects.defect == "unreadable"]
    assert told.path.tolist() == [path.relative_to(source).as_posix()]
    assert told.detail.str.contains("Permission denied").all()
    assert len(found) < len(clips) if what == "folder" else not found.has_video.all()


def test_unread_folder_is_named_where_folds_fail(originals, tmp_path):
    source = tmp_path / "source"
    shutil.copytree(originals("ravdess")[0], source)
    put(source / "Actor_04.rar", b"Rar!")
    with pytest.raises(CorpusError, match=r"3 people cannot make 9 folds.*not unpacked: Actor_04\.rar"):
        index("ravdess", source, n_folds=9)


def test_counts_are_compared_with_the_published_ones(originals):
    root, (clips, *_) = originals("jaffe")
    published = {"clip": 6, "actor": 4, "label_name": {"angry": 3, "happy": 4, "sad": 1}}
    assert compare_counts(clips, published) == ["actor: 3 of 4", "label_name: happy 3 of 4, sad 0 of 1"]
    _, _, defects, _ = index("jaffe", root, n_folds=3, published=True)
    told = defects[defects.defect == "count"]
    assert told.detail.tolist()[:2] == ["actor: 3 of 10", "clip: 6 of 213"]
    assert told.detail.str.contains("angry 3 of 30").any()
