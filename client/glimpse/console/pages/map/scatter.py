"""The drawing of the map.

It is a canvas of the console's own. It takes its colours from the page, light or dark, its marks differ in form as well
as in colour, and keys move from point to point. ECharts and Plotly, which NiceGUI carries, do not offer that.
"""

import base64
from collections.abc import Awaitable, Callable, Sequence

import numpy as np
from nicegui.element import Element
from nicegui.events import GenericEventArguments
from numpy.typing import NDArray

from glimpse.console.maps.layout import Coordinates

NOTHING = -1
MARKS = 4
"""Forms of marks, which classes take in turn."""
PLAIN_FROM = 5_000
"""Number of points above which every mark is a small square."""


class Scatter(Element, component="scatter.js"):
    """Points of several classes, one of which may be selected."""

    def __init__(
        self,
        label: str,
        points: Coordinates,
        on_select: Callable[[int], Awaitable[None]],
        on_area: Callable[[list[int]], Awaitable[None]],
    ) -> None:
        """Adds the drawing. `color` must follow.

        Args:
            label: What it shows, for screen readers.
            points: Coordinates of the n points, of shape `(n, 2)`.
            on_select: Awaited with the position of a point that was chosen, or with NOTHING.
            on_area: Awaited with the positions of the points in an area that was drawn.
        """
        super().__init__()
        self._count = len(points)
        self._on_select, self._on_area = on_select, on_area
        self.props["label"] = label
        self.props["points"] = _encoded(points)
        self.props["selected"] = self.props["shown"] = NOTHING
        self.props["area"] = []
        self.props["plain-from"] = PLAIN_FROM
        self.on("select", self._select)
        self.on("area", self._choose_area)

    def color(self, classes: NDArray[np.int32], hues: Sequence[int]) -> None:
        """Colours the points.

        Args:
            classes: The class of each point, of shape `(n,)`, as a position in `hues`.
            hues: The hue of each class in degrees. Negative: grey.
        """
        self.props["members"], self.props["hues"] = _encoded(classes), list(hues)
        self.props["shown"] = NOTHING

    def show_class(self, code: int) -> None:
        """Fades all classes but one. NOTHING: fades none."""
        self.props["shown"] = code

    def describe(self, keys: Element, details: Element) -> None:
        """Names the element that describes the keys, and the one that the key Enter leads to."""
        self.props["aria-describedby"], self.props["details"] = keys.html_id, details.html_id

    def select(self, position: int) -> None:
        """Marks a point. NOTHING: marks none."""
        self.props["selected"] = position

    def mark_points(self, positions: Sequence[int]) -> None:
        """Marks the points that are chosen together."""
        self.props["area"] = list(positions)

    async def _select(self, event: GenericEventArguments) -> None:
        if isinstance(event.args, int) and NOTHING <= event.args < self._count:
            await self._on_select(event.args)

    async def _choose_area(self, event: GenericEventArguments) -> None:
        positions = event.args if isinstance(event.args, list) else []
        await self._on_area([one for one in positions if isinstance(one, int) and 0 <= one < self._count])


def _encoded(numbers: Coordinates | NDArray[np.int32]) -> str:
    """Returns numbers of 16 bits as base64, which is a fifth of their size as JSON."""
    return base64.b64encode(np.ascontiguousarray(numbers, "<u2").tobytes()).decode()
