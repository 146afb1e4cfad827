"""Measures the answers that a tree of labels gives to the examples of a collection, each left out."""

from dataclasses import dataclass

import numpy as np

from glimpse.fewshot.calibration.calibration import set_floor
from glimpse.fewshot.calibration.likeliest_labels import MOST
from glimpse.fewshot.classifier import FewShotClassifier
from glimpse.fewshot.decision import Policy
from glimpse.fewshot.label_tree import LabelTree, common_depth


@dataclass(frozen=True, slots=True)
class TreeFigures:
    """The answers to n examples, each left out.

    Attributes:
        count: n.
        held: the number whose subtree holds their own label.
        single: the number of subtrees that are one label of the prediction set.
        mean_depth: the mean length of the path to the subtree; 0 is the whole tree.
        mean_label_depth: the mean length of the path to the example's own label.
        levels: for each level from the roots, how many of the best labels lie under the same label of that level as the
            example's own, and the number of examples whose own label is at that level or below it.
    """

    count: int
    held: int
    single: int
    mean_depth: float
    mean_label_depth: float
    levels: list[tuple[int, int]]


def tree_figures(classifier: FewShotClassifier, tree: LabelTree, policy: Policy) -> TreeFigures | None:
    """Measures a tree on the examples of the last fit. Labels are exclusive.

    The floor of the prediction sets rests on the same examples, so it is one example in n too favourable.

    Returns:
        The figures; None if the fit kept no likeliest labels or left nothing out.
    """
    fitted, evaluation = classifier.fitted, classifier.chosen_evaluation
    if fitted is None or evaluation is None or fitted.likeliest is None or not evaluation.count:
        return None
    likeliest, levels = fitted.likeliest, tree.levels(fitted.labels)
    members = likeliest.members(set_floor(evaluation.sorted_own_probability, policy.coverage), policy.coverage)
    sizes = members.sum(1)
    depths = np.array(
        [
            0 if size > MOST else common_depth(levels[columns[inside]])
            for columns, inside, size in zip(likeliest.columns, members, sizes.tolist(), strict=True)
        ]
    )
    own, best = levels[fitted.rows], levels[likeliest.columns[:, 0]]
    # Paths that have parted do not meet again, so labels that agree at a level agree above it.
    agree, exists = own == best, own >= 0
    common = (agree & exists).sum(1)
    return TreeFigures(
        len(depths),
        int((common >= depths).sum()),
        int((sizes == 1).sum()),
        float(depths.mean()),
        float(exists.sum(1).mean()),
        list(zip((agree & exists).sum(0).tolist(), exists.sum(0).tolist(), strict=True)),
    )
