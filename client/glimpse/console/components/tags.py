"""HTML elements with a text."""

from nicegui.elements.mixins.text_element import TextElement


class Tag(TextElement):
    """An HTML element that shows a text, for example `Tag("dt", "Accuracy")`. Set `text` to change it."""

    def __init__(self, tag: str, text: str) -> None:
        super().__init__(tag=tag, text=text)
