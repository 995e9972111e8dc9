"""In bfloat16 weights, gradients and losses stay float32, and networks say nearly the same."""

import pytest
import torch

from mien.models.mrpn import build
from mien.training import engine, stream

SIZE = {"video": (3, 32, 32), "audio": (1, 33, 32)}


@pytest.fixture(autouse=True)
def half(monkeypatch):
    """Compute in bfloat16 on this machine as on a GPU: only there it is asked for."""
    monkeypatch.setattr(
        engine, "autocast", lambda kind, precision: torch.autocast("cpu", enabled=precision != "float32")
    )


def network(fusion: str, aggregator: str = "lstm"):
    options = {"classes": 4, "width": 8, "dropout": 0.0, "side_head": "dense"}
    model = build(list(SIZE), fusion=fusion, aggregator=aggregator, **options).train()
    for layer in model.modules():
        if isinstance(layer, torch.nn.Dropout):  # of the transformer: what it draws is no matter of precision
            layer.p = 0.0
    return model


def sequences(n: int, steps: int) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(1)
    return {name: torch.randn(n, steps, *size, generator=draw) for name, size in SIZE.items()}


def check(model: torch.nn.Module, scores: dict[str, torch.Tensor], exact: dict[str, torch.Tensor]) -> None:
    """Hold scores in bfloat16 against those in float32, and look at what a step leaves behind."""
    assert {score.dtype for score in scores.values()} == {torch.float32}
    difference = torch.cat([(scores[head] - exact[head]).abs().flatten() for head in exact])
    difference = difference[~difference.isnan()]
    assert difference.max() > 0.0  # it is another arithmetic
    assert difference.mean() < 0.2  # statistical normalisation of few rows raises it
    sum(score.nan_to_num().square().mean() for score in scores.values()).backward()
    learnt = [weight for weight in model.parameters() if weight.grad is not None]
    assert len(learnt) > 50
    assert {weight.dtype for weight in learnt} == {weight.grad.dtype for weight in learnt} == {torch.float32}
    assert {value.dtype for value in model.buffers() if value.is_floating_point()} == {torch.float32}


@pytest.mark.parametrize(
    ("fusion", "aggregator"),
    [("n0", "bilstm"), ("mrpn", "lstm"), ("mrpn", "transformer"), ("gated", "lstm"), ("attention", "lstm")],
)
def test_networks_of_whole_clips(fusion, aggregator):
    model, inputs = network(fusion, aggregator), sequences(6, 3)
    n_steps = {"video": torch.tensor([3, 3, 3, 3, 3, 0]), "audio": torch.tensor([0, 1, 2, 3, 2, 2])}
    exact = model(inputs, n_steps)
    with engine.autocast(torch.device("cpu"), "bfloat16"):
        scores = {head: score.float() for head, score in model(inputs, n_steps).items()}
    check(model, scores, exact)


@pytest.mark.parametrize(("fusion", "aggregator"), [("mrpn", "lstm"), ("n0", "none")])
def test_networks_that_run_along(fusion, aggregator):
    model, inputs = network(fusion, aggregator), sequences(3, 4)
    at = {"video": torch.tensor([[0, 2], [1, 3], [-1, -1]]), "audio": torch.tensor([[-1, 1], [0, 2], [-1, 3]])}
    exact = stream.forward_stream(model, inputs, at, "float32")
    scores = stream.forward_stream(model, inputs, at, "bfloat16")
    assert scores["fused"].isnan().any(2).tolist() == [[False, False], [False, False], [True, False]]
    check(model, scores, exact)
