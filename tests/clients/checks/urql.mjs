// urql with its normalised cache, over HTTP, a WebSocket, and Server-Sent Events.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { Client, fetchExchange, gql, subscriptionExchange } from "@urql/core";
import { cacheExchange } from "@urql/exchange-graphcache";
import { relayPagination } from "@urql/exchange-graphcache/extras";

import { TEAM, createIncident } from "../lib/http.mjs";
import { logEnd } from "../lib/resume.mjs";
import { introspect } from "../lib/schema.mjs";
import { credentials } from "../lib/socket.mjs";
import { until } from "../lib/wait.mjs";
import { clientOf } from "./graphql-ws.mjs";

export const name = "urql";

const TICKETS = gql`
  query Tickets($tag: String!, $first: Int, $after: Cursor) {
    tickets(filter: { tags: { has: $tag } }, orderBy: [{ field: CREATED_AT }], first: $first, after: $after) {
      edges { cursor node { __typename id title ... on Incident { origin } } }
      pageInfo { hasNextPage endCursor }
    }
  }
`;
const ONE = gql`
  query One($by: TicketRef!) {
    ticket(by: $by) { __typename id title version }
  }
`;
const UPDATE = gql`
  mutation Update($input: IncidentUpdateInput!) {
    incidentUpdate(input: $input) {
      incident { id title version }
      userErrors { __typename code message path }
    }
  }
`;
const EVENTS = gql`
  subscription Events($filter: TicketFilter, $after: Cursor) {
    ticketEvents(filter: $filter, after: $after) {
      cursor
      event { __typename id }
      ticket { __typename id title version }
    }
  }
`;

export function cases(context) {
  const both = ["HTTP", "WebSocket"].flatMap((transport) => [
    { name: `${transport}: a query fits the schema that the cache knows`, run: () => query(context, transport) },
    { name: `${transport}: pages are joined`, run: () => pages(context, transport) },
    { name: `${transport}: a mutation's answer changes what is watched`, run: () => mutation(context, transport) },
    { name: `${transport}: errors carry their code`, run: () => errors(context, transport) },
  ]);
  const streams = ["WebSocket", "Server-Sent Events"].map((transport) => (
    { name: `${transport}: a subscription changes what is watched`, run: () => subscription(context, transport) }
  ));
  return [...both, ...streams];
}

/** Runs with a client over this transport, then ends it. */
async function withClient(context, transport, run) {
  const schema = await introspect(context);
  const warnings = [];
  const socket = clientOf(context);
  const overSocket = subscriptionExchange({
    enableAllOperations: transport === "WebSocket",
    forwardSubscription: ({ query, variables }) => ({
      subscribe: (sink) => ({ unsubscribe: socket.subscribe({ query, variables }, sink) }),
    }),
  });
  const client = new Client({
    url: `${context.url}/graphql`,
    fetchOptions: { headers: credentials(context) },
    fetchSubscriptions: transport === "Server-Sent Events",
    preferGetMethod: false,
    exchanges: [
      cacheExchange({
        schema,
        keys: withoutId(schema),
        resolvers: { Query: { tickets: relayPagination() } },
        logger: (severity, message) => severity !== "debug" && warnings.push(`${severity}: ${message}`),
      }),
      ...(transport === "WebSocket" ? [overSocket] : [fetchExchange]),
    ],
  });
  try {
    await run(client);
  } finally {
    await socket.dispose();
  }
  // What the cache cannot bring together with the schema, it warns of.
  assert.deepEqual(warnings, []);
}

/** Objects without an id are part of the object that they were found in. */
function withoutId({ __schema }) {
  const embedded = __schema.types.filter(({ kind, fields }) =>
    kind === "OBJECT" && !fields.some(({ name }) => name === "id"));
  return Object.fromEntries(embedded.map(({ name }) => [name, () => null]));
}

/** Runs an operation and returns its data. */
async function done(operation) {
  const { data, error } = await operation.toPromise();
  assert.equal(error, undefined, String(error));
  return data;
}

