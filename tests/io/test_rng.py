"""Streams depend on their seed and name only."""

from mien.io.randomness import rng_for, seed_for


def test_equal_names_give_equal_draws_and_others_differ():
    draws = {name: tuple(rng_for(0, *name).integers(0, 2**31, 4)) for name in [("a", 1), ("a", 2), ("b", 1)]}
    assert draws[("a", 1)] == tuple(rng_for(0, "a", "1").integers(0, 2**31, 4))
    assert len(set(draws.values())) == 3
    assert tuple(rng_for(1, "a", 1).integers(0, 2**31, 4)) != draws[("a", 1)]


def test_seeds_fit_torch_generators():
    seeds = {seed_for(0, "clip", k) for k in range(1000)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**63 for seed in seeds)
