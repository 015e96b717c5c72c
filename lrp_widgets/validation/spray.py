"""SpRAy: clusters among the heatmaps of a class show what its decisions rest on (Lapuschkin et al. 2019)."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from lrp_widgets.concepts.checks import checked_count, checked_samples, checked_seed
from lrp_widgets.concepts.plane import NEIGHBOURLY, neighbourly
from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.method import Method, never
from lrp_widgets.samples import Samples
from lrp_widgets.validation.heatmaps import heatmaps, rows_of_class
from lrp_widgets.wording import brief

__all__ = ["Spray", "spray"]

EMBEDDINGS = ("spectral", "tsne", "umap")
SHOWN = 12  # eigenvalues
CLEAR_GAP = 0.1  # between eigenvalues, which lie between 0 and 2: a smaller one is no structure
OUTLIERS = 10


@dataclass(frozen=True, eq=False)
class Spray:
    """Clusters of heatmaps.

    indices: which samples were looked at, (n,).  labels: the cluster of each, (n,), the largest one 0.
    eigenvalues: the smallest ones of the graph's normalized Laplacian, rising; a gap behind the k-th says k clusters.
    gap: how wide the widest gap is behind the second one and later; the wider, the more the class clusters.
    embedding: (n, 2), for a scatter plot.  means: the mean map of each cluster.  medoids: the sample nearest to it.
    outliers: the samples that a mixture of Gaussians over the maps finds least likely, the least likely first.
    notes: what a reader must know beside; where no gap is clear, that there is no structure.
    """

    indices: Tensor
    labels: Tensor
    eigenvalues: Tensor
    gap: float
    embedding: Tensor
    means: Tensor
    medoids: Tensor
    outliers: Tensor
    notes: tuple[str, ...]


def spray(
    explainer: Explainer,
    samples: Samples,
    target: Any = None,
    method: Method | None = None,
    layer: str = "",
    neighbours: int = 10,
    clusters: int | None = None,
    seed: int = 0,
    *,
    embedding: str = "spectral",
    batch: int = 32,
    progress: Callable[[int, int], None] | None = None,
    abandoned: Callable[[], bool] = never,
) -> Spray:
    """Explain all samples of a class, and see whether their heatmaps fall into clusters.

    target: a class: of the samples that have it as their label, or of all where there are no labels.
    method: any method; deep Taylor LRP by default.  layer: "" for maps of the input, or a layer (by lw.LRP), whose
    channels are compared.  neighbours: of each map in the graph.  clusters: how many; None lets the widest gap between
    eigenvalues tell, and 1 where none is clear.  embedding: "spectral", "tsne", or "umap" where umap-learn is there.
    progress: called with how many maps are done, and of how many.
    Maps are divided by their Σ|R|. The graph joins each map to its nearest ones, in both directions; clusters are found
    by k-means in the eigenvectors of its normalized Laplacian. Raises TypeError, ValueError, KeyError or Abandoned.
    """
    samples = checked_samples(samples)
    checked_seed(seed)
    if embedding not in EMBEDDINGS:
        raise ValueError(f"embedding must be one of {', '.join(map(repr, EMBEDDINGS))}, got {brief(embedding)}.")
    if target is None:
        raise ValueError("spray needs a target: the class whose decisions are looked at, for instance target=3.")
    indices = rows_of_class(samples, target)
    checked_count("neighbours", neighbours, 10**4, "the neighbours of each map")
    if len(indices) <= neighbours:
        raise ValueError(
            f"spray needs more samples than neighbours ({neighbours}), got {len(indices)} of class {target!r}. "
            "Take more samples, or fewer neighbours."
        )
    if clusters is not None:
        checked_count("clusters", clusters, len(indices) - 1, "fewer than there are samples")
    made: list[Tensor] = []
    for maps in heatmaps(explainer, samples, indices, target, method, layer, batch, abandoned):
        made.append(maps)
        if progress is not None:
            progress(sum(map(len, made)), len(indices))
    maps = torch.cat(made)
    if not bool(torch.isfinite(maps).all()):
        bad = [indices[row] for row in (~torch.isfinite(maps.flatten(1)).all(1)).nonzero().flatten().tolist()]
        raise ValueError(f"The maps of samples {', '.join(map(str, bad[:10]))} are not finite. Take another method.")
    vectors = maps.flatten(1).numpy()
    values, eigenvectors = _spectrum(vectors, neighbours, seed)
    count, gap, notes = _count(values, clusters)
    labels = _by_size(_clustered(eigenvectors[:, :count], count, seed))
    means = torch.stack([maps[labels == cluster].mean(0) for cluster in range(int(labels.max()) + 1)])
    medoids = []
    for cluster, mean in enumerate(means):
        members = (labels == cluster).nonzero().flatten()
        medoids.append(indices[int(members[(maps[members] - mean).flatten(1).norm(dim=1).argmin()])])
    plane = _plane(vectors, eigenvectors, embedding, seed)
    order = _likelihoods(vectors, count, seed).argsort()[: min(OUTLIERS, len(indices))]
    return Spray(
        torch.tensor(indices), labels, torch.from_numpy(values), gap, plane, means, torch.tensor(medoids),
        torch.tensor(indices)[torch.from_numpy(order.copy())], notes,
    )  # fmt: skip


def _spectrum(vectors: np.ndarray, neighbours: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The smallest eigenvalues of the normalized Laplacian of the graph of nearest maps, and their eigenvectors."""
    from scipy.linalg import eigh
    from scipy.sparse.csgraph import laplacian
    from scipy.sparse.linalg import eigsh
    from sklearn.neighbors import kneighbors_graph

    graph = kneighbors_graph(vectors, neighbours, include_self=False)
    graph = graph.maximum(graph.T)
    matrix: Any = laplacian(graph, normed=True)
    n = len(vectors)
    most = min(SHOWN, n - 1)
    if n <= 400:
        values, eigenvectors = eigh(matrix.toarray(), subset_by_index=(0, most - 1))
    else:
        start = np.random.default_rng(seed).standard_normal(n)
        values, eigenvectors = eigsh(matrix, most, sigma=-1e-2, v0=start)
        order = values.argsort()
        values, eigenvectors = values[order], eigenvectors[:, order]
    return values.clip(0), eigenvectors


