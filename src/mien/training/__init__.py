"""From shards to trained networks: data, loop, checkpoints, one command."""
