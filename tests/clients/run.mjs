// Runs the checks in `checks/` against a running server and exits non-zero when a case fails.
//
//   DESKWIRE_CONFORMANCE_URL=http://127.0.0.1:8080 DESKWIRE_CONFORMANCE_TOKEN=dw_pat_… \
//     node run.mjs [CHECK or CHECK/CASE …]
//
// A check is a module that exports
//   name        what it is called,
//   cases       (context) => [{ name, run, timeout }]; a case fails when `run` throws or takes
//               longer than `timeout` milliseconds, a minute by default,
//   caseCount   optional: how many cases there must be, where others have counted them.
// `context` is { url, token }: the server's origin and the API token of an agent. Cases of one
// check run one after another, so that each has the server for itself.

import { readdir } from "node:fs/promises";
import process from "node:process";

const CASE_TIMEOUT_MS = 60_000;

const context = {
  url: required("DESKWIRE_CONFORMANCE_URL").replace(/\/$/, ""),
  token: required("DESKWIRE_CONFORMANCE_TOKEN"),
};
const wanted = process.argv.slice(2);
const summary = [];

for (const file of await checkFiles()) {
  summary.push(await runCheck(await import(file.href)));
}

const failed = summary.reduce((sum, check) => sum + check.failed, 0);
const passed = summary.reduce((sum, check) => sum + check.passed, 0);
for (const { check, passed, failed } of summary) {
  console.log(`${check}: ${passed} of ${passed + failed} passed`);
}
console.log(JSON.stringify({ conformance: summary, passed, failed }));
if (passed + failed === 0) {
  console.error(`no case matches ${wanted.join(", ")}`);
}
// Sockets that a failed case left open must not keep the process.
process.exit(failed === 0 && passed > 0 ? 0 : 1);

async function checkFiles() {
  const folder = new URL("checks/", import.meta.url);
  const names = await readdir(folder);
  return names.filter((name) => name.endsWith(".mjs")).sort().map((name) => new URL(name, folder));
}

async function runCheck(check) {
  const cases = check.cases(context);
  const result = { check: check.name, passed: 0, failed: 0 };
  if (check.caseCount !== undefined && cases.length !== check.caseCount) {
    console.log(`FAIL ${check.name}: there are ${cases.length} cases, not ${check.caseCount}`);
    result.failed += 1;
  }
  for (const { name, run, timeout = CASE_TIMEOUT_MS } of cases) {
    const full = `${check.name}/${name}`;
    if (wanted.length > 0 && !wanted.some((part) => full.includes(part))) continue;
    const started = performance.now();
    try {
      await withTimeout(run(), timeout);
      result.passed += 1;
      console.log(`ok   ${full} (${Math.round(performance.now() - started)} ms)`);
    } catch (error) {
      result.failed += 1;
      console.log(`FAIL ${full}\n     ${String(error?.message ?? error).replaceAll("\n", "\n     ")}`);
    }
  }
  return result;
}

function withTimeout(promise, timeout) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`not finished within ${timeout} ms`)),
      timeout,
    );
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function required(name) {
  const value = process.env[name];
  if (!value) {
    console.error(`set ${name}; \`cargo xtask conformance\` does it for you`);
    process.exit(2);
  }
  return value;
}
