"""The sync client."""

from glimpse.client._sync.collections import CollectionMethods
from glimpse.client._sync.examples import ExampleMethods
from glimpse.client._sync.indexes import IndexMethods
from glimpse.client._sync.inference import InferenceMethods
from glimpse.client._sync.labels import LabelMethods
from glimpse.client._sync.reembedding import ReembeddingMethods
from glimpse.client._sync.review import ReviewMethods
from glimpse.client._sync.server import ServerMethods


class Client(
    InferenceMethods,
    ExampleMethods,
    LabelMethods,
    CollectionMethods,
    IndexMethods,
    ReembeddingMethods,
    ReviewMethods,
    ServerMethods,
):
    """A client of one Glimpse server. Several threads may use the same client.

    Example:
        ```python
        from pathlib import Path
        from glimpse.client import Client, NewExample

        with Client("127.0.0.1:50051") as client:
            client.create_collection("shapes")
            client.enroll("shapes", [NewExample(Path("star.png"), "star")], create_labels=True)
            [result] = client.classify("shapes", [Path("query.png")])
            print(result.unwrap().decision, result.unwrap().label)
        ```

    Inputs:
        An input is an image, a text or a vector:

        - An image is `bytes` (an encoded image), a `Path` (an image file), an open binary file, a Pillow image, or a
          NumPy array of shape `(height, width, 3)`, RGB, dtype uint8.
        - A text is a `str`. A `str` that names a file, ends like the name of an image file, or is a URL raises
          TypeError, because it is probably meant as an image. `Text(...)` and `Image(...)` state what is meant.
        - A vector is a `Vector` of shape `(d,)` with its embedding space.

        `Input(content, id)` adds an id, which the result repeats. A URL is never fetched. Where a method takes
        several inputs, one input stands for a list of one.

    Batches:
        A list may have any length. The client sends it in as many requests as the limits of the server require: 256
        inputs and 32 MiB for each. An item that fails has `error` set in its result and does not affect the other
        items. If a request fails, the method raises GlimpseError, and requests that were answered before stay in
        effect.

    Names:
        A collection is named by its id, by its full name (`collections/{id}`) or by a `Collection`. Labels, backbones
        and indexes are named by their id or full name. Examples and review items are named by their full name
        (`collections/{id}/examples/{example}`, `collections/{id}/reviewItems/{item}`).

    Errors:
        A call that fails raises a subclass of GlimpseError. Calls are sent again as `Retry` describes. If the answer to
        a create or delete call is lost, the call is sent again and may end with AlreadyExists or NotFound although it
        succeeded; `attempts` is then greater than 1.
    """
