"""What a user may have on disk: each fault is one clear error or a row of DEFECTS."""

import numpy as np
import pytest
from PIL import Image

from mien.corpora import cremad, fer2013
from mien.corpora.cremad import read_votes
from mien.corpora.index import collect_votes, index
from mien.errors import CorpusError, MienError
from mien.io.media import write_sound

NOISE = np.random.default_rng(0).normal(0.0, 0.1, 4800).astype(np.float32)
PIXELS = " ".join(str(k % 256) for k in range(48 * 48))


def defects_of(corpus, root, n_folds=2):
    clips, _, defects, _ = index(corpus, root, n_folds=n_folds)
    return clips.set_index("clip"), defects


def write_takes(root, actors=("01", "02", "03", "04")):
    for actor in actors:
        for take in ("01-01-01-01", "02-01-01-01"):
            path = root / f"Actor_{actor}" / f"03-01-{take}-{actor}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_sound(path, np.roll(NOISE, int(actor) * 10 + int(take[1])), 48000)


@pytest.mark.parametrize("corpus", ["ravdess", "fer2013", "ckplus", "rafd", "mug", "jaffe", "voxceleb"])
def test_foreign_folder_is_refused_with_an_example(corpus, tmp_path):
    (tmp_path / "holiday.txt").write_text("sun")
    with pytest.raises(CorpusError, match=r"nothing of .*wanted names like"):
        index(corpus, tmp_path, n_folds=1)


def test_missing_folder_and_unknown_corpus_are_refused(tmp_path):
    with pytest.raises(CorpusError, match="no such folder"):
        index("ravdess", tmp_path / "nowhere", n_folds=2)
    with pytest.raises(MienError, match="there is no corpus 'iemocap'"):
        index("iemocap", tmp_path, n_folds=2)


def test_misnamed_song_and_text_files_are_on_record(tmp_path):
    write_takes(tmp_path)
    actor = tmp_path / "Actor_01"
    for name in (
        "03-01-09-01-01-01-01.wav",  # no ninth emotion
        "03-01-01-02-01-01-01.wav",  # neutral is never strong
        "03-01-03-01-01-01-25.wav",  # no actor 25
        "01-01-03-01-01-01-01.wav",  # audio-video is mp4
        "notes.txt",
    ):
        (actor / name).write_bytes(b"?")
    (actor / "03-02-03-01-01-01-01.wav").write_bytes(b"?")
    (actor / "03-01-02-01-01-01-01.wav").write_text("this is no sound")
    (tmp_path / "Actor_02" / "03-01-02-01-01-01-02.wav").unlink()
    clips, defects = defects_of("ravdess", tmp_path)
    counts = defects.defect.value_counts().to_dict()
    assert counts == {"misnamed": 5, "song": 1, "unreadable": 1, "missing": 4 * 15 - 7}  # of the grid of one statement
    assert not clips.has_audio["01-02-01-01-01-01"]
    assert clips.defect["01-02-01-01-01-01"] == "unreadable"
    assert defects.decision[defects.defect == "song"].tolist() == ["drop: song"]
    assert "01-02-01-01-01-02" in set(defects["clip"][defects.defect == "missing"])


def write_table(root, *rows, header="emotion,pixels,Usage", name="fer2013.csv"):
    (root / name).write_text("\n".join([header, *rows]) + "\n")


def test_both_published_tables_are_read_alike(tmp_path):
    for folder, header, rows in (
        ("a", "emotion,pixels,Usage", [f"3,{PIXELS},Training", f"0,{PIXELS[2:]} 7,PrivateTest"]),
        ("b", "emotion, Usage, pixels", [f"3,Training,{PIXELS}", f"0,PrivateTest,{PIXELS[2:]} 7"]),
    ):
        (tmp_path / folder).mkdir()
        write_table(tmp_path / folder, *rows, header=header, name="icml_face_data.csv")
    one, other = (index("fer2013", tmp_path / folder, n_folds=1)[0] for folder in "ab")
    assert one.equals(other)
    assert one.set_index("clip").item["00001"] == 1


def test_damaged_rows_of_the_table_are_on_record(tmp_path):
    write_table(
        tmp_path,
        f"3,{PIXELS},Training",
        f"9,{PIXELS[2:]} 1,Training",
        f"2,{PIXELS} 4,PublicTest",
        f"2,{PIXELS.replace(' 9 ', ' 999 ')},PublicTest",
        f"2,{PIXELS.replace(' 9 ', ' x ')},PrivateTest",
    )
    clips, defects = defects_of("fer2013", tmp_path, n_folds=1)
    assert len(clips) == 5
    assert clips.label["00001"] == -1
    assert clips.has_video.to_dict() == {"00000": True, "00001": True, "00002": False, "00003": False, "00004": False}
    assert defects.set_index("clip").defect.to_dict() == {
        "00001": "label",
        "00002": "unreadable",
        "00003": "unreadable",
        "00004": "unreadable",
    }
    assert "2305 values instead of 2304" in defects.set_index("clip").detail["00002"]


@pytest.mark.parametrize(
    ("header", "row", "words"),
    [
        ("emotion,pixels", f"3,{PIXELS}", "lacks the column Usage"),
        ("emotion,pixels,Usage", f"3,{PIXELS},Trainig", "Trainig"),
    ],
)
def test_table_without_a_known_usage_is_refused(tmp_path, header, row, words):
    write_table(tmp_path, row, header=header, name="train.csv")
    with pytest.raises(CorpusError, match=words):
        index("fer2013", tmp_path, n_folds=1)


