"""Audio-video emotion recognition, reproducible from download to table."""

from mien import kernels

kernels.pin()
