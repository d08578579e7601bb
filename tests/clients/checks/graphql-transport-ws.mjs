// The rules of the graphql-transport-ws protocol, frame by frame, and what the server promises
// beyond it: Origin, authentication, limits, fairness.
// https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";

import { INCIDENT_CREATE, createIncident } from "../lib/http.mjs";
import { SUBPROTOCOL, attempt, connect, credentials, open } from "../lib/socket.mjs";

export const name = "graphql-transport-ws";

const QUERY = "{ serverInfo { version } }";
const VIEWER = "{ viewer { actor { id } } }";
const EVENTS = "subscription { ticketEvents { cursor bookmark event { id } } }";

/** The server's limits that are checked here. */
const INIT_TIMEOUT_MS = 5_000;
const SUBSCRIPTIONS_PER_SOCKET = 100;
const MESSAGE_BYTES = 1024 * 1024;
/** How much longer a query may take because its socket is busy. */
const FAIRNESS_MS = 1_000;

export function cases(context) {
  return [
    ...handshake(context),
    ...initialisation(context),
    ...invalidMessages(context),
    ...keepAlive(context),
    ...closing(context),
    ...operations(context),
    ...subscriptions(context),
    ...limits(context),
  ];
}

function handshake(context) {
  const refused = async (protocols) => {
    const { socket, status, error } = await attempt(context, { protocols });
    if (socket) return socket.expectClose(4406);
    // Either refused in HTTP, or accepted without a subprotocol in order to close with 4406, which
    // the client does not wait for.
    const answered = (status >= 400 && status < 500) || /no subprotocol/.test(error?.message);
    assert.ok(answered, `HTTP ${status}, ${error?.message}`);
  };
  const fromOrigin = async (origin, expected) => {
    const { socket, status, error } = await attempt(context, { origin });
    socket?.close();
    assert.equal(socket ? 101 : status, expected, error?.message);
  };
  return [
    { name: "handshake: no subprotocol is refused", run: () => refused([]) },
    { name: "handshake: another subprotocol is refused", run: () => refused(["graphql-ws"]) },
    {
      name: "handshake: the subprotocol is chosen among several and echoed",
      run: async () => {
        const socket = await open(context, { protocols: ["graphql-ws", SUBPROTOCOL] });
        assert.equal(socket.protocol, SUBPROTOCOL);
        socket.close();
      },
    },
    { name: "origin: none is accepted", run: () => fromOrigin(undefined, 101) },
    { name: "origin: the server's own is accepted", run: () => fromOrigin(context.url, 101) },
    {
      name: "origin: another host is refused with 403",
      run: () => fromOrigin("https://foreign.example", 403),
    },
    {
      name: "origin: another port is refused with 403",
      run: () => fromOrigin("http://127.0.0.1:1", 403),
    },
    { name: "origin: an opaque one is refused with 403", run: () => fromOrigin("null", 403) },
  ];
}

function initialisation(context) {
  const init = { type: "connection_init", payload: credentials(context) };
  return [
    {
      name: "init: connection_init is acknowledged",
      run: async () => (await connect(context)).close(),
    },
    {
      name: "init: the token's owner is the viewer, whichever way the key is spelt",
      run: async () => {
        for (const key of ["authorization", "Authorization"]) {
          const socket = await open(context);
          socket.send({ type: "connection_init", payload: { [key]: `Bearer ${context.token}` } });
          await socket.receive({ type: "connection_ack" });
          const { viewer } = await socket.query("viewer", VIEWER);
          assert.equal(typeof viewer.actor.id, "string");
          socket.close();
        }
      },
    },
    {
      name: "init: a bad token closes with 4403",
      run: async () => {
        for (const token of ["dw_pat_forged", `${context.token}x`, ""]) {
          const socket = await open(context);
          socket.send({ type: "connection_init", payload: credentials({ token }) });
          await socket.expectClose(4403, "Forbidden");
        }
      },
    },
    {
      name: "init: a second connection_init closes with 4429",
      run: async () => {
        const socket = await connect(context);
        socket.send(init);
        await socket.expectClose(4429, "Too many initialisation requests");
      },
    },
    {
      name: "init: two connection_init at once close with 4429",
      run: async () => {
        const socket = await open(context);
        socket.send(init);
        socket.send(init);
        await socket.expectClose(4429, "Too many initialisation requests");
      },
    },
    {
      name: "init: none within the limit closes with 4408, pings or not",
      run: async () => {
        const opened = performance.now();
        const [silent, pinging] = await Promise.all([open(context), open(context)]);
        const timer = setInterval(() => pinging.isOpen && pinging.send({ type: "ping" }), 500);
        const expected = [4408, "Connection initialisation timeout", INIT_TIMEOUT_MS + 3_000];
        try {
          await Promise.all([silent.expectClose(...expected), pinging.expectClose(...expected)]);
        } finally {
          clearInterval(timer);
        }
        const took = performance.now() - opened;
        assert.ok(took > INIT_TIMEOUT_MS - 1_000, `closed after only ${took} ms`);
      },
    },
    {
      name: "init: an initialised socket outlives the limit",
      run: async () => {
        const socket = await connect(context);
        await sleep(INIT_TIMEOUT_MS + 1_000);
        await socket.query("q", QUERY);
        socket.close();
      },
    },
    {
      name: "init: subscribe before the acknowledgement closes with 4401",
      run: async () => {
        const socket = await open(context);
        socket.subscribe("1", QUERY);
        await socket.expectClose(4401, "Unauthorized");
      },
    },
  ];
}

