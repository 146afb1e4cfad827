"""Unit vectors of several domains (photographs, drawings; one site's camera, another's) brought closer, in closed form.

What is asked of a domain is its mean, its covariance, or neither at query time; no label is. A domain's unlabelled
vectors therefore count like its labelled ones, which is how a domain without labelled examples is adapted to. All three
take what differs between domains for the domain's own. Where labels and domains go together that takes labels away:
glimpse.fewshot.domains.adaptation_selection keeps an adaptation only where it is seen to help.

Domain "" is none: its vectors shape no statistics. Nor do those of a domain with one vector, whose mean would be that
vector: 1, 2, 5, 15 and 140 unlabelled vectors of PACS's third domain, 5 shots a label of two others, class means, give
54.7, 57.8, 60.0, 61.1 and 62.5 % right with Centring, where 56.2 are without (8 seeds, MobileNet V2).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, Self

import numpy as np
import numpy.typing as npt

from glimpse.fewshot.statistics.class_statistics import Moments
from glimpse.fewshot.statistics.mahalanobis import Metric
from glimpse.fewshot.statistics.unit_vectors import Array, Floats

# A mean, and a covariance, of fewer tell of the vectors and not of their domain.
_FEWEST = 2
# Lengths this small, of what unit vectors in float32 differ by, are rounding.
_ROUNDING = 1e-6


class Adaptation(Protocol):
    """What is done to every vector, example or query, before a head sees it."""

    name: ClassVar[str]

    @classmethod
    def of(cls, vectors: Array, domains: Sequence[str]) -> Self:
        """From all vectors there are, labelled or not, (n, d), and their domains, (n,)."""
        ...

    def apply(self, vectors: Array, domains: Sequence[str]) -> Array:
        """Adapted vectors, of length 1: (n, d) and their domains, (n,) → (n, d)."""
        ...


@dataclass(frozen=True, slots=True)
class Centring:
    """x - mu_D + g: g the mean of the domains' means, each domain weighing the same."""

    name: ClassVar[str] = "centring"
    shifts: Mapping[str, Floats]  # g - mu_D, (d,)

    @classmethod
    def of(cls, vectors: Array, domains: Sequence[str]) -> Self:
        """From all vectors there are, labelled or not, (n, d), and their domains, (n,)."""
        means = {domain: values.mean(0) for domain, values in _by_domain(vectors, domains)}
        middle = _mean(list(means.values()))
        return cls({domain: middle - mean for domain, mean in means.items()})

    def apply(self, vectors: Array, domains: Sequence[str]) -> Array:
        """Those of unknown domains stay as they are: (n, d) → (n, d)."""
        moved = np.array(vectors, np.float64)
        for domain, places in _places(domains).items():
            if domain in self.shifts:
                moved[places] += self.shifts[domain]
        return _renormalized(moved, vectors)


@dataclass(frozen=True, slots=True)
class _Root:
    """(F^T F + r I)^(1/2), or its inverse, as rest I + B^T diag(gains) B: O(k d), k = min(n, d), for F of (n, d)."""

    rest: float
    basis: Floats  # B, (k, d)
    gains: Floats  # (k,)

    @classmethod
    def of(cls, factor: Floats, ridge: float, exponent: float) -> Self:
        wide = len(factor) < factor.shape[1]
        values, turned = np.linalg.eigh(factor @ factor.T if wide else factor.T @ factor)
        some = values > 1e-12 * values.max()
        values = values[some]
        basis = turned.T[some] @ factor / np.sqrt(values)[:, None] if wide else turned.T[some]
        return cls(ridge**exponent, basis, (values + ridge) ** exponent - ridge**exponent)

    def __call__(self, vectors: Floats) -> Floats:
        return np.asarray(self.rest * vectors + (vectors @ self.basis.T * self.gains) @ self.basis, np.float64)


