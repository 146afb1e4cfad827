"""Array types of the package."""

import numpy as np
import numpy.typing as npt

#: Vectors in rows, float32 (n, d).
Vectors = npt.NDArray[np.float32]
#: Ids or row numbers, int64 (n,).
Ids = npt.NDArray[np.int64]
