/** Teaches a server two colours and asks for one: `npm run example -- URL`. A key is read from GLIMPSE_API_KEY. */
import { Decision, Glimpse, GlimpseError, unwrap } from "glimpse-fewshot";

const url = process.argv[2] ?? "http://127.0.0.1:8080";
const apiKey = process.env["GLIMPSE_API_KEY"];
const glimpse = new Glimpse({ url, ...(apiKey ? { apiKey } : {}) });
try {
  await glimpse.createCollection("shades");
} catch (error) {
  if (!(error instanceof GlimpseError && error.reason === "ALREADY_EXISTS")) throw error;
}
const { revision } = await glimpse.enroll(
  "shades",
  [
    { label: "warm", input: "a red circle" },
    { label: "cold", input: "a blue circle" },
  ],
  { createLabels: true },
);
const [answer] = unwrap(await glimpse.classify("shades", ["a circle, red"], { minRevision: revision }));
console.log(answer?.labelId, Decision[answer?.decision ?? 0], answer?.probability.toFixed(2));
