"""Trained networks on recordings of your own: predict, watch, serve."""
