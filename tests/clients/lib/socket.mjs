// A graphql-transport-ws client at the level of frames: it sends what it is told, right or wrong,
// and keeps every frame until somebody asks for it.

import assert from "node:assert/strict";
import WebSocket from "ws";

export const SUBPROTOCOL = "graphql-transport-ws";
const ANSWER_TIMEOUT_MS = 10_000;

/** Tries to open a socket; tells how it went: { socket } or { status } or { error }. */
export function attempt(context, { protocols = [SUBPROTOCOL], headers = {}, origin } = {}) {
  const address = `${context.url.replace(/^http/, "ws")}/graphql`;
  const websocket = new WebSocket(address, protocols, { headers, origin });
  const socket = new Socket(websocket);
  return new Promise((resolve) => {
    websocket.once("open", () => resolve({ socket }));
    websocket.once("unexpected-response", (_, response) => {
      response.resume();
      resolve({ status: response.statusCode });
      websocket.terminate();
    });
    websocket.on("error", (error) => resolve({ error }));
  });
}

/** Opens a socket. */
export async function open(context, options) {
  const { socket, status, error } = await attempt(context, options);
  assert.ok(socket, `the handshake failed: ${status ? `HTTP ${status}` : error?.message}`);
  return socket;
}

/** Opens a socket and signs in. */
export async function connect(context, options) {
  const socket = await open(context, options);
  socket.send({ type: "connection_init", payload: credentials(context) });
  await socket.receive({ type: "connection_ack" });
  return socket;
}

export function credentials({ token }) {
  return { authorization: `Bearer ${token}` };
}

class Socket {
  #websocket;
  #frames = [];
  #waiting = new Set();
  #closed;

  constructor(websocket) {
    this.#websocket = websocket;
    this.#closed = new Promise((resolve) => {
      websocket.on("close", (code, reason) => {
        resolve({ code, reason: reason.toString() });
        for (const { reject, wish } of this.#waiting) {
          reject(new Error(`closed with ${code} "${reason}" while waiting for ${wish}`));
        }
        this.#waiting.clear();
      });
    });
    websocket.on("message", (data, isBinary) => this.#arrive(data, isBinary));
  }

  get protocol() {
    return this.#websocket.protocol;
  }

  get isOpen() {
    return this.#websocket.readyState === WebSocket.OPEN;
  }

  /** Sends a message, or a text as it is. */
  send(message) {
    this.#websocket.send(typeof message === "string" ? message : JSON.stringify(message));
  }

  sendBinary(message) {
    this.#websocket.send(Buffer.from(JSON.stringify(message)), { binary: true });
  }

  subscribe(id, query, more = {}) {
    this.send({ id, type: "subscribe", payload: { query, ...more } });
  }

  /** The first frame, come or coming, that has these members; frames before it stay. */
  receive(members, timeout = ANSWER_TIMEOUT_MS) {
    return this.receiveWhere((frame) => has(frame, members), JSON.stringify(members), timeout);
  }

  /** The first frame, come or coming, that a predicate admits; frames before it stay. */
  receiveWhere(admits, wish, timeout = ANSWER_TIMEOUT_MS) {
    const index = this.#frames.findIndex(admits);
    if (index >= 0) return Promise.resolve(this.#frames.splice(index, 1)[0]);
    return new Promise((resolve, reject) => {
      const waiting = { admits, wish };
      const timer = setTimeout(() => {
        this.#waiting.delete(waiting);
        const seen = this.#frames.map((frame) => JSON.stringify(frame)).join("\n");
        reject(new Error(`no ${wish} within ${timeout} ms; unread frames:\n${seen || "none"}`));
      }, timeout);
      waiting.resolve = (frame) => (clearTimeout(timer), resolve(frame));
      waiting.reject = (error) => (clearTimeout(timer), reject(error));
      if (!this.isOpen) {
        this.#closed.then(({ code, reason }) =>
          waiting.reject(new Error(`closed with ${code} "${reason}" before ${wish}`)));
      }
      this.#waiting.add(waiting);
    });
  }

  /** Takes all frames that have come and that nobody has asked for. */
  drain() {
    return this.#frames.splice(0);
  }

  /** Runs a query on this socket and returns its data; proves that the socket lives. */
  async query(id, query, more) {
    this.subscribe(id, query, more);
    const answer = await this.receiveWhere(
      (frame) => frame.id === id && ["next", "error"].includes(frame.type),
      `answer to "${id}"`,
    );
    assert.equal(answer.type, "next", JSON.stringify(answer));
    assert.equal(answer.payload.errors, undefined, JSON.stringify(answer));
    await this.receive({ id, type: "complete" });
    return answer.payload.data;
  }

  /** Waits until the server closes and asserts how. */
  async expectClose(code, reason, timeout = ANSWER_TIMEOUT_MS) {
    let timer;
    const late = new Promise((resolve) => {
      timer = setTimeout(() => resolve({ code: "not closed" }), timeout);
    });
    const end = await Promise.race([this.#closed, late]);
    clearTimeout(timer);
    this.#websocket.terminate();
    assert.equal(end.code, code, `closed with ${end.code} "${end.reason}", not ${code}`);
    if (reason !== undefined) assert.equal(end.reason, reason);
  }

  close() {
    this.#websocket.close(1000);
  }

  #arrive(data, isBinary) {
    const frame = isBinary ? { type: "binary frame" } : parse(data.toString());
    if (frame.type === "ping") {
      this.send({ type: "pong" });
      return;
    }
    for (const waiting of this.#waiting) {
      if (waiting.admits(frame)) {
        this.#waiting.delete(waiting);
        waiting.resolve(frame);
        return;
      }
    }
    this.#frames.push(frame);
  }
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return { type: "not JSON", text };
  }
}

function has(frame, members) {
  return Object.entries(members).every(([name, value]) => frame[name] === value);
}
