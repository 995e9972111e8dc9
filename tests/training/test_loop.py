"""The loop learns, and evaluation changes nothing."""

import torch

from mien.models.mrpn import build
from mien.training.clips import Batch
from mien.training.train import evaluate, train_epoch


def batches(n=4, size=8):
    """Clips whose class is the brightness of their frames."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(n):
        label = torch.arange(size) % 2
        video = (torch.rand(size, 2, 16, 16, 3, generator=generator) * 60 + 120 * label.view(-1, 1, 1, 1, 1)).byte()
        audio = torch.randn(size, 2, 1, 16, 16, generator=generator)
        present = torch.ones(size, dtype=torch.bool)
        yield Batch({"video": video, "audio": audio}, {"video": present, "audio": present}, label)


def network():
    return build(
        ("video", "audio"), fusion="mrpn", aggregator="lstm", side_head="dense", classes=2, width=2, dropout=0.0
    )


def test_a_tiny_network_learns_a_separable_set_by_heart():
    model = network()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = [train_epoch(model, batches(), optimizer, augment=lambda x: x, bfloat16=False) for _ in range(8)]
    verdict = evaluate(model, batches(), bfloat16=False)
    assert losses[-1] < 0.5 * losses[0]
    assert verdict.accuracy == 1.0
    assert verdict.logits["video"].shape == (32, 2)
    assert (verdict.logits["video"].argmax(1) == verdict.logits["fused"].argmax(1)).all()


def test_evaluation_changes_nothing_and_repeats():
    model = network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first, again = (evaluate(model, batches(), bfloat16=False) for _ in range(2))
    assert first.loss == again.loss
    assert torch.equal(first.logits["fused"], again.logits["fused"])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_loss_is_the_mean_over_clips_not_batches():
    model = network()
    one = next(batches(n=1, size=6))
    parts = [
        Batch(
            {name: value[part] for name, value in one.inputs.items()},
            {name: value[part] for name, value in one.present.items()},
            one.label[part],
        )
        for part in (slice(0, 1), slice(1, 6))
    ]
    whole, cut = evaluate(model, [one], bfloat16=False), evaluate(model, parts, bfloat16=False)
    assert abs(whole.loss - cut.loss) < 1e-6
