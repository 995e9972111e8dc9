"""A module per table: its numbers and its page."""
