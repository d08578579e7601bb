// The client of graphql-ws, the reference implementation of graphql-transport-ws.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { createClient } from "graphql-ws";
import WebSocket from "ws";

import { INCIDENT_CREATE, createIncident, createToken } from "../lib/http.mjs";
import { EVENTS, logEnd, resumeAcrossDrops } from "../lib/resume.mjs";
import { credentials } from "../lib/socket.mjs";
import { until } from "../lib/wait.mjs";

export const name = "graphql-ws";

export function cases(context) {
  return [
    { name: "query: its data comes", run: () => query(context) },
    { name: "mutation: done, with variables", run: () => mutation(context) },
    { name: "subscription: hears a mutation", run: () => subscription(context) },
    { name: "subscription: two on one socket, one ends", run: () => twoSubscriptions(context) },
    { name: "errors: a document that is not valid rejects with its errors", run: () => invalid(context) },
    { name: "keep-alive: the client's pings are answered", run: () => keepAlive(context) },
    { name: "resume: the client's own reconnecting misses nothing, doubles nothing", run: () => resume(context) },
    { name: "resume: a program that starts anew goes on from its cursor", run: () => startAnew(context) },
    { name: "token: a refused one closes with 4403", run: () => refused(context) },
    { name: "token: a revoked one closes with 4401, which is final", run: () => revoked(context) },
  ];
}

/** A client that gives up at once, unless told otherwise. */
export function clientOf(context, options = {}) {
  return createClient({
    url: `${context.url.replace(/^http/, "ws")}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: credentials(context),
    retryAttempts: 0,
    ...options,
  });
}

/** Runs with a client that is disposed afterwards. */
async function withClient(context, options, run) {
  const client = clientOf(context, options);
  try {
    return await run(client);
  } finally {
    await client.dispose();
  }
}

/** The only result of a query or mutation. */
async function single(client, payload) {
  const results = [];
  for await (const result of client.iterate(payload)) results.push(result);
  assert.equal(results.length, 1, JSON.stringify(results));
  assert.equal(results[0].errors, undefined, JSON.stringify(results[0]));
  return results[0].data;
}

function query(context) {
  return withClient(context, {}, async (client) => {
    const data = await single(client, { query: "{ viewer { actor { __typename } } }" });
    assert.deepEqual(data, { viewer: { actor: { __typename: "User" } } });
  });
}

function mutation(context) {
  return withClient(context, {}, async (client) => {
    const { incidentCreate } = await single(client, {
      query: INCIDENT_CREATE,
      variables: { title: "By graphql-ws", tags: null },
    });
    assert.match(incidentCreate.incident.id, /^inc_/);
    assert.deepEqual(incidentCreate.userErrors, []);
  });
}

function subscription(context) {
  return withClient(context, {}, async (client) => {
    const tag = `heard-by-graphql-ws-${randomUUID()}`;
    const variables = { after: await logEnd(context) };
    await createIncident(context, { tags: [tag] });
    for await (const { data, errors } of client.iterate({ query: EVENTS, variables })) {
      assert.equal(errors, undefined, JSON.stringify(errors));
      if (data.ticketEvents.event?.ticket?.tags.includes(tag)) return;
    }
    assert.fail("the subscription ended by itself");
  });
}

function twoSubscriptions(context) {
  let sockets = 0;
  return withClient(context, { on: { opened: () => (sockets += 1) } }, async (client) => {
    const heard = [[], []];
    const tags = [`two-subscriptions-${randomUUID()}`];
    const after = await logEnd(context);
    const stops = heard.map((list) =>
      client.subscribe({ query: EVENTS, variables: { after } }, {
        next: ({ data: { ticketEvents: { event } } }) => event?.ticket?.tags.includes(tags[0]) && list.push(event.id),
        error: (error) => list.push(error),
        complete: () => list.push("complete"),
      }));
    await createIncident(context, { tags });
    await until("event for both", () => heard.every((list) => list.length === 1));
    assert.equal(sockets, 1);
    stops[0]();
    await createIncident(context, { tags });
    await until("second event", () => heard[1].length === 2);
    assert.equal(heard[0][0], heard[1][0]);
    assert.deepEqual(heard[0].slice(1), ["complete"], "the first one ended and heard nothing more");
    stops[1]();
  });
}

function invalid(context) {
  return withClient(context, {}, async (client) => {
    await assert.rejects(
      () => single(client, { query: "{ noSuchField }" }),
      (errors) => Array.isArray(errors) && errors[0].extensions.code === "GRAPHQL_VALIDATION_FAILED",
    );
    await single(client, { query: "{ __typename }" });
  });
}

function keepAlive(context) {
  let pongs = 0;
  const options = { keepAlive: 50, lazy: false, on: { pong: (received) => received && (pongs += 1) } };
  return withClient(context, options, () => until("pong to two pings", () => pongs >= 2));
}

function resume(context) {
  return resumeAcrossDrops(context, ({ url, variables, passable, next }) => {
    const client = clientOf({ ...context, url }, {
      retryAttempts: Infinity,
      retryWait: passable,
      shouldRetry: () => true,
    });
    client.subscribe({ query: EVENTS, variables }, {
      next,
      error: (error) => next({ errors: error }),
      complete: () => {},
    });
    return () => client.dispose();
  });
}

function startAnew(context) {
  return resumeAcrossDrops(context, ({ url, variables, passable, next }) => {
    let stopped = false;
    let client;
    const ended = (async () => {
      while (!stopped) {
        await passable();
        client = clientOf({ ...context, url });
        try {
          const { after } = variables;
          for await (const result of client.iterate({ query: EVENTS, variables: { after } })) next(result);
        } catch (error) {
          // What a program sees of a connection that is no more.
          if (error.code !== 1006 && error.constructor.name !== "ErrorEvent") next({ errors: error });
        }
      }
    })();
    return () => {
      stopped = true;
      client.terminate();
      return ended;
    };
  });
}

async function refused(context) {
  for (const token of ["dw_pat_forged", `${context.token}x`]) {
    await withClient({ ...context, token }, {}, (client) =>
      assert.rejects(
        () => single(client, { query: "{ __typename }" }),
        ({ code, reason }) => code === 4403 && reason === "Forbidden",
      ));
  }
}

async function revoked(context) {
  const { context: other, revoke } = await createToken(context);
  let sockets = 0;
  const options = { retryAttempts: Infinity, on: { opened: () => (sockets += 1) } };
  await withClient(other, options, async (client) => {
    let end;
    client.subscribe({ query: EVENTS }, {
      next: () => {},
      error: (error) => (end = error),
      complete: () => (end = "complete"),
    });
    await until("open socket", () => sockets === 1);
    await single(client, { query: "{ viewer { actor { id } } }" });
    await revoke();
    await until("end", () => end);
    assert.equal(end.code, 4401, String(end));
    assert.equal(sockets, 1, "the client takes 4401 as final");
  });
}
