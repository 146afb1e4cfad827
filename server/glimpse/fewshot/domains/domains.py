"""Adapts unit vectors of several domains (photographs, drawings; the cameras of two sites) to each other in closed
form.

An adaptation uses a domain's mean, its covariance, or nothing at query time; it never uses labels. Unlabelled vectors
therefore count like labelled ones, and a domain without labelled examples can be adapted to. All three adaptations
treat every difference between domains as the domain's own. If labels and domains are correlated this removes label
information, so domains/adaptation_selection.py keeps an adaptation only if it is measured to help.

Domain "" means none: such vectors do not shape the statistics. A domain with a single vector does not either, since its
mean would be that vector. With 1, 2, 5, 15 and 140 unlabelled vectors of PACS's third domain and 5 shots per label of
two others, class means with Centring give 54.7, 57.8, 60.0, 61.1 and 62.5 %, against 56.2 without (8 seeds, MobileNet
V2).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, Self

import numpy as np
import numpy.typing as npt

from glimpse.fewshot.statistics.class_statistics import Moments
from glimpse.fewshot.statistics.mahalanobis import Metric
from glimpse.fewshot.statistics.unit_vectors import Array, Floats

# The fewest vectors whose mean and covariance describe a domain.
_FEWEST = 2
# Shorter differences of float32 unit vectors are rounding.
_ROUNDING = 1e-6


class Adaptation(Protocol):
    """A map that is applied to every vector, example or query, before a head sees it."""

    name: ClassVar[str]

    @classmethod
    def of(cls, vectors: Array, domains: Sequence[str]) -> Self:
        """Fits the adaptation to all vectors, labelled or not, `(n, d)`, and their domains, `(n,)`."""
        ...

    def apply(self, vectors: Array, domains: Sequence[str]) -> Array:
        """Adapts vectors, `(n, d)`, of n domains, and renormalises them: `(n, d)` float32."""
        ...


@dataclass(frozen=True, slots=True)
class Centring:
    """Per-domain centring: x - mu_D + g, with g the mean of the domain means, each domain weighing the same."""

    name: ClassVar[str] = "centring"
    shifts: Mapping[str, Floats]  # g - mu_D, (d,)

    @classmethod
    def of(cls, vectors: Array, domains: Sequence[str]) -> Self:
        """Computes the mean of each domain. O(n d)."""
        means = {domain: values.mean(0) for domain, values in _by_domain(vectors, domains)}
        middle = _mean(list(means.values()))
        return cls({domain: middle - mean for domain, mean in means.items()})

    def apply(self, vectors: Array, domains: Sequence[str]) -> Array:
        """Moves each domain's mean to g, `(n, d)` → `(n, d)`. Vectors of unknown domains stay unchanged."""
        moved = np.array(vectors, np.float64)
        for domain, places in _places(domains).items():
            if domain in self.shifts:
                moved[places] += self.shifts[domain]
        return _renormalized(moved, vectors)


@dataclass(frozen=True, slots=True)
class _Root:
    """(F^T F + r I)^(1/2), or its inverse, as rest I + B^T diag(gains) B. Applying it costs O(k d), k = min(n, d)."""

    rest: float
    basis: Floats  # B, (k, d)
    gains: Floats  # (k,)

    @classmethod
    def of(cls, factor: Floats, ridge: float, exponent: float) -> Self:
        wide = len(factor) < factor.shape[1]
        values, basis_vectors = np.linalg.eigh(factor @ factor.T if wide else factor.T @ factor)
        some = values > 1e-12 * values.max()
        values = values[some]
        basis = basis_vectors.T[some] @ factor / np.sqrt(values)[:, None] if wide else basis_vectors.T[some]
        return cls(ridge**exponent, basis, (values + ridge) ** exponent - ridge**exponent)

    def __call__(self, vectors: Floats) -> Floats:
        return np.asarray(self.rest * vectors + (vectors @ self.basis.T * self.gains) @ self.basis, np.float64)


