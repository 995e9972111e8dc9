"""Classifiers without epochs: support-vector machines on vectors, Eigenfaces and Fisherfaces on pictures."""
