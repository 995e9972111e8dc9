"""README and results page: their numbers are those of the tracked results, their links lead somewhere."""

import re
import shutil
from dataclasses import replace

import pandas as pd
import pytest

from mien.errors import TableError
from mien.models import checkpoint
from mien.models.checkpoint import ModelCard, read_export
from mien.report.docs import render_docs, write_docs
from mien.report.page import render_card


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


@pytest.fixture
def published(tmp_path, repository):
    """Return a folder with what pages are made from, and what some runs on people took."""
    for name in ("results/tables", "resources"):
        shutil.copytree(repository / name, tmp_path / name, ignore=shutil.ignore_patterns("*.svg"))
    shutil.copy(repository / "results" / "hypotheses.md", tmp_path / "results")
    shutil.copy(repository / "README.md", tmp_path)
    (tmp_path / "docs").mkdir()
    footprint = tmp_path / "resources" / "footprint.csv"
    took = pd.read_csv(footprint, dtype=str)
    ours = {"value": "600", "unit": "CPU s", "measured": "a machine of the test"}
    ours = pd.DataFrame([{"what": what} | ours for what in ("people_mrpn", "people_geometry")])
    pd.concat([took[~took.what.isin(ours.what)], ours]).to_csv(footprint, index=False)
    return tmp_path


def test_no_table_of_synthetic_people_becomes_a_page_on_people(published):
    shutil.copytree(published / "results" / "tables", published / "people" / "tables")
    where = {"results": published / "results", "root": published, "people": published / "people"}
    write_docs(**where)
    assert not (published / "docs" / "people").exists()
    table = published / "people" / "tables" / "4.1.md"
    text = table.read_text(encoding="utf-8")
    table.write_text(re.sub(r"^\*\*Synthetic people.*\n", "", text, flags=re.MULTILINE), encoding="utf-8")
    write_docs(**where)
    page = (published / "docs" / "people" / "geometry.md").read_text(encoding="utf-8")
    assert "in 600 CPU s (a machine of the test)" in page
    assert page.count("\n| AU_") == 6
    assert (published / "docs" / "people" / "tables" / "4.1.csv").is_file()


def test_tables_of_people_make_a_page_and_a_quote(published):
    tmp_path = published
    accuracy = {"AU": 50, "MFCC": 30, "F_late": 58, "F_N0": 59, "F_N1": 60, "F_N2": 60, "F_gated": 57}
    accuracy |= {"AU_logistic": 50, "MFCC_logistic": 30, "F_logistic": 58}
    for table, ending, more in (("mrpn", "", 0), ("mrpn-subject", "_S", 20)):
        rows = [
            {"variant": f"{name}{ending}", "fold": fold, "honest": value + more + gain * (name == "F_N2")}
            for name, value in accuracy.items()
            for fold, gain in {"A1,2": 1, "A3,4": 2, "A5,6": 3, "mean": 2}.items()
        ]
        found = pd.DataFrame(rows).assign(uar=50.0, thesis=90.0, n_actors=6, n_clips=360, n_seeds=10)
        found["thesis"] += found.fold.map({"A1,2": 0.5, "A3,4": 0.1, "A5,6": 0.3, "mean": 0.3}) * (
            found.variant == "F_N2"
        )
        found = found.assign(low=found.honest - 5, high=found.honest + 5)
        path = tmp_path / "people" / "tables" / f"{table}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        found.to_csv(path, index=False)
        path.with_suffix(".md").write_text("# a table\n")
    write_docs(results=tmp_path / "results", root=tmp_path, people=tmp_path / "people")
    path = tmp_path / "docs" / "people" / "mrpn.md"
    page = path.read_text(encoding="utf-8")
    assert "| N2 (MRPN) less N1 | +2.0 (-0.5 to +4.5) | not decided | +2.0 (-0.5 to +4.5) | not decided |" in page
    assert "| N2 (MRPN) less face alone | +12.0 (+9.5 to +14.5) | better |" in page
    assert "difference, +0.3, lies inside of this interval" in page
    assert "for MRPN: +20.0 points" in page
    assert "in 600 CPU s (a machine of the test)" in page
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page):
        assert (path.parent / target).exists(), target
    readme = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "MRPN has 62.0 (57.0–67.0); fusion adds +12.0 (+9.5 to +14.5) points" in readme
    assert "(docs/people/mrpn.md)" in readme
    write_docs(results=tmp_path / "results", root=tmp_path)
    assert path.read_text(encoding="utf-8") == page


def test_a_card_says_what_the_header_of_the_model_says(tmp_path):
    card = ModelCard(kind="extractor", corpus="fer2013", variant="P1", fold=0, seed=0, classes=("angry", "happy"))
    card = replace(card, base="fer2013", width=1, size_px=40, modalities=("video",), faces={"margin": 1.15})
    card = replace(card, model="resnet18")
    facts = {"row": "P1", "corpus": "fer2013", "classes": ["angry", "happy"], "networks": 1, "temperature": 1.37}
    facts |= {
        "people": "77 pictures of people",
        "n_people": None,
        "clips": 77,
        "protocol": "honest",
        "calibrated": True,
    }
    facts |= {"accuracy": 0.6612, "accuracy_low": 0.64, "accuracy_high": 0.682, "tested_clips": 33}
    facts |= {"uar": 0.61, "uar_low": None, "uar_high": None, "tested_people": None, "calibration_error": 0.0312}
    facts |= {
        "recalls": {"angry": 0.5},
        "shares": {"angry": 0.25, "happy": 0.75},
        "terms": "the terms",
        "address": "there",
    }
    facts["made"] = {"command": "snakemake here", "revision": "abc", "processor": "a CPU", "cpu_hours": 1.5}
    facts["made"] |= {"weights": "16 bits", "epochs": [{"honest": 12}]}
    path = tmp_path / "fer2013-P1.safetensors"
    checkpoint.export(path, [(checkpoint.network(card), card)], facts, half=True)
    text = re.sub(r" +", " ", render_card(path, read_export(path)))
    for line in (
        "# P1 of fer2013",
        "| what it does | tells angry and happy from a grey picture of a face |",
        "| trained on | 77 pictures of people of fer2013 |",
        "| terms of the data | the terms (there) |",
        "| accuracy | 66.1 (64.0–68.2)% |",
        "| mean over classes (UAR) | 61.0% |",
        "| tested on | 33 pictures |",
        "| calibration | temperature 1.37, from validation; expected calibration error on the test 0.0312 |",
        "| what a clip is cut to | the detector's box times 1.15, 40 px, grey |",
        "| angry | 50.0 | 25.0 |",
        "| happy | - | 75.0 |",
        "| processor time | 1.5 hours of one core |",
        "| epochs that were chosen | 12 |",
    ):
        assert line in text
    assert read_export(path).sha256 in text
