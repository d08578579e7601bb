// Is a document valid, and do its variables fit? The server and graphql-js, the reference
// implementation, must say the same: of documents for each rule of the specification, of the
// example operations, and of these broken at random.

import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { getOperationAST, getVariableValues, parse, validate } from "graphql";

import { DOCUMENTS } from "../fixtures/validity.mjs";
import { generator, mutate } from "../lib/mutate.mjs";
import { withScalars } from "../lib/scalars.mjs";
import { schemaOf } from "../lib/schema.mjs";
import { OPERATIONS } from "../lib/scratch.mjs";

export const name = "validity";

/** So many documents are broken at random, with one or two changes each. */
const MUTANTS = 1_000;
const MOST_CHANGES = 2;
/** The same ones each time, unless DESKWIRE_CONFORMANCE_SEED says otherwise. */
const SEED = 42;
const CONCURRENCY = 8;
/** The codes of a request that is over the budget, which is looked at before all else. */
const OVER_BUDGET = new Set(["COST_EXCEEDED", "LIMIT"]);
/** The codes of a request that is not executed because of what it says. */
const NOT_VALID = new Set(["GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED", "BAD_REQUEST"]);

/** Where the server knowingly says something else, and why. */
const DIFFERENCES = [
  {
    // The specification counts response keys there, and the same one twice is one. Nobody writes
    // that, and apollo-compiler, which validates for the server, counts fields.
    applies: ({ reference, server }) => reference === null && /must select only one top level field/.test(server),
  },
  {
    // The specification of 2025 forbids it; graphql-js does from version 17 on.
    applies: ({ reference, server }) => reference === null && /can not specify @skip or @include on root/.test(server),
  },
  {
    // graphql-js 16.15 misses a nullable variable in a @oneOf input whose own type is non-null,
    // which the specification forbids.
    applies: ({ reference, server }) => reference === null && /must not be null in a @oneOf input/.test(server),
  },
];

export function cases(context) {
  let loaded;
  const schema = () => (loaded ??= schemaOf(context).then(withScalars));
  const groups = Object.entries(DOCUMENTS).map(([rule, { valid, invalid }]) => ({
    name: `${rule}: ${valid.length} valid, ${invalid.length} not`,
    run: async () => {
      const requests = [...valid, ...invalid].map(toRequest);
      requests.forEach((request, index) => (request.label = index < valid.length));
      await compare(context, await schema(), requests);
    },
  }));
  return [
    ...groups,
    { name: "the example operations", run: async () => compare(context, await schema(), await examples()) },
    { name: `${MUTANTS} documents broken at random`, timeout: 180_000, run: async () => broken(context, await schema()) },
  ];
}

function toRequest(entry) {
  const [document, variables, operationName] = Array.isArray(entry) ? entry : [entry];
  return { document, variables, operationName };
}

