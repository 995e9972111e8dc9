"""Figures 5.4 and 5.5: a box per module, none on top of another, and training's parts dashed."""

import itertools

import pytest

from mien.models.graph import boxes_of
from mien.models.mrpn import build
from mien.report.figures.networks import draw_activations, draw_network, is_output, measure_flow
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


def test_a_head_of_its_own_holds_a_modality_against_the_other_one():
    flow = {fusion: measure_flow(fusion, fusion) for fusion in ("n0", "n1", "mrpn")}
    assert flow["n0"]["from_own"] == 0.0
    assert flow["n0"]["from_fused"] == pytest.approx(flow["n1"]["from_fused"])  # the same first weights
    assert flow["mrpn"]["change"] < flow["n1"]["change"] < flow["n0"]["change"]


def test_activations_and_gradients_have_their_values():
    with saved_figure("", 4, 3) as figure:
        for gradient, at_zero, at_five in (
            (False, (0.5, 0.0), (0.9933, 0.9999)),
            (True, (0.25, 1.0), (0.0066, 0.0002)),
        ):
            ax = figure.add_subplot()
            draw_activations(ax, gradient=gradient)
            sigmoid, tanh, relu = (line.get_ydata() for line in ax.lines)
            assert (sigmoid[100], tanh[100]) == pytest.approx(at_zero, abs=1e-4)
            assert (sigmoid[-1], tanh[-1]) == pytest.approx(at_five, abs=1e-4)
            assert (relu[0], relu[-1]) == ((0.0, 1.0) if gradient else (0.0, 5.0))
