"""A box of a picture, in parts of 1."""

from typing import NamedTuple

from glimpse.backbone.errors import InputError


class Region(NamedTuple):
    """A box of an upright picture, which is 1 wide and 1 high.

    Attributes:
        x: the left edge.
        y: the upper edge.
        width: the width; x + width is at most 1.
        height: the height; y + height is at most 1.
    """

    x: float
    y: float
    width: float
    height: float

    @property
    def area(self) -> float:
        """The part of the picture that it covers."""
        return self.width * self.height

    def box(self, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Returns the left, upper, right and lower edge in whole pixels of a picture of this width and height.

        Raises:
            InputError: REGION_EMPTY, if no pixel is within the rounded edges.
        """
        width, height = size
        left, right = round(self.x * width), min(width, round((self.x + self.width) * width))
        upper, lower = round(self.y * height), min(height, round((self.y + self.height) * height))
        if right <= left or lower <= upper:
            raise InputError("REGION_EMPTY", f"the region has no pixel of this image of {width} x {height} pixels")
        return left, upper, right, lower
