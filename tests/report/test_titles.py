"""Chapters and titles of tables and figures."""

from mien.report.titles import find_entries


def test_the_first_pattern_that_fits_counts_and_what_a_star_stands_for_ends_the_title(tmp_path):
    (titles := tmp_path / "titles.yaml").write_text(
        'One:\n  table:\n    tables/5.2: Fusion\n    figures/samples-*: Samples\nTwo:\n  table:\n    "*": Other\n'
    )
    found = find_entries(["tables/5.2", "figures/samples-mug", "tables/5x2"], titles)
    assert found["tables/5.2"] == (0, "One", "table", "Fusion")
    assert found["figures/samples-mug"] == (1, "One", "table", "Samples, mug")
    assert found["tables/5x2"] == (2, "Two", "table", "Other, tables/5x2")


def test_every_file_of_the_report_has_a_title_and_every_caption_is_there(repository):
    folder = repository / "workflow" / "report"
    stems = [path.stem for path in (repository / "results" / "tables").glob("*.md")]
    found = find_entries([f"tables/{stem}" for stem in stems], folder / "titles.yaml")
    assert [found[f"tables/{stem}"].chapter for stem in stems].count("Further tables") == 0
    captions = {entry.caption for entry in found.values()}
    assert captions <= {path.stem for path in folder.glob("*.rst")}
