"""Builds an index folder from pictures and texts: reads, encodes and writes them, and resumes an interrupted build."""

from glimpse.builder.build import LOCAL, build
from glimpse.builder.errors import BuildError
from glimpse.builder.options import Built, Engine, Plan, Watch
from glimpse.builder.sources.folder_source import Layout
from glimpse.inputs import Columns

__all__ = ["LOCAL", "BuildError", "Built", "Columns", "Engine", "Layout", "Plan", "Watch", "build"]
