// Does a client that keeps its cursor miss nothing and see nothing twice when connections are lost?
// The scenario is the same for every client; how it subscribes and connects again is its own.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";

import { createIncident, request } from "./http.mjs";
import { startProxy } from "./proxy.mjs";
import { until } from "./wait.mjs";

export const EVENTS = `subscription Events($after: Cursor) {
  ticketEvents(after: $after) { cursor event { id ticket { tags } } }
}`;
const LOG = `query Log($after: Cursor) {
  events(after: $after, filter: { kinds: [INCIDENT_CREATED] }, first: 100) {
    nodes { id ... on TicketEvent { ticket { tags } } }
    pageInfo { hasNextPage endCursor }
  }
}`;
const LOG_CURSOR = "{ tickets(first: 0) { logCursor } }";

/** So many incidents are opened while nobody can listen. */
const UNHEARD = 5;
/** So many are opened while the connection is dropped every few messages. */
const UNDER_DROPS = 40;
const MESSAGES_PER_CONNECTION = 6;

/** Where the log ends now. */
export async function logEnd(context) {
  return (await request(context, LOG_CURSOR)).tickets.logCursor;
}

/**
 * Plays the scenario. `subscribe` gets
 *   url        where to subscribe: the proxy,
 *   variables  of EVENTS; `after` always is the cursor of the last message,
 *   passable   () => promise: connecting makes sense again,
 *   next       for each result, { data, errors };
 * it comes back after a lost connection by itself, and returns a function that ends it.
 */
export async function resumeAcrossDrops(context, subscribe) {
  const proxy = await startProxy(context.url);
  const tag = `resume-${randomUUID()}`;
  const start = await logEnd(context);
  let cursor = start;
  const heard = [];
  let failure = null;
  let perConnection = Infinity;
  let since = 0;

  const next = (result) => {
    const message = result.data?.ticketEvents;
    if (!message) return void (failure ??= new Error(JSON.stringify(result)));
    cursor = message.cursor;
    if (message.event?.ticket?.tags.includes(tag)) heard.push(message.event.id);
    since += 1;
    if (since >= perConnection) {
      since = 0;
      proxy.drop();
    }
  };
  const open = async (count) => {
    for (let index = 0; index < count; index += 1) await createIncident(context, { tags: [tag] });
  };
  const hasHeard = (count) =>
    until(`${count} events`, () => {
      if (failure) throw failure;
      return heard.length >= count && `${heard.length} heard`;
    });

  const variables = {
    // Read again whenever the operation is sent.
    get after() {
      return cursor;
    },
  };
  const stop = await subscribe({ url: proxy.url, variables, passable: () => proxy.passable(), next });
  try {
    await open(1);
    await hasHeard(1);
    proxy.shut();
    await open(UNHEARD);
    assert.equal(heard.length, 1, "nothing comes through a connection that is no more");
    proxy.reopen();
    await hasHeard(1 + UNHEARD);
    const before = proxy.accepted;
    perConnection = MESSAGES_PER_CONNECTION;
    await open(UNDER_DROPS);
    await hasHeard(1 + UNHEARD + UNDER_DROPS);
    const drops = proxy.accepted - before;
    assert.ok(drops >= 3, `the connection was lost ${drops} times only`);
    assert.deepEqual(heard, await logged(context, start, tag), "the log as it is, each event once, in order");
  } finally {
    await stop();
    proxy.close();
  }
}

/** The ids of these events as the query `events` tells them. */
async function logged(context, after, tag) {
  const ids = [];
  for (;;) {
    const { nodes, pageInfo } = (await request(context, LOG, { after })).events;
    ids.push(...nodes.filter(({ ticket }) => ticket?.tags.includes(tag)).map(({ id }) => id));
    if (!pageInfo.hasNextPage) return ids;
    after = pageInfo.endCursor;
  }
}
