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


def test_a_warp_moves_bands_by_one_factor():
    first = masked(warp=0.2)[:, 0, 0, :, 0] - 1.0  # where each band was
    factor = first[:, 20] / 20.0
    assert 1 / 1.2 <= factor.min() < 0.9
    assert 1.1 < factor.max() <= 1.2
    assert torch.allclose(first, (torch.arange(64.0) * factor.unsqueeze(1)).clamp(max=63.0), atol=1e-4)


def test_a_stretch_changes_the_pace_and_goes_on_from_the_beginning():
    columns = torch.arange(30.0).expand(200, 2, 1, 64, 30)
    first = mask_spectra(columns, MasksConfig(stretch=0.2), generator=torch.Generator().manual_seed(0))[:, 1, 0, 5]
    factor = first[:, 10] / 10.0
    assert 1 / 1.2 <= factor.min() < 0.9
    assert 1.1 < factor.max() <= 1.2
    wanted = (torch.arange(30.0) * factor.unsqueeze(1)).remainder(29.0)
    clear = (wanted - 14.5).abs() < 14.0  # elsewhere rounding decides whether it has begun again
    assert torch.allclose(first[clear], wanted[clear], atol=1e-4)


def test_a_colour_is_one_line_over_the_bands_of_a_clip():
    added = masked(colour=0.3) - SPECTRA
    assert torch.equal(added, added[:, :1, :, :, :1].expand_as(added))
    knots = added[:, 0, 0, [0, 63], 0]  # where a knot lies on a band
    assert 0.25 < knots.std() < 0.35
    assert abs(knots.mean()) < 0.05
    assert added[:, 0, 0, :, 0].diff(dim=1).diff(dim=1).abs().gt(1e-4).sum(1).max() <= 8  # straight but at 4 knots


def test_a_mask_as_large_as_all_fits():
    assert masked(bands=64, columns=200).shape == SPECTRA.shape
    assert torch.equal(masked(3, bands=8, warp=0.2), masked(3, bands=8, warp=0.2))
