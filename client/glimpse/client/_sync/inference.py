"""The sync client's methods that embed, classify and search inputs."""

from __future__ import annotations

from collections.abc import Generator

from glimpse.client.requests import _input_requests as requests
from glimpse.client.requests._enums import LabelMode
from glimpse.client.requests._input_requests import Collections, Labels
from glimpse.client.requests._inputs import Inputs, StreamInputs
from glimpse.client.requests._names import CollectionRef, Names
from glimpse.client.results._classification import ClassifyResult
from glimpse.client.results._results import EmbedResult, SearchExamplesResult
from glimpse.client.transport._sync_core import SyncCore


class InferenceMethods(SyncCore):
    """Embeds, classifies and searches inputs."""

    def embed(self, inputs: Inputs, *, backbone: str = "", timeout: float | None = None) -> list[EmbedResult]:
        """Embeds inputs.

        Args:
            inputs: Images, texts or vectors. A vector is checked and scaled to length 1.
            backbone: The backbone to use. Empty: the only one that the server has loaded.
            timeout: Seconds for this call, retries included. None: the client's timeout.

        Returns:
            One result for each input, in order. Its vector has the shape `(d,)`, dtype float32 and length 1.

        Raises:
            TypeError: If an input is of no known type, or a `str` that looks like a file or a URL.
            NotFound: If the server has not loaded the backbone.
            GlimpseError: If the call fails.
        """
        return self._run(requests.embed(inputs, backbone), timeout)

    def stream_embed(
        self,
        inputs: StreamInputs,
        *,
        backbone: str = "",
        window: int = 32,
        timeout: float | None = None,
    ) -> Generator[EmbedResult, None, None]:
        """Embeds any number of inputs, and yields each result as soon as it is ready.

        Args:
            inputs: An iterable of images, texts or vectors, read as for `stream_classify`.
            backbone: The backbone to use. Empty: the only one that the server has loaded.
            window: Largest number of inputs that are read ahead of the results.
            timeout: Seconds for the whole stream. None: no limit.

        Returns:
            An iterator of one result for each input, in order.

        Raises:
            GlimpseError: If the stream fails, while the results are read.
        """
        return self._results(requests.stream_embed(backbone), inputs, window, timeout)

    def classify(
        self,
        collections: Collections,
        inputs: Inputs,
        *,
        top_k: int | None = None,
        evidence: int | None = None,
        min_revision: int = 0,
        domain: str = "",
        keep: bool = True,
        timeout: float | None = None,
    ) -> list[ClassifyResult]:
        """Classifies inputs with one collection or several.

        Args:
            collections: One collection, or a list of 1 to 16. Each input is embedded once for each backbone that the
                collections use.
            inputs: Images, texts or vectors.
            top_k: Number of labels to return, at least 1. None: 5.
            evidence: Number of nearest examples to return, 0 to 100. None: 3.
            min_revision: Answer from at least this revision, which a write returned. The server waits for it. 0: the
                revision that the server has.
            domain: Domain of the inputs, as in `NewExample.domain`. Empty: unknown.
            keep: Whether the server may keep the inputs for review, as `Collection.review_policy` says. False: it keeps
                none of them.
            timeout: Seconds for this call, retries included. None: the client's timeout.

        Returns:
            One result for each input, in order, with one classification for each collection.

        Raises:
            TypeError: If an input is of no known type, or a `str` that looks like a file or a URL.
            NotFound: If a collection does not exist.
            InvalidArgument: If an argument is out of range.
            Unavailable: If the server does not reach `min_revision` in time, or does not answer.
            GlimpseError: If the call fails for another reason.

        Example:
            ```python
            [result] = client.classify("shapes", [Path("query.png")], top_k=3)
            answer = result.unwrap()
            print(answer.decision.name, answer.label, answer.probability)
            for example in answer.evidence:
                print(example.example, example.label, example.similarity)
            ```
        """
        options = requests.options(top_k, evidence, min_revision, domain, keep)
        return self._run(requests.classify(collections, inputs, options), timeout)

    def stream_classify(
        self,
        collections: Collections,
        inputs: StreamInputs,
        *,
        top_k: int | None = None,
        evidence: int | None = None,
        min_revision: int = 0,
        domain: str = "",
        keep: bool = True,
        window: int = 32,
        timeout: float | None = None,
    ) -> Generator[ClassifyResult, None, None]:
        """Classifies any number of inputs, and yields each result as soon as it is ready.

        A background thread reads the inputs, at most `window` of them ahead of the results. If the results are read
        slowly, the inputs are read slowly too. If the connection breaks, the client sends the inputs without a result
        again, as its `Retry` allows. Closing the iterator cancels the call.

        Args:
            collections: One collection, or a list of 1 to 16.
            inputs: An iterable of images, texts or vectors.
            top_k: Number of labels to return, at least 1. None: 5.
            evidence: Number of nearest examples to return, 0 to 100. None: 3.
            min_revision: Answer from at least this revision, which a write returned. 0: the revision that the server
                has.
            domain: Domain of the inputs, as in `NewExample.domain`. Empty: unknown.
            keep: Whether the server may keep the inputs for review, as `Collection.review_policy` says. False: it keeps
                none of them.
            window: Largest number of inputs that are read ahead of the results.
            timeout: Seconds for the whole stream. None: no limit.

        Returns:
            An iterator of one result for each input, in order.

        Raises:
            GlimpseError: If the stream fails, while the results are read.
        """
        options = requests.options(top_k, evidence, min_revision, domain, keep)
        return self._results(requests.stream_classify(collections, options), inputs, window, timeout)

    def classify_zero_shot(
        self,
        labels: Labels,
        inputs: Inputs,
        *,
        backbone: str = "",
        mode: LabelMode = LabelMode.EXCLUSIVE,
        use_templates: bool = False,
        top_k: int | None = None,
        background: Names | bool = True,
        timeout: float | None = None,
    ) -> list[ClassifyResult]:
        """Classifies inputs by texts that describe the labels. It needs no collection and no examples.

        Args:
            labels: Texts, each of which is a label and its prompt; or a mapping from label to prompts. At most 1,000
                labels with 64 prompts each and 4,096 prompts in all.
            inputs: Images, texts or vectors.
            backbone: A backbone that reads text and the kind of the inputs. Empty: the only one that the server has
                loaded.
            mode: Whether exactly one label is right or any number of labels may be.
            use_templates: Whether each prompt is set into the templates of the backbone, such as "a photo of a {}".
            top_k: Number of labels to return, at least 1. None: 5.
            background: What competes with the labels, so that an input which none of them describes is UNKNOWN. True:
                the background vocabulary of the backbone. Texts: these too, at most 256. False: nothing.
            timeout: Seconds for this call, retries included. None: the client's timeout.

        Returns:
            One result for each input, in order, with one classification.

        Raises:
            TypeError: If an input is of no known type, or a `str` that looks like a file or a URL.
            InvalidArgument: If the backbone does not read text.
            NotFound: If the server has not loaded the backbone.
            GlimpseError: If the call fails for another reason.
        """
        call = requests.classify_zero_shot(labels, inputs, backbone, mode, use_templates, top_k, background)
        return self._run(call, timeout)

    def search_examples(
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
        """Finds the examples of a collection that are nearest to each input.

        Args:
            collection: The collection to search.
            inputs: Images, texts or vectors.
            top_k: Number of examples to return for each input, 1 to 1,000. None: 10.
            labels: Ids of the labels whose examples are searched, at most 10,000. Empty: all labels.
            domains: Domains whose examples are searched. Empty: all domains.
            min_revision: Answer from at least this revision, which a write returned. 0: the revision that the server
                has.
            timeout: Seconds for this call, retries included. None: the client's timeout.

        Returns:
            One result for each input, in order, with the examples and their cosines, nearest first.

        Raises:
            TypeError: If an input is of no known type, or a `str` that looks like a file or a URL.
            NotFound: If the collection does not exist.
            GlimpseError: If the call fails for another reason.
        """
        call = requests.search_examples(collection, inputs, top_k, labels, domains, min_revision)
        return self._run(call, timeout)
