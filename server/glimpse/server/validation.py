"""The checks of a request's fields, before any work is done.

Each check raises RequestError INVALID_ARGUMENT, and names the field, the value and the limit. The argument `field` is
the name of the field in the request.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence

from glimpse.fewshot import PINNABLE
from glimpse.server.errors import invalid
from glimpse.server.proto_enums import HEADS
from glimpse.server.resource_names import MAX_LABEL, normal, parse_name, suggested_id
from glimpse.v1 import collection_service_pb2, types_pb2

_COLLECTION_ID = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
#: Characters of display names, domains, groups and the caller's ids.
MAX_NAME = 256
_MAX_PROMPTS = 64
_MAX_PROMPT = 4_096
_MAX_METADATA = 64
_MAX_COSTS, _MAX_COST = 1_000, 1_000_000
_MAX_KEY, _MAX_VALUE = 64, 1_024
# Paths of an update mask, and characters of one: more than any message has fields, and than any path is long.
_MAX_PATHS, _MAX_PATH = 32, 128
#: Labels and examples in one response, for all its inputs and collections together; and for one input of a stream,
#: where many responses wait at a time.
MAX_ENTRIES, MAX_STREAM_ENTRIES = 65_536, 1_024
#: Review items that may wait in a collection, and days until one is deleted.
MAX_REVIEW_ITEMS, MAX_REVIEW_DAYS = 100_000, 365
#: Bytes of the response of one call.
MAX_ANSWER_BYTES = 32 << 20


def check_collection_id(collection_id: str, field: str) -> None:
    """Checks the id of a new collection; the message suggests a valid id."""
    if not _COLLECTION_ID.fullmatch(collection_id):
        suggestion = suggested_id(collection_id)
        hint = f"; {suggestion!r} would do" if suggestion else ""
        message = (
            f"{collection_id[:MAX_LABEL]!r} is no collection id: an id has 1 to 63 lower-case letters, digits and "
            f"hyphens, a letter first and no hyphen last{hint}"
        )
        raise invalid("INVALID_ID", message, field)


def check_label_id(label_id: str, field: str) -> str:
    """Checks the id of a new label, and returns it in its normal form, as the ledger keeps it."""
    kept = normal(label_id) if len(label_id) <= MAX_LABEL else ""
    if not 1 <= len(kept) <= MAX_LABEL:
        message = f"a label id must have 1 to {MAX_LABEL} characters, without spaces at its ends"
        raise invalid("INVALID_ID", message, field)
    if "/" in kept or any(unicodedata.category(character) in ("Cc", "Cs") for character in kept):
        printable = (character for character in kept if character.isprintable())
        suggestion = "".join("-" if character == "/" else character for character in printable).strip(" -")
        hint = f"; {suggestion!r} would do" if suggestion else ""
        raise invalid("INVALID_ID", f"{kept!r}: a label id must not have `/` or control characters{hint}", field)
    if not unicodedata.is_normalized("NFC", kept):
        message = f"{kept!r}: a label id must not have more than 30 combining marks in a row"
        raise invalid("INVALID_ID", message, field)
    return kept


def check_length(text: str, field: str, most: int = MAX_NAME) -> None:
    """Checks a text, for example a display name or a domain: at most `most` characters, and no NUL."""
    if len(text) > most:
        raise invalid("TOO_LONG", f"the text has {len(text)} characters; at most {most} characters", field)
    if "\0" in text:  # PostgreSQL cannot store it
        raise invalid("INVALID_CHARACTER", "the text has the character NUL, which cannot be stored; remove it", field)


def check_count(items: Sequence[object], most: int, field: str) -> None:
    """Checks that a list has 1 to `most` items."""
    if not items:
        raise invalid("EMPTY", f"{field} must not be empty", field)
    check_at_most(items, most, field)


def check_at_most(items: Sequence[object], most: int, field: str) -> None:
    """Checks that a list has at most `most` items."""
    if len(items) > most:
        raise invalid("TOO_MANY", f"{field} has {len(items)} items; at most {most} items in one call", field)


def check_range(value: float, least: float, most: float, field: str) -> None:
    """Checks that a number is in the range from `least` to `most`; NaN is not."""
    if not least <= value <= most:
        raise invalid("OUT_OF_RANGE", f"{value} is out of range: it must be {least} to {most}", field)


def check_rate(rate: float, field: str) -> None:
    """Checks a rate of false rejects or false accepts."""
    if not 0 < rate <= 0.5:
        raise invalid("OUT_OF_RANGE", f"{rate} is out of range: it must be over 0 and at most 0.5", field)


def check_prompts(prompts: Sequence[str], field: str) -> None:
    """Checks the prompts of a label: at most 64, each a text of at most 4,096 characters."""
    if len(prompts) > _MAX_PROMPTS:
        raise invalid("TOO_MANY", f"the label has {len(prompts)} prompts; at most {_MAX_PROMPTS} prompts", field)
    for position, prompt in enumerate(prompts):
        if not prompt.strip():
            raise invalid("EMPTY", "the prompt must not be empty", f"{field}[{position}]")
        check_length(prompt, f"{field}[{position}]", _MAX_PROMPT)


def check_metadata(metadata: Mapping[str, str], field: str) -> None:
    """Checks the metadata of an example: at most 64 pairs, with keys of 1 to 64 characters and values of 1,024."""
    if len(metadata) > _MAX_METADATA:
        raise invalid("TOO_MANY", f"the metadata has {len(metadata)} pairs; at most {_MAX_METADATA} pairs", field)
    for key, value in metadata.items():
        if not 1 <= len(key) <= _MAX_KEY:
            raise invalid("TOO_LONG", f"a metadata key must have 1 to {_MAX_KEY} characters", field)
        check_length(key, field, _MAX_KEY)
        check_length(value, f"{field}[{key!r}]", _MAX_VALUE)


def check_enum(value: int, known: Sequence[int], field: str) -> None:
    """Checks that an enum value is known to this version."""
    if value not in known:
        raise invalid("UNKNOWN_ENUM_VALUE", f"{value} is no value of this enum; the values are {list(known)}", field)


def check_head(head: int, label_mode: int, field: str) -> None:
    """Checks that a head can be pinned for a label mode; 0 means that none is pinned."""
    if head and label_mode == types_pb2.LABEL_MODE_INDEPENDENT:
        raise invalid("HEAD_NOT_PINNABLE", "no head can be pinned for independent labels; leave it unset", field)
    pinnable = [types_pb2.HEAD_UNSPECIFIED, *(HEADS[kind] for kind in PINNABLE)]
    if head not in pinnable:
        check_enum(head, types_pb2.Head.values(), field)
        names = ", ".join(types_pb2.Head.Name(value) for value in pinnable[1:])
        message = f"{types_pb2.Head.Name(head)} cannot be pinned; the heads that can be are {names}"
        raise invalid("HEAD_NOT_PINNABLE", message, field)


def check_policy(policy: collection_service_pb2.DecisionPolicy, field: str) -> None:
    """Checks the numbers of a decision policy that are set."""
    if policy.HasField("match_threshold"):
        check_range(policy.match_threshold, -1, 1, f"{field}.match_threshold")
    if policy.HasField("match_margin"):
        check_range(policy.match_margin, 0, 2, f"{field}.match_margin")
    for rate in ("false_reject_rate", "false_accept_rate"):
        if policy.HasField(rate):
            check_rate(getattr(policy, rate), f"{field}.{rate}")
    if policy.HasField("coverage") and not 0.5 <= policy.coverage < 1:
        message = f"{policy.coverage} is out of range: it must be at least 0.5 and below 1"
        raise invalid("OUT_OF_RANGE", message, f"{field}.coverage")
    check_mistake_costs(policy.mistake_costs, f"{field}.mistake_costs")


def check_mistake_costs(costs: Sequence[collection_service_pb2.MistakeCost], field: str) -> None:
    """Checks the costs of mistakes: at most 1,000, each of two different labels, and each pair once."""
    if len(costs) > _MAX_COSTS:
        raise invalid("TOO_MANY", f"the policy has {len(costs)} mistake costs; at most {_MAX_COSTS}", field)
    seen: set[tuple[str, str]] = set()
    for position, each in enumerate(costs):
        here = f"{field}[{position}]"
        truth = check_label_id(each.label_id, f"{here}.label_id")
        answered = check_label_id(each.answered_label_id, f"{here}.answered_label_id")
        if truth == answered:
            raise invalid(
                "DUPLICATE_LABEL", f"to answer {truth!r} for {truth!r} is no mistake", f"{here}.answered_label_id"
            )
        if (truth, answered) in seen:
            raise invalid("DUPLICATE_LABEL", f"the cost of {answered!r} for {truth!r} is given twice", here)
        seen.add((truth, answered))
        check_range(each.cost, 0, _MAX_COST, f"{here}.cost")


def check_embedding_space_policy(policy: collection_service_pb2.EmbeddingSpacePolicy, field: str) -> None:
    """Checks the cosine of an embedding space policy, if it is set."""
    if policy.HasField("min_space_cosine") and not 0 < policy.min_space_cosine <= 1:
        message = f"{policy.min_space_cosine} is out of range: it must be over 0 and at most 1"
        raise invalid("OUT_OF_RANGE", message, f"{field}.min_space_cosine")


def check_review_policy(policy: collection_service_pb2.ReviewPolicy, field: str) -> None:
    """Checks the numbers of a review policy; 0 is the default of each."""
    check_range(policy.match_rate, 0, 1, f"{field}.match_rate")
    check_range(policy.max_items, 0, MAX_REVIEW_ITEMS, f"{field}.max_items")
    check_range(policy.keep_days, 0, MAX_REVIEW_DAYS, f"{field}.keep_days")


def mask_paths(paths: Sequence[str]) -> Sequence[str]:
    """Checks the paths of an update mask, of which there must be one at least, and returns them."""
    if not paths:
        raise invalid("EMPTY", "update_mask must not be empty; name the fields to update", "update_mask")
    check_count(paths, _MAX_PATHS, "update_mask")
    for path in paths:
        check_length(path, "update_mask", _MAX_PATH)
    return paths


def check_distinct(collections: Sequence[str], field: str) -> None:
    """Checks that each collection is named only once."""
    seen: set[str] = set()
    for position, name in enumerate(collections):
        if name in seen:
            raise invalid("DUPLICATE_COLLECTION", f"collection {name!r} is given twice", f"{field}[{position}]")
        seen.add(name)


def check_entries(inputs: int, each: int, field: str, most: int = MAX_ENTRIES) -> None:
    """Checks the size of a response before any work is done.

    Args:
        inputs: How many inputs the call has.
        each: How many labels and examples each input gets, in all collections together.
        field: The request field that sets the size.
        most: The limit of labels and examples in the response.
    """
    if inputs * each > most:
        message = (
            f"the response would have {inputs} inputs x {each} = {inputs * each} labels and examples; at most {most}: "
            "send fewer inputs, or ask for a smaller top_k"
        )
        raise invalid("ANSWER_TOO_LARGE", message, field)


def check_answer_bytes(size: int, field: str) -> None:
    """Checks the bytes of a response while it grows, because the names in it have different lengths."""
    if size > MAX_ANSWER_BYTES:
        message = f"the response has over {MAX_ANSWER_BYTES} bytes: send fewer inputs, or ask for a smaller top_k"
        raise invalid("ANSWER_TOO_LARGE", message, field)


def parse_collections(names: Sequence[str], most: int, field: str) -> list[str]:
    """Returns the collection ids of 1 to `most` distinct resource names. Raises RequestError."""
    check_count(names, most, field)
    check_distinct(names, field)
    return [parse_name(name, "collections/*", f"{field}[{position}]")[0] for position, name in enumerate(names)]
