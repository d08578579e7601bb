// The Relay compiler over the SDL: fragments, connections, refetching by `node`, updates of
// connections by mutations, subscriptions.

import assert from "node:assert/strict";

import { createIncident, request } from "../lib/http.mjs";
import { fixture, runBin, scratch } from "../lib/scratch.mjs";
import { schemaText } from "../lib/schema.mjs";

export const name = "relay-compiler";

const CONFIGURATION = {
  src: "./src",
  schema: "./schema.graphql",
  language: "typescript",
  eagerEsModules: true,
  customScalarTypes: {
    Cursor: "string",
    DateTime: "string",
    Decimal: "string",
    EmailAddress: "string",
    JSON: "unknown",
    JSONSchema: "unknown",
    Markdown: "string",
    TimePoint: "string",
    TimeZone: "string",
    URL: "string",
  },
};

const ARTEFACTS = [
  "queueAssignMutation",
  "queueChangesSubscription",
  "queueCommentMutation",
  "queueComments",
  "queueCommentsPaginationQuery",
  "queueDetailQuery",
  "queueList",
  "queueListPaginationQuery",
  "queueQuery",
  "queueRow",
];

/** What Relay must refuse, and what it says. */
const WRONG = {
  "a field that there is not": [
    "fragment wrong on Ticket { colour }",
    /no field `colour`/i,
  ],
  "a connection where there is none": [
    'fragment wrong on Incident { watchers(first: 1) @connection(key: "wrong_watchers") { id } }',
    /connection/i,
  ],
  "a connection without its page information": [
    'fragment wrong on Incident { comments @connection(key: "wrong_comments") { edges { node { id } } } }',
    /first|last/i,
  ],
  "refetching what has no id": [
    'fragment wrong on TicketState @refetchable(queryName: "wrongRefetchQuery") { name }',
    /refetchable/i,
  ],
  "an edge of another type": [
    `mutation wrongMutation($input: CommentAddInput!, $connections: [ID!]!) {
      commentAdd(input: $input) { comment @appendNode(connections: $connections, edgeTypeName: "NoEdge") { id } }
    }`,
    /edgeTypeName/i,
  ],
};

export function cases(context) {
  return [
    { name: "compiles fragments, connections, refetching, mutations, a subscription", run: () => compiles(context) },
    ...Object.entries(WRONG).map(([what, [document, says]]) => ({
      name: `refuses ${what}`,
      run: () => refuses(context, document, says),
    })),
  ];
}

async function prepare(context) {
  const folder = await scratch("relay-compiler");
  await folder.write("relay.config.json", JSON.stringify(CONFIGURATION));
  await folder.write("schema.graphql", await schemaText(context));
  return folder;
}

const compile = (folder) => runBin(folder, "relay-compiler", "relay-compiler", ["relay.config.json"]);

async function compiles(context) {
  const folder = await prepare(context);
  await folder.copy(fixture("relay/queue.ts"), "src/queue.ts");
  const { status, output } = await compile(folder);
  assert.equal(status, 0, output);
  const artefacts = {};
  for (const artefact of ARTEFACTS) {
    artefacts[artefact] = await folder.read(`src/__generated__/${artefact}.graphql.ts`);
  }
  // Connections are recognised in both directions, and paged by the query that was generated.
  assert.match(artefacts.queueList, /"direction": "forward"/);
  assert.match(artefacts.queueComments, /"direction": "backward"/);
  // A record is asked for again by its id.
  assert.match(artefacts.queueCommentsPaginationQuery, /node\(id: \$id\)/);
  assert.match(artefacts.queueComments, /"identifierField": "id"/);
  // A mutation's record goes into connections by itself.
  assert.match(artefacts.queueCommentMutation, /"handle": "appendNode"/);
  // What the compiler prints is what Relay sends.
  const { viewer, tickets } = await request(context, printed(artefacts.queueQuery), {});
  assert.match(viewer.actor.id, /^usr_/);
  assert.ok(tickets.edges.length > 0 && tickets.pageInfo.endCursor);
  const by = { id: await createIncident(context) };
  const { ticket } = await request(context, printed(artefacts.queueDetailQuery), { by });
  assert.deepEqual([ticket.__typename, ticket.id, ticket.comments.edges], ["Incident", by.id, []]);
}

/** The text of the operation in a generated file. */
function printed(artefact) {
  return JSON.parse(/"text": (".*")/.exec(artefact)[1]);
}

async function refuses(context, document, says) {
  const folder = await prepare(context);
  const source = `import { graphql } from "relay-runtime";\nexport const wrong = graphql\`${document}\`;\n`;
  await folder.write("src/wrong.ts", source);
  const { status, output } = await compile(folder);
  assert.notEqual(status, 0, "it compiles");
  assert.match(output, says);
}
