"""A module per group of figures."""
