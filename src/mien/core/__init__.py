"""The floor every stage stands on: configuration, errors, tables, shards, media, randomness."""