def test_folder_copy_of_fer2013_keeps_the_usage_of_the_names(tmp_path):
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 255, (48, 48)).astype(np.uint8))
    for path in ("train/happy/Training_7.png", "train/sad/Training_8.png", "test/happy/PrivateTest_9.png"):
        (tmp_path / path).parent.mkdir(parents=True)
        picture.save(tmp_path / path)
        picture = Image.fromarray(rng.integers(0, 255, (48, 48)).astype(np.uint8)) if "7" in path else picture
    (tmp_path / "train/happy/face.png").write_bytes(b"?")
    clips, defects = defects_of("fer2013", tmp_path, n_folds=1)
    assert clips.part.to_dict() == {
        "happy-PrivateTest_9": "PrivateTest-00",
        "happy-Training_7": "Training-00",
        "sad-Training_8": "Training-00",
    }
    assert clips.apart.to_dict() == {"happy-PrivateTest_9": True, "happy-Training_7": False, "sad-Training_8": False}
    assert sorted(defects.defect) == ["misnamed", "missing", "twin", "twin"]  # PublicTest
    assert clips.label_name["sad-Training_8"] == "sad"


def test_parts_of_fer2013_hold_at_most_a_block(tmp_path, monkeypatch):
    monkeypatch.setattr(fer2013, "BLOCK", 2)
    write_table(tmp_path, *(f"3,{PIXELS[2 * k :]}{' 1' * k},Training" for k in range(5)))
    clips, _ = defects_of("fer2013", tmp_path, n_folds=1)
    assert clips.part.value_counts().sort_index().tolist() == [2, 2, 1]


@pytest.mark.parametrize("text", [None, "ActorID,Age\n1001,30\n", "ActorID,Sex\n1001,unknown\n", "\x00\xff"])
def test_cremad_without_readable_demographics_is_refused(tmp_path, text):
    if text is not None:
        (tmp_path / "VideoDemographics.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(CorpusError, match=r"VideoDemographics\.csv"):
        index("cremad", tmp_path, n_folds=2)


def test_cremad_unknown_actor_is_on_record(tmp_path):
    rows = [f"{actor},30,{sex}\n" for actor, sex in ((1001, "Male"), (1002, "Female"), (1003, "Male"))]
    (tmp_path / "VideoDemographics.csv").write_text("ActorID,Age,Sex\n" + "".join(rows))
    for k, actor in enumerate((1001, 1002, 1003, 1092)):
        path = tmp_path / "AudioWAV" / f"{actor}_TIE_ANG_XX.wav"
        path.parent.mkdir(exist_ok=True)
        write_sound(path, np.roll(NOISE, k), 16000)
    (tmp_path / "AudioWAV" / "1001_TIE_ANG_HI.wav").write_bytes(b"?")  # only IEO is graded
    clips, defects = defects_of("cremad", tmp_path, n_folds=3)
    assert len(clips) == 3
    misnamed = defects[defects.defect == "misnamed"].path
    assert sorted(path.rsplit("/", 1)[-1] for path in misnamed) == ["1001_TIE_ANG_HI.wav", "1092_TIE_ANG_XX.wav"]


@pytest.mark.parametrize("name", ["iden_split.txt", "veri_test.txt", "vox1_meta.csv"])
def test_damaged_list_of_voxceleb_is_refused(tmp_path, name):
    path = tmp_path / "wav" / "id10001" / "abc" / "00001.wav"
    path.parent.mkdir(parents=True)
    write_sound(path, NOISE, 16000)
    (tmp_path / name).write_text("4 five\n")
    with pytest.raises(CorpusError, match=name):
        index("voxceleb", tmp_path, n_folds=1)


HEADER = '"","A","D","F","H","N","S","fileName","numResponses"\n'
ROW = '100001,1,0,0,2,0,7,"1001_IEO_SAD_LO",10\n'


def write(folder, text):
    path = folder / "tabulatedVotes.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_counts_are_in_the_order_of_the_classes(tmp_path):
    row = read_votes(write(tmp_path, HEADER + ROW), "NHSAFD").iloc[0]
    counts = dict(zip(cremad.CLASSES, row.counts, strict=True))
    assert counts == dict.fromkeys(cremad.CLASSES, 0) | {"happy": 2, "sad": 7, "angry": 1}
    assert (row.modality, row.n, row.agreement) == ("voice", 10, 0.7)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEADER + ROW.replace(",10", ",9"), "line 2: 1001_IEO_SAD_LO has the votes"),
        (HEADER + ROW.replace("100001", "400001"), "line 2: needs a number beginning with 1, 2 or 3"),
        (HEADER + ROW.replace('"1001', 'x,"1001'), "line 2"),
        (HEADER + ROW + ROW, "two rows for the voice of 1001_IEO_SAD_LO"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "needs the columns"),
    ],
)
def test_damaged_votes_are_refused(tmp_path, text, words):
    with pytest.raises(CorpusError, match=words):
        read_votes(write(tmp_path, text), "NHSAFD")


def test_a_copy_without_votes_says_so(tmp_path):
    (tmp_path / cremad.DEMOGRAPHICS).write_text('"ActorID","Sex"\n1001,"Male"\n', encoding="utf-8")
    (found,) = [row for row in cremad.find(tmp_path).defects if row["path"].endswith("tabulatedVotes.csv")]
    assert (found["defect"], found["decision"]) == ("missing", "how people understood the clips is not reported")
    assert cremad.votes(tmp_path).empty
    assert collect_votes("ravdess", tmp_path).empty  # a corpus without raters