function invalidMessages(context) {
  const subscribe = (more) => JSON.stringify({ id: "1", type: "subscribe", ...more });
  const messages = {
    "not JSON": "{",
    "an empty text": "",
    "an array": "[]",
    "a string": '"ping"',
    null: "null",
    "no type": '{"id":"1"}',
    "an unknown type": '{"type":"start","id":"1"}',
    "a type of the server": '{"type":"next","id":"1","payload":{}}',
    "a type that is not a string": '{"type":1}',
    "connection_init with a payload that is not an object": '{"type":"connection_init","payload":"x"}',
    "ping with a payload that is not an object": '{"type":"ping","payload":[]}',
    "subscribe without an id": JSON.stringify({ type: "subscribe", payload: { query: QUERY } }),
    "subscribe with an empty id": subscribe({ id: "", payload: { query: QUERY } }),
    "subscribe with an id that is not a string": subscribe({ id: 1, payload: { query: QUERY } }),
    "subscribe without a payload": subscribe({}),
    "subscribe without a query": subscribe({ payload: {} }),
    "subscribe with a query that is not a string": subscribe({ payload: { query: 1 } }),
    "subscribe with variables that are not an object": subscribe({
      payload: { query: QUERY, variables: "x" },
    }),
    "subscribe with an operationName that is not a string": subscribe({
      payload: { query: QUERY, operationName: 1 },
    }),
    "subscribe with extensions that are not an object": subscribe({
      payload: { query: QUERY, extensions: [] },
    }),
    "complete without an id": '{"type":"complete"}',
  };
  const refused = Object.entries(messages).map(([message, text]) => ({
    name: `invalid: ${message} closes with 4400`,
    run: async () => {
      const socket = await connect(context);
      socket.send(text);
      await socket.expectClose(4400);
    },
  }));
  return [
    ...refused,
    {
      name: "invalid: not JSON closes with 4400 before connection_init too",
      run: async () => {
        const socket = await open(context);
        socket.send("{");
        await socket.expectClose(4400);
      },
    },
    {
      name: "invalid: a binary frame closes with 4400",
      run: async () => {
        const socket = await connect(context);
        socket.sendBinary({ type: "ping" });
        await socket.expectClose(4400);
      },
    },
  ];
}

function keepAlive(context) {
  return [
    {
      name: "ping: answered with pong, before connection_init and after",
      run: async () => {
        const socket = await open(context);
        socket.send({ type: "ping" });
        await socket.receive({ type: "pong" });
        socket.send({ type: "connection_init", payload: credentials(context) });
        await socket.receive({ type: "connection_ack" });
        socket.send({ type: "ping" });
        await socket.receive({ type: "pong" });
        socket.close();
      },
    },
    {
      name: "ping: its payload comes back",
      run: async () => {
        const socket = await connect(context);
        const payload = { sent: "é", nested: { list: [1, null] } };
        socket.send({ type: "ping", payload });
        assert.deepEqual((await socket.receive({ type: "pong" })).payload, payload);
        socket.close();
      },
    },
    {
      name: "pong: nobody asked for it, it is ignored",
      run: async () => {
        const socket = await connect(context);
        socket.send({ type: "pong" });
        socket.send({ type: "pong", payload: { a: 1 } });
        await socket.query("q", QUERY);
        assert.deepEqual(socket.drain(), []);
        socket.close();
      },
    },
  ];
}

function closing(context) {
  const stages = {
    "before connection_init": () => open(context),
    "when idle": () => connect(context),
    "with a subscription": async () => {
      const socket = await connect(context);
      socket.subscribe("events", EVENTS);
      return socket;
    },
  };
  return Object.entries(stages).map(([stage, reach]) => ({
    name: `close: the client's close frame is answered ${stage}`,
    run: async () => {
      const socket = await reach();
      socket.close();
      // Without an answer, it would be 1006: a connection that broke.
      await socket.expectClose(1000);
    },
  }));
}

