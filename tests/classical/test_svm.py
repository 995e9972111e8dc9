"""The machines minimise what they say, and see nothing but what they are fitted on."""

import warnings

import numpy as np
import pytest

from mien.classical import svm
from mien.classical.crammer_singer import solve
from mien.io.randomness import rng_for


def _clouds(n, n_features, *, apart, seed=0):
    rng = rng_for(seed, "clouds")
    labels = rng.permutation(np.arange(n) % 4)
    return apart * rng.normal(size=(4, n_features))[labels] + rng.normal(size=(n, n_features)), labels


def _objective(weights, bias, features, labels, cost):
    """The primal of Crammer and Singer, term by term."""
    hinge = 0.0
    for x, y in zip(features, labels, strict=True):
        scores = [x @ weights[:, m] + bias[m] for m in range(weights.shape[1])]
        hinge += max((m != y) + scores[m] - scores[y] for m in range(weights.shape[1]))
    return 0.5 * ((weights**2).sum() + (bias**2).sum()) + cost * hinge


@pytest.mark.parametrize(("n", "n_features"), [(40, 3), (20, 30)])  # more samples than features, and fewer
@pytest.mark.parametrize("cost", [0.01, 1.0, 100.0])
def test_ssvm_is_the_minimum_that_liblinear_finds(n, n_features, cost):
    from sklearn.svm import LinearSVC

    features, labels = _clouds(n, n_features, apart=1.0)
    ours = solve(features, labels, cost=cost, n_classes=4)
    assert ours.converged
    found = _objective(ours.weights, ours.bias, features, labels, cost)
    assert ours.objective == pytest.approx(found)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = LinearSVC(C=cost, multi_class="crammer_singer", tol=1e-6, random_state=0).fit(features, labels)
    wanted = _objective(theirs.coef_.T, theirs.intercept_, features, labels, cost)
    assert wanted * 0.99 <= found <= wanted * (1 + 2e-5)  # liblinear stops early where the cost is high


def test_no_step_in_any_direction_is_better():
    features, labels = _clouds(30, 4, apart=1.0)
    best = solve(features, labels, cost=3.0, n_classes=4)
    rng = rng_for(0, "directions")
    for size in (1e-3, 1e-1):
        for _ in range(50):
            weights, bias = best.weights + size * rng.normal(size=(4, 4)), best.bias + size * rng.normal(size=4)
            assert _objective(weights, bias, features, labels, 3.0) >= best.objective * (1 - 1e-5)
    np.testing.assert_allclose(best.weights.sum(axis=1), 0, atol=1e-8)  # what all classes share costs and says nothing


def test_separable_classes_get_their_margin():
    corners = 3.0 * np.array([[1, 1], [1, -1], [-1, 1], [-1, -1.0]])
    features, labels = np.repeat(corners, 5, axis=0), np.repeat(np.arange(4), 5)
    plane = solve(features, labels, cost=1e3, n_classes=4)
    scores = features @ plane.weights + plane.bias
    margin = scores[np.arange(20), labels] - np.where(np.eye(4)[labels], -np.inf, scores).max(axis=1)
    np.testing.assert_allclose(margin, 1.0, atol=1e-2)
    # By symmetry w_k = t * corner_k and no bias; a neighbour differs in one coordinate: t * 3 * 6 = 1.
    np.testing.assert_allclose(plane.weights.T, corners / 18, atol=1e-3)


def test_hard_problems_end_with_an_honest_gap():
    """Features that are far from standardised are solved; absurd ones come out marked, with a bound that holds."""
    features, labels = _clouds(30, 5, apart=1.0)
    gentle = [solve(features * scale, labels, cost=4.0, n_classes=4) for scale in (1e-3, 1e-1, 10.0)]
    assert all(plane.converged for plane in gentle)
    absurd = solve(features * 1e3, labels, cost=4.0, n_classes=4)
    assert not absurd.converged
    soft = solve(features * 10.0, labels, cost=4.0, n_classes=4)  # weights of another scale: an upper bound
    bound = _objective(soft.weights / 100, soft.bias, features * 1e3, labels, 4.0)
    assert absurd.objective * (1 - absurd.gap) <= bound
    assert np.isfinite(absurd.weights).all()


@pytest.mark.parametrize("model", svm.GRIDS)
def test_training_samples_fix_everything(model):
    """What is judged later moves neither the scaling nor the search; a feature's unit does not matter."""
    features, labels = _clouds(40, 5, apart=1.5)
    people = np.arange(40) % 10
    judged = _clouds(20, 5, apart=1.5)[0]
    settings = {"model": model, "seed": 1}
    fitted = svm.fit_svm(features, labels, people, standardise=True, **settings)
    unit, zero = np.array([1e-3, 1.0, 7.0, 1e3, 1e5]), np.array([0.0, 5.0, -3.0, 2.0, 1e4])
    other = svm.fit_svm(features * unit + zero, labels, people, standardise=True, **settings)
    assert fitted.chosen == other.chosen
    np.testing.assert_allclose(other.logits(judged * unit + zero), fitted.logits(judged), rtol=1e-3, atol=1e-3)
    alone = [fitted.logits(judged[k : k + 1])[0] for k in range(20)]
    np.testing.assert_allclose(alone, fitted.logits(judged), rtol=1e-9, atol=1e-9)  # no statistics of a batch
    raw = svm.fit_svm(features, labels, people, standardise=False, **settings)
    assert raw.search["folds"] == fitted.search["folds"] == 5
    assert not np.allclose(raw.logits(judged), fitted.logits(judged))


@pytest.mark.parametrize("model", svm.GRIDS)
def test_the_search_judges_people_it_has_not_seen_and_prefers_the_simple(model):
    """Every point of the grid is right about everybody, so the first is taken; few people make few folds."""
    people, labels = np.repeat(np.arange(10), 4), np.tile(np.arange(4), 10)
    features = np.zeros((40, 6))
    features[np.arange(40), labels] = 1.0  # separable for every C and degree
    fitted = svm.fit_svm(features, labels, people, model=model, standardise=False, seed=0)
    assert fitted.search["accuracy"] == 1.0
    assert fitted.chosen == svm.GRIDS[model][0]
    for learnt, held in svm._folds(labels, people, 0):
        assert not set(people[learnt]) & set(people[held])
    with_few = svm.fit_svm(features[:8], labels[:8], people[:8], model=model, standardise=False, seed=0)
    assert with_few.search["folds"] == 2
    alone = svm.fit_svm(features[:4], labels[:4], people[:4], model=model, standardise=False, seed=0)
    assert (alone.search["folds"], alone.chosen) == (0, svm.GRIDS[model][0])


def test_a_constant_feature_says_nothing():
    features, labels = _clouds(40, 3, apart=2.0)
    people = np.arange(40) % 8
    constant = np.column_stack([features, np.full(40, 0.1)])
    one, two = (svm.fit_svm(x, labels, people, model="ssvm", standardise=True, seed=0) for x in (features, constant))
    np.testing.assert_allclose(one.logits(features), two.logits(constant), atol=1e-3)
