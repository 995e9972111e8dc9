"""From clips of your own to a timeline and a verdict."""
