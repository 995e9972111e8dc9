"""Networks of geometric features: action units and landmarks (thesis section 4.2)."""

from torch import Tensor, nn

UNITS = 8  # numbers of AU8
POINTS = 136  # numbers of FP68


class DNNAU(nn.Module):
    """DNN-AU: dense 8, ReLU, dense; (B, 8) action units -> (B, classes) logits."""

    def __init__(self, *, classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(UNITS, 8), nn.ReLU(), nn.Linear(8, classes))

    def forward(self, units: Tensor) -> Tensor:
        return self.layers(units)


class DNNFP(nn.Module):
    """DNN-FP: dense 16, batch norm, ReLU, dropout, dense; (B, 136) landmarks -> (B, classes) logits.

    dropout : probability of dropping; the thesis has 80%.
    """

    def __init__(self, *, classes: int, dropout: float = 0.8) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(POINTS, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, classes)
        )

    def forward(self, points: Tensor) -> Tensor:
        return self.layers(points)
