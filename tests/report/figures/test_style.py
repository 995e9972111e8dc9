"""Every figure: equal content is equal bytes, and synthetic people are called so."""

from mien.report.style import saved_figure, spread, svg_png, title_line


def test_a_figure_is_the_same_twice_and_has_no_date(tmp_path):
    paths, drawn = svg_png(tmp_path, "4.16"), []
    for _ in range(2):
        with saved_figure("title", 2.0, 1.0, *paths) as figure:
            figure.subplots().plot([1, 2, 4])
        drawn.append([path.read_bytes() for path in paths])
    assert drawn[0] == drawn[1]
    assert b"<dc:date>" not in drawn[0][0]
    assert b"Software" not in drawn[0][1]


def test_a_figure_of_synthetic_people_says_so():
    assert "synthetic" in title_line("Figure 5.6", "ravdess", synthetic=True)
    assert "synthetic" not in title_line("Figure 5.6", "ravdess", synthetic=False)


def test_values_are_spread_from_the_first_to_the_last():
    assert spread([1, 2, 3, 4, 5], 3) == [1, 3, 5]
    assert spread([1, 2], 3) == [1, 2]
    assert spread([], 3) == []
