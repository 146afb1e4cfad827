"""The response of a resolution, with a result for each item."""

from glimpse.ledger import Resolved, ResolveOutcome
from glimpse.server.errors import RequestError, already_exists, failed_precondition, item_status, not_found
from glimpse.server.resource_names import example_name, resolution_name, review_item_name
from glimpse.v1 import review_service_pb2 as pb


def resolution_message(collection_id: str, resolved: Resolved) -> pb.ResolveReviewItemsResponse:
    """Returns the response, with the results in the order of the request's names and without figures."""
    response = pb.ResolveReviewItemsResponse(revision=resolved.revision)
    if resolved.resolution_id:
        response.resolution = resolution_name(collection_id, resolved.resolution_id)
    for result in resolved.results:
        name = review_item_name(collection_id, result.item_id)
        refusal = _refusal(name, result.outcome, result.resolved_by)
        response.results.append(
            pb.ReviewItemResult(
                name=name,
                status=item_status(refusal) if refusal else None,
                example=example_name(collection_id, result.example_id) if result.example_id else "",
                resolved_by=result.resolved_by,
                resolved_label_id=result.resolved_label_id,
            )
        )
    return response


def _refusal(name: str, outcome: ResolveOutcome, resolved_by: str) -> RequestError | None:
    match outcome:
        case ResolveOutcome.ALREADY_RESOLVED:
            by = f" by {resolved_by}" if resolved_by else ""
            return already_exists("ALREADY_RESOLVED", f"{name!r} was resolved{by} already", "names")
        case ResolveOutcome.NOT_FOUND:
            return item_not_found(name)
        case ResolveOutcome.OTHER_SPACE:
            message = f"the vector of {name!r} is of another embedding space; skip it, or retry once it is embedded"
            return failed_precondition("REVIEW_ITEM_OF_OTHER_SPACE", message, "names")
    return None


def item_not_found(name: str) -> RequestError:
    """Returns the error of an item that does not exist, or no longer."""
    return not_found("REVIEW_ITEM_NOT_FOUND", f"there is no review item {name!r}, or it has expired", "names")