function operations(context) {
  const refused = (payload) => async () => {
    const socket = await connect(context);
    socket.subscribe("events", EVENTS);
    socket.send({ id: "wrong", type: "subscribe", payload });
    const error = await socket.receive({ id: "wrong", type: "error" });
    assertErrors(error.payload);
    // That operation alone has ended: no complete follows, the others live, the id is free.
    await socket.query("wrong", QUERY);
    await untilEvents(context, socket, ["events"]);
    const rest = socket.drain().filter((frame) => frame.id === "wrong");
    assert.deepEqual(rest, []);
    socket.close();
  };
  return [
    {
      name: "operation: a query gives one next and complete",
      run: async () => {
        const socket = await connect(context);
        const { serverInfo } = await socket.query("q", QUERY);
        assert.equal(typeof serverInfo.version, "string");
        await socket.query("after", QUERY);
        assert.deepEqual(socket.drain(), []);
        socket.close();
      },
    },
    {
      name: "operation: a mutation with variables gives next and complete",
      run: async () => {
        const socket = await connect(context);
        const variables = { title: "Over the socket" };
        const { incidentCreate } = await socket.query("m", INCIDENT_CREATE, { variables });
        assert.equal(typeof incidentCreate.incident.id, "string");
        socket.close();
      },
    },
    {
      name: "operation: operationName chooses, null members count as absent",
      run: async () => {
        const socket = await connect(context);
        const query = `query A { a: __typename } query B { b: __typename }`;
        const data = await socket.query("q", query, { operationName: "B", variables: null });
        assert.deepEqual(data, { b: "Query" });
        socket.close();
      },
    },
    {
      name: "operation: several at once answer each under its id",
      run: async () => {
        const socket = await connect(context);
        const ids = Array.from({ length: 20 }, (_, index) => `q${index}`);
        await Promise.all(
          ids.map(async (id) => {
            assert.deepEqual(await socket.query(id, `{ ${id}: __typename }`), { [id]: "Query" });
          }),
        );
        socket.close();
      },
    },
    { name: "operation: a syntax error ends that operation alone", run: refused({ query: "{" }) },
    {
      name: "operation: a validation error ends that operation alone",
      run: refused({ query: "{ noSuchField }" }),
    },
    {
      name: "operation: a subscription that is not valid ends that operation alone",
      run: refused({ query: "subscription { noSuchField }" }),
    },
    {
      name: "operation: an unknown operationName ends that operation alone",
      run: refused({ query: `query A ${QUERY}`, operationName: "B" }),
    },
    {
      name: "operation: variables of a wrong type end that operation alone",
      run: refused({ query: INCIDENT_CREATE, variables: { title: { not: "a string" } } }),
    },
    {
      name: "operation: a missing variable ends that operation alone",
      run: refused({ query: INCIDENT_CREATE }),
    },
    {
      name: "operation: an id may be used again after complete",
      run: async () => {
        const socket = await connect(context);
        for (let round = 0; round < 5; round += 1) await socket.query("same", QUERY);
        socket.close();
      },
    },
  ];
}

function subscriptions(context) {
  return [
    {
      name: "subscription: an event arrives as next",
      run: async () => {
        const socket = await connect(context);
        socket.subscribe("events", EVENTS);
        const [frame] = await untilEvents(context, socket, ["events"]);
        const { cursor, bookmark, event } = frame.payload.data.ticketEvents;
        assert.equal(typeof cursor, "string");
        assert.equal(bookmark, false);
        assert.equal(typeof event.id, "string");
        socket.close();
      },
    },
    {
      name: "subscription: the id of an active one closes with 4409",
      run: async () => {
        const socket = await connect(context);
        socket.subscribe("same", EVENTS);
        socket.subscribe("same", QUERY);
        await socket.expectClose(4409, "Subscriber for same already exists");
      },
    },
    {
      name: "subscription: the same id on two sockets is fine",
      run: async () => {
        const sockets = await Promise.all([connect(context), connect(context)]);
        for (const socket of sockets) socket.subscribe("same", EVENTS);
        for (const socket of sockets) await untilEvents(context, socket, ["same"]);
        for (const socket of sockets) socket.close();
      },
    },
    {
      name: "subscription: complete from the client stops the stream",
      run: async () => {
        const socket = await connect(context);
        socket.subscribe("stopped", EVENTS);
        socket.subscribe("control", EVENTS);
        await untilEvents(context, socket, ["stopped", "control"]);
        socket.send({ id: "stopped", type: "complete" });
        await socket.query("barrier", QUERY);
        socket.drain();
        await untilEvents(context, socket, ["control"]);
        await untilEvents(context, socket, ["control"]);
        const after = socket.drain().filter((frame) => frame.id === "stopped");
        assert.deepEqual(after.filter((frame) => frame.type !== "complete"), []);
        socket.close();
      },
    },
    {
      name: "subscription: its id may be used again right after complete from the client",
      run: async () => {
        const socket = await connect(context);
        for (let round = 0; round < 10; round += 1) {
          socket.subscribe("same", EVENTS);
          socket.send({ id: "same", type: "complete" });
        }
        socket.subscribe("same", EVENTS);
        await untilEvents(context, socket, ["same"]);
        socket.close();
      },
    },
    {
      name: "subscription: complete of an unknown id is ignored",
      run: async () => {
        const socket = await connect(context);
        socket.send({ id: "never", type: "complete" });
        await socket.query("q", QUERY);
        assert.deepEqual(socket.drain(), []);
        socket.close();
      },
    },
  ];
}

