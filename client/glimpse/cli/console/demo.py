"""Data for `glimpse console --demo`: drawings of characters, and queries that wait for review."""

from glimpse.cli.demo.data import CHARACTERS, drawn_task
from glimpse.client import Client, NewExample, ReviewPolicy

COLLECTION = "characters"
_SHOTS = 3
_QUERIES = 60


def fill(address: str) -> None:
    """Creates a collection with three drawings of each character, and asks for others and for unknown ones."""
    task = drawn_task(seed=0)
    examples = [*task.examples, *task.queries[: (_SHOTS - 1) * CHARACTERS]]
    queries = task.queries[(_SHOTS - 1) * CHARACTERS :][:_QUERIES]
    with Client(address, api_key="", tls=False) as client:
        client.create_collection(
            COLLECTION,
            display_name="Characters of an alphabet",
            keep_inputs=True,
            content_readable=True,
            review_policy=ReviewPolicy(keep_unknown=True, keep_ambiguous=True, keep_inputs=True),
        )
        enrolled = [NewExample(picture.content, picture.truth) for picture in examples]
        client.enroll(COLLECTION, enrolled, create_labels=True, measure_accuracy=True)
        client.classify(COLLECTION, [picture.content for picture in [*queries, *task.unknown]])
