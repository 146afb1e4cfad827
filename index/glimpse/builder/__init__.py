"""From pictures and texts to an index folder: reading, encoding, writing, and going on where it was killed."""

from glimpse.builder.build import LOCAL, build
from glimpse.builder.errors import BuildError
from glimpse.builder.fields import Columns
from glimpse.builder.folders import Layout
from glimpse.builder.plan import Built, Engine, Plan, Watch

__all__ = ["LOCAL", "BuildError", "Built", "Columns", "Engine", "Layout", "Plan", "Watch", "build"]
