"""Masks of spectrograms in training."""

import torch

from mien.augment.masks import mask_spectra
from mien.config.schema import MasksConfig

SPECTRA = torch.arange(1.0, 65.0).view(1, 1, 1, 64, 1).expand(200, 2, 1, 64, 30)  # a row says its number


def masked(seed=0, **config):
    return mask_spectra(SPECTRA, MasksConfig(**config), generator=torch.Generator().manual_seed(seed))


def test_without_anything_to_do_they_stay():
    assert torch.equal(masked(), SPECTRA)


def test_one_run_of_bands_and_one_of_columns_is_hidden():
    for rows, config, most in ((True, {"bands": 8}, 8), (False, {"columns": 10}, 10)):
        hidden = masked(**config) == 0
        assert torch.equal(hidden[:, 0], hidden[:, 1])  # segments of a clip alike
        runs = hidden[:, 0, 0].any(2 if rows else 1)  # (B, F or W)
        assert torch.equal(hidden[:, 0, 0].all(2 if rows else 1), runs)
        assert set(runs.sum(1).tolist()) == set(range(most + 1))
        edges = runs.int().diff(dim=1).abs().sum(1) + runs[:, 0].int() + runs[:, -1].int()
        assert (edges <= 2).all()  # nowhere two runs


def test_a_shift_moves_all_bands_alike():
    first = masked(shift=3)[:, 0, 0, :, 0]
    by = first[:, 32] - SPECTRA[0, 0, 0, 32, 0]
    assert set(by.tolist()) == set(range(-3, 4))
    wanted = (SPECTRA[:, 0, 0, :, 0] + by.unsqueeze(1)).clamp(1.0, 64.0)  # the edge is repeated
    assert torch.equal(first, wanted)


def test_a_mask_as_large_as_all_fits():
    assert masked(bands=64, columns=200).shape == SPECTRA.shape
    assert torch.equal(masked(3, bands=8, shift=2), masked(3, bands=8, shift=2))
