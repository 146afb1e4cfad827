"""Parts that several pages show. All of them show texts as texts."""

from glimpse.console.components.dialogs import answer_of, confirm, confirm_by_name, dialog_panel
from glimpse.console.components.drop_zone import Batch, DropZone, Upload
from glimpse.console.components.figures import figure, figures
from glimpse.console.components.labels import label_chip, label_dot, label_problem, probability_bars
from glimpse.console.components.pictures import original, pair, picture, sent
from glimpse.console.components.states import empty_state, heading, move_focus, note, panel
from glimpse.console.components.tables import table
from glimpse.console.components.tags import Tag
from glimpse.console.components.texts import ago, byte_size, counted, duration, estimate, head_name, interval, percent

__all__ = [
    "Batch",
    "DropZone",
    "Tag",
    "Upload",
    "ago",
    "answer_of",
    "byte_size",
    "confirm",
    "confirm_by_name",
    "counted",
    "dialog_panel",
    "duration",
    "empty_state",
    "estimate",
    "figure",
    "figures",
    "head_name",
    "heading",
    "interval",
    "label_chip",
    "label_dot",
    "label_problem",
    "move_focus",
    "note",
    "original",
    "pair",
    "panel",
    "percent",
    "picture",
    "probability_bars",
    "sent",
    "table",
]
