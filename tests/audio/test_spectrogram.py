"""Spectrograms: sizes of the thesis, tones at their rows, segments at their times."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mien.audio.spectrogram import (
    POWER_FLOOR,
    crop_or_repeat,
    cut_segments,
    log_mel,
    mel_filters,
    segment_s,
    segment_shape,
    spectrogram,
    standardised_segment,
)
from mien.config.schema import MelConfig, SoundConfig

THESIS = SoundConfig(rate_hz=16000, silence_dbfs=-60.0, window=512, hop=64, segment=250, log=True, pool=1)
MINI = replace(THESIS, pool=4)
MEL = replace(THESIS, front_end="logmel", mel=MelConfig(columns=100))


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
    segment = standardised_segment(wave[8000:24000], config)
    assert segment.shape == (1, *segment_shape(config))
    assert torch.equal(segment[0], spectrogram(wave[8000:24000], config))
    assert torch.equal(segment, standardised_segment(wave[:24000], config))  # the newest second
    torch.testing.assert_close(segment, standardised_segment(0.01 * wave[8000:24000], config), rtol=1e-2, atol=1e-2)
    assert len(standardised_segment(torch.zeros(16000), config).unique()) == 1


def test_mel_filters_are_those_of_torchaudio():
    from torchaudio.functional import melscale_fbanks

    wanted = melscale_fbanks(257, 50.0, 8000.0, 64, 16000, norm=None, mel_scale="htk")
    torch.testing.assert_close(mel_filters(16000, MEL.mel), wanted.T, atol=1e-4, rtol=0)


@pytest.mark.parametrize("f_hz", [300.0, 1000.0, 4000.0])
def test_a_tone_is_loudest_in_its_mel_band(f_hz):
    spectrum, _ = log_mel(tone(f_hz), MEL)
    band = spectrum.mean(1).argmax().item()
    nearest = int((f_hz / (16000 / 512)) + 0.5)  # row of the transform
    assert mel_filters(16000, MEL.mel)[band, nearest] == mel_filters(16000, MEL.mel)[:, nearest].max()


def test_a_voice_is_heard_from_its_beginning_to_its_end():
    quiet = torch.zeros(16000)
    spectrum, start_s = log_mel(torch.cat([quiet, 0.1 * tone(500.0), quiet]), MEL)
    assert start_s == pytest.approx(1.0 - 0.06)
    assert spectrum.shape == (64, 50 + 2 * 3)  # 0.02 s a column
    louder, _ = log_mel(torch.cat([quiet, tone(500.0), quiet]), MEL)
    band = spectrum.mean(1).argmax()
    torch.testing.assert_close(
        louder[band, 3:-3] - spectrum[band, 3:-3], torch.full((50,), np.log(100.0)), atol=1e-3, rtol=0
    )


@pytest.mark.parametrize("n", [1, 100, 320, 16001])
def test_silence_and_the_shortest_sounds_have_a_mel_spectrogram(n):
    spectrum, start_s = log_mel(torch.zeros(n), MEL)
    assert start_s == 0.0
    torch.testing.assert_close(spectrum, torch.full((64, max(1, n // 320)), np.log(POWER_FLOOR)))
    assert crop_or_repeat(spectrum, MEL).shape == (2, 1, *segment_shape(MEL)) == (2, 1, 64, 100)


def test_a_short_voice_is_repeated_and_a_long_one_cut():
    short, long = (torch.arange(n).expand(64, n) for n in (40, 160))
    assert crop_or_repeat(short, MEL)[:, 0, 5].tolist() == [
        [*range(40), *range(40), *range(20)],
        [*range(20, 40), *range(40), *range(40)],
    ]
    assert crop_or_repeat(short, MEL, place=1.0)[0, 0, 0].tolist()[:3] == [39, 0, 1]
    assert crop_or_repeat(long, MEL)[:, 0, 5].tolist() == [list(range(100)), list(range(60, 160))]
    assert crop_or_repeat(long, MEL, place=0.5)[:, 0, 5].tolist() == [list(range(30, 130))]
