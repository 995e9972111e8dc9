"""Figures 5.4 and 5.5: a box per module, none on top of another, and training's parts dashed."""

import itertools

import pytest

from mien.models.graph import boxes_of
from mien.models.mrpn import build
from mien.report.figures.networks import draw_network, is_output
from mien.report.style import saved_figure

SIZES = {"aggregator": "lstm", "side_head": "dense", "classes": 4, "width": 2, "dropout": 0.5}


@pytest.mark.parametrize(
    ("fusion", "names"),
    [("n0", ("video", "audio")), ("n1", ("video", "audio")), ("mrpn", ("video", "audio", "units"))],
)
def test_a_box_per_module_and_none_on_top_of_another(fusion, names):
    boxes = boxes_of(build(names, fusion=fusion, **SIZES))
    outputs = [box for box in boxes if is_output(box, boxes)]
    with saved_figure("", 8, 4) as figure:
        ax = figure.subplots()
        draw_network(ax, boxes, title="N")
        drawn = [patch.get_bbox() for patch in ax.patches]
        dashed = [patch for patch in ax.patches if patch.get_linestyle() == "--"]
    assert len(outputs) == (1 if fusion == "n0" else len(names) + 1)
    assert len(drawn) == len(boxes) - len(outputs) + 1  # and the loss
    assert not any(one.overlaps(other) for one, other in itertools.combinations(drawn, 2))
    assert len(dashed) == len(outputs)  # a side head per modality, and the loss
