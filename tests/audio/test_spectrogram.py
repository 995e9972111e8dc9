"""Spectrograms: sizes of the thesis, tones at their rows, segments at their times."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mien.audio.spectrogram import cut_segments, segment_alone, segment_s, segment_shape, spectrogram
from mien.config.schema import SoundConfig

THESIS = SoundConfig(rate_hz=16000, silence_dbfs=-60.0, window=512, hop=64, segment=250, log=True, pool=1)
MINI = replace(THESIS, pool=4)


def tone(f_hz, seconds=1.0):
    return torch.sin(2 * torch.pi * f_hz * torch.arange(round(16000 * seconds)) / 16000)


@pytest.mark.parametrize(("config", "shape"), [(THESIS, (257, 250)), (MINI, (64, 62))])
def test_a_second_has_the_size_of_the_thesis(config, shape):
    assert spectrogram(tone(440.0), config).shape == segment_shape(config) == shape
    assert segment_s(config) == 1.0


@pytest.mark.parametrize("f_hz", [250.0, 1000.0, 4000.0])
def test_a_tone_is_loudest_in_its_row(f_hz):
    row = spectrogram(tone(f_hz), THESIS)[:, 20:-20].mean(1).argmax().item()
    assert row * 16000 / 512 == pytest.approx(f_hz, abs=16000 / 512)


def test_segments_are_columns_of_the_clip():
    clip = spectrogram(torch.randn(40000, generator=torch.Generator().manual_seed(0)), THESIS)
    segments = cut_segments(clip, np.array([0.0, 0.5, 1.5]), THESIS)
    assert segments.shape == (3, 1, 257, 250)
    for segment, start in zip(segments, (0, 125, 375), strict=True):
        assert torch.equal(segment[0], clip[:, start : start + 250])


def test_beyond_its_end_a_clip_is_its_minimum():
    clip = spectrogram(torch.randn(40000, generator=torch.Generator().manual_seed(0)), THESIS)  # 625 columns
    late, beyond = cut_segments(clip, np.array([2.0, 9.0]), THESIS)[:, 0]
    assert torch.equal(late[:, :125], clip[:, 500:])
    assert (late[:, 125:] == clip.min()).all()
    assert (beyond == clip.min()).all()
    early = cut_segments(clip, np.array([0.0, 1.0]), THESIS, stop_s=1.5)[:, 0]
    assert torch.equal(early[0], clip[:, :250])
    assert torch.equal(early[1][:, :125], clip[:, 250:375])
    assert (early[1][:, 125:] == clip.min()).all()


@pytest.mark.parametrize("config", [THESIS, MINI])
@pytest.mark.parametrize("n_samples", [16000, 16001, 33333, 40447, 40448])
def test_a_segment_that_ends_with_the_clip_has_no_padding(config, n_samples):
    """Whatever rounding does to its first column."""
    clip = torch.rand(3, n_samples // (config.hop * config.pool)) + 1.0
    clip[:, 0] = 0.0  # the minimum, which padding would show
    duration_s = n_samples / config.rate_hz
    segment = cut_segments(clip, np.array([duration_s - segment_s(config)]), config, stop_s=duration_s)[0, 0]
    assert (segment[:, 1:] > 0.0).all()


@pytest.mark.parametrize("n_samples", [1, 63, 200, 700])
@pytest.mark.parametrize("config", [THESIS, MINI])
def test_hardly_any_sound_is_no_failure(n_samples, config):
    for wave in (torch.zeros(n_samples), tone(440.0)[:n_samples]):
        clip = spectrogram(wave, config)
        assert clip.isfinite().all()
        assert cut_segments(clip, np.zeros(2), config).shape == (2, 1, *segment_shape(config))


@pytest.mark.parametrize("config", [THESIS, MINI])
def test_a_segment_alone_is_the_spectrogram_of_its_second(config):
    wave = torch.randn(40000, generator=torch.Generator().manual_seed(0))
    segment = segment_alone(wave[8000:24000], config)
    assert segment.shape == (1, *segment_shape(config))
    assert torch.equal(segment[0], spectrogram(wave[8000:24000], config))
    assert torch.equal(segment, segment_alone(wave[:24000], config))  # the newest second
    torch.testing.assert_close(segment, segment_alone(0.01 * wave[8000:24000], config), rtol=1e-2, atol=1e-2)
    assert len(segment_alone(torch.zeros(16000), config).unique()) == 1
