// graphql-codegen over the example operations, with the configuration that schema/README.md shows,
// and TypeScript at its strictest over what it generates.

import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";

import { CHECKOUT, OPERATIONS, fixture, runBin, runNode, scratch } from "../lib/scratch.mjs";
import { schemaText } from "../lib/schema.mjs";

export const name = "graphql-codegen";

const STRICT = {
  compilerOptions: {
    strict: true,
    noUncheckedIndexedAccess: true,
    exactOptionalPropertyTypes: true,
    noImplicitReturns: true,
    noUnusedLocals: true,
    isolatedModules: true,
    target: "es2022",
    lib: ["es2022", "dom"],
    module: "nodenext",
    moduleResolution: "nodenext",
    types: [],
    outDir: "out",
  },
  files: ["program.ts"],
};

/** What a program could get wrong: its body, and what TypeScript must say. */
const WRONG = {
  "a field that was not selected": ["(data: TicketQueueQuery) => data.tickets.nodes[0]?.description", "TS2339"],
  "an edge that may be null": ["(data: TeamQuery) => data.team.name", "TS18047"],
  "an element that may be missing": ["(data: TicketQueueQuery) => data.tickets.nodes[0].id", "TS2532"],
  "an enum value that there is not": ["(): IncidentCreateInput => ({ title: '', impact: 'HUGE' })", "TS2322"],
  "a required input field left out": ["(): IncidentCreateInput => ({ tags: [] })", "TS2741"],
  "an input field that there is not": ["(): IncidentCreateInput => ({ title: '', colour: 'red' })", "TS2353"],
  "null where there is always a value": ["(): IncidentCreateInput => ({ title: null })", "TS2322"],
  "two members of a @oneOf input": ["(): TicketRef => ({ id: 'a', number: 'b' })", "TS2322"],
  "no member of a @oneOf input": ["(): TicketRef => ({})", "TS2322"],
  "a number as a time": ["(): DateTimeFilter => ({ gt: 7 })", "TS2322"],
  "a variable left out": ["(): TeamQueryVariables => ({})", "TS2741"],
};

export function cases(context) {
  let prepared;
  const folder = () => (prepared ??= generate(context));
  return [
    { name: "generates types for every example operation", run: async () => complete(await folder()) },
    { name: "TypeScript accepts a program on them, and it runs", run: async () => program(await folder(), context) },
    ...Object.entries(WRONG).map(([what, [body, code]]) => ({
      name: `TypeScript refuses ${what}`,
      run: async () => wrong(await folder(), body, code),
    })),
  ];
}

async function generate(context) {
  const folder = await scratch("graphql-codegen");
  const readme = await readFile(join(CHECKOUT, "schema/README.md"), "utf8");
  const configuration = /```yaml\n(# codegen\.yml[^]*?)```/.exec(readme);
  assert.ok(configuration, "schema/README.md shows a codegen.yml");
  await folder.write("codegen.yml", configuration[1]);
  await folder.write("schema.graphql", await schemaText(context));
  await folder.copy(OPERATIONS, "schema/operations");
  await folder.copy(fixture("codegen/program.ts"), "program.ts");
  await folder.write("tsconfig.json", JSON.stringify(STRICT));
  await folder.write("package.json", '{ "type": "module" }');
  const { status, output } = await runBin(folder, "@graphql-codegen/cli", "graphql-codegen", ["--config", "codegen.yml"]);
  assert.equal(status, 0, output);
  return folder;
}

async function complete(folder) {
  const generated = await folder.read("deskwire.ts");
  const examples = (await readdir(OPERATIONS)).filter((file) => file.endsWith(".graphql"));
  assert.ok(examples.length >= 40, `only ${examples.length} examples`);
  for (const file of examples) {
    const text = await readFile(join(OPERATIONS, file), "utf8");
    const operation = /^(?:query|mutation|subscription) (\w+)/m.exec(text)[1];
    assert.match(generated, new RegExp(`export const ${operation}Document\\b`), file);
  }
  assert.doesNotMatch(generated, /: any\b/, "no type is any");
}

function typecheck(folder, args) {
  return runBin(folder, "typescript", "tsc", args);
}

async function program(folder, context) {
  const { status, output } = await typecheck(folder, ["--project", "tsconfig.json"]);
  assert.equal(status, 0, output);
  const run = await runNode(folder, ["out/program.js"], {
    DESKWIRE_CONFORMANCE_URL: context.url,
    DESKWIRE_CONFORMANCE_TOKEN: context.token,
  });
  assert.deepEqual(run, { status: 0, output: "the program has run" });
}

async function wrong(folder, body, code) {
  const types = [...new Set(body.match(/\b[A-Z]\w+(?:Query|Input|Ref|Filter|Variables)\b/g))];
  await folder.write("wrong.ts", `import type { ${types.join(", ")} } from "./deskwire.js";\nexport const wrong = ${body};\n`);
  const { compilerOptions } = STRICT;
  await folder.write("wrong.json", JSON.stringify({ compilerOptions, files: ["wrong.ts"] }));
  const { status, output } = await typecheck(folder, ["--noEmit", "--project", "wrong.json"]);
  assert.notEqual(status, 0, "it compiles");
  const errors = [...output.matchAll(/^(\S+?)\(\d+,\d+\): error (TS\d+)/gm)].map(([, file, code]) => `${file} ${code}`);
  assert.deepEqual(errors, [`wrong.ts ${code}`], output);
}
