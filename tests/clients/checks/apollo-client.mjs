// Apollo Client with its normalised cache, over HTTP and over a WebSocket.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import {
  ApolloClient,
  ApolloLink,
  CombinedGraphQLErrors,
  HttpLink,
  InMemoryCache,
  ServerError,
  gql,
} from "@apollo/client";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { relayStylePagination } from "@apollo/client/utilities";
import { OperationTypeNode } from "graphql";
import WebSocket from "ws";

import { TEAM, createIncident } from "../lib/http.mjs";
import { introspect } from "../lib/schema.mjs";
import { credentials } from "../lib/socket.mjs";
import { until } from "../lib/wait.mjs";
import { clientOf } from "./graphql-ws.mjs";

export const name = "apollo-client";

// Apollo's link asks for the browser's own, which Node.js has from version 22 on.
globalThis.WebSocket ??= WebSocket;

const TICKETS = gql`
  query Tickets($tag: String!, $first: Int, $after: Cursor) {
    tickets(
      filter: { tags: { has: $tag } }
      orderBy: [{ field: CREATED_AT, direction: ASC }]
      first: $first
      after: $after
    ) {
      edges { cursor node { ...Row } }
      pageInfo { hasNextPage endCursor }
      totalCount
      logCursor
    }
  }
  fragment Row on Ticket { id number version title ... on Incident { origin } }
`;
const ONE = gql`
  query One($id: ID!) {
    node(id: $id) { id ... on Ticket { title version } }
  }
`;
const UPDATE = gql`
  mutation Update($input: IncidentUpdateInput!) {
    incidentUpdate(input: $input) {
      incident { id title version }
      userErrors { __typename code message path ... on ConflictError { currentVersion } }
    }
  }
`;
const QUEUE = gql`
  subscription Queue($filter: TicketFilter!, $after: Cursor) {
    queueChanges(filter: $filter, after: $after) { cursor kind id ticket { id title version } }
  }
`;

export function cases(context) {
  return ["HTTP", "WebSocket"].flatMap((transport) => [
    { name: `${transport}: fragments on interfaces are found in the cache`, run: () => fragments(context, transport) },
    { name: `${transport}: pages are joined`, run: () => pages(context, transport) },
    { name: `${transport}: a mutation's answer changes what is watched`, run: () => mutation(context, transport) },
    { name: `${transport}: user errors are data`, run: () => userErrors(context, transport) },
    { name: `${transport}: errors carry their code`, run: () => errors(context, transport) },
  ]).concat(
    { name: "WebSocket: a subscription changes what is watched", run: () => subscription(context) },
    { name: "HTTP: a refused token is a 401 with its code", run: () => refused(context) },
  );
}

/** Runs with a client over this transport, then ends it. Subscriptions always take the WebSocket. */
async function withClient(context, transport, run) {
  const socket = clientOf(context, { lazy: true });
  const overSocket = new GraphQLWsLink(socket);
  const overHttp = new HttpLink({ uri: `${context.url}/graphql`, headers: credentials(context) });
  const client = new ApolloClient({
    link: ApolloLink.split(
      ({ operationType }) => transport === "WebSocket" || operationType === OperationTypeNode.SUBSCRIPTION,
      overSocket,
      overHttp,
    ),
    cache: new InMemoryCache({
      possibleTypes: await possibleTypes(context),
      typePolicies: { Query: { fields: { tickets: relayStylePagination(["filter", "orderBy"]) } } },
    }),
  });
  try {
    return await run(client);
  } finally {
    client.stop();
    await socket.dispose();
  }
}

/** As Apollo's manual generates them. */
async function possibleTypes(context) {
  const { __schema } = await introspect(context);
  const abstract = __schema.types.filter(({ possibleTypes }) => possibleTypes);
  return Object.fromEntries(abstract.map(({ name, possibleTypes }) => [name, possibleTypes.map(({ name }) => name)]));
}

/** Opens incidents under a tag of their own. */
async function incidents(context, count) {
  const tag = `apollo-${randomUUID()}`;
  const ids = [];
  for (let index = 0; index < count; index += 1) {
    ids.push(await createIncident(context, { title: `Apollo ${index}`, tags: [tag], team: TEAM }));
  }
  return { tag, ids };
}

function fragments(context, transport) {
  return withClient(context, transport, async (client) => {
    const { tag, ids } = await incidents(context, 1);
    const { data } = await client.query({ query: TICKETS, variables: { tag, first: 10 } });
    const row = data.tickets.edges[0].node;
    assert.equal(row.id, ids[0]);
    assert.equal(row.origin, "API");
    // Nothing is fetched for this: the record is known by its type and id.
    const fragment = gql`fragment Known on Ticket { id title number }`;
    const known = client.cache.readFragment({ id: `Incident:${ids[0]}`, fragment });
    assert.equal(known.title, "Apollo 0");
    assert.equal(known.number, row.number);
  });
}

