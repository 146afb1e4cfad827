"""Review groups: which of many unlabelled vectors are alike enough to be named at once.

A review group is a result: the cut of a neighbour graph. `Examples.groups` is something else, an input: examples that
are left out together because they came from one clip, burst or document.

The graph is passed in as arrays, because only `glimpse.index` searches. docs/methods.md gives the method, its evidence
and its sources. Shapes: N points, L references (labelled vectors that follow the points), k neighbours, G groups.
"""

from glimpse.fewshot.groups.density import CLEAR_SILHOUETTE, Separation, separation
from glimpse.fewshot.groups.levels import References, choose_references
from glimpse.fewshot.groups.neighbors import graph_neighbors
from glimpse.fewshot.groups.review_groups import Groups, NearDuplicates, find_review_groups, near_duplicates

__all__ = [
    "CLEAR_SILHOUETTE",
    "Groups",
    "NearDuplicates",
    "References",
    "Separation",
    "choose_references",
    "find_review_groups",
    "graph_neighbors",
    "near_duplicates",
    "separation",
]