function limits(context) {
  return [
    {
      name: "limit: one subscription too many gets an error, the others live",
      run: async () => {
        const socket = await connect(context);
        const ids = Array.from({ length: SUBSCRIPTIONS_PER_SOCKET }, (_, index) => `s${index}`);
        for (const id of ids) socket.subscribe(id, EVENTS);
        socket.subscribe("surplus", EVENTS);
        const error = await socket.receiveWhere(
          (frame) => frame.type === "error",
          "error for the surplus subscription",
        );
        assert.equal(error.id, "surplus");
        assertErrors(error.payload);
        assert.equal(error.payload[0].extensions.code, "TOO_MANY_SUBSCRIPTIONS");
        await untilEvents(context, socket, ids);
        // One ends, another may begin.
        socket.send({ id: ids[0], type: "complete" });
        socket.subscribe("surplus", EVENTS);
        await untilEvents(context, socket, ["surplus"]);
        socket.close();
      },
    },
    {
      name: "limit: a message over the size limit closes with 1009, other sockets live",
      run: async () => {
        const [large, other] = await Promise.all([connect(context), connect(context)]);
        large.subscribe("1", `# ${"x".repeat(2 * MESSAGE_BYTES)}\n${QUERY}`);
        await large.expectClose(1009);
        await other.query("q", QUERY);
        other.close();
      },
    },
    {
      name: "limit: a document over its limit ends that operation alone",
      run: async () => {
        const socket = await connect(context);
        socket.subscribe("1", `# ${"x".repeat(MESSAGE_BYTES / 2)}\n${QUERY}`);
        assertErrors((await socket.receive({ id: "1", type: "error" })).payload);
        await socket.query("q", QUERY);
        socket.close();
      },
    },
    {
      name: "fairness: busy subscriptions do not delay a query on the same socket",
      run: () => fairness(context),
    },
  ];
}

/** Compares queries on a socket with busy subscriptions to the same on an idle one. */
async function fairness(context) {
  const [busy, idle] = await Promise.all([connect(context), connect(context)]);
  const ids = Array.from({ length: 20 }, (_, index) => `s${index}`);
  for (const id of ids) busy.subscribe(id, EVENTS);
  await untilEvents(context, busy, ids);
  busy.drain();

  const until = performance.now() + 5_000;
  const writers = Array.from({ length: 4 }, async () => {
    while (performance.now() < until) await createIncident(context);
  });
  let worst = 0;
  const queries = (async () => {
    for (let round = 0; performance.now() < until; round += 1) {
      const [onBusy, onIdle] = await Promise.all(
        [busy, idle].map((socket) => duration(() => socket.query(`q${round}`, QUERY))),
      );
      worst = Math.max(worst, onBusy - onIdle);
    }
  })();
  await Promise.all([...writers, queries]);
  const delivered = busy.drain().filter(isEvent).length;
  assert.ok(delivered >= 10 * ids.length, `the socket was not busy: ${delivered} events`);
  assert.ok(worst <= FAIRNESS_MS, `a query was delayed by ${Math.round(worst)} ms`);
  busy.close();
  idle.close();
}

async function duration(action) {
  const started = performance.now();
  await action();
  return performance.now() - started;
}

/**
 * Creates incidents until each of these subscriptions has got an event, and returns their frames.
 *
 * The protocol does not say when a subscription has begun, so one incident may come too early.
 */
async function untilEvents(context, socket, ids) {
  const frames = ids.map((id) =>
    socket.receiveWhere((frame) => frame.id === id && isEvent(frame), `event for "${id}"`));
  const all = Promise.all(frames);
  let arrived = false;
  all.then(() => (arrived = true), () => (arrived = true));
  while (!arrived) {
    await createIncident(context);
    for (let wait = 0; wait < 20 && !arrived; wait += 1) await sleep(50);
  }
  return all;
}

function isEvent(frame) {
  return frame.type === "next" && Boolean(frame.payload?.data?.ticketEvents?.event);
}

/** The payload of `error`: a list of GraphQL errors that is not empty. */
function assertErrors(payload) {
  assert.ok(Array.isArray(payload) && payload.length > 0, JSON.stringify(payload));
  for (const error of payload) assert.equal(typeof error.message, "string");
}
