"""Audio-video emotion recognition, reproducible from download to table."""