@dataclass(frozen=True, slots=True)
class Coral:
    """CORAL (Sun, Feng and Saenko 2016): (x - mu_D) S_D^(-1/2) S^(1/2) + g, whitening by domain, then the mean
    colouring.

    S_D = (1 - lam) W_D / nu_D + lam t_D I, with nu_D = n_D - 1 and t_D = tr(W_D) / (nu_D d), shrunk as in LDA. But lam
    = d / (d + nu) uses the nu of the smallest domain for all: with a lam of its own each domain would differ by its
    shrinkage, which costs PACS's targets 1 to 4 points (bench/domains.py). S is the mean of the S_D and g that of the
    mu_D, so no domain needs to be the target.
    """

    name: ClassVar[str] = "coral"
    middle: Floats  # g, (d,)
    means: Mapping[str, Floats]
    whitenings: Mapping[str, _Root]
    colouring: _Root | None

    @classmethod
    def of(cls, vectors: Array, domains: Sequence[str]) -> Self:
        """Computes each domain's mean and whitening. O(n min(n, d) d)."""
        groups = _by_domain(vectors, domains)
        nu = min((len(values) - 1 for _, values in groups), default=1)
        lam = vectors.shape[1] / (vectors.shape[1] + nu)
        means, factors, ridges = {}, {}, {}
        for domain, values in groups:
            means[domain] = values.mean(0)
            gaps, freedom = values - means[domain], len(values) - 1
            spread = float((gaps**2).sum()) / freedom
            if spread > _ROUNDING**2:  # copies of one vector have no covariance to remove
                factors[domain] = gaps * np.sqrt((1 - lam) / freedom)
                ridges[domain] = lam * spread / values.shape[1]
        middle = _mean(list(means.values()))
        if not factors:
            return cls(middle, means, {}, None)
        together = np.concatenate(list(factors.values())) / np.sqrt(len(factors))
        colouring = _Root.of(together, float(np.mean(list(ridges.values()))), 0.5)
        whitenings = {domain: _Root.of(factor, ridges[domain], -0.5) for domain, factor in factors.items()}
        return cls(middle, means, whitenings, colouring)

    def apply(self, vectors: Array, domains: Sequence[str]) -> Array:
        """Whitens and colours, `(n, d)` → `(n, d)`. Vectors of unknown domains stay unchanged."""
        moved = np.array(vectors, np.float64)
        for domain, places in _places(domains).items():
            if domain in self.means:
                moved[places] = self._coloured(domain, moved[places] - self.means[domain]) + self.middle
        return _renormalized(moved, vectors)

    def _coloured(self, domain: str, gaps: Floats) -> Floats:
        whitening = self.whitenings.get(domain)
        return gaps if whitening is None or self.colouring is None else self.colouring(whitening(gaps))


@dataclass(frozen=True, slots=True)
class Leace:
    """LEACE (Belrose et al. 2023): x - A (x - g) removes what is linearly predictive of the domain.

    A = W^-1 P W with W = S^(-1/2) and P the projection onto W M, where M has the columns mu_D - g; so A = M (M^T S^-1
    M)^+ M^T S^-1. As A M = M, all domains have one mean afterwards and no linear probe finds them, for any invertible
    S; S only decides which change of x is least. With the covariance about the domain means instead of the overall mean
    A is the same (Woodbury), so S is LDA's covariance with domains for labels. It is shrunk: the pseudo-inverse of a
    singular covariance (n < d) would ignore all of a query outside the span of the vectors, and would take rounding for
    directions.
    """

    name: ClassVar[str] = "leace"
    middle: Floats  # g, (d,)
    across: Floats  # S^-1 M (M^T S^-1 M)^+, (d, k): k < domains
    along: Floats  # M^T, (k, d)

    @classmethod
    def of(cls, vectors: Array, domains: Sequence[str]) -> Self:
        """Computes the projection from all vectors, labelled or not. O(n d² + d³)."""
        moments = Moments(vectors.shape[1])
        for domain, values in _by_domain(vectors, domains):
            moments.add_all([domain] * len(values), values)
        middle = _mean(list(moments.means)) if moments.labels else np.zeros(vectors.shape[1])
        # The gaps of the domains sum to zero, so only the directions of M remain.
        _, lengths, directions = np.linalg.svd(moments.means - middle, full_matrices=False)
        along = directions[lengths > _ROUNDING]
        across = Metric.of(moments).inverse @ along.T
        return cls(middle, across @ np.linalg.inv(along @ across), along)

    def apply(self, vectors: Array, domains: Sequence[str]) -> Array:
        """Removes the domain directions, `(n, d)` → `(n, d)`; needs no domain."""
        values = np.asarray(vectors, np.float64)
        return _renormalized(values - (values - self.middle) @ self.across @ self.along, vectors)


def _places(domains: Sequence[str]) -> dict[str, npt.NDArray[np.intp]]:
    positions: dict[str, list[int]] = {}
    for place, domain in enumerate(domains):
        positions.setdefault(domain, []).append(place)
    return {domain: np.array(places, np.intp) for domain, places in sorted(positions.items())}


def _by_domain(vectors: Array, domains: Sequence[str]) -> list[tuple[str, Floats]]:
    """Returns the vectors of each domain that has at least two, `(n_D, d)`, ordered by name."""
    return [
        (domain, np.asarray(vectors[places], np.float64))
        for domain, places in _places(domains).items()
        if domain and len(places) >= _FEWEST
    ]


def _mean(means: Sequence[Floats]) -> Floats:
    return np.asarray(np.mean(means, 0) if means else np.empty(0), np.float64)


def _renormalized(moved: Floats, vectors: Array) -> Array:
    """Scales rows to length 1; a row without a direction keeps its original vector."""
    lengths = np.linalg.norm(moved, axis=1, keepdims=True)
    has_direction = lengths > _ROUNDING
    return np.asarray(np.where(has_direction, moved / np.where(has_direction, lengths, 1.0), vectors), np.float32)
