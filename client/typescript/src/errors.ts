/** The errors of calls, and of single items of a call. */
import { Code, ConnectError } from "@connectrpc/connect";
import type { ItemStatus } from "./gen/glimpse/v1/types_pb.js";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb.js";

/** A call that failed. The message says what happened and what to do next. */
export class GlimpseError extends Error {
  /** The code of gRPC. */
  readonly code: Code;
  /** The stable reason, for example `COLLECTION_NOT_FOUND`; empty if no server answered. docs/errors.md lists all. */
  readonly reason: string;
  /** The request field at fault, for example `inputs[3].image`; empty if no field is. */
  readonly field: string;
  /** Milliseconds after which the call may be sent again; undefined if the server names no delay. */
  readonly retryDelayMs: number | undefined;
  /** The full queue if `reason` is `QUEUE_FULL`. */
  readonly queue: string;
  /** The id of the call in the server's log; empty if no server answered. */
  readonly requestId: string;
  /** How often the call was sent. */
  readonly attempts: number;

  constructor(error: ConnectError, attempts: number) {
    super(error.rawMessage, { cause: error });
    const [info] = error.findDetails(ErrorInfoSchema);
    const [bad] = error.findDetails(BadRequestSchema);
    const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
    this.name = "GlimpseError";
    this.code = error.code;
    this.reason = info?.reason ?? "";
    this.queue = info?.metadata["queue"] ?? "";
    this.field = bad?.fieldViolations[0]?.field ?? "";
    this.retryDelayMs = delay && Number(delay.seconds) * 1_000 + delay.nanos / 1_000_000;
    this.requestId = error.metadata.get("x-request-id") ?? "";
    this.attempts = attempts;
  }
}

/** Why one item of a call failed; the other items have their results. */
export class ItemError extends Error {
  readonly code: Code;
  readonly reason: string;
  readonly field: string;
  readonly retryDelayMs: number | undefined;

  constructor(status: ItemStatus) {
    super(status.message);
    this.name = "ItemError";
    this.code = status.code;
    this.reason = status.reason;
    this.field = status.field;
    this.retryDelayMs = status.retryDelayMs > 0n ? Number(status.retryDelayMs) : undefined;
  }
}

/** Returns a failure as an error of the client. A failed connection is `Code.Unavailable`. */
export function asGlimpseError(reason: unknown, attempts: number): GlimpseError {
  const error = ConnectError.from(reason);
  // `fetch` throws a TypeError if there is no answer, and so does an answer that breaks off; each engine has its words.
  const unanswered = error.cause instanceof TypeError && /fetch|network|load failed|terminated/i.test(error.cause.message);
  if (!unanswered) return new GlimpseError(error, attempts);
  return new GlimpseError(new ConnectError("no server answers", Code.Unavailable, undefined, undefined, error.cause), attempts);
}
