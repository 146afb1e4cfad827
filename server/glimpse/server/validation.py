"""What a request is checked for before any work is done. Each check raises RequestError, naming the field."""

import re
import unicodedata
from collections.abc import Mapping, Sequence

from glimpse.fewshot import PINNABLE
from glimpse.server.errors import invalid
from glimpse.server.proto_enums import HEADS
from glimpse.server.resource_names import MAX_LABEL, normal, suggested_id
from glimpse.v1 import collection_service_pb2, types_pb2

_COLLECTION_ID = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
MAX_NAME = 256  # display names, domains, the caller's ids
_MAX_PROMPTS = 64
_MAX_PROMPT = 4_096
_MAX_METADATA = 64
_MAX_KEY, _MAX_VALUE = 64, 1_024
# Of an update mask: more than any message has fields, and than any path is long.
_MAX_PATHS, _MAX_PATH = 32, 128
#: Labels and examples in one answer, of all its inputs and collections together; and of one input of a stream, where
#: many answers wait at a time.
MAX_ENTRIES, MAX_STREAM_ENTRIES = 65_536, 1_024
#: Bytes of the answers of one call.
MAX_ANSWER_BYTES = 32 << 20


def check_collection_id(collection_id: str, field: str) -> None:
    """A collection's id."""
    if not _COLLECTION_ID.fullmatch(collection_id):
        right = suggested_id(collection_id)
        raise invalid(
            "INVALID_ID",
            f"{collection_id[:MAX_LABEL]!r}: lower-case letters, digits and hyphens, 1 to 63, a letter first, "
            f"no hyphen last{f'; {right!r} would do' if right else ''}",
            field,
        )


def check_label_id(label_id: str, field: str) -> str:
    """A label's id; returns it as it is kept, in its normal form."""
    kept = normal(label_id) if len(label_id) <= MAX_LABEL else ""
    if not 1 <= len(kept) <= MAX_LABEL:
        raise invalid("INVALID_ID", f"a label's id has 1 to {MAX_LABEL} characters beside spaces at its ends", field)
    if "/" in kept or any(unicodedata.category(character) in ("Cc", "Cs") for character in kept):
        right = "".join("-" if one == "/" else one for one in kept if one.isprintable()).strip(" -")
        hint = f"; {right!r} would do" if right else ""
        raise invalid("INVALID_ID", f"{kept!r}: a label's id has no `/` and no control character{hint}", field)
    if not unicodedata.is_normalized("NFC", kept):
        raise invalid("INVALID_ID", f"{kept!r}: a label's id has no more than 30 combining marks in a row", field)
    return kept


def check_length(text: str, field: str, most: int = MAX_NAME) -> None:
    """A display name, a domain, an id of the caller's."""
    if len(text) > most:
        raise invalid("TOO_LONG", f"{len(text)} characters; at most {most}", field)
    if "\0" in text:  # which PostgreSQL cannot keep
        raise invalid("INVALID_CHARACTER", "a text with the character NUL", field)


def check_count(items: Sequence[object], most: int, field: str) -> None:
    """A list that is neither empty nor too long."""
    if not items:
        raise invalid("EMPTY", f"{field} is empty", field)
    if len(items) > most:
        raise invalid("TOO_MANY", f"{len(items)} {field}; at most {most} in one call", field)


def check_range(value: float, least: float, most: float, field: str) -> None:
    """A number in a range; NaN is in none."""
    if not least <= value <= most:
        raise invalid("OUT_OF_RANGE", f"{value} is not between {least} and {most}", field)


def check_prompts(prompts: Sequence[str], field: str) -> None:
    """A label's prompts."""
    if len(prompts) > _MAX_PROMPTS:
        raise invalid("TOO_MANY", f"{len(prompts)} prompts; at most {_MAX_PROMPTS}", field)
    for position, prompt in enumerate(prompts):
        if not prompt.strip():
            raise invalid("EMPTY", "a prompt needs text", f"{field}[{position}]")
        check_length(prompt, f"{field}[{position}]", _MAX_PROMPT)


