/** Calls a real server; GLIMPSE_URL names it, and GLIMPSE_API_KEY is a key of it with the scope admin. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { Code, Decision, Glimpse, GlimpseError, ItemError, unwrap } from "../dist/index.js";

const url = process.env.GLIMPSE_URL;
const apiKey = process.env.GLIMPSE_API_KEY;
const glimpse = new Glimpse({ url, apiKey });
const ONCE = { retry: { attempts: 1 } };

/** Returns the GlimpseError of a promise that is rejected. */
async function refusal(promise) {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof GlimpseError, String(error));
    return error;
  }
  assert.fail("the call succeeded");
}

/** Runs `work` with a server that answers as `answer` says, and returns how often it was called. */
async function withServer(answer, work) {
  let calls = 0;
  const server = createServer((request, response) => {
    request.resume();
    request.on("end", () => answer(response, ++calls));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await work(`http://127.0.0.1:${server.address().port}`);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  return calls;
}

test("texts become unit vectors, and one bad input fails alone", async () => {
  const [good, bad] = await glimpse.embed(["a red circle", new Uint8Array([1, 2, 3])]);
  assert.ok(good.ok);
  const norm = Math.hypot(...good.value.values);
  assert.ok(Math.abs(norm - 1) < 1e-3, `${norm}`);
  assert.ok(!bad.ok);
  assert.ok(bad.error instanceof ItemError);
  assert.equal(bad.error.reason, "IMAGE_FORMAT_UNKNOWN");
  assert.equal(bad.error.field, "inputs[1].image");
  assert.throws(() => unwrap([good, bad]), ItemError);
});

test("what is enrolled is classified and found, also by its vector", async () => {
  const name = `c-${Date.now()}`;
  await glimpse.createCollection(name);
  const examples = ["red", "blue"].map((colour) => ({ label: colour, input: `a ${colour} circle`, metadata: { colour } }));
  const { results, revision } = await glimpse.enroll(name, examples, { createLabels: true });
  assert.equal(unwrap(results).length, 2);
  const [answer] = unwrap(await glimpse.classify(name, ["a red circle"], { minRevision: revision }));
  assert.equal(answer.labelId, "red");
  assert.ok(Decision[answer.decision]);
  const [vector] = unwrap(await glimpse.embed(["a blue circle"]));
  const [neighbors] = unwrap(await glimpse.search(name, [vector], { topK: 1 }));
  assert.equal(neighbors[0].labelId, "blue");
  assert.ok(neighbors[0].similarity > 0.999);
  const [shot] = unwrap(await glimpse.classifyZeroShot({ red: ["a red circle"], blue: ["a blue circle"] }, ["a blue circle"]));
  assert.equal(shot.labelId, "blue");
  const names = [];
  for await (const collection of glimpse.listCollections()) names.push(collection.name);
  assert.ok(names.includes(`collections/${name}`));
});

test("an error has code, reason, field and the id of the call", async () => {
  const error = await refusal(glimpse.embed(["a"], { backbone: "none" }));
  assert.deepEqual([error.code, error.reason, error.field], [Code.NotFound, "BACKBONE_NOT_FOUND", "backbone"]);
  assert.match(error.requestId, /^[0-9a-f]{16}$/);
  assert.equal(error.attempts, 1);
  const stranger = await refusal(new Glimpse({ url }).embed(["a"]));
  assert.equal(stranger.code, Code.Unauthenticated);
});

test("a deadline ends a call", async () => {
  await withServer(
    () => {},
    async (silent) => {
      const error = await refusal(new Glimpse({ url: silent, timeoutMs: 200 }).embed(["a"]));
      assert.equal(error.code, Code.DeadlineExceeded);
    },
  );
});

test("a call is sent again after the delay of RetryInfo", async () => {
  // google.rpc.RetryInfo with a delay of 0.3 s
  const value = Buffer.from([0x0a, 0x06, 0x10, 0x80, 0xc6, 0x86, 0x8f, 0x01]).toString("base64").replace(/=+$/, "");
  const busy = JSON.stringify({ code: "resource_exhausted", message: "busy", details: [{ type: "google.rpc.RetryInfo", value }] });
  const began = performance.now();
  const calls = await withServer(
    (response, call) => {
      if (call === 1) response.writeHead(429, { "content-type": "application/json" }).end(busy);
      else response.writeHead(200, { "content-type": "application/proto" }).end();
    },
    (address) => new Glimpse({ url: address }).embed([]),
  );
  assert.equal(calls, 2);
  assert.ok(performance.now() - began >= 295);
  const once = await withServer(
    (response) => response.writeHead(429, { "content-type": "application/json" }).end(busy),
    async (address) => {
      const error = await refusal(new Glimpse({ url: address, ...ONCE }).embed([]));
      assert.equal(Math.round(error.retryDelayMs), 300);
    },
  );
  assert.equal(once, 1);
});

test("a server that is not there is Unavailable, after the attempts", async () => {
  let address;
  await withServer(() => {}, async (gone) => void (address = gone));
  const error = await refusal(new Glimpse({ url: address, retry: { attempts: 3, initialMs: 1 } }).embed(["a"]));
  assert.deepEqual([error.code, error.attempts], [Code.Unavailable, 3]);
});

test("a call that can be sent again only in vain is not", async () => {
  const calls = await withServer(
    (response) => response.writeHead(400, { "content-type": "application/json" }).end('{"code":"invalid_argument","message":"no"}'),
    async (address) => {
      assert.equal((await refusal(new Glimpse({ url: address }).embed([]))).code, Code.InvalidArgument);
    },
  );
  assert.equal(calls, 1);
});
