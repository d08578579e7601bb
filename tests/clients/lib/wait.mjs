// Waiting for what comes by itself.

import { setTimeout as sleep } from "node:timers/promises";

const PATIENCE_MS = 20_000;
const POLL_MS = 20;

/** Waits until a condition holds, and returns what it returned. */
export async function until(what, condition, patience = PATIENCE_MS) {
  const started = performance.now();
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (performance.now() - started > patience) throw new Error(`no ${what} within ${patience} ms`);
    await sleep(POLL_MS);
  }
}
