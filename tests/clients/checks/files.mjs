// Attachments the way a portal does it: with what every browser has (fetch, Blob, SubtleCrypto), and no credentials at the links.

import assert from "node:assert/strict";

import { TEAM, createIncident, request } from "../lib/http.mjs";

export const name = "files";

const UPLOAD_CREATE = `mutation ($input: UploadCreateInput!) {
  uploadCreate(input: $input) { upload { id url } userErrors { path message } }
}`;
const ATTACHMENT_ADD = `mutation ($input: AttachmentAddInput!) {
  attachmentAdd(input: $input) { attachments { id downloadUrl } userErrors { path message } }
}`;
/** It would run, if anything showed it. */
const PAGE = "<!DOCTYPE html><script>fetch('/graphql')</script>";
const LARGE_BYTES = 20 * 1024 * 1024;

export function cases(context) {
  return [
    { name: "a page is attached and handed out as nothing but a file", run: () => page(context) },
    { name: "a large file arrives whole", run: () => large(context) },
    { name: "what was not announced is refused, and said to be", run: () => refused(context) },
  ];
}

async function sha256(blob) {
  const digest = await crypto.subtle.digest("SHA-256", await blob.arrayBuffer());
  return Buffer.from(digest).toString("hex");
}

async function announce(context, blob, fileName) {
  const input = { fileName, mediaType: blob.type, bytes: blob.size, sha256: await sha256(blob) };
  const { uploadCreate } = await request(context, UPLOAD_CREATE, { input });
  assert.deepEqual(uploadCreate.userErrors, []);
  return { id: uploadCreate.upload.id, url: new URL(uploadCreate.upload.url, context.url) };
}

async function attach(context, blob, fileName) {
  const upload = await announce(context, blob, fileName);
  const sent = await fetch(upload.url, { method: "PUT", body: blob });
  assert.equal(sent.status, 204, await sent.text());
  const id = await createIncident(context, { title: "With a file", team: TEAM });
  const { attachmentAdd } = await request(context, ATTACHMENT_ADD, { input: { id, uploads: [upload.id] } });
  assert.deepEqual(attachmentAdd.userErrors, []);
  return new URL(attachmentAdd.attachments[0].downloadUrl, context.url);
}

async function page(context) {
  const fetched = await fetch(await attach(context, new Blob([PAGE], { type: "text/html" }), "page.html"));
  assert.equal(fetched.status, 200);
  assert.match(fetched.headers.get("content-disposition"), /^attachment; filename="page.html"/);
  assert.equal(fetched.headers.get("x-content-type-options"), "nosniff");
  assert.match(fetched.headers.get("content-security-policy"), /^sandbox;/);
  assert.equal(await fetched.text(), PAGE);
}

async function large(context) {
  const bytes = new Uint8Array(LARGE_BYTES).map((_, place) => place % 251);
  const blob = new Blob([bytes], { type: "application/octet-stream" });
  const fetched = await fetch(await attach(context, blob, "large.bin"));
  assert.equal(Number(fetched.headers.get("content-length")), LARGE_BYTES);
  assert.equal(await sha256(await fetched.blob()), await sha256(blob));
}

async function refused(context) {
  const upload = await announce(context, new Blob(["what was said"], { type: "text/plain" }), "notes.txt");
  const sent = await fetch(upload.url, { method: "PUT", body: "something else" });
  assert.equal(sent.status, 422);
  const { error } = await sent.json();
  assert.equal(error.code, "VALIDATION");
  assert.ok(error.message.includes("announced") && error.requestId.length > 0, error.message);
}
