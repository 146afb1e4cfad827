"""The asyncio client."""
# ruff: noqa: ASYNC109  (a timeout here covers retries and is what the server is told)

from collections.abc import AsyncGenerator, AsyncIterable

from glimpse.client._async_reembedding import AsyncReembeddingMethods
from glimpse.client._async_resources import AsyncResourceMethods
from glimpse.client.requests import _input_requests as requests
from glimpse.client.requests._enums import LabelMode
from glimpse.client.requests._input_requests import Collections, Labels
from glimpse.client.requests._inputs import AnyInput, Examples, Inputs
from glimpse.client.requests._names import CollectionRef, Names
from glimpse.client.results._classification import ClassifyResult
from glimpse.client.results._enrollment import Enrollment
from glimpse.client.results._results import EmbedResult, SearchExamplesResult


class AsyncClient(AsyncResourceMethods, AsyncReembeddingMethods):
    """A Glimpse server, for asyncio; made, used and closed in one event loop.

        async with AsyncClient() as glimpse:
            [result] = await glimpse.classify("shapes", [Path("query.png")])
            async for result in glimpse.stream_classify("shapes", paths):
                ...

    The methods are Client's, to be awaited; listings and streams are async iterators, and a stream's inputs
    may come from an iterable or an async iterable. A stream that is not read to its end is closed with
    `aclose()` (contextlib.aclosing). Files are read, and pictures of Pillow and NumPy
    encoded, on the event loop.
    """

    async def embed(self, inputs: Inputs, *, backbone: str = "", timeout: float | None = None) -> list[EmbedResult]:
        """As Client.embed."""
        return await self._run(requests.embed(inputs, backbone), timeout)

    def stream_embed(
        self,
        inputs: Inputs | AsyncIterable[AnyInput],
        *,
        backbone: str = "",
        window: int = 32,
        timeout: float | None = None,
    ) -> AsyncGenerator[EmbedResult, None]:
        """As Client.stream_embed."""
        return self._answers(requests.stream_embed(backbone), inputs, window, timeout)

    async def enroll(
        self,
        collection: CollectionRef,
        examples: Examples,
        *,
        create_labels: bool = False,
        request_id: str = "",
        measure_accuracy: bool = False,
        raise_on_failure: bool = True,
        timeout: float | None = None,
    ) -> Enrollment:
        """As Client.enroll."""
        call = requests.enroll(collection, examples, create_labels, request_id, measure_accuracy)
        enrollment = requests.enrollment(await self._run(call, timeout))
        if raise_on_failure:
            enrollment.raise_for_errors()
        return enrollment

    async def classify(
        self,
        collections: Collections,
        inputs: Inputs,
        *,
        top_k: int | None = None,
        evidence: int | None = None,
        min_revision: int = 0,
        domain: str = "",
        timeout: float | None = None,
    ) -> list[ClassifyResult]:
        """As Client.classify."""
        options = requests.options(top_k, evidence, min_revision, domain)
        return await self._run(requests.classify(collections, inputs, options), timeout)

    def stream_classify(
        self,
        collections: Collections,
        inputs: Inputs | AsyncIterable[AnyInput],
        *,
        top_k: int | None = None,
        evidence: int | None = None,
        min_revision: int = 0,
        domain: str = "",
        window: int = 32,
        timeout: float | None = None,
    ) -> AsyncGenerator[ClassifyResult, None]:
        """As Client.stream_classify."""
        options = requests.options(top_k, evidence, min_revision, domain)
        return self._answers(requests.stream_classify(collections, options), inputs, window, timeout)

    async def classify_zero_shot(
        self,
        labels: Labels,
        inputs: Inputs,
        *,
        backbone: str = "",
        mode: LabelMode = LabelMode.EXCLUSIVE,
        use_templates: bool = False,
        top_k: int | None = None,
        timeout: float | None = None,
    ) -> list[ClassifyResult]:
        """As Client.zero_shot."""
        call = requests.classify_zero_shot(labels, inputs, backbone, mode, use_templates, top_k)
        return await self._run(call, timeout)

    async def search_examples(
        self,
        collection: CollectionRef,
        inputs: Inputs,
        *,
        top_k: int | None = None,
        labels: Names = (),
        domains: Names = (),
        min_revision: int = 0,
        timeout: float | None = None,
    ) -> list[SearchExamplesResult]:
        """As Client.search."""
        return await self._run(
            requests.search_examples(collection, inputs, top_k, labels, domains, min_revision), timeout
        )
