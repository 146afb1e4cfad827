"""Tests domain adaptations against direct computation, and their selection."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from glimpse.fewshot.domains.adaptation_selection import ADAPTATIONS, select_adaptation
from glimpse.fewshot.domains.domains import Adaptation, Centring, Coral, Leace
from glimpse.fewshot.statistics.unit_vectors import Array, Rows, normalize

Floats = npt.NDArray[np.float64]
NAMES = ["a", "b", "c"]


def collection(
    labels: Sequence[Sequence[int]], shots: int, shift: float, d: int = 32, noise: float = 0.2, seed: int = 0
) -> tuple[Array, Rows, list[str]]:
    """Returns examples of each domain's labels; the domains lie `shift` times as far apart as the labels."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(1 + max(max(some) for some in labels), d)) / np.sqrt(d)
    shifts = shift * rng.normal(size=(len(labels), d)) / np.sqrt(d)
    rows = np.array([row for some in labels for row in some for _ in range(shots)], np.intp)
    at = np.repeat(np.arange(len(labels)), [shots * len(some) for some in labels])
    vectors = centres[rows] + shifts[at] + noise * rng.normal(size=(len(rows), d))
    return normalize(vectors.astype(np.float32)), rows, [NAMES[i] for i in at]


def stretched(n: int, d: int, seed: int = 0) -> tuple[Array, list[str]]:
    """Returns three domains with means and covariances of their own."""
    rng = np.random.default_rng(seed)
    each = [rng.normal(size=d) + rng.normal(size=(n, d)) @ (rng.normal(size=(d, d)) / np.sqrt(d)) for _ in NAMES]
    return normalize(np.concatenate(each).astype(np.float32)), [name for name in NAMES for _ in range(n)]


def of(domains: Sequence[str], name: str) -> npt.NDArray[np.bool_]:
    return np.array([domain == name for domain in domains])


def means(vectors: Array, domains: Sequence[str]) -> Floats:
    return np.stack([vectors[of(domains, name)].astype(np.float64).mean(0) for name in NAMES])


def shrunk(values: Array, fewest: int) -> Floats:
    """Computes a covariance as LDA does: (1 - lam) W / nu + lam t I, with the lam of `fewest` vectors."""
    gaps = values.astype(np.float64) - values.astype(np.float64).mean(0)
    freedom, d = len(values) - 1, values.shape[1]
    scatter, lam = gaps.T @ gaps, d / (d + fewest - 1)
    return np.asarray((1 - lam) * scatter / freedom + lam * np.trace(scatter) / (freedom * d) * np.eye(d), np.float64)


def power(matrix: Floats, exponent: float) -> Floats:
    values, basis = np.linalg.eigh(matrix)
    return np.asarray((basis * values**exponent) @ basis.T, np.float64)


def test_centring_gives_every_domain_the_mean_of_their_means() -> None:
    vectors, domains = stretched(20, 8)
    keep = np.r_[0:5, 20:60]  # one domain with few
    vectors, domains = vectors[keep], [domains[i] for i in keep]
    middle = means(vectors, domains).mean(0)
    shifts = dict(zip(NAMES, middle - means(vectors, domains), strict=True))
    moved = np.array([x + shifts[name] for x, name in zip(vectors, domains, strict=True)])
    for name in NAMES:
        assert moved[of(domains, name)].mean(0) == pytest.approx(middle, abs=1e-7)
    found = Centring.of(vectors, domains).apply(vectors, domains)
    assert found == pytest.approx(moved / np.linalg.norm(moved, axis=1, keepdims=True), abs=1e-6)


@pytest.mark.parametrize("n", [6, 60])  # fewer and more than d
def test_coral_gives_every_domain_the_mean_covariance(n: int) -> None:
    vectors, domains = stretched(n, 16)
    keep = np.r_[2 : 3 * n]  # one domain has fewer
    vectors, domains = vectors[keep], [domains[i] for i in keep]
    own = {name: shrunk(vectors[of(domains, name)], n - 2) for name in NAMES}
    wanted = np.mean(list(own.values()), 0)
    middles = means(vectors, domains)
    found = Coral.of(vectors, domains).apply(vectors, domains)
    for middle, name in zip(middles, NAMES, strict=True):
        change = power(own[name], -0.5) @ power(wanted, 0.5)
        assert change.T @ own[name] @ change == pytest.approx(wanted, abs=1e-9)
        moved = (vectors[of(domains, name)] - middle) @ change + middles.mean(0)
        assert found[of(domains, name)] == pytest.approx(moved / np.linalg.norm(moved, axis=1, keepdims=True), abs=1e-5)


