/** The client: short calls for the common tasks, and every call of the contract. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type CallOptions, type Client, createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import {
  type Classification,
  ClassificationService,
  type ClassifyOptionsSchema,
  type Evidence,
} from "./gen/glimpse/v1/classification_service_pb.js";
import { type Collection, type CollectionSchema, CollectionService, type EnrollResult } from "./gen/glimpse/v1/collection_service_pb.js";
import { EmbeddingService } from "./gen/glimpse/v1/embedding_service_pb.js";
import { ReviewService } from "./gen/glimpse/v1/review_service_pb.js";
import { ServerService } from "./gen/glimpse/v1/server_service_pb.js";
import { asEmbedding, asInput, asResult, type Embedding, type Input, type Result } from "./results.js";
import { DEFAULT_RETRY, type Retry, withRetries } from "./retry.js";

/** How a client reaches a server. */
export interface Options {
  /** The URL that `glimpse serve --http` prints, for example `http://127.0.0.1:8080`. */
  url: string;
  /** An API key or a token. */
  apiKey?: string;
  /** The time for a call with all its retries, in milliseconds; 60,000 by default. */
  timeoutMs?: number;
  /** When failed calls are sent again. */
  retry?: Partial<Retry>;
  /** Another `fetch`, for example one with a proxy. */
  fetch?: typeof globalThis.fetch;
}

/** An example to enroll. */
export interface NewExample {
  input: Input;
  /** The id of its label. */
  label: string;
  metadata?: Record<string, string>;
}

/** The answer to an enrolment. */
export interface Enrollment {
  readonly results: readonly Result<EnrollResult>[];
  /** The revision of the write. A read with it as `minRevision` sees the examples. */
  readonly revision: bigint;
}

const COLLECTIONS = "collections/";

/** A client of one server. */
export class Glimpse {
  /** Every call of the contract by service, with the same key, retries and errors. Streams need gRPC. */
  readonly embedding: Client<typeof EmbeddingService>;
  readonly collections: Client<typeof CollectionService>;
  readonly classification: Client<typeof ClassificationService>;
  readonly review: Client<typeof ReviewService>;
  readonly server: Client<typeof ServerService>;

  constructor(options: Options) {
    const transport = makeTransport(options);
    this.embedding = createClient(EmbeddingService, transport);
    this.collections = createClient(CollectionService, transport);
    this.classification = createClient(ClassificationService, transport);
    this.review = createClient(ReviewService, transport);
    this.server = createClient(ServerService, transport);
  }

  /** Embeds inputs. `backbone` may be left out if the server has loaded one alone. */
  async embed(inputs: readonly Input[], request: { backbone?: string } = {}, call?: CallOptions): Promise<Result<Embedding>[]> {
    const backbone = request.backbone ? named("backbones/", request.backbone) : "";
    const response = await this.embedding.embed({ backbone, inputs: inputs.map(asInput) }, call);
    return response.results.map((one) => asResult(one, (answer) => asEmbedding(answer.vector)));
  }

  /** Classifies inputs with the examples of a collection. */
  async classify(
    collection: string,
    inputs: readonly Input[],
    options: MessageInitShape<typeof ClassifyOptionsSchema> = {},
    call?: CallOptions,
  ): Promise<Result<Classification>[]> {
    const request = { collections: [named(COLLECTIONS, collection)], inputs: inputs.map(asInput), options };
    const response = await this.classification.classify(request, call);
    return response.results.map((one) => asResult(one, (answer) => answer.classifications[0] as Classification));
  }

  /** Classifies inputs with prompts alone. `labels` has the prompts of each label by its id. */
  async classifyZeroShot(
    labels: Readonly<Record<string, readonly string[]>>,
    inputs: readonly Input[],
    request: { backbone?: string; useTemplates?: boolean; topK?: number } = {},
    call?: CallOptions,
  ): Promise<Result<Classification>[]> {
    const { backbone, ...rest } = request;
    const prompted = Object.entries(labels).map(([labelId, prompts]) => ({ labelId, prompts: [...prompts] }));
    const response = await this.classification.classifyZeroShot(
      { ...rest, backbone: backbone ? named("backbones/", backbone) : "", labels: prompted, inputs: inputs.map(asInput) },
      call,
    );
    return response.results.map((one) => asResult(one, (answer) => answer.classification as Classification));
  }

  /** Finds the nearest examples of a collection, best first. */
  async search(
    collection: string,
    inputs: readonly Input[],
    request: { topK?: number; labelIds?: string[]; domains?: string[]; minRevision?: bigint } = {},
    call?: CallOptions,
  ): Promise<Result<Evidence[]>[]> {
    const message = { ...request, collection: named(COLLECTIONS, collection), inputs: inputs.map(asInput) };
    const response = await this.classification.searchExamples(message, call);
    return response.results.map((one) => asResult(one, (answer) => answer.neighbors));
  }

  /** Enrolls examples; they are durable when the promise is fulfilled. Each call has an id, so a retry enrolls nothing twice. */
  async enroll(
    collection: string,
    examples: readonly NewExample[],
    request: { createLabels?: boolean } = {},
    call?: CallOptions,
  ): Promise<Enrollment> {
    const message = {
      parent: named(COLLECTIONS, collection),
      examples: examples.map(({ input, label, metadata }) => ({ input: asInput(input), labelId: label, metadata: metadata ?? {} })),
      createLabels: request.createLabels ?? false,
      requestId: randomId(),
    };
    const response = await this.collections.enrollExamples(message, call);
    return { results: response.results.map((one) => asResult(one, (answer) => answer)), revision: response.revision };
  }

  /** Creates a collection. */
  async createCollection(id: string, collection: MessageInitShape<typeof CollectionSchema> = {}, call?: CallOptions): Promise<Collection> {
    const response = await this.collections.createCollection({ collectionId: id, collection }, call);
    return response.collection as Collection;
  }

  /** Yields every collection that the caller may read. */
  async *listCollections(call?: CallOptions): AsyncGenerator<Collection> {
    let pageToken = "";
    do {
      const page = await this.collections.listCollections({ pageToken }, call);
      yield* page.collections;
      pageToken = page.nextPageToken;
    } while (pageToken);
  }
}

function makeTransport(options: Options): Transport {
  const authorize: Interceptor = (next) => (request) => {
    if (options.apiKey) request.header.set("authorization", `Bearer ${options.apiKey}`);
    return next(request);
  };
  const transport = createConnectTransport({
    baseUrl: options.url,
    useBinaryFormat: true, // vectors and pictures need no base64
    interceptors: [authorize],
    ...(options.fetch ? { fetch: options.fetch } : {}),
  });
  return withRetries(transport, { ...DEFAULT_RETRY, ...options.retry }, options.timeoutMs ?? 60_000);
}

/** Returns a resource name, given that name or its last part. */
function named(prefix: string, name: string): string {
  return name.startsWith(prefix) ? name : prefix + name;
}

/** Returns 128 random bits in hexadecimal. `crypto.randomUUID` is missing in pages without TLS. */
function randomId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
