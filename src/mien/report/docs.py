"""Fill the pages of results and the generated parts of README.md with the numbers of the tracked results.

results/ is of the default run; docs/study holds tables, verdicts and metrics of the run with config/study.yaml,
docs/people tables of the run with config/people.yaml, on real corpora, and pages about them.
"""

import logging
import re
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from mien.errors import TableError
from mien.evaluation.statistics import Gain, gain_of_folds
from mien.io.files import atomic_file, atomic_folder
from mien.models.card import read_export
from mien.report.page import cells_of, environment, render_card

log = logging.getLogger(__name__)

STUDY = Path("docs", "study")
PEOPLE = Path("docs", "people")
MODELS = Path("resources", "models")  # files of `export_model` that come with the package
CARDS = Path("docs", "models")  # a page about each of them
PAGES = {  # page of docs/people -> its tables
    "face": ("pictures",),
    "geometry": ("4.1",),
    "voice": ("voice",),
    "mrpn": ("mrpn", "mrpn-subject"),
    "predicted": ("predicted",),
}
COMPUTED = "**Synthetic people"  # in a table of the default run, which a folder of another run has too until it is made
PUBLISHED = ("tables/*.md", "tables/*.csv", "hypotheses.md", "hypotheses.csv", "metrics.json")  # of a study
PICTURES = {  # of docs -> figure of the default run
    "confusion-ravdess": "5.6",
    "fuzziness": "fuzziness",
    "conditions-cremad": "trust-cremad-conditions",
    "fitted-faces": "4.5",
    "learning-rates": "4.14",
    "strip": "4.16",
    "samples-ravdess": "samples-ravdess",
}
PART = re.compile(r"(<!-- generated: (?P<name>\w+) -->\n).*?(<!-- end: (?P=name) -->)", re.DOTALL)


def write_docs(
    *, results: Path = Path("results"), root: Path = Path(), study: Path | None = None, people: Path | None = None
) -> None:
    """Rewrite docs/results.md and what stands between the marks of README.md from the tables of `results`.

    And a page of docs/models about every model of resources/models.

    Where its figures are too, those that the pages show are copied.

    Parameters
    ----------
    results
        Folder with tables/, hypotheses.md and metrics.json.
    root
        Folder of README.md, docs/ and resources/.
    study
        Such a folder of a run with config/study.yaml: its tables, verdicts and metrics replace those of docs/study.
    people
        Such a folder of a run with config/people.yaml: those of its tables that pages are made from replace those of
        docs/people.
    """
    if people is not None:
        for path in (people / "tables" / f"{name}.md" for names in PAGES.values() for name in names):
            if path.is_file() and COMPUTED not in path.read_text(encoding="utf-8"):
                for source in (path, path.with_name(f"{path.stem}.csv")):
                    with atomic_file(root / PEOPLE / "tables" / source.name) as scratch:
                        shutil.copy(source, scratch)
    if study is not None:
        with atomic_folder(root / STUDY) as scratch:
            for path in (path for pattern in PUBLISHED for path in sorted(study.glob(pattern))):
                (scratch / path.relative_to(study)).parent.mkdir(exist_ok=True)
                shutil.copy(path, scratch / path.relative_to(study))
    for name, figure in PICTURES.items():
        if (drawn := results / "figures" / f"{figure}.png").is_file():  # git has none of them
            shutil.copy(drawn, root / "docs" / f"{name}.png")
    for path, text in render_docs(results, root).items():
        with atomic_file(path) as scratch:
            scratch.write_text(text, encoding="utf-8", newline="\n")
        log.info("%s", path)