@dataclass(frozen=True, slots=True)
class Coral:
    """(x - mu_D) S_D^(-1/2) S^(1/2) + g: whitened, and coloured as the mean domain is (Sun, Feng and Saenko 2016).

    S_D is shrunk as LDA's covariance is, (1 - lam) W_D / nu_D + lam t_D I, nu_D = n_D - 1 and t_D = tr(W_D) / (nu_D d).
    But lam = d / (d + nu) is for all that of the domain with fewest vectors: with its own each, domains would differ by
    how much they are shrunk, which costs PACS's targets 1 to 4 points (bench/domains.py). S is the mean of the S_D and
    g that of the mu_D, so that no domain has to be called the target.
    """

    name: ClassVar[str] = "coral"
    middle: Floats  # g, (d,)
    means: Mapping[str, Floats]
    whitenings: Mapping[str, _Root]
    colouring: _Root | None

    @classmethod
    def of(cls, vectors: Array, domains: Sequence[str]) -> Self:
        """From all vectors there are, labelled or not, (n, d), and their domains, (n,): O(n min(n, d) d)."""
        groups = _by_domain(vectors, domains)
        nu = min((len(values) - 1 for _, values in groups), default=1)
        lam = vectors.shape[1] / (vectors.shape[1] + nu)
        means, factors, ridges = {}, {}, {}
        for domain, values in groups:
            means[domain] = values.mean(0)
            gaps, freedom = values - means[domain], len(values) - 1
            spread = float((gaps**2).sum()) / freedom
            if spread > _ROUNDING**2:  # copies of one vector have no covariance to take away
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
        """Those of unknown domains stay as they are: (n, d) → (n, d)."""
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
    """x - A (x - g), A = W^-1 P W, W = S^(-1/2), P onto W M: the linear trace of the domain gone (Belrose et al. 2023).

    M has the columns mu_D - g, and A = M (M^T S^-1 M)^+ M^T S^-1. A M = M, so afterwards all domains have one mean and
    no linear probe finds them, whatever invertible S is; S only says which way to M costs x least. With the covariance
    about the domains' means instead of that about the mean of all A is the same (Woodbury), so S is LDA's, domains for
    labels. It is shrunk, as the pseudo-inverse of a singular covariance (n < d) would be blind to whatever part of a
    query lies outside the span of the vectors there are, and would take their rounding for directions.
    """

    name: ClassVar[str] = "leace"
    middle: Floats  # g, (d,)
    across: Floats  # S^-1 M (M^T S^-1 M)^+, (d, k): k < domains
    along: Floats  # M^T, (k, d)

    @classmethod
    def of(cls, vectors: Array, domains: Sequence[str]) -> Self:
        """From all vectors there are, labelled or not, (n, d), and their domains, (n,): O(n d^2 + d^3)."""
        moments = Moments(vectors.shape[1])
        for domain, values in _by_domain(vectors, domains):
            moments.add_all([domain] * len(values), values)
        middle = _mean(list(moments.means)) if moments.labels else np.zeros(vectors.shape[1])
        # The directions of M alone, as the domains' gaps add up to nothing.
        _, lengths, directions = np.linalg.svd(moments.means - middle, full_matrices=False)
        along = directions[lengths > _ROUNDING]
        across = Metric.of(moments).inverse @ along.T
        return cls(middle, across @ np.linalg.inv(along @ across), along)

    def apply(self, vectors: Array, domains: Sequence[str]) -> Array:
        """Whatever their domains: (n, d) → (n, d)."""
        values = np.asarray(vectors, np.float64)
        return _renormalized(values - (values - self.middle) @ self.across @ self.along, vectors)


def _places(domains: Sequence[str]) -> dict[str, npt.NDArray[np.intp]]:
    found: dict[str, list[int]] = {}
    for place, domain in enumerate(domains):
        found.setdefault(domain, []).append(place)
    return {domain: np.array(places, np.intp) for domain, places in sorted(found.items())}


def _by_domain(vectors: Array, domains: Sequence[str]) -> list[tuple[str, Floats]]:
    """Of each domain with enough vectors, (n_D, d), in the order of their names."""
    return [
        (domain, np.asarray(vectors[places], np.float64))
        for domain, places in _places(domains).items()
        if domain and len(places) >= _FEWEST
    ]


def _mean(means: Sequence[Floats]) -> Floats:
    return np.asarray(np.mean(means, 0) if means else np.empty(0), np.float64)


def _renormalized(moved: Floats, vectors: Array) -> Array:
    """What has no direction left stays as it was."""
    lengths = np.linalg.norm(moved, axis=1, keepdims=True)
    there = lengths > _ROUNDING
    return np.asarray(np.where(there, moved / np.where(there, lengths, 1.0), vectors), np.float32)
