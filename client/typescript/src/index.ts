/** The client of Glimpse for Node and browsers. The messages of the contract are in `glimpse-fewshot/v1/*`. */
export { Code } from "@connectrpc/connect";
export { type Enrollment, Glimpse, type NewExample, type Options } from "./client.js";
export { GlimpseError, ItemError } from "./errors.js";
export { type Classification, Decision, type Evidence } from "./gen/glimpse/v1/classification_service_pb.js";
export { type Embedding, type Input, type Result, unwrap } from "./results.js";
export { DEFAULT_RETRY, type Retry } from "./retry.js";
