// A TCP proxy in front of the server that loses connections when it is told to.

import { once } from "node:events";
import { connect, createServer } from "node:net";

/** Starts a proxy to the origin of a URL. */
export async function startProxy(target) {
  const { hostname, port } = new URL(target);
  const pairs = new Set();
  let accepted = 0;
  let gate = null;

  const server = createServer((client) => {
    if (gate) return client.resetAndDestroy();
    accepted += 1;
    const upstream = connect(Number(port), hostname);
    const pair = [client, upstream];
    pairs.add(pair);
    for (const [from, to] of [pair, [upstream, client]]) {
      from.setNoDelay(true);
      from.on("error", () => to.destroy());
      from.on("close", () => (to.destroy(), pairs.delete(pair)));
      from.pipe(to);
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");

  return {
    url: `http://127.0.0.1:${server.address().port}`,
    /** How many connections there have been. */
    get accepted() {
      return accepted;
    },
    /** Resets all connections at once, whatever is on its way in them. */
    drop() {
      for (const pair of pairs) for (const socket of pair) socket.resetAndDestroy();
    },
    /** Resets all connections, and further ones until `reopen`. */
    shut() {
      gate = deferred();
      this.drop();
    },
    reopen() {
      const { resolve } = gate;
      gate = null;
      resolve();
    },
    /** Settles when connections are let through. */
    async passable() {
      await gate?.promise;
    },
    close() {
      this.drop();
      server.close();
    },
  };
}

function deferred() {
  const result = {};
  result.promise = new Promise((resolve) => (result.resolve = resolve));
  return result;
}
