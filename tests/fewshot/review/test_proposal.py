import numpy as np
import pytest

from glimpse.fewshot.decision import Decision
from glimpse.fewshot.review.proposal import join_ranked, propose_label, propose_names
from glimpse.fewshot.types import Prediction


def _prediction(probabilities: dict[str, float], decision: Decision = Decision.MATCH) -> Prediction:
    best = sorted(probabilities, key=lambda label: -probabilities[label])
    return Prediction(decision, "", best, [], [probabilities[label] for label in best])


def test_the_proposal_is_the_normalised_geometric_mean_over_all_labels() -> None:
    rng = np.random.default_rng(1)
    members = rng.dirichlet(np.ones(4), 6)
    means = np.exp(np.log(members).mean(0))
    proposal = propose_label([_prediction(dict(zip("abcd", row, strict=True))) for row in members.tolist()], 4)
    assert proposal is not None
    assert proposal.label == "abcd"[means.argmax()]
    assert proposal.probability == pytest.approx(means.max() / means.sum())


def test_labels_that_were_not_returned_share_what_the_best_leave() -> None:
    cut = [_prediction({"a": 0.6, "b": 0.2}), _prediction({"a": 0.5, "c": 0.3})]
    full = [
        _prediction({"a": 0.6, "b": 0.2, "c": 0.1, "d": 0.1}),
        _prediction({"a": 0.5, "c": 0.3, "b": 0.1, "d": 0.1}),
    ]
    first, second = propose_label(cut, 4), propose_label(full, 4)
    assert first is not None
    assert second is not None
    assert first.label == second.label == "a"
    assert first.probability == pytest.approx(second.probability)


def test_members_that_disagree_lower_the_probability() -> None:
    agreeing = propose_label([_prediction({"a": 0.8, "b": 0.2})] * 3, 2)
    split = propose_label([_prediction({"a": 0.8, "b": 0.2})] * 2 + [_prediction({"a": 0.2, "b": 0.8})], 2)
    assert agreeing is not None
    assert split is not None
    assert agreeing.probability == pytest.approx(0.8)
    assert split.probability < 0.7


def test_the_part_of_unknown_members_is_returned() -> None:
    members = [_prediction({"a": 1.0}), _prediction({"a": 1.0}, Decision.UNKNOWN)]
    proposal = propose_label(members, 1)
    assert proposal is not None
    assert proposal.unknown == 0.5
    assert proposal.probability == pytest.approx(1.0)


def test_a_collection_without_labels_proposes_nothing() -> None:
    assert propose_label([Prediction(Decision.UNKNOWN, "no candidate label")], 0) is None
    assert propose_label([], 3) is None


def test_a_ranked_query_is_joined_by_the_next_of_its_kind() -> None:
    kinds = np.array([5, 7, 5, 5, 7, 5, 9])
    ranked = np.array([3, 1, 0, 6, 2, 4, 5])
    assert [part.tolist() for part in join_ranked(ranked, kinds)] == [[3, 0], [1, 4], [6], [2, 5]]
    assert [part.tolist() for part in join_ranked(ranked, kinds, 3)] == [[3, 0, 2], [1, 4], [6], [5]]
    assert [part.tolist() for part in join_ranked(ranked[:3], kinds)] == [[3, 0], [1]]
    assert join_ranked(ranked[:0], kinds) == []


def test_the_proposed_names_are_nearest_to_the_mean() -> None:
    names = np.eye(4, dtype=np.float32)
    members = np.array([[0.6, 0.8, 0, 0], [0.8, 0.6, 0, 0], [1, 0, 0, 0]], np.float32)
    places, cosines = propose_names(members, names, 2)
    mean = members.mean(0) / np.linalg.norm(members.mean(0))
    assert places.tolist() == [0, 1]
    assert cosines == pytest.approx(mean[:2])
    assert propose_names(members, names, 9)[0].tolist() == [0, 1, 2, 3]