/** The newest result of an operation that goes on. */
function watch(source) {
  const state = { results: [] };
  const { unsubscribe } = source.subscribe((result) => state.results.push(result));
  return {
    results: state.results,
    get data() {
      const error = state.results.find(({ error }) => error)?.error;
      if (error) throw error;
      return state.results.at(-1)?.data;
    },
    unsubscribe,
  };
}

async function incidents(context, count) {
  const tag = `urql-${randomUUID()}`;
  const ids = [];
  for (let index = 0; index < count; index += 1) {
    ids.push(await createIncident(context, { title: `urql ${index}`, tags: [tag], team: TEAM }));
  }
  return { tag, ids };
}

function query(context, transport) {
  return withClient(context, transport, async (client) => {
    const { tag, ids } = await incidents(context, 1);
    const { tickets } = await done(client.query(TICKETS, { tag, first: 1 }));
    assert.deepEqual(tickets.edges.map(({ node }) => [node.__typename, node.id, node.origin]), [
      ["Incident", ids[0], "API"],
    ]);
  });
}

function pages(context, transport) {
  return withClient(context, transport, async (client) => {
    const { tag, ids } = await incidents(context, 5);
    let after = null;
    let rounds = 0;
    for (;;) {
      const { pageInfo } = (await done(client.query(TICKETS, { tag, first: 2, after }))).tickets;
      rounds += 1;
      if (!pageInfo.hasNextPage) break;
      after = pageInfo.endCursor;
    }
    assert.equal(rounds, 3);
    const { tickets } = client.readQuery(TICKETS, { tag, first: 2, after: null }).data;
    assert.deepEqual(tickets.edges.map(({ node }) => node.id), ids);
  });
}

function mutation(context, transport) {
  return withClient(context, transport, async (client) => {
    const { ids: [id] } = await incidents(context, 1);
    const watched = watch(client.query(ONE, { by: { id } }));
    await until("record", () => watched.data?.ticket.title === "urql 0");
    const { version } = watched.data.ticket;
    const { incidentUpdate } = await done(client.mutation(UPDATE, { input: { id, title: "Retitled" } }));
    assert.deepEqual(incidentUpdate.userErrors, []);
    await until("new title", () => watched.data.ticket.title === "Retitled");
    assert.equal(watched.data.ticket.version, version + 1);
    watched.unsubscribe();
  });
}

function errors(context, transport) {
  return withClient(context, transport, async (client) => {
    const failures = [
      [gql`query { tickets(first: 1000) { nodes { id } } }`, "LIMIT"],
      [gql`query { tickets(first: 1, after: "x") { nodes { id } } }`, "BAD_CURSOR"],
    ];
    for (const [query, code] of failures) {
      const { data, error } = await client.query(query, {}, { requestPolicy: "network-only" }).toPromise();
      assert.ok(!data, JSON.stringify(data));
      assert.equal(error.graphQLErrors[0]?.extensions.code, code, String(error));
      assert.equal(error.networkError, undefined);
    }
  });
}

function subscription(context, transport) {
  return withClient(context, transport, async (client) => {
    const { tag, ids: [id] } = await incidents(context, 1);
    const after = await logEnd(context);
    const watched = watch(client.query(ONE, { by: { id } }));
    await until("record", () => watched.data?.ticket.title === "urql 0");
    const stream = watch(client.subscription(EVENTS, { filter: { tags: { has: tag } }, after }));
    const title = "Retitled by another";
    await withClient(context, "HTTP", async (other) => {
      await done(other.mutation(UPDATE, { input: { id, title } }));
    });
    await until("title from the stream", () => stream.data && watched.data.ticket.title === title);
    const heard = stream.results.map(({ data }) => data.ticketEvents.event?.__typename);
    assert.ok(heard.includes("TicketUpdated"), String(heard));
    stream.unsubscribe();
    watched.unsubscribe();
  });
}
