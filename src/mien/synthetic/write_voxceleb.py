"""Write a synthetic VoxCeleb1: wav/<speaker>/<video>/<number>.wav with its lists."""

import itertools
import string
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mien.io.media import write_sound
from mien.synthetic.people import EMOTIONS
from mien.synthetic.performance import Actor, Planted, Scene, Truth
from mien.synthetic.voice import SENTENCES

NAMES = [f"id{k}" for k in range(10001, 11252)]
RATE_HZ = 16000

_VIDEOS = 5  # of a speaker
_UTTERANCES = 2  # of a video, per configured take
_SENTENCES = 2  # of an utterance
_SPLITS = {0: 1, 1: 1, 2: 1, 3: 2, 4: 3}  # video -> train, dev, test in iden_split.txt


def write_actor(scene: Scene, root: Path, actor: Actor) -> Iterator[Truth]:
    """Write the utterances of one speaker, each of a few sentences in one mood."""
    for video in range(_VIDEOS):
        folder = root / "wav" / actor.name / _name_video(scene, actor, video)
        folder.mkdir(parents=True)
        for number in range(1, _UTTERANCES * scene.config.takes + 1):
            clip = f"{actor.name}-{folder.name}-{number:05d}"
            rng = scene.rng(clip, "script")
            emotion = str(rng.choice(EMOTIONS[:-1]))
            sentences = rng.choice(sorted(SENTENCES), _SENTENCES, replace=False)
            said = [
                scene.say(actor, f"{clip}/{k}", emotion=emotion, intensity=0.5, sentence=str(text), rate_hz=RATE_HZ)
                for k, text in enumerate(sentences)
            ]
            write_sound(folder / f"{number:05d}.wav", np.concatenate([wave for wave, _ in said]), RATE_HZ)
            first = said[0][1]
            yield Truth(clip, actor.name, emotion, 0.5, None, first.audio, voice=first.voice)


def finish(scene: Scene, root: Path, actors: list[Actor]) -> list[Planted]:
    """Write the lists of identification and verification; silence an utterance, and put a text file for another."""
    paths = sorted((root / "wav").rglob("*.wav"))
    names = [path.relative_to(root / "wav").as_posix() for path in paths]
    videos = {(actor.name, _name_video(scene, actor, k)): k for actor in actors for k in range(_VIDEOS)}
    split = [f"{_SPLITS[videos[tuple(name.split('/')[:2])]]} {name}\n" for name in names]
    (root / "iden_split.txt").write_text("".join(split), encoding="ascii")
    (root / "veri_test.txt").write_text("".join(_pair(actors, names)), encoding="ascii")
    part_of = dict.fromkeys(actors, "dev") | dict.fromkeys(_tested(actors), "test")
    lines = [f"{a.name}\tPerson_{k}\t{a.sex[0]}\tNowhere\t{part_of[a]}\n" for k, a in enumerate(actors)]
    header = "VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet\n"
    (root / "vox1_meta.csv").write_text(header + "".join(lines), encoding="ascii")
    silent, text = scene.rng("planted").choice(len(paths), 2, replace=False)
    write_sound(paths[silent], np.zeros(2 * RATE_HZ, np.float32), RATE_HZ)
    paths[text].write_text("This video is no longer available.\n" * 20, encoding="ascii")
    return [
        Planted(names[k].removesuffix(".wav").replace("/", "-"), f"wav/{names[k]}", defect)
        for k, defect in ((silent, "silent"), (text, "unreadable"))
    ]


def _tested(actors: list[Actor]) -> list[Actor]:
    """Return the speakers of the verification test: the first tenth, at least two where there are enough."""
    return actors[: max(2, len(actors) // 10)] if len(actors) > 3 else actors[:1]


def _pair(actors: list[Actor], names: list[str]) -> list[str]:
    """Return lines of veri_test.txt: as many pairs of one speaker as of two."""
    tested = [a.name for a in _tested(actors)]
    pool = {speaker: [name for name in names if name.startswith(speaker)] for speaker in tested}
    lines = []
    for speaker in tested:
        lines += [f"1 {one} {other}\n" for one, other in itertools.pairwise(pool[speaker])]
    for one, other in itertools.pairwise(tested):
        lines += [f"0 {a} {b}\n" for a, b in zip(pool[one], pool[other], strict=True)]
    return lines


def _name_video(scene: Scene, actor: Actor, video: int) -> str:
    """Return eleven characters like those of a video on the web."""
    alphabet = list(string.ascii_letters + string.digits)
    return "".join(scene.rng(actor.name, "video", video).choice(alphabet, 11))