/** The example operations with the variables that they name. */
async function examples() {
  const files = (await readdir(OPERATIONS)).filter((file) => file.endsWith(".graphql")).sort();
  assert.ok(files.length >= 40, `only ${files.length} examples`);
  return Promise.all(files.map(async (file) => {
    const document = await readFile(join(OPERATIONS, file), "utf8");
    const variables = JSON.parse(/^# Variables: (.*)$/m.exec(document)?.[1] ?? "{}");
    return { document, variables, label: true };
  }));
}

async function broken(context, schema) {
  const seed = Number(process.env.DESKWIRE_CONFORMANCE_SEED ?? SEED);
  console.log(`     DESKWIRE_CONFORMANCE_SEED=${seed}`);
  const random = generator(seed);
  const valid = Object.values(DOCUMENTS).flatMap(({ valid }) => valid.map(toRequest));
  const sources = [...(await examples()), ...valid.filter(({ operationName }) => !operationName)]
    .map(({ document, variables }) => ({ document, variables }));
  const mutants = Array.from({ length: MUTANTS }, () => {
    let mutant = sources[Math.floor(random() * sources.length)];
    const changes = 1 + Math.floor(random() * MOST_CHANGES);
    for (let change = 0; change < changes; change += 1) mutant = mutate(mutant, random);
    return mutant;
  });
  const counts = await compare(context, schema, mutants);
  console.log(`     ${counts.valid} valid, ${counts.invalid} not; ${counts.undecided} over the budget`);
  // Else the mutations would not do what they are for.
  assert.ok(Math.min(counts.valid, counts.invalid) > MUTANTS / 20, JSON.stringify(counts));
  assert.ok(counts.undecided < MUTANTS / 20, JSON.stringify(counts));
}

/** Asks both about every request; fails with all disagreements at once. */
async function compare(context, schema, requests) {
  const counts = { valid: 0, invalid: 0, undecided: 0 };
  const disagreements = [];
  const queue = [...requests];
  await Promise.all(Array.from({ length: CONCURRENCY }, async () => {
    for (let request = queue.shift(); request; request = queue.shift()) {
      const reference = referenceVerdict(schema, request);
      if (request.label !== undefined) {
        assert.equal(reference === null, request.label, `the fixture is wrong: ${request.document}: ${reference}`);
      }
      const server = await serverVerdict(context, request);
      if (server === undefined) {
        counts.undecided += 1;
        continue;
      }
      counts[reference === null ? "valid" : "invalid"] += 1;
      if ((reference === null) === (server === null)) continue;
      const difference = DIFFERENCES.find(({ applies }) => applies({ request, reference, server }));
      if (!difference) disagreements.push({ ...request, reference, server });
    }
  }));
  assert.equal(disagreements.length, 0, JSON.stringify(disagreements, null, 1));
  return counts;
}

/** Why graphql-js would not execute it, or null. */
function referenceVerdict(schema, { document, variables, operationName }) {
  let tree;
  try {
    tree = parse(document);
  } catch (error) {
    return error.message;
  }
  const errors = validate(schema, tree);
  if (errors.length > 0) return errors[0].message;
  const operation = getOperationAST(tree, operationName);
  if (!operation) return "no such operation";
  const coerced = getVariableValues(schema, operation.variableDefinitions ?? [], variables ?? {});
  return coerced.errors?.[0].message ?? null;
}

/** Why the server would not execute it, or null; undefined when it does not come to that. */
async function serverVerdict({ url, token }, { document, variables, operationName }) {
  const streaming = /^subscription\b|\bsubscription (\w+ )?[({@]/m.test(document.replace(/^\s*#.*$/gm, "").trim());
  const control = new AbortController();
  const response = await fetch(`${url}/graphql`, {
    method: "POST",
    signal: control.signal,
    headers: {
      "content-type": "application/json",
      accept: streaming ? "text/event-stream" : "application/graphql-response+json",
      authorization: `Bearer ${token}`,
    },
    body: JSON.stringify({ query: document, variables, operationName }),
  });
  if (streaming) {
    const answer = await firstOf(response);
    control.abort();
    return answer ? refusal(response, answer, 200) : null;
  }
  const answer = JSON.parse(await response.text());
  return refusal(response, answer, 400);
}

/** The first result of a stream, or null when it begins without one. */
async function firstOf(response) {
  let text = "";
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (text.startsWith(":")) return null;
    const data = /^event: next\ndata: (.*)\n/.exec(text);
    if (data) return JSON.parse(data[1]);
  }
  throw new Error(`a stream without a result: ${text}`);
}

function refusal(response, answer, status) {
  const [error] = answer.errors ?? [];
  // With data it was executed. (A scalar of our own is read by the field that takes it.)
  if (error && !("data" in answer) && OVER_BUDGET.has(error.extensions.code)) return undefined;
  if (!error || "data" in answer || !NOT_VALID.has(error.extensions.code)) return null;
  // What is not valid is told as the specification of GraphQL over HTTP wants it.
  assert.equal(response.status, status, JSON.stringify(answer));
  return error.message;
}
