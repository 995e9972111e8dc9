"""Branches of a joint network that learn at a balanced pace: on-the-fly gradient modulation.

OGM-GE of Peng, Wei, Deng, Wang, Hu (2022), "Balanced multimodal learning via on-the-fly gradient modulation": the
branch that knows more of the right classes by itself learns more slowly (OGM, section 3.2), and noise stands for what
its smaller gradient lacks (GE, section 3.3). All weights of a branch are modulated, as the equations have it; the
authors' program changes those of convolutions alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mien.config.schema import ModulationConfig
from mien.models.mrpn import Network, Steps
from mien.training import engine


def modulation_coefficients(own: Mapping[str, Tensor], label: Tensor, *, alpha: float) -> dict[str, Tensor]:
    """Return the coefficient k of the gradients of each of two modalities (eq. 10).

    k = 1 - tanh(alpha * rho) where rho > 1, else 1; rho is the sum of the modality's own probabilities of the right
    classes over the batch, divided by that of the other.

    own : modality -> its own scores (B, C).   label : classes (B,).
    """
    sums = {name: scores.softmax(1).gather(1, label.unsqueeze(1)).sum() for name, scores in own.items()}
    first, second = sums
    ratios = {first: sums[first] / sums[second], second: sums[second] / sums[first]}
    return {name: torch.where(ratio > 1, 1 - torch.tanh(alpha * ratio), 1.0) for name, ratio in ratios.items()}


@dataclass(kw_only=True)
class GradientModulation:
    """A network that is trained, and changes the gradients of its branches before each step.

    network : in training mode, of fusion n0.   generator : of the noise, on the device of the network.
    """

    network: Network
    config: ModulationConfig
    generator: torch.Generator
    encoded: dict[str, Tensor] = field(default_factory=dict)  # features of the batch, modality -> (B, D)

    def __call__(self, inputs: Mapping[str, Tensor], n_steps: Steps | None = None) -> dict[str, Tensor]:
        """Return what the network returns."""
        self.encoded = self.network.forward_features(inputs, n_steps)
        return self.network.forward_heads(self.encoded, n_steps)

    @torch.no_grad()
    def unimodal_logits(self) -> dict[str, Tensor]:
        """Return what the fused head says of each modality of the batch by itself, modality -> (B, C).

        It is f(the modality alone) - f(nothing) / 2, where f is the head as in evaluation: what is absent is 0, and
        neither statistics nor random numbers are touched. Of a linear head these are the paper's W_u phi_u + b / 2.
        """
        encoded = {name: features.float() for name, features in self.encoded.items()}
        absent = {name: features.new_zeros(len(features), dtype=torch.bool) for name, features in encoded.items()}
        self.network.eval()
        nothing = self.network.classify_features(encoded, absent)["fused"]
        alone = {
            name: self.network.classify_features(encoded, absent | {name: ~absent[name]})["fused"] for name in encoded
        }
        self.network.train()
        return {name: scores - nothing / 2 for name, scores in alone.items()}

    def step(self, optimizer: torch.optim.Optimizer, loss: Tensor, label: Tensor) -> None:
        """Change the weights once; `label` (B,) are the classes of the batch."""
        hook = optimizer.register_step_pre_hook(lambda *_: self.modulate(label))
        engine.step(optimizer, loss)
        hook.remove()

    @torch.no_grad()
    def modulate(self, label: Tensor) -> None:
        """Change the gradients of the branches; the noise of each has the standard deviation that it had before."""
        for name, factor in modulation_coefficients(self.unimodal_logits(), label, alpha=self.config.alpha).items():
            gradients = [weight.grad for weight in self.network.branches[name].parameters() if weight.grad is not None]
            for gradient in gradients:
                spread = gradient.std(correction=0)
                gradient.mul_(factor)
                if self.config.noise:
                    noise = torch.randn(gradient.shape, generator=self.generator, device=gradient.device)
                    gradient.add_(spread * noise)