def check_metadata(metadata: Mapping[str, str], field: str) -> None:
    """An example's key-value pairs."""
    if len(metadata) > _MAX_METADATA:
        raise invalid("TOO_MANY", f"{len(metadata)} pairs; at most {_MAX_METADATA}", field)
    for key, value in metadata.items():
        if not 1 <= len(key) <= _MAX_KEY:
            raise invalid("TOO_LONG", f"a key has 1 to {_MAX_KEY} characters", field)
        check_length(key, field, _MAX_KEY)
        check_length(value, f"{field}[{key!r}]", _MAX_VALUE)


def check_enum(value: int, known: Sequence[int], field: str) -> None:
    """An enum value this version knows."""
    if value not in known:
        raise invalid("UNKNOWN_ENUM_VALUE", f"{value} is not a value of this enum; known are {list(known)}", field)


def check_head(head: int, label_mode: int, field: str) -> None:
    """A head that can be asked for; 0: none is."""
    if head and label_mode == types_pb2.LABEL_MODE_INDEPENDENT:
        raise invalid("HEAD_NOT_PINNABLE", "labels that are independent of each other have one head alone", field)
    pinnable = [types_pb2.HEAD_UNSPECIFIED, *(HEADS[kind] for kind in PINNABLE)]
    if head not in pinnable:
        check_enum(head, types_pb2.Head.values(), field)
        names = ", ".join(types_pb2.Head.Name(one) for one in pinnable[1:])
        raise invalid(
            "HEAD_NOT_PINNABLE", f"{types_pb2.Head.Name(head)} comes by itself; what can be asked for: {names}", field
        )


def check_policy(policy: collection_service_pb2.DecisionPolicy, field: str) -> None:
    """A decision policy's thresholds."""
    if policy.HasField("match_threshold"):
        check_range(policy.match_threshold, -1, 1, f"{field}.match_threshold")
    if policy.HasField("match_margin"):
        check_range(policy.match_margin, 0, 2, f"{field}.match_margin")
    for rate in ("false_reject_rate", "false_accept_rate"):
        if policy.HasField(rate) and not 0 < getattr(policy, rate) <= 0.5:
            raise invalid("OUT_OF_RANGE", f"{getattr(policy, rate)} is not over 0 and at most 0.5", f"{field}.{rate}")
    if policy.HasField("coverage") and not 0.5 <= policy.coverage < 1:
        raise invalid("OUT_OF_RANGE", f"{policy.coverage} is not at least 0.5 and under 1", f"{field}.coverage")


def check_embedding_space_policy(policy: collection_service_pb2.EmbeddingSpacePolicy, field: str) -> None:
    """Checks the cosine of an embedding space policy. Raises RequestError."""
    if policy.HasField("min_space_cosine") and not 0 < policy.min_space_cosine <= 1:
        message = f"{policy.min_space_cosine} is not over 0 and at most 1"
        raise invalid("OUT_OF_RANGE", message, f"{field}.min_space_cosine")


def mask_paths(paths: Sequence[str]) -> Sequence[str]:
    """An update mask's paths; there must be one."""
    if not paths:
        raise invalid("EMPTY", "say which fields to update", "update_mask")
    check_count(paths, _MAX_PATHS, "update_mask")
    for path in paths:
        check_length(path, "update_mask", _MAX_PATH)
    return paths


def check_distinct(collections: Sequence[str], field: str) -> None:
    """Collections to answer, each once."""
    seen: set[str] = set()
    for position, name in enumerate(collections):
        if name in seen:
            raise invalid("DUPLICATE_COLLECTION", f"{name!r} is given twice", f"{field}[{position}]")
        seen.add(name)


def check_entries(inputs: int, each: int, field: str, most: int = MAX_ENTRIES) -> None:
    """What a call's answer would hold, before any work is done: labels and examples for `each` of its inputs."""
    if inputs * each > most:
        message = (
            f"{inputs} inputs x {each} labels and examples in all collections are {inputs * each} entries of one "
            f"answer; at most {most}: send fewer inputs, or ask for a smaller top_k"
        )
        raise invalid("ANSWER_TOO_LARGE", message, field)


def check_answer_bytes(size: int, field: str) -> None:
    """What a call's answer holds already: entries have names of any length."""
    if size > MAX_ANSWER_BYTES:
        message = f"an answer of more than {MAX_ANSWER_BYTES} bytes: send fewer inputs, or ask for a smaller top_k"
        raise invalid("ANSWER_TOO_LARGE", message, field)
