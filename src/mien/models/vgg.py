"""VGG-16: configuration D of Simonyan and Zisserman 2014 (arXiv 1409.1556), the face descriptor of thesis section 4.3.

The names in the state dict are those of torchvision's vgg16, beside `mean` and `deviation`, which say how the weights
want their pixels: weights and normalisation belong together, and travel together in one file.
"""

import torch
from torch import Tensor, nn

from mien.core.errors import ModelError

STAGES = ((1, 2), (2, 2), (4, 3), (8, 3), (8, 3))  # channels relative to the width, convolutions; a pool ends each
DENSE = 64  # numbers of the two hidden dense layers, relative to the width: 4096
SHRINK = 2 ** len(STAGES)  # of the side of a picture
FACE_MEAN = (129.1863, 104.7624, 93.5940)  # grey levels of R, G, B: Parkhi et al. 2015, Deep face recognition
CONTRAST = 64.0  # grey levels: about the deviation of pictures, with which random weights see numbers of size 1
LAST = 0.01  # deviation of the last layer's first weights


class VGG16(nn.Module):
    """Thirteen convolutions and three dense layers, no batch norm; (B, 3, size_px, size_px) -> (B, classes) logits.

    Pictures are RGB grey levels 0..255; the network looks at (pictures - mean) / deviation, (3, 1, 1) each. Both start
    as the descriptor's channel means and `CONTRAST`; `models.weights.load_descriptor` puts those of a file there. The
    border that pads a picture has the colour `mean`, whatever weights are loaded.

    First weights are those of He et al. 2015 (arXiv 1502.01852, eq. 10): normal with variance 2 / inputs, biases 0.
    They keep the size of the signal through all layers; with the deviation 0.01 of the original a network of this
    depth without batch norm does not start to learn. Only the last layer has that deviation: every class begins with
    nearly the same logit, and the first loss is log(classes).

    width : channels of the first stage; 64 is the standard network. Dense layers have 64 times as many numbers.
    size_px : side of the pictures; 224 is the standard, 32 the least.
    dropout : after both hidden dense layers.

    Raises
    ------
    ModelError : pictures of `size_px` end before the last pool.
    """

    def __init__(self, classes: int, *, width: int = 64, size_px: int = 224, dropout: float = 0.5) -> None:
        super().__init__()
        side = size_px // SHRINK
        if side < 1:
            raise ModelError(f"vgg16 needs pictures of {SHRINK} px or more, got {size_px}; see extractor.vgg_size_px")
        self.classes, self.width, self.size_px = classes, width, size_px
        self.register_buffer("mean", torch.tensor(FACE_MEAN).view(3, 1, 1))
        self.register_buffer("deviation", torch.full((3, 1, 1), CONTRAST))
        layers, inputs = [], 3
        for factor, convolutions in STAGES:
            for _ in range(convolutions):
                layers += [nn.Conv2d(inputs, factor * width, 3, padding=1), nn.ReLU(inplace=True)]
                inputs = factor * width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        hidden = DENSE * width
        self.classifier = nn.Sequential(
            *(nn.Linear(inputs * side * side, hidden), nn.ReLU(inplace=True), nn.Dropout(dropout)),
            *(nn.Linear(hidden, hidden), nn.ReLU(inplace=True), nn.Dropout(dropout)),
            nn.Linear(hidden, classes),
        )
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)
        nn.init.normal_(self.classifier[-1].weight, std=LAST)

    def forward(self, pictures: Tensor) -> Tensor:
        maps = self.features((pictures - self.mean) / self.deviation)  # (B, 8 width, S / 32, S / 32)
        return self.classifier(maps.flatten(1))  # (B, classes)

    def freeze_convolutions(self) -> None:
        """Keep the convolutions as they are: only dense layers are trained (thesis section 4.3, study X13)."""
        self.features.requires_grad_(False)
