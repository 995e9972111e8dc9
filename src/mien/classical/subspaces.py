"""Eigenfaces (Turk & Pentland 1991) and Fisherfaces (Belhumeur, Hespanha & Kriegman 1997) on grey pictures.

Both look for the nearest training picture in a small space: Eigenfaces in the principal components that carry 95 % of
the variance, each scaled to unit variance; Fisherfaces in the C - 1 directions of linear discriminant analysis after at
most N - C principal components. With so many components for so few pictures the scatter within classes is all but
singular, hence it is shrunk a little towards a multiple of the identity (Friedman 1989, regularised discriminant
analysis). The estimate of Ledoit and Wolf is no help: scikit-learn takes it of standardised components, where the many
that carry noise weigh as much as the few that carry faces, and it comes out at chance.
"""

from collections.abc import Callable

import numpy as np

from mien.classical.svm import Fitted

VARIANCE = 0.95  # share that the Eigenfaces keep
SHRINKAGE = 0.1  # share of the mean variance in the scatter within classes
MOST_COMPONENTS = 1000  # before the discriminant analysis; more carry nothing and cost the cube
N_CLASSES = 4


def fit_eigenfaces(pictures: np.ndarray, labels: np.ndarray) -> Fitted:
    """Fit Eigenfaces on `pictures` (N, S, S) uint8 with `labels` (N,); N >= 2 pictures that are not all equal."""
    pca = _principal(pictures, VARIANCE, whiten=True)
    size = pca.components_.size + pca.mean_.size
    return _nearest_of(lambda new: pca.transform(_rows(new)), pictures, labels, size, pca)


def fit_fisherfaces(pictures: np.ndarray, labels: np.ndarray) -> Fitted:
    """Fit Fisherfaces on `pictures` (N, S, S) uint8 with `labels` (N,); N > number of classes >= 2."""
    pca, lda = _discriminant(pictures, labels)
    n_axes = min(len(lda.classes_) - 1, pca.n_components_)
    size = int((n_axes + 1) * pca.mean_.size)  # both maps in one, and the mean
    return _nearest_of(lambda new: lda.transform(pca.transform(_rows(new))), pictures, labels, size, pca)


def _nearest_of(transform: Callable, pictures: np.ndarray, labels: np.ndarray, size: int, pca) -> Fitted:
    """Return what gives, per class, minus the distance to its nearest known sample behind `transform`."""
    from scipy.spatial.distance import cdist

    known = transform(pictures)

    def judge(new: np.ndarray) -> np.ndarray:
        distance = cdist(transform(new), known)  # (N, M)
        return np.stack([-distance[:, labels == k].min(axis=1) for k in range(N_CLASSES)], axis=1)

    return Fitted(judge, size + known.size, {"components": int(pca.n_components_)})


def subspace_pictures(pictures: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Return what the two methods see, as pictures.

    Parameters
    ----------
    pictures, labels : (N, S, S) uint8; (N,) int.

    Returns
    -------
    "mean": (1, S, S) grey levels, 0 to 255; "eigenfaces": (K, S, S), unit norm, of falling variance; "fisherfaces":
    (C - 1, S, S), unit norm, of falling discrimination. Eigenfaces and fisherfaces are directions: of either sign.
    """
    side = pictures.shape[1:]
    pca = _principal(pictures, VARIANCE, whiten=False)
    wide, lda = _discriminant(pictures, labels)
    n_axes = len(np.unique(labels)) - 1
    fisher = lda.scalings_[:, :n_axes].T @ wide.components_  # (C-1, S*S)
    fisher /= np.linalg.norm(fisher, axis=1, keepdims=True)
    return {
        "mean": 255.0 * pca.mean_.reshape(1, *side),
        "eigenfaces": pca.components_.reshape(-1, *side),
        "fisherfaces": fisher.reshape(-1, *side),
    }


def _principal(pictures: np.ndarray, n_components: float | int, *, whiten: bool):
    from sklearn.decomposition import PCA

    return PCA(n_components=n_components, whiten=whiten, svd_solver="full").fit(_rows(pictures))


def _discriminant(pictures: np.ndarray, labels: np.ndarray) -> tuple:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    n_components = min(len(pictures) - len(np.unique(labels)), pictures[0].size, MOST_COMPONENTS)
    pca = _principal(pictures, n_components, whiten=False)
    lda = LinearDiscriminantAnalysis(solver="eigen", shrinkage=SHRINKAGE)
    return pca, lda.fit(pca.transform(_rows(pictures)), labels)


def _rows(pictures: np.ndarray) -> np.ndarray:
    return pictures.reshape(len(pictures), -1) / 255.0