def _count(values: np.ndarray, clusters: int | None) -> tuple[int, float, tuple[str, ...]]:
    """How many clusters, the widest gap from the first one on, and what is to be said of it."""
    gaps = np.diff(values)
    widest = int(gaps[1:].argmax()) + 1 if len(gaps) > 1 else 0  # behind the first eigenvalue, which is 0, is none
    gap = float(gaps[widest]) if len(gaps) else 0.0
    clear = gap >= CLEAR_GAP and gap > float(gaps[0])
    if clusters is not None:
        return clusters, gap, ()
    if clear:
        return widest + 1, gap, ()
    said = f"No structure: the widest gap between eigenvalues is {gap:.2f}. The maps are taken for one cluster."
    return 1, gap, (said,)


def _clustered(eigenvectors: np.ndarray, count: int, seed: int) -> Tensor:
    from sklearn.cluster import KMeans

    lengths = np.linalg.norm(eigenvectors, axis=1, keepdims=True)
    rows = eigenvectors / np.where(lengths > 0, lengths, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of equal maps there may be fewer clusters than asked for
        return torch.from_numpy(KMeans(count, n_init=cast(Any, 10), random_state=seed).fit_predict(rows)).long()


def _by_size(labels: Tensor) -> Tensor:
    """The same clusters, numbered from the largest one down."""
    there, sizes = labels.unique(return_counts=True)
    order = there[sizes.sort(descending=True, stable=True).indices]
    return (labels[:, None] == order[None]).long().argmax(1)


def _plane(vectors: np.ndarray, eigenvectors: np.ndarray, by: str, seed: int) -> Tensor:
    if by in NEIGHBOURLY:
        plane = neighbourly(vectors, by, seed)
    else:
        plane = np.pad(eigenvectors[:, 1:3], ((0, 0), (0, max(0, 3 - eigenvectors.shape[1]))))
    return torch.from_numpy(np.ascontiguousarray(plane)).double()


def _likelihoods(vectors: np.ndarray, count: int, seed: int) -> np.ndarray:
    """How likely each map is among the others: under a mixture of Gaussians in their first principal components."""
    from sklearn.decomposition import PCA
    from sklearn.mixture import GaussianMixture

    few = PCA(min(10, *vectors.shape, max(1, len(vectors) // 10)), random_state=seed).fit_transform(vectors)
    few = few / max(float(few.std()), 1e-300)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mixture = GaussianMixture(count, random_state=seed, reg_covar=1e-3).fit(few)
    return mixture.score_samples(few)
