/** Inputs as people have them, and results as they want them. */
import { type MessageInitShape } from "@bufbuild/protobuf";
import { ItemError } from "./errors.js";
import type { InputSchema, ItemStatus, Timings, Vector } from "./gen/glimpse/v1/types_pb.js";

/** A text, the bytes of a picture, a vector, or a message of the contract (for example with an id). */
export type Input = string | Uint8Array | Embedding | MessageInitShape<typeof InputSchema>;

/** A vector, and the embedding space without which it means nothing. */
export interface Embedding {
  readonly values: Float32Array;
  readonly embeddingSpace: string;
}

/** What every item of a call has. */
interface Item {
  /** The id of the input; empty if it had none. */
  readonly id: string;
  /** Whether a text was longer than the backbone reads. */
  readonly truncated: boolean;
  readonly timings: Timings | undefined;
}

/** The result of one input: its value, or the error of this input alone. */
export type Result<T> = Item & ({ readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: ItemError });

/** Returns the values of results. Throws the first ItemError. */
export function unwrap<T>(results: readonly Result<T>[]): T[] {
  return results.map((result) => {
    if (!result.ok) throw result.error;
    return result.value;
  });
}

/** Returns an input as a message. */
export function asInput(input: Input): MessageInitShape<typeof InputSchema> {
  if (typeof input === "string") return { content: { case: "text", value: input } };
  if (input instanceof Uint8Array) return { content: { case: "image", value: input } };
  if ("values" in input) {
    const { buffer, byteOffset, byteLength } = input.values;
    const data = new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
    return { content: { case: "vector", value: { data, embeddingSpace: input.embeddingSpace } } };
  }
  return input;
}

/** Returns a vector of the contract as an Embedding. */
export function asEmbedding(vector: Vector | undefined): Embedding {
  const bytes = vector?.data ?? new Uint8Array();
  // A copy, because the bytes of a message may lie at any offset, and a Float32Array needs a multiple of four.
  const copy = bytes.slice();
  return { values: new Float32Array(copy.buffer), embeddingSpace: vector?.embeddingSpace ?? "" };
}

/** A result of the contract: every kind of them has these fields. */
interface Answered {
  id: string;
  status?: ItemStatus | undefined;
  truncated: boolean;
  timings?: Timings | undefined;
}

/** Returns a result of the contract as a Result; `read` makes the value of one that succeeded. */
export function asResult<A extends Answered, T>(answer: A, read: (answer: A) => T): Result<T> {
  const item = { id: answer.id, truncated: answer.truncated, timings: answer.timings };
  if (answer.status?.code) return { ...item, ok: false, error: new ItemError(answer.status) };
  return { ...item, ok: true, value: read(answer) };
}
