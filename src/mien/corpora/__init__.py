"""Adapters for the corpora: what is in them, who is tested when, what is wrong with them, and how to get them."""
