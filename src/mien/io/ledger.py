"""What the jobs of the workflow wrote, so that the next run notices outputs that were changed since.

The ledger is .snakemake/outputs.jsonl. A line is an output of a finished job with all files that it stands for: path ->
size, time of the last change in ns, SHA-256. Of lines for one output the last one counts. Content is read again only
where size or time differ; the time is that of the inode, which no program can set back.
"""

import json
import os
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

from mien.errors import TableError
from mien.io.files import atomic_file, read_json, sha256

Entry = tuple[int, int, str]


def files_of(output: str) -> list[str]:
    """Return the files that an output of a job stands for, sorted: itself, and those of the folders that it lists.

    A folder stands for what is in it, manifest.json for the shards beside it, data/NAME.json for the corpus beside it,
    seed0.json for the folders of runs that it names. Hidden files are nobody's output.
    """
    path = Path(output)
    found = [] if path.is_dir() else [output] * path.exists()
    for folder in _folders_of(path):
        for place, inner, names in os.walk(folder):
            inner[:] = [name for name in inner if not name.startswith(".")]
            found += [f"{place}/{name}" for name in names if not name.startswith(".")]
    return sorted(set(found))


def _folders_of(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield path
    elif path.name == "manifest.json":
        yield path.parent
    elif path.suffix == ".json" and path.stem.startswith("seed"):
        try:
            yield from map(Path, read_json(path))
        except (TableError, TypeError):
            return  # damaged: its own digest says so
    elif path.suffix == ".json":
        yield path.with_suffix("")
        yield path.with_suffix(".truth")


class Ledger:
    """The ledger in a file, which need not exist; `writable` is False in a dry run."""

    def __init__(self, path: Path, *, writable: bool = True) -> None:
        self.path = path
        self.writable = writable

    @cached_property
    def _lines(self) -> dict[str, dict[str, Entry]]:
        lines: dict[str, dict[str, Entry]] = {}
        n_read = 0
        for text in self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else ():
            try:
                output, files = json.loads(text)
                lines[output] = {name: tuple(entry) for name, entry in files.items()}
                n_read += 1
            except (ValueError, AttributeError, TypeError):
                continue  # empty, or broken off by a kill
        if self.writable and n_read > 2 * len(lines):
            with atomic_file(self.path) as scratch:
                scratch.write_text("".join(map(_as_line, lines, lines.values())), encoding="utf-8")
        return lines

    def record(self, outputs: Iterable[str]) -> None:
        """Note outputs as they are now; one that does not exist is left out."""
        for output in outputs:
            if os.path.lexists(output):
                self._note(output, {name: _entry(name) for name in files_of(output)})

    def find_change(self, output: str) -> str:
        """Say how an output that exists differs from what its job wrote; empty if it does not.

        An output that the ledger does not know yet is noted as it is.
        """
        known = self._lines.get(output)
        if known is None:
            if self.writable:
                self.record([output])
            return ""
        found = files_of(output)
        for name in sorted(known.keys() | set(found)):
            if name not in known:
                return f"{name} was not written by it"
            if not Path(name).exists():
                return f"{name} is gone"
        moved = {}
        for name, (size, time_ns, content) in known.items():
            status = Path(name).stat()
            if status.st_size != size:
                return f"{name} was changed ({size} bytes were written, {status.st_size} are there)"
            if status.st_ctime_ns != time_ns:
                moved[name] = _entry(name)
                if moved[name][2] != content:
                    return f"{name} was changed (same size, other content)"
        if moved and self.writable:
            self._note(output, known | moved)
        return ""

    def _note(self, output: str, files: dict[str, Entry]) -> None:
        self._lines[output] = files
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"\n{_as_line(output, files)}")  # a line break first: the last line may have been broken off


def _as_line(output: str, files: dict[str, Entry]) -> str:
    return f"{json.dumps([output, files])}\n"


def _entry(name: str) -> Entry:
    status = Path(name).stat()
    return status.st_size, status.st_ctime_ns, sha256(Path(name))
