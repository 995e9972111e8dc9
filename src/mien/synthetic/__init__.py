"""People who do not exist: their faces, voices and performances, in the formats of the corpora."""