@pytest.mark.parametrize("n", [6, 60])
def test_leace_leaves_no_linear_trace_of_the_domain(n: int) -> None:
    vectors, domains = stretched(n, 24)
    fitted = Leace.of(vectors, domains)
    values = vectors.astype(np.float64)
    erased = values - (values - fitted.middle) @ fitted.across @ fitted.along
    which = np.stack([of(domains, name) for name in NAMES], 1).astype(np.float64)

    def crossing(x: Floats) -> float:
        return float(np.abs((x - x.mean(0)).T @ (which - which.mean(0))).max() / len(x))

    assert crossing(values) > 1e-2
    assert crossing(erased) < 1e-7
    probe = np.linalg.lstsq(np.c_[erased, np.ones(len(erased))], which, rcond=1e-8)[0]
    left = which - np.c_[erased, np.ones(len(erased))] @ probe
    assert (left**2).mean() == pytest.approx(((which - which.mean(0)) ** 2).mean(), rel=1e-4)
    assert fitted.apply(vectors, [""] * len(vectors)) == pytest.approx(normalize(erased.astype(np.float32)), abs=1e-6)


def test_leace_is_the_published_projection() -> None:
    vectors, domains = stretched(40, 12)
    values, middles = vectors.astype(np.float64), means(vectors, domains)
    gaps = values - middles[[NAMES.index(name) for name in domains]]
    scatter = gaps.T @ gaps
    scatter += np.trace(scatter) / (len(values) - 3) * np.eye(12)
    between = (middles - middles.mean(0)).T
    for covariance in (
        scatter,
        scatter + 50 * between @ between.T,
    ):  # about the domains' means, and about the mean of all
        whiten = power(covariance, -0.5)
        onto = np.linalg.svd(whiten @ between, full_matrices=False)[0][:, :2]
        erasing = np.linalg.inv(whiten) @ onto @ onto.T @ whiten
        moved = values - (values - middles.mean(0)) @ erasing.T
        found = Leace.of(vectors, domains).apply(vectors, domains)
        assert found == pytest.approx(normalize(moved.astype(np.float32)), abs=1e-5)


@pytest.mark.parametrize("kind", ADAPTATIONS)
def test_adapted_vectors_have_length_1_and_arguments_do_not_change(kind: type[Adaptation]) -> None:
    vectors, _ = stretched(10, 64)
    before = vectors.copy()
    cases = [["a"] * 30, [""] * 30, [f"{i}" for i in range(30)], ["a"] * 29 + ["b"], [f"{i // 2}" for i in range(30)]]
    for domains in [*cases, ["a", "b", ""] * 10]:
        adapted = kind.of(vectors, domains).apply(vectors, domains)
        assert adapted.dtype == np.float32
        assert np.linalg.norm(adapted, axis=1) == pytest.approx(np.ones(30), abs=1e-6)
        assert vectors.tobytes() == before.tobytes()
    copies = np.repeat(vectors[:3], 10, axis=0)
    for domains in (["a"] * 15 + ["b"] * 15, [name for name in NAMES for _ in range(10)]):
        assert np.isfinite(kind.of(copies, domains).apply(copies, domains)).all()
    assert kind.of(vectors[:0], []).apply(vectors, ["a"] * 30) == pytest.approx(vectors, abs=1e-6)


@pytest.mark.parametrize("kind", ADAPTATIONS)
def test_one_domain_alone_is_left_as_it_is(kind: type[Adaptation]) -> None:
    vectors, _ = stretched(10, 64)
    for domains in (["a"] * 30, [""] * 30, ["a"] * 29 + ["b"]):
        assert kind.of(vectors, domains).apply(vectors, domains) == pytest.approx(vectors, abs=1e-6)


@pytest.mark.parametrize("kind", [Centring, Coral])
def test_vectors_of_unknown_domains_do_not_change(kind: type[Adaptation]) -> None:
    vectors, domains = stretched(10, 64)
    fitted = kind.of(vectors, domains)
    for name in ("", "d"):
        assert fitted.apply(vectors, [name] * 30) == pytest.approx(vectors, abs=1e-6)
    assert np.abs(fitted.apply(vectors, domains) - vectors).max() > 0.01
    more = np.concatenate([vectors, -vectors])
    same = kind.of(more, [*domains, *([""] * 30)])  # vectors without a domain do not shape the statistics
    assert same.apply(vectors, domains).tobytes() == fitted.apply(vectors, domains).tobytes()


def test_a_vector_that_loses_its_direction_does_not_change() -> None:
    vectors = normalize(np.array([[1, 0.1, 0], [1, -0.1, 0], [-1, 0, 0.1], [-1, 0, -0.1]], np.float32))
    domains = ["a", "a", "b", "b"]
    centre = vectors[:2].mean(0, keepdims=True)
    assert Centring.of(vectors, domains).apply(centre, ["a"]).tolist() == centre.tolist()


