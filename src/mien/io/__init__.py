"""What every stage stands on: tables, shards, media, files, randomness, provenance."""
