"""README and results page: their numbers are those of the tracked results, their links lead somewhere."""

import re
import shutil

import pytest

from mien.errors import TableError
from mien.report.docs import render_docs, write_docs


def test_pages_say_what_the_tracked_results_say(repository):
    for path, text in render_docs(repository / "results", repository).items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is out of date: run `mien write_docs`"


def test_links_lead_somewhere_and_the_readme_is_short(repository):
    pages = [repository / "README.md", *(repository / "docs").glob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
    assert len(pages[0].read_text(encoding="utf-8")) < 7000


def test_a_changed_number_reaches_the_pages_and_a_missing_table_is_named(tmp_path, repository):
    for name in ("results/tables", "resources"):
        shutil.copytree(repository / name, tmp_path / name, ignore=shutil.ignore_patterns("*.svg"))
    shutil.copy(repository / "results" / "hypotheses.md", tmp_path / "results")
    shutil.copy(repository / "README.md", tmp_path)
    (tmp_path / "docs").mkdir()
    page = tmp_path / "results" / "tables" / "5.2.md"
    before = page.read_text(encoding="utf-8")
    mean = re.search(r"\| N2 +\| +5\.2/N2_e2e \| +[\d.]+ \| +([\d.]+) \|", before)
    page.write_text(before[: mean.start(1)] + "99.9" + before[mean.end(1) :], encoding="utf-8")
    write_docs(results=tmp_path / "results", root=tmp_path)
    assert "99.9" in (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "99.9" in (tmp_path / "docs" / "results.md").read_text(encoding="utf-8")
    (tmp_path / "results" / "tables" / "streams.csv").unlink()
    with pytest.raises(TableError, match=r"streams\.csv"):
        write_docs(results=tmp_path / "results", root=tmp_path)


def test_a_study_is_published_and_quoted(tmp_path, repository):
    for name in ("results/tables", "resources"):
        shutil.copytree(repository / name, tmp_path / name, ignore=shutil.ignore_patterns("*.svg"))
    for name in ("hypotheses.md", "hypotheses.csv", "metrics.json"):
        shutil.copy(repository / "results" / name, tmp_path / "results")
    shutil.copy(repository / "README.md", tmp_path)
    (tmp_path / "docs").mkdir()
    footprint = tmp_path / "resources" / "footprint.csv"
    lines = [line for line in footprint.read_text(encoding="utf-8").splitlines() if not line.startswith("study")]
    footprint.write_text("\n".join([*lines, "study,9.5,h,a machine of the test", ""]), encoding="utf-8")
    write_docs(results=tmp_path / "results", root=tmp_path, study=tmp_path / "results")
    page = tmp_path / "docs" / "study" / "README.md"
    assert "in 9.5 h (a machine of the test)" in page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target
    readme = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "(docs/study/README.md)" in readme
    before = page.read_bytes()
    write_docs(results=tmp_path / "results", root=tmp_path)
    assert page.read_bytes() == before
