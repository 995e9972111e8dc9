"""Draw N0, N1 and N2, and N2 over three modalities, from their modules (thesis, figures 5.4, 5.5); what they compute.

The networks are those of the thesis: 64 channels in the first stage, LSTM, eight emotions. They are drawn as boxes and
lines, as their modules say: a lane per modality, and one in which they meet below.

Figures 2.5 and 2.6 have the activations that networks of this project use, and their gradients by autograd. Figure 5.2
measures what the thesis draws: how far a gradient that reaches one modality depends on the other one.
"""

import logging
from pathlib import Path

import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from torch import Tensor
from torch.nn import functional

from mien.models.graph import Box, boxes_of
from mien.models.mrpn import build, n_parameters
from mien.report.style import GREY, line_style, saved_figure, svg_png, write_numbers

log = logging.getLogger(__name__)

SIZES = {"aggregator": "lstm", "side_head": "dense", "classes": 8, "width": 64, "dropout": 0.5}
PANELS = {  # figure -> title, modalities and fusion of every network
    "5.4": [(name, ("video", "audio"), how) for name, how in {"N0": "n0", "N1": "n1", "N2 (MRPN)": "mrpn"}.items()],
    "5.5": [("MRPN of M = 3 modalities, as of any number", ("video", "audio", "units"), "mrpn")],
}
LANES = ("#ee8833", "#4477aa", "#228833")  # of modalities, in their order; Paul Tol's scheme
MEETING = "#aa3377"
WIDTH, HEIGHT = 0.80, 0.56  # of a box; columns and lanes are 1 apart
LOSS = "loss: sum of the\ncross-entropies\nof all heads\n(eq. 28)"


def draw_network(ax: Axes, boxes: list[Box], *, title: str) -> None:
    """Draw the boxes of `models.graph` on an empty Axes.

    A box stands one column right of the last one that it gets something from. What only training uses is dashed: the
    heads of single modalities and the loss.
    """
    lanes = list(dict.fromkeys(box.lane for box in boxes if box.lane))
    colours = dict(zip(lanes, LANES, strict=False)) | {"": MEETING}
    row = {lane: len(lanes) - number for number, lane in enumerate(lanes)} | {"": 0}
    place: dict[str, tuple[int, int]] = {}
    for box in boxes:
        place[box.name] = (1 + max((place[before][0] for before in box.inputs), default=-1), row[box.lane])
    last = max(column for column, _ in place.values())
    in_training = _in_training(boxes)
    for box in boxes:
        at, style = place[box.name], "--" if box.name in in_training else "-"
        for before in box.inputs:
            _line(ax, place[before], at, style)
        if not is_output(box, boxes):
            _box(ax, at, f"{box.title}\n{box.size}".strip(), colours[box.lane], style)
            continue
        ax.text(*at, rf"$s_{{\mathrm{{{box.lane or 'fused'}}}}}$", ha="center", va="center", fontsize=10)
        if not box.lane:
            ax.text(at[0], at[1] - 0.3, "the answer", ha="center", va="center", fontsize=6.5, color=GREY)
        _line(ax, at, (last + 1.1, at[1]), "--", start=0.3)
    _box(ax, (last + 1.2, len(lanes) / 2), LOSS, GREY, "--", width=1.0, height=len(lanes) + HEIGHT)
    ax.set(xlim=(-0.45, last + 1.75), ylim=(-0.4, len(lanes) + 0.4), aspect="equal", anchor="W")
    ax.set_axis_off()
    ax.set_title(title, loc="left")


def is_output(box: Box, boxes: list[Box]) -> bool:
    """Say whether nothing in the network comes after a box."""
    return not any(box.name in other.inputs for other in boxes)


def _in_training(boxes: list[Box]) -> set[str]:
    """Return the names of what leads to no answer of all modalities together."""
    needed = {box.name for box in boxes if is_output(box, boxes) and not box.lane}
    for box in reversed(boxes):
        if box.name in needed:
            needed |= set(box.inputs)
    joint = any(not box.lane for box in boxes)
    return {box.name for box in boxes} - needed if joint else set()


def _box(
    ax: Axes, at: tuple[float, float], text: str, colour: str, style: str, *, width: float = WIDTH, height=HEIGHT
) -> None:
    corner = (at[0] - width / 2, at[1] - height / 2)
    look = {"boxstyle": "round,pad=0,rounding_size=0.08", "linestyle": style, "edgecolor": colour, "zorder": 3}
    ax.add_patch(FancyBboxPatch(corner, width, height, facecolor=f"{colour}26", **look))
    ax.text(*at, text, ha="center", va="center", fontsize=6.5, zorder=4)


def _line(
    ax: Axes, one: tuple[float, float], other: tuple[float, float], style: str, *, start: float = WIDTH / 2
) -> None:
    """Draw an arrow from the right of one place to the left of another, with a step just before the latter's column."""
    bend, head = other[0] - 0.5, other[0] - WIDTH / 2
    ax.plot([one[0] + start, bend, bend], [one[1], one[1], other[1]], style, color=GREY, linewidth=0.9)
    arrow = {"arrowstyle": "-|>", "linestyle": style, "color": GREY, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 6}
    ax.annotate("", (head, other[1]), (bend, other[1]), arrowprops=arrow)


ACTIVATIONS = {  # name -> function, and where it is used
    "sigmoid": (torch.sigmoid, "residual perception (eq. 29), gates of the LSTM"),
    "tanh": (torch.tanh, "state of the LSTM"),
    "ReLU": (torch.relu, "convolutions and dense layers"),
}
N_CLIPS, N_STARTS = 64, 5
FLOW = ["network", "from_fused", "from_own", "change"]