def render_docs(results: Path, root: Path) -> dict[Path, str]:
    """Return path -> text of the pages as the results give them.

    Raises
    ------
    TableError : a table, a row or a mark that the pages need is missing.
    """
    readme, study = root / "README.md", root / STUDY
    pages = {root / "docs" / "results.md": (results, "../results/")}
    if study.is_dir():
        pages[study / "README.md"] = (study, "")
    text = readme.read_text(encoding="utf-8")
    names = [part["name"] for part in PART.finditer(text)]
    if not names:
        raise TableError(f"{readme}: has no <!-- generated: NAME --> ... <!-- end: NAME -->; take them from git")
    people = root / PEOPLE
    real = [
        page for page, names in PAGES.items() if all((people / "tables" / f"{name}.csv").is_file() for name in names)
    ]
    found = reader(study if study.is_dir() else results, root) | {"study": study.is_dir(), "people": real}
    found |= {"on_people": (rows := Rows(people, root)), "gain": Differences(rows)}
    models = {path: read_export(path) for path in sorted((root / MODELS).glob("*.safetensors"))}
    found["models"] = {path.stem: said.facts for path, said in models.items()}
    parts = {name: environment().get_template(f"readme_{name}.md.j2").render(found) for name in names}
    page = environment().get_template("results.md.j2")
    return (
        {readme: PART.sub(lambda part: f"{part[1]}{parts[part['name']]}{part[3]}", text)}
        | {path: page.render(reader(folder, root), base=base) for path, (folder, base) in pages.items()}
        | {root / CARDS / f"{path.stem}.md": render_card(path, said) for path, said in models.items()}
        | {people / f"{name}.md": environment().get_template(f"people_{name}.md.j2").render(found) for name in real}
    )


def reader(results: Path, root: Path) -> dict[str, Any]:
    """Return what templates read results with: `row` of `Rows`, and `grid` of `read_grid` by the name of a page."""
    return {"row": Rows(results, root), "grid": lambda page, column: read_grid(results / f"{page}.md", column)}


class Rows:
    """Rows of the tables by name and content: row("5.2", variant="N2", fold="mean")["honest"]."""

    def __init__(self, results: Path, root: Path) -> None:
        self.folders = (results / "tables", root / "resources")
        self.read = cache(self._read)

    def __call__(self, table: str, **content: str) -> dict[str, Any]:
        """Return the only row of a table with this content; empty cells are "" or NaN.

        Raises
        ------
        TableError : there is no such table, or not exactly one such row.
        """
        rows = self.read(table)
        for column, value in content.items():
            rows = rows[rows[column].fillna("").astype(str) == value]
        if len(rows) != 1:
            raise TableError(
                f"{self.folders[0] / table}.csv: {len(rows)} rows have {content}, one is needed;"
                " make it again, then write_docs"
            )
        return rows.iloc[0].to_dict()

    def folds(self, table: str, variant: str) -> pd.DataFrame:
        """Return the rows of a variant by fold, without their mean."""
        rows = self.read(table)
        return rows[(rows.variant == variant) & (rows.fold != "mean")].set_index("fold")

    def _read(self, table: str) -> pd.DataFrame:
        paths = [folder / f"{table}.csv" for folder in self.folders]
        path = next(filter(Path.is_file, paths), None)
        if path is None:
            raise TableError(f"{paths[0]}: is missing; run snakemake, or `git checkout results`")
        return pd.read_csv(path)


class Differences:
    """Differences of two rows of tables of chapter 5 over the folds of both, points: gain("mrpn", "F_N2", "F_N1").

    The interval is Student's t over folds, of means over trainings.
    """

    CONFIDENCE = 0.95

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def __call__(self, table: str, one: str, other: str, *, beside: str = "", column: str = "honest") -> Gain:
        """Return how much better `one` of a table is than `other` of the same table, or of `beside`.

        column : honest, or thesis: of what is printed.
        """
        mine, theirs = (
            self.rows.folds(name, variant)[column] for name, variant in ((table, one), (beside or table, other))
        )
        return gain_of_folds(one, other, (mine - theirs).dropna().to_dict(), confidence=self.CONFIDENCE)


def read_grid(path: Path, column: str) -> list[dict[str, str]]:
    """Return the rows, by its headings, of the first table of a Markdown page that has this column.

    Raises
    ------
    TableError : the page has no such table.
    """
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    for table in re.findall(r"(?:^\|.*\|\n?)+", text, flags=re.MULTILINE):
        headings, _, *rows = map(cells_of, table.splitlines())
        if column in headings:
            return [dict(zip(headings, row, strict=True)) for row in rows]
    raise TableError(f"{path}: has no table with a column {column!r}; run snakemake, or `git checkout results`")