def test_an_adaptation_that_helps_is_kept_if_domains_differ() -> None:
    vectors, rows, domains = collection([range(4)] * 3, 8, shift=2)
    found = select_adaptation(vectors, rows, domains, vectors[:0], [])
    none, *others = found.trials
    assert [one.name for one in others] == ["centring", "leace", "coral"]
    assert none.total == none.home_total == len(rows)
    assert found.kept is not None
    [kept] = [one for one in found.trials if one.name == found.kept.name]
    assert kept.right > 1.2 * none.right
    # A stronger adaptation is kept only if it is clearly better.
    assert max(one.right for one in found.trials) < kept.right + 0.1 * none.total


def test_unlabelled_vectors_count_in_the_kept_adaptation() -> None:
    vectors, rows, domains = collection([range(4)] * 3, 8, shift=2)
    two = of(domains, "a") | of(domains, "b")
    named = [name for name in domains if name != "c"]
    found = select_adaptation(vectors[two], rows[two], named, vectors[~two], ["c"] * int((~two).sum()))
    assert found.kept is not None
    assert found.trials[0].total == two.sum()
    direct = type(found.kept).of(vectors, domains)
    assert found.kept.apply(vectors, domains) == pytest.approx(direct.apply(vectors, domains), abs=1e-6)


@pytest.mark.parametrize("shift", [0.5, 1])
def test_nothing_is_kept_if_domain_and_label_are_correlated(shift: float) -> None:
    mostly = collection([[0, 0, 0, 1], [1, 1, 1, 0]], 12, shift)
    found = select_adaptation(*mostly, mostly[0][:0], [])
    assert found.kept is None
    assert all(one.right < found.trials[0].right - 10 for one in found.trials[1:])  # label and domain are correlated
    always = collection([[0], [1]], 12, shift)
    assert select_adaptation(*always, always[0][:0], []) == select_adaptation(*always, always[0], always[2])
    assert select_adaptation(*always, always[0][:0], []).trials == ()


def test_existing_domains_do_not_lose_accuracy_for_new_ones() -> None:
    vectors, rows, domains = collection([[0, 1, 4, 5, 6], [2, 3, 4, 5, 6]], 8, shift=2)
    found = select_adaptation(vectors, rows, domains, vectors[:0], [])
    none, centring, *_ = found.trials
    assert none.total < none.home_total  # labels of one domain are predicted only within it
    assert centring.right > 1.2 * none.right
    assert centring.home_right < 0.95 * none.home_right
    assert found.kept is None


def test_without_two_labelled_domains_nothing_is_measured() -> None:
    vectors, rows, domains = collection([range(4)] * 2, 8, shift=2)
    one = of(domains, "a")
    assert (
        select_adaptation(
            vectors[one], rows[one], ["a"] * int(one.sum()), vectors[~one], ["b"] * int((~one).sum())
        ).trials
        == ()
    )
    assert select_adaptation(vectors, rows, [""] * len(rows), vectors[:0], []).trials == ()
    assert select_adaptation(vectors[:0], rows[:0], [], vectors, domains).kept is None


def test_examples_without_domain_are_fitted_but_not_predicted() -> None:
    vectors, rows, domains = collection([[0, 1], [0, 1], range(4)], 8, shift=1)
    domains = [name if name != "c" else "" for name in domains]
    found = select_adaptation(vectors, rows, domains, vectors[:0], [])
    assert {one.total for one in found.trials} == {32}
    alone = collection([[0], [1], [0, 1]], 8, shift=1)
    names = [name if name != "c" else "" for name in alone[2]]
    assert select_adaptation(alone[0], alone[1], names, vectors[:0], []).trials[0].total == 16  # their labels are known


def test_the_same_examples_give_the_same_choice_whatever_their_number() -> None:
    vectors, rows, domains = collection([range(5)] * 3, 150, shift=1, d=8)
    many = [f"{name}{i % 7}" for i, name in enumerate(domains)]
    for named in (domains, many):
        first, second = (select_adaptation(vectors, rows, named, vectors[:50], named[:50]) for _ in range(2))
        assert first.trials == second.trials
        assert first.trials[0].total == first.trials[0].home_total == 2_000
        assert first.kept is not None
        assert second.kept is not None
        assert first.kept.apply(vectors, named).tobytes() == second.kept.apply(vectors, named).tobytes()


def test_one_shot_has_no_degrees_of_freedom_and_uses_the_class_mean() -> None:
    vectors, rows, domains = collection([range(6)] * 2, 1, shift=3)
    found = select_adaptation(vectors, rows, domains, vectors[:0], [])
    direct = sum(
        int((((vectors[of(domains, x)][:, None] - vectors[of(domains, y)]) ** 2).sum(-1).argmin(1) == range(6)).sum())
        for x, y in (("a", "b"), ("b", "a"))
    )
    assert found.trials[0].right == direct
