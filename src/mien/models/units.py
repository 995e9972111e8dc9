"""The trunk of action units: what eight numbers of a fitted mesh say about a face, without its picture."""

from torch import nn

UNITS = 8  # action units of the thesis (AU8)


class UnitPerceptron(nn.Sequential):
    """Standardisation, dense, ReLU, dense; action units (N, 8) -> (N, dim).

    The mean and the deviation of every unit are those of batch normalisation: it sees training people only, and its
    statistics travel with the weights, so there is no file of them.
    """

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__(
            nn.BatchNorm1d(UNITS, affine=False),  # the dense layer after it scales and shifts
            nn.Linear(UNITS, hidden),
            nn.ReLU(),
            nn.Linear(hidden, dim),
        )
        self.dim = dim
