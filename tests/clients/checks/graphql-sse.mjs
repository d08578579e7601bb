// The client of graphql-sse, the reference implementation of GraphQL over Server-Sent Events, in
// the mode of distinct connections.

import assert from "node:assert/strict";
import { createClient } from "graphql-sse";

import { INCIDENT_CREATE, createIncident, createToken } from "../lib/http.mjs";
import { EVENTS, logEnd, resumeAcrossDrops } from "../lib/resume.mjs";
import { credentials } from "../lib/socket.mjs";
import { until } from "../lib/wait.mjs";

export const name = "graphql-sse";

export function cases(context) {
  return [
    { name: "query: its data comes", run: () => query(context) },
    { name: "mutation: done, with variables", run: () => mutation(context) },
    { name: "subscription: hears a mutation", run: () => subscription(context) },
    { name: "errors: a document that is not valid gives its errors and ends", run: () => invalid(context) },
    { name: "resume: the client's own reconnecting misses nothing, doubles nothing", run: () => resume(context) },
    { name: "token: a refused one is HTTP 401", run: () => refused(context) },
    { name: "token: a revoked one ends with UNAUTHENTICATED", run: () => revoked(context) },
  ];
}

function clientOf(context, options = {}) {
  return createClient({
    url: `${context.url}/graphql`,
    headers: credentials(context),
    retryAttempts: 0,
    ...options,
  });
}

async function results(client, payload) {
  const list = [];
  try {
    for await (const result of client.iterate(payload)) list.push(result);
  } finally {
    client.dispose();
  }
  return list;
}

async function query(context) {
  const list = await results(clientOf(context), { query: "{ viewer { actor { __typename } } }" });
  assert.deepEqual(list, [{ data: { viewer: { actor: { __typename: "User" } } } }]);
}

async function mutation(context) {
  const payload = { query: INCIDENT_CREATE, variables: { title: "By graphql-sse", tags: null } };
  const [result, ...rest] = await results(clientOf(context), payload);
  assert.match(result.data.incidentCreate.incident.id, /^inc_/);
  assert.deepEqual(rest, []);
}

async function subscription(context) {
  const tag = "heard-by-graphql-sse";
  const variables = { after: await logEnd(context) };
  await createIncident(context, { tags: [tag] });
  const client = clientOf(context);
  try {
    for await (const { data, errors } of client.iterate({ query: EVENTS, variables })) {
      assert.equal(errors, undefined, JSON.stringify(errors));
      if (data.ticketEvents.event?.ticket?.tags.includes(tag)) return;
    }
  } finally {
    client.dispose();
  }
  assert.fail("the subscription ended by itself");
}

async function invalid(context) {
  const documents = { "{ noSuchField }": "GRAPHQL_VALIDATION_FAILED", "{": "GRAPHQL_PARSE_FAILED" };
  for (const [document, code] of Object.entries(documents)) {
    const [result, ...rest] = await results(clientOf(context), { query: document });
    assert.equal(result.errors[0].extensions.code, code);
    assert.equal("data" in result, false);
    assert.deepEqual(rest, []);
  }
}

function resume(context) {
  return resumeAcrossDrops(context, ({ url, variables, passable, next }) => {
    const client = clientOf({ ...context, url }, { retryAttempts: Infinity, retry: passable });
    client.subscribe({ query: EVENTS, variables }, {
      next,
      error: (error) => next({ errors: String(error) }),
      complete: () => {},
    });
    return () => client.dispose();
  });
}

async function refused(context) {
  for (const token of ["dw_pat_forged", `${context.token}x`]) {
    await assert.rejects(
      () => results(clientOf({ ...context, token }), { query: EVENTS }),
      ({ response }) => response?.status === 401,
    );
  }
}

async function revoked(context) {
  const { context: other, revoke } = await createToken(context);
  const client = clientOf(other);
  const seen = [];
  let end;
  client.subscribe({ query: EVENTS, variables: { after: await logEnd(context) } }, {
    next: (result) => seen.push(result),
    error: (error) => (end = error),
    complete: () => (end = "complete"),
  });
  await createIncident(context);
  await until("event", () => seen.length > 0);
  await revoke();
  await until("end", () => end);
  client.dispose();
  assert.equal(end, "complete", String(end));
  assert.equal(seen.at(-1).errors[0].extensions.code, "UNAUTHENTICATED");
}
