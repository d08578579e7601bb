// Folders and programs for checks that generate code. The folders lie inside this package, where
// generated code finds the packages that it imports; git ignores them.

import { execFile } from "node:child_process";
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const PACKAGE = fileURLToPath(new URL("..", import.meta.url));
const require = createRequire(import.meta.url);

/** The checkout. */
export const CHECKOUT = join(PACKAGE, "../..");
/** The example operations that are shipped with the schema. */
export const OPERATIONS = join(CHECKOUT, "schema/operations");

/** An empty folder: { path, write, copy, read }. */
export async function scratch(name) {
  const folder = join(PACKAGE, ".scratch", name);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  return {
    path: folder,
    async write(file, text) {
      const path = join(folder, file);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, text);
    },
    copy: (from, to) => cp(from, join(folder, to), { recursive: true }),
    read: (file) => readFile(join(folder, file), "utf8"),
  };
}

/** A file beside the checks. */
export function fixture(path) {
  return join(PACKAGE, "fixtures", path);
}

/** Runs a program of an installed package in a folder: { status, output }. */
export function runBin(folder, packageName, bin, args, environment = {}) {
  const manifest = require.resolve(`${packageName}/package.json`);
  const { bin: bins } = require(manifest);
  const script = join(dirname(manifest), typeof bins === "string" ? bins : bins[bin]);
  return runNode(folder, [script, ...args], environment);
}

/** Runs Node.js in a folder: { status, output }. */
export function runNode(folder, args, environment = {}) {
  return new Promise((resolve) => {
    const options = {
      cwd: folder.path,
      env: { ...process.env, ...environment, NO_COLOR: "1", CI: "true" },
      maxBuffer: 64 * 1024 * 1024,
    };
    execFile(process.execPath, args, options, (error, stdout, stderr) => {
      resolve({ status: error ? (error.code ?? error.signal) : 0, output: `${stdout}${stderr}`.trim() });
    });
  });
}
