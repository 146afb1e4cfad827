"""From pictures and texts to an index folder: reading, encoding, writing, and going on where it was killed."""

from glimpse.builder.build import LOCAL, build
from glimpse.builder.errors import BuildError
from glimpse.builder.folders import Layout
from glimpse.builder.plan import Built, Engine, Plan, Watch
from glimpse.inputs import Columns

__all__ = ["LOCAL", "BuildError", "Built", "Columns", "Engine", "Layout", "Plan", "Watch", "build"]
