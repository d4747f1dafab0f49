"""Vectors made comparable, and vectors as points in a plane."""

from collections.abc import Callable

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

_PERPLEXITY = 30.0
_LEAST_MOVE = 1e-3


def standardiser(rows: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Brings each column to mean 0 and deviation 1 over these rows, and a constant one to 0.

    A column that moves by less than a thousandth of the vectors' size counts as constant: pooled instance
    normalisation has no others, and at unit deviation its rounding errors would be taken for information.

    Arguments
    ---------
    rows : np.ndarray, (N, D)

    Returns
    -------
    callable
        Maps (M, D) to the same shape.

    Example
    -------
    >>> rows = np.array([[1.0, 5.0], [3.0, 5.0000001]])
    >>> standardiser(rows)(rows).tolist()
    [[-1.0, 0.0], [1.0, 0.0]]
    """
    mean, deviation = rows.mean(axis=0, dtype=np.float64), rows.std(axis=0, dtype=np.float64)
    moves = deviation > _LEAST_MOVE * np.sqrt(np.mean(np.square(rows, dtype=np.float64)))
    scale = np.where(moves, 1 / np.where(moves, deviation, 1), 0.0)
    return lambda others: np.where(moves, others - mean, 0.0) * scale


def pca(vectors: np.ndarray) -> np.ndarray:
    """The two directions along which standardised vectors vary most: (N, D) -> (N, 2).

    Example
    -------
    >>> pca(np.random.default_rng(0).random((10, 5))).shape
    (10, 2)
    """
    scaled = standardiser(vectors)(vectors)
    if not scaled.any():  # all alike
        return np.zeros((len(vectors), 2))
    found = PCA(n_components=min(2, *scaled.shape), svd_solver="full").fit_transform(scaled)
    return np.pad(found, ((0, 0), (0, 2 - found.shape[1])))


def tsne(vectors: np.ndarray) -> np.ndarray:
    """t-SNE of standardised vectors, starting from their principal components: (N, D) -> (N, 2).

    Source: van der Maaten and Hinton 2008. Perplexity 30, less for few vectors.

    Example
    -------
    >>> tsne(np.random.default_rng(0).random((10, 5))).shape
    (10, 2)
    """
    scaled, start = standardiser(vectors)(vectors), pca(vectors)
    deviation = start[:, 0].std()
    start = start * (1e-4 / deviation if deviation > 0 else 1.0)
    perplexity = min(_PERPLEXITY, (len(vectors) - 1) / 3)
    return TSNE(perplexity=perplexity, init=start.astype(np.float32), random_state=0).fit_transform(scaled)
