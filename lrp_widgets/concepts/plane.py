"""Many vectors in a plane, those that are alike together: t-SNE and UMAP."""

from __future__ import annotations

import numpy as np

__all__ = ["NEIGHBOURLY", "neighbourly"]

NEIGHBOURLY = ("tsne", "umap")


def neighbourly(vectors: np.ndarray, by: str, seed: int) -> np.ndarray:
    """(n, 2), by "tsne" (scikit-learn) or "umap". Raises ImportError where umap-learn is not installed."""
    if by == "umap":
        try:
            from umap import UMAP  # type: ignore[import-not-found]
        except ImportError:
            raise ImportError('"umap" needs umap-learn, which is not installed. Take "tsne".') from None
        return UMAP(n_components=2, random_state=seed).fit_transform(vectors)
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(vectors) - 1) / 3)
    return TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(vectors)
