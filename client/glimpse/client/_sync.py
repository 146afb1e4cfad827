"""The synchronous client."""

from collections.abc import Generator

from glimpse.client._sync_reembedding import ReembeddingMethods
from glimpse.client._sync_resources import ResourceMethods
from glimpse.client.requests import _input_requests as requests
from glimpse.client.requests._enums import LabelMode
from glimpse.client.requests._input_requests import Collections, Labels
from glimpse.client.requests._inputs import Examples, Inputs
from glimpse.client.requests._names import CollectionRef, Names
from glimpse.client.results._classification import ClassifyResult
from glimpse.client.results._enrollment import Enrollment
from glimpse.client.results._results import EmbedResult, SearchExamplesResult


class Client(ResourceMethods, ReembeddingMethods):
    """A Glimpse server. Threads may share a client.

        with Client() as glimpse:
            glimpse.create_collection("shapes")
            glimpse.enroll("shapes", [NewExample(Path("star.png"), "star")], create_labels=True)
            [result] = glimpse.classify("shapes", [Path("query.png")])
            print(result.unwrap().decision, result.unwrap().label)

    Inputs are pictures: bytes (an encoded image), a Path (an image file, read when it is sent), an open binary
    file, a picture of Pillow, or a NumPy array of shape (height, width, 3), red, green, blue, uint8. Or texts: a
    str. Or a Vector. A str that names a file, ends like a picture's name or is a URL is refused with TypeError;
    Text(...) and Image(...) say outright what is meant, and Input adds an id. Nothing is fetched from a URL.

    One input stands for a list of one. Lists may be of any length: they are sent in as many requests as the
    limits ask for. An item that fails has `error` set and does not fail the others; a call that fails raises
    GlimpseError, as does a list whose n-th request fails, and then the requests before it stand.
    """

    def embed(self, inputs: Inputs, *, backbone: str = "", timeout: float | None = None) -> list[EmbedResult]:
        """The inputs' vectors, in order. `backbone` may be empty where the server has one."""
        return self._run(requests.embed(inputs, backbone), timeout)

    def stream_embed(
        self,
        inputs: Inputs,
        *,
        backbone: str = "",
        window: int = 32,
        timeout: float | None = None,
    ) -> Generator[EmbedResult, None, None]:
        """The vectors of any number of inputs, as they come; as `stream_classify`."""
        return self._answers(requests.stream_embed(backbone), inputs, window, timeout)

    def enroll(
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
        """Enrolls examples; they classify from the moment this returns.

        Raises EnrollmentFailed where some were not enrolled, with every result in it; the others stay enrolled.

        Enrolling the same content under the same label again changes nothing, so a call that failed half way
        is simply made again.

        Args:
            collection: Where to.
            examples: Contents with their labels' ids.
            create_labels: Make labels that do not exist yet. Otherwise such an item is NOT_FOUND.
            request_id: At most 100 characters; the same id with the same examples gives the same answer.
                Empty: a new one, which makes this call's own retries safe.
            measure_accuracy: Return only when leave-one-out accuracy has been measured with these examples in it,
                which takes seconds for thousands; see Enrollment.
            raise_on_failure: False: return the results of examples that failed beside the others.
            timeout: Seconds for this call, retries included. None: the client's.
        """
        call = requests.enroll(collection, examples, create_labels, request_id, measure_accuracy)
        enrollment = requests.enrollment(self._run(call, timeout))
        if raise_on_failure:
            enrollment.raise_for_errors()
        return enrollment

    def classify(
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
        """What one collection, or several, say of each input.

        Args:
            collections: One or a list of 1 to 16; each input is embedded once for each backbone among them.
            inputs: What to classify.
            top_k: How many labels to return. None: 5.
            evidence: How many nearest examples to return. None: 3.
            min_revision: Answer from at least this revision, as a write returned it.
            domain: Where the inputs come from, as NewExample.domain. Empty: unknown.
            timeout: Seconds for this call, retries included. None: the client's.
        """
        options = requests.options(top_k, evidence, min_revision, domain)
        return self._run(requests.classify(collections, inputs, options), timeout)

    def stream_classify(
        self,
        collections: Collections,
        inputs: Inputs,
        *,
        top_k: int | None = None,
        evidence: int | None = None,
        min_revision: int = 0,
        domain: str = "",
        window: int = 32,
        timeout: float | None = None,
    ) -> Generator[ClassifyResult, None, None]:
        """Classifies any number of inputs; the answers come in the inputs' order, each as soon as it is
        there.

        At most `window` inputs are read ahead of the answers, in a thread of their own; whoever takes answers
        slowly slows the reading down. Closing the iterator cancels the call. Should the server go away, the
        unanswered inputs are sent again to the one that comes back, as the client's Retry allows. `timeout`
        bounds the whole stream; None: no limit.
        """
        options = requests.options(top_k, evidence, min_revision, domain)
        return self._answers(requests.stream_classify(collections, options), inputs, window, timeout)

    def classify_zero_shot(
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
        """Labels inputs by text alone.

        Args:
            labels: Texts, each a label and its own prompt; or a mapping from labels to their prompts.
            inputs: What to label.
            backbone: One that reads text and what the inputs are. Empty: the server's only one.
            mode: Whether one label is right or any number may be.
            use_templates: Set each prompt into the backbone's own templates and average.
            top_k: How many labels to return. None: 5.
            timeout: Seconds for this call, retries included. None: the client's.
        """
        call = requests.classify_zero_shot(labels, inputs, backbone, mode, use_templates, top_k)
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
        """The examples nearest to each input: `top_k` (None: 10), of these labels and domains only."""
        return self._run(requests.search_examples(collection, inputs, top_k, labels, domains, min_revision), timeout)
