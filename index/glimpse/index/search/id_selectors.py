"""A FAISS index asked for the nearest among some of its rows."""

from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from glimpse.index.search.flat_index import Ids, Vectors

Mask = npt.NDArray[np.bool_]
# The generated types lack a name or two.
_faiss: Any = faiss

# These ask the selector of every row they compare. The others search without, and take parameters amiss.
_ASK_OF_EACH = (_faiss.IndexFlat, _faiss.IndexScalarQuantizer, _faiss.IndexRaBitQ)


def search_among(index: Any, queries: Vectors, k: int, allowed: Mask, count: int) -> tuple[Vectors, Ids]:
    """The k nearest of `count` allowed rows: (n, k) each, row -1 where there are fewer.

    The fewer are allowed, the farther from a query are they, and the more lists or nodes between are read for as many.
    """
    selector = _faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))
    kept: list[Any] = []
    parameters = _parameters(index, selector, len(allowed) / count, kept)
    if parameters is not None:
        similarities, rows = index.search(queries, k, params=parameters)
        return similarities, rows
    return _asked_for_more(index, queries, k, allowed, count)


def _parameters(index: Any, selector: Any, wider: float, kept: list[Any]) -> Any:
    """Of a search with a selector, beside what is set in the index; None: it can have none.

    `kept`: what C++ only points to, and Python would let go of.
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


def _asked_for_more(index: Any, queries: Vectors, k: int, allowed: Mask, count: int) -> tuple[Vectors, Ids]:
    """For types that take no selector: more than k are asked for, until enough of them are allowed."""
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
    """The first k allowed of what was found, (n, k'): (n, k) each, row -1 where there are fewer.

    None: there are fewer, though more may be found; `whole`: no more may.
    """
    fits = (rows >= 0) & allowed[rows]
    if not whole and (fits.sum(1) < k).any():
        return None
    # Those that fit first, in their order.
    order = np.argsort(~fits, axis=1, kind="stable")[:, :k]
    rows = np.where(np.take_along_axis(fits, order, 1), np.take_along_axis(rows, order, 1), -1)
    return np.take_along_axis(similarities, order, 1), rows