function pages(context, transport) {
  return withClient(context, transport, async (client) => {
    const { tag, ids } = await incidents(context, 5);
    const watched = client.watchQuery({ query: TICKETS, variables: { tag, first: 2 } });
    const seen = watched.subscribe({});
    await until("first page", () => watched.getCurrentResult().data?.tickets?.edges);
    const read = () => watched.getCurrentResult().data.tickets;
    let rounds = 1;
    while (read().pageInfo.hasNextPage) {
      const { edges, pageInfo } = read();
      await watched.fetchMore({ variables: { after: pageInfo.endCursor } });
      // The cache tells its watchers a moment later.
      await until("next page", () => read().edges.length > edges.length);
      rounds += 1;
    }
    seen.unsubscribe();
    const { edges, totalCount } = read();
    assert.equal(rounds, 3);
    assert.equal(totalCount, 5);
    assert.deepEqual(edges.map(({ node }) => node.id), ids);
  });
}

function mutation(context, transport) {
  return withClient(context, transport, async (client) => {
    const { ids: [id] } = await incidents(context, 1);
    const watched = client.watchQuery({ query: ONE, variables: { id } });
    const seen = watched.subscribe({});
    await until("record", () => watched.getCurrentResult().data?.node?.title === "Apollo 0");
    const before = watched.getCurrentResult().data.node.version;
    await retitle(client, id, "Retitled");
    await until("new title", () => watched.getCurrentResult().data.node.title === "Retitled");
    assert.equal(watched.getCurrentResult().data.node.version, before + 1);
    seen.unsubscribe();
  });
}

async function retitle(client, id, title) {
  const { data } = await client.mutate({ mutation: UPDATE, variables: { input: { id, title } } });
  assert.deepEqual(data.incidentUpdate.userErrors, []);
}

function userErrors(context, transport) {
  return withClient(context, transport, async (client) => {
    const { ids: [id] } = await incidents(context, 1);
    const input = { id, title: "Too late", expectedVersion: 77 };
    const version = (await client.query({ query: ONE, variables: { id } })).data.node.version;
    const { data, error } = await client.mutate({ mutation: UPDATE, variables: { input } });
    assert.equal(error, undefined);
    assert.equal(data.incidentUpdate.incident, null);
    const [{ __typename, code, currentVersion }] = data.incidentUpdate.userErrors;
    assert.deepEqual([__typename, code, currentVersion], ["ConflictError", "CONFLICT", version]);
  });
}

function errors(context, transport) {
  return withClient(context, transport, async (client) => {
    const failures = [
      [gql`{ viewer { noSuchField } }`, "GRAPHQL_VALIDATION_FAILED"],
      [gql`{ tickets(first: 1000) { nodes { id } } }`, "LIMIT"],
      [gql`{ tickets(first: 1, after: "x") { nodes { id } } }`, "BAD_CURSOR"],
    ];
    for (const [query, code] of failures) {
      await assert.rejects(
        () => client.query({ query, fetchPolicy: "network-only" }),
        (error) => CombinedGraphQLErrors.is(error) && error.errors[0].extensions.code === code,
        code,
      );
    }
  });
}

function subscription(context) {
  return withClient(context, "HTTP", async (client) => {
    const { tag, ids: [id] } = await incidents(context, 1);
    const { data } = await client.query({ query: TICKETS, variables: { tag, first: 10 } });
    const watched = client.watchQuery({ query: TICKETS, variables: { tag, first: 10 }, fetchPolicy: "cache-only" });
    const seen = watched.subscribe({});
    const kinds = [];
    const stream = client
      .subscribe({ query: QUEUE, variables: { filter: { tags: { has: tag } }, after: data.tickets.logCursor } })
      .subscribe({ next: ({ data, error }) => kinds.push(data?.queueChanges.kind ?? error) });
    // Another client's change.
    const title = "Retitled by another";
    await withClient(context, "HTTP", (other) => retitle(other, id, title));
    await until(`title from the stream (${kinds})`, () =>
      watched.getCurrentResult().data.tickets.edges[0].node.title === title);
    // On PostgreSQL the opening itself may get its place in the log after the list was read.
    assert.deepEqual(kinds.filter((kind) => !["BOOKMARK", "ADDED"].includes(kind)), ["CHANGED"]);
    stream.unsubscribe();
    seen.unsubscribe();
  });
}

async function refused(context) {
  const link = new HttpLink({ uri: `${context.url}/graphql`, headers: credentials({ token: "dw_pat_forged" }) });
  const client = new ApolloClient({ link, cache: new InMemoryCache() });
  await assert.rejects(
    () => client.query({ query: gql`{ viewer { actor { id } } }` }),
    (error) =>
      (ServerError.is(error) && error.statusCode === 401 && error.bodyText.includes("UNAUTHENTICATED")) ||
      (CombinedGraphQLErrors.is(error) && error.errors[0].extensions.code === "UNAUTHENTICATED"),
  );
  client.stop();
}
