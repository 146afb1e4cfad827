"""Searches a FAISS index among some of its rows."""

from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from glimpse.index.types import Ids, Vectors

Mask = npt.NDArray[np.bool_]
# FAISS's type stubs lack some names.
_faiss: Any = faiss

# These types check the selector for every row they compare. Other types do not support it correctly.
_ASK_OF_EACH = (_faiss.IndexFlat, _faiss.IndexScalarQuantizer, _faiss.IndexRaBitQ)


def search_among(index: Any, queries: Vectors, k: int, allowed: Mask, count: int) -> tuple[Vectors, Ids]:
    """Finds the k nearest of the allowed rows.

    The fewer rows are allowed, the farther they are from a query, so proportionally more lists or nodes are read.

    Args:
        index: a FAISS index.
        queries: unit vectors, (n, d).
        k: at least 1.
        allowed: mask of the allowed rows, (N,).
        count: number of allowed rows.

    Returns:
        Similarities and rows, each (n, k); row -1 if there are fewer.
    """
    selector = _faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))
    kept: list[Any] = []
    parameters = _parameters(index, selector, len(allowed) / count, kept)
    if parameters is not None:
        similarities, rows = index.search(queries, k, params=parameters)
        return similarities, rows
    return _search_and_filter(index, queries, k, allowed, count)


def _parameters(index: Any, selector: Any, wider: float, kept: list[Any]) -> Any:
    """Returns search parameters with a selector, in addition to the index's own; None if the type supports none.

    `kept` collects objects that C++ only points to, so that Python does not free them.
    """
    index, made = faiss.downcast_index(index), None
    if isinstance(index, _faiss.IndexRefine):
        inner = _parameters(index.base_index, selector, wider, kept)
        if inner is not None:
            made = _faiss.IndexRefineSearchParameters(k_factor=index.k_factor, base_index_params=inner)
    elif isinstance(index, _faiss.IndexPreTransform):
        inner = _parameters(index.index, selector, wider, kept)
        if inner is not None:
            made = _faiss.SearchParametersPreTransform(index_params=inner)
    elif isinstance(index, _faiss.IndexIVF):
        probed = min(index.nlist, int(np.ceil(index.nprobe * wider)))
        made = _faiss.SearchParametersIVF(sel=selector, nprobe=probed)
    elif isinstance(index, _faiss.IndexHNSW):
        kept_candidates = min(index.ntotal, int(np.ceil(index.hnsw.efSearch * wider)))
        made = _faiss.SearchParametersHNSW(sel=selector, efSearch=kept_candidates)
    elif isinstance(index, _ASK_OF_EACH):
        made = _faiss.SearchParameters(sel=selector)
    kept.append(made)
    return made


def _search_and_filter(index: Any, queries: Vectors, k: int, allowed: Mask, count: int) -> tuple[Vectors, Ids]:
    """Searches a type without selectors: asks for more results until enough of them are allowed."""
    asked = k
    while True:
        asked = min(len(allowed), max(2 * asked, 2 * k * len(allowed) // count))
        similarities, rows = index.search(queries, asked)
        found = sieved(similarities, rows, allowed, min(k, count), whole=asked == len(allowed))
        if found is not None:
            return found


def sieved(
    similarities: Vectors, rows: Ids, allowed: Mask, k: int, *, whole: bool = False
) -> tuple[Vectors, Ids] | None:
    """Returns the first k allowed results, (n, k) each; row -1 if there are fewer.

    Args:
        similarities: results, (n, k').
        rows: rows of the results, (n, k').
        allowed: mask of the allowed rows, (N,).
        k: results to return.
        whole: whether the results are all rows.

    Returns:
        None if there are fewer than k allowed rows and a larger search could find more.
    """
    fits = (rows >= 0) & allowed[rows]
    if not whole and (fits.sum(1) < k).any():
        return None
    # Puts allowed results first, in their order.
    order = np.argsort(~fits, axis=1, kind="stable")[:, :k]
    rows = np.where(np.take_along_axis(fits, order, 1), np.take_along_axis(rows, order, 1), -1)
    return np.take_along_axis(similarities, order, 1), rows
