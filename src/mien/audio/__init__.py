"""Sound: any medium to 16 kHz mono, and its spectrogram."""