def measure_flow(title: str, fusion: str) -> dict[str, float | str]:
    """Return FLOW of a network with random first weights: what reaches the features of one modality, the face's.

    Features and classes of `N_CLIPS` clips are random, the mean is over `N_STARTS` starts; features have 64 numbers.
    from_fused, from_own : norms of the gradients of the fused head's loss, and of the loss of the modality's own head.
    change : norm of what their sum changes by, relative to it, when each clip is given the voice of another one.
    """
    rows = []
    for seed in range(N_STARTS):
        network = build(("video", "audio"), fusion=fusion, seed=seed, **SIZES | {"width": 8, "dropout": 0.0}).train()
        draw = torch.Generator().manual_seed(seed)
        face, voice = torch.randn(2, N_CLIPS, network.branches["video"].dim, generator=draw)
        label = torch.randint(SIZES["classes"], (N_CLIPS,), generator=draw)
        found = _gradients(network, face, voice, label)
        total, other = sum(found.values()), sum(_gradients(network, face, voice.roll(1, 0), label).values())
        own = found.get("video", torch.zeros(()))
        rows.append([found["fused"].norm(), own.norm(), (total - other).norm() / total.norm()])
    return dict(zip(FLOW, [title, *torch.tensor(rows).mean(0).tolist()], strict=True))


def _gradients(network: torch.nn.Module, face: Tensor, voice: Tensor, label: Tensor) -> dict[str, Tensor]:
    """Return head -> gradient (N, D) of its cross-entropy at the features of the face; of heads that look at them."""
    face = face.clone().requires_grad_()
    scores = network.classify_features({"video": face, "audio": voice})
    losses = {head: functional.cross_entropy(scores[head], label) for head in ("fused", "video") if head in scores}
    return {head: torch.autograd.grad(loss, face, retain_graph=True)[0] for head, loss in losses.items()}


def draw_flow(figure: Figure, numbers: pd.DataFrame) -> None:
    """Draw the gradients that reach one modality, and what they change by with the other one; `numbers`: FLOW."""
    sizes, change = figure.subplots(1, 2)
    sizes.bar(numbers.network, numbers.from_fused, color=MEETING, label="of the fused loss")
    sizes.bar(numbers.network, numbers.from_own, bottom=numbers.from_fused, color=LANES[0], label="of its own loss")
    sizes.set_title("gradient at the features of the face", loc="left")
    sizes.set_ylabel("norm (one on top of the other)")
    sizes.set_ylim(0, 1.35 * (numbers.from_fused + numbers.from_own).max())
    sizes.legend(loc="upper left")
    bars = change.bar(numbers.network, 100 * numbers.change, color=LANES[1])
    change.bar_label(bars, fmt="%.0f%%")
    change.set_title("what another voice changes of it", loc="left")
    change.set_ylabel("% of the gradient")
    change.set_ylim(0, 100)


def draw_activations(ax: Axes, *, gradient: bool) -> None:
    """Draw the activations, or their gradients, of numbers from -5 to 5."""
    x = torch.linspace(-5.0, 5.0, 201, requires_grad=True)
    for number, (name, (function, used)) in enumerate(ACTIVATIONS.items(), start=1):
        y = function(x)
        shown = torch.autograd.grad(y.sum(), x)[0] if gradient else y.detach()
        ax.plot(x.detach(), shown, **line_style(number), label=f"{name}: {used}")
    ax.set(xlabel="x", ylim=(-1.15, 3.2) if not gradient else (-0.05, 1.5))
    ax.grid()
    ax.legend(loc="upper left")


def draw_networks(*, out: Path) -> None:
    """Build the networks without numbers, trace them and draw them; draw their activations and measure gradients.

    Parameters
    ----------
    out
        Folder for 2.5, 2.6, 5.2, 5.4 and 5.5, each as .svg and .png, and 5.2.csv.
    """
    for number, what in (("2.5", "Activations in use"), ("2.6", "Their gradients")):
        with saved_figure(f"Figure {number}. {what}", 5.6, 3.2, *svg_png(out, number)) as figure:
            draw_activations(figure.subplots(), gradient=number == "2.6")
    flow = pd.DataFrame([measure_flow(name, fusion) for name, _, fusion in PANELS["5.4"]])
    write_numbers(out / "5.2.csv", flow)
    title = "Figure 5.2. Gradients of networks with first weights, random features"
    with saved_figure(title, 7.2, 3.0, *svg_png(out, "5.2")) as figure:
        draw_flow(figure, flow)
    for number, shown in PANELS.items():
        n_rows = sum(len(modalities) + 1 for _, modalities, _ in shown)
        title = f"Figure {number}. Dashed: in training only"
        with saved_figure(title, 9.6, 0.6 + 0.84 * n_rows, *svg_png(out, number)) as figure:
            axes = figure.subplots(len(shown), squeeze=False)[:, 0]
            for ax, (name, modalities, fusion) in zip(axes, shown, strict=True):
                with torch.device("meta"):  # shapes without numbers
                    model = build(modalities, fusion=fusion, **SIZES)
                count = f"{n_parameters(model):,}".replace(",", " ")
                draw_network(ax, boxes_of(model), title=f"{name}: {count} weights")
        log.info("%s: %d networks", out / f"{number}.svg", len(shown))
