"""Statistics that the heads are computed from: class sums, the Mahalanobis metric, unit vectors, intervals."""
