// Schemathesis makes up documents from the schema, right and wrong, and sends them with an agent's
// token. No answer may be a fault of the server, break GraphQL over HTTP, or have another shape
// than document and schema say; no connection may be dropped. `python/deskwire_hooks.py` judges.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomInt } from "node:crypto";
import process from "node:process";
import { fileURLToPath } from "node:url";

import { createIncident, request } from "../lib/http.mjs";
import { schemaOf } from "../lib/schema.mjs";
import { scratch } from "../lib/scratch.mjs";

export const name = "schemathesis";

const SECONDS = Number(process.env.DESKWIRE_CONFORMANCE_FUZZ_SECONDS ?? 120);
/** Fewer test cases in a second would mean that something waits. */
const CASES_PER_SECOND = 2;
const WORKERS = 2;
const HOOKS = fileURLToPath(new URL("../python", import.meta.url));

const KNOWN = `query Known($number: ID!) {
  viewer { actor { id } teams { id slug } }
  ticket(by: { id: $number }) { id number }
  categories(first: 3) { nodes { id key } }
}`;

/** Answers of which the judge must say that they are wrong: document, data, what it says. */
const WRONG = [
  ["{ viewer { actor { id } } }", { viewer: null }, "null"],
  ["{ viewer { actor { id } } }", { viewer: { actor: {} } }, "the keys"],
  ["{ viewer { actor { id } } }", { viewer: { actor: { id: 7 } } }, "is no ID"],
  ["{ viewer { actor { id } } }", { viewer: { actor: { id: "x" }, more: 1 } }, "the keys"],
  ["{ teams { nodes { slug } } }", { teams: { nodes: {} } }, "not a list"],
  ["{ teams { totalCount } }", { teams: { totalCount: 2 ** 31 } }, "is no Int"],
  ["{ incidents { nodes { priority } } }", { incidents: { nodes: [{ priority: "P9" }] } }, "is no Priority"],
  ['{ node(id: "x") { ... on Team { slug } ... on User { name } } }', { node: { colour: "red" } }, "the keys"],
  ["{ a: __typename b: __typename }", { b: "Query", a: "Query" }, "the keys"],
];

export function cases(context) {
  return [
    { name: "the judge knows wrong answers", run: () => judges(context) },
    { name: `${SECONDS} seconds of documents`, timeout: (SECONDS + 60) * 1_000, run: () => fuzz(context) },
  ];
}

/** Runs the environment's Python: { status, output }. */
async function python(context, args) {
  const interpreter = process.env.DESKWIRE_CONFORMANCE_PYTHON;
  assert.ok(interpreter, "set DESKWIRE_CONFORMANCE_PYTHON; `cargo xtask conformance` does it for you");
  const folder = await scratch("schemathesis");
  await folder.write("schemathesis.toml", configuration(await dictionary(context)));
  const options = {
    cwd: folder.path,
    maxBuffer: 64 * 1024 * 1024,
    env: {
      ...process.env,
      DESKWIRE_CONFORMANCE_URL: context.url,
      NO_PROXY: "127.0.0.1",
      PYTHONDONTWRITEBYTECODE: "1",
      PYTHONPATH: HOOKS,
      PYTHONUTF8: "1",
      SCHEMATHESIS_HOOKS: "deskwire_hooks",
    },
  };
  return new Promise((resolve) => {
    execFile(interpreter, args, options, (error, stdout, stderr) =>
      resolve({ status: error ? (error.code ?? error.signal) : 0, output: `${stdout}${stderr}`.trim() }));
  });
}

/** Texts that mean something to this server. */
async function dictionary(context) {
  const number = await createIncident(context);
  const { viewer, ticket, categories } = await request(context, KNOWN, { number });
  const { id, slug } = viewer.teams[0];
  const [category] = categories.nodes;
  return [ticket.id, ticket.number, viewer.actor.id, id, slug, category.id, category.key, "agent@demo.example", "SOLVED"];
}

function configuration(texts) {
  return [
    `[dictionaries.texts]\nvalues = ${JSON.stringify(texts)}`,
    "[dictionaries.numbers]\nvalues = [0, 1, 2, 20, 100]",
    "[generation.dictionaries]",
    'string = { dictionary = "texts", probability = 0.5 }',
    'integer = { dictionary = "numbers", probability = 0.7 }',
  ].join("\n");
}

async function judges(context) {
  const script = [
    "import json, sys",
    "from deskwire_hooks import mistakes",
    "print(json.dumps([list(mistakes(document, data, [])) for document, data, _ in json.loads(sys.argv[1])]))",
  ].join("\n");
  const { status, output } = await python(context, ["-c", script, JSON.stringify(WRONG)]);
  assert.equal(status, 0, output);
  const found = JSON.parse(output);
  WRONG.forEach(([document, , says], index) => assert.ok(found[index][0]?.includes(says), `${document}: ${found[index]}`));
}

async function fuzz(context) {
  const seed = Number(process.env.DESKWIRE_CONFORMANCE_SEED ?? randomInt(2 ** 31));
  console.log(`     DESKWIRE_CONFORMANCE_SEED=${seed}`);
  const { status, output } = await python(context, [
    "-m", "schemathesis.cli", "--no-color", "run", `${context.url}/graphql`,
    "--header", `Authorization: Bearer ${context.token}`,
    "--phases", "fuzzing",
    "--checks", "deskwire_answer",
    "--max-time", String(SECONDS),
    "--seed", String(seed),
    "--workers", String(WORKERS),
    "--request-timeout", "15",
    "--continue-on-failure",
    "--warnings", "off",
    "--generation-database", "none",
  ]);
  assert.equal(status, 0, output);
  const [, generated] = /(\d+) generated, \1 passed/.exec(output) ?? assert.fail(output);
  const [, tested] = /Tested: (\d+)/.exec(output) ?? assert.fail(output);
  console.log(`     ${generated} documents on ${tested} operations`);
  assert.ok(Number(generated) >= SECONDS * CASES_PER_SECOND, output);
  const schema = await schemaOf(context);
  const roots = [schema.getQueryType(), schema.getMutationType()];
  assert.equal(Number(tested), roots.reduce((sum, root) => sum + Object.keys(root.getFields()).length, 0), output);
}
