"""The page Map: reads the examples, computes the map, and joins the parts of the page."""

from functools import partial

from nicegui import ui

from glimpse.client import Collection, LabelRole, Scope
from glimpse.console.components import counted, empty_state, note, percent
from glimpse.console.context import Context
from glimpse.console.maps.cache import Key, Map, cache_of
from glimpse.console.maps.layout import Method, make_layout
from glimpse.console.maps.projection import MIN_UMAP_POINTS, has_umap
from glimpse.console.maps.sample import MAX_POINTS, count_enrolled, draw_sample
from glimpse.console.pages.map.chosen import Chosen
from glimpse.console.pages.map.controls import Controls
from glimpse.console.pages.map.decisions import Decisions
from glimpse.console.pages.map.example import ExamplePanel
from glimpse.console.pages.map.scatter import NOTHING, Scatter
from glimpse.console.pages.map.tables import show_labels, show_outliers

_PAGE_SIZE = 1_000
_NO_CLASSES = (LabelRole.NEGATIVE, LabelRole.UNLABELED)
_KEYS = (
    "Click a point, or go through what is shown by Previous and Next, which start with the examples that fit their "
    "label least. Keys on the map: arrows go to the next point, Enter to its example, + and − zoom, 0 shows "
    "everything, Escape selects nothing. Drag to move."
)
_AREA_KEYS = " Hold Shift and drag to choose an area."


async def page(context: Context) -> None:
    """Shows the examples of a collection in two dimensions."""
    collection = context.collection
    if collection is None:
        return
    if not collection.example_count:
        text = "A map shows examples. Enroll some, one for each label is enough, and then come back."
        empty_state("There is nothing to show yet.", text)
        return
    place = ui.element("div").classes("map-page")
    if collection.example_count <= MAX_POINTS or cache_of(context.session).get(Key.of(collection, Method.PCA)):
        await _fill(context, collection, place, Method.PCA)
        return
    # To draw a fair sample, every example is read once.
    text = (
        f"The map shows a sample of {MAX_POINTS:,} of the {counted(collection.example_count, 'example')}. To draw it, "
        "all of them are read with their vectors, which can take minutes."
    )
    with place:
        empty_state("This collection is large.", text, "Draw the sample", partial(_fill, context, collection, place))


async def _fill(context: Context, collection: Collection, place: ui.element, method: Method = Method.PCA) -> None:
    made = await _make(context, collection, method)
    if place.is_deleted:
        return
    place.clear()
    with place:
        _MapView(context, collection, made, partial(_fill, context, collection, place))


async def _make(context: Context, collection: Collection, method: Method) -> Map:
    """Returns the map of a collection as it is, from the cache if it has not changed."""
    cache, key = cache_of(context.session), Key.of(collection, method)
    if made := cache.get(key):
        return made
    client, name = context.client, collection.name
    with context.busy("Reading the examples") as work:
        listed = client.list_examples(name, include_vector=True, page_size=_PAGE_SIZE)
        sample = await draw_sample(
            listed, count_enrolled(collection), lambda done: work.advance(done, max(done, collection.example_count))
        )
        no_classes = [label.id async for label in client.list_labels(name) if label.role in _NO_CLASSES]
        now = await client.get_collection(name)
    with context.busy(f"Computing the map by {method}"):
        layout = await context.compute(make_layout, sample.vectors, sample.labels, no_classes, method)
    made = Map(layout, sample.names, sample.domains, sample.in_index, sample.total)
    if now.revision == collection.revision and now.embedding_space == collection.embedding_space:
        cache.put(key, made)  # otherwise it mixes what was read before and after a change
    return made


class _MapView:
    """A map with its parts."""

    def __init__(self, context: Context, collection: Collection, made: Map, fill: partial) -> None:  # type: ignore[type-arg]
        self._made = made
        methods = [Method.PCA, *([Method.UMAP] if has_umap() and len(made.names) >= MIN_UMAP_POINTS else [])]
        note(_summary(collection, made))
        decisions = Decisions(context, collection)
        self._controls = Controls(made, decisions, methods, fill, self._recolor, self._step)
        keys = note(_KEYS + (_AREA_KEYS if context.may(Scope.ENROLL) else ""))
        with ui.element("div").classes("map"):
            with ui.element("div").classes("map-drawing"):
                self._scatter = Scatter("Map of the examples", made.layout.points, self.select, self._choose)
                self._controls.add_legend()
            with ui.element("div").classes("map-side"):
                self._example = ExamplePanel(context, made, decisions, self.select, self._add)
                self._chosen = Chosen(context, made, self._scatter.mark_points)
        self._scatter.describe(keys, self._example.box)
        self._recolor()
        show_labels(made)
        show_outliers(context, made, self.select)

    async def select(self, position: int) -> None:
        """Selects a point and shows its example. NOTHING: selects none."""
        self._scatter.select(position)
        self._controls.at = position
        await self._example.show(position)

    async def _step(self, position: int) -> None:
        await self.select(position)

    def _recolor(self) -> None:
        self._scatter.color(self._controls.classes.codes, self._controls.hues)
        self._scatter.show_class(self._controls.shown)

    async def _choose(self, positions: list[int]) -> None:
        self._chosen.replace(positions)

    def _add(self, position: int) -> None:
        if position != NOTHING:
            self._chosen.toggle(position)


def _summary(collection: Collection, made: Map) -> str:
    layout, shown = made.layout, len(made.names)
    if shown < made.total:
        what = f"A sample of {shown:,} of the {counted(made.total, 'example')}, drawn by a hash of their names"
    else:
        what = counted(shown, "example")
    how = f"by {layout.method}"
    if layout.shares:
        how += f", whose two axes explain {percent(sum(layout.shares))} of the variance"
    else:
        how += ": neighbours stay neighbours, and distances between groups mean little"
    space = collection.backbone.rpartition("/")[2]
    return f"{what}, {how}. Vectors of {space}, revision {collection.revision:,}."
