// `bodyHtml` in a real DOM (jsdom, with scripts allowed to run): nothing runs, nothing is fetched, and nothing is there but what is documented.

import assert from "node:assert/strict";
import { JSDOM, VirtualConsole } from "jsdom";

import { TEXTS } from "../fixtures/xss.mjs";
import { TEAM, createIncident, request } from "../lib/http.mjs";

export const name = "sanitised-html";

/** As documented in docs/comments.md. */
const ELEMENTS = new Set(
  "a blockquote br code del em h1 h2 h3 h4 h5 h6 hr li ol p pre strong table tbody td th thead tr ul".split(" "),
);
const ATTRIBUTES = { a: ["href", "title", "rel"], ol: ["start"] };
const SCHEMES = ["http:", "https:", "mailto:"];
const EVENTS = ["load", "error", "click", "mouseover", "focus", "toggle", "begin", "animationstart", "submit"];

const COMMENT_ADD = `mutation ($input: CommentAddInput!) {
  commentAdd(input: $input) { comment { body bodyHtml } userErrors { message } }
}`;

export function cases(context) {
  return [
    { name: "what runs in a page is noticed", run: noticesWhatRuns },
    { name: `${TEXTS.length} texts that try`, run: () => tryAll(context) },
    { name: "what Markdown says is shown", run: () => shows(context) },
  ];
}

/** What is wrong with a page that holds this HTML. */
async function complaints(html) {
  const found = [];
  const page = new JSDOM(`<!DOCTYPE html><html><body><main>${html}</main></body></html>`, {
    runScripts: "dangerously",
    virtualConsole: new VirtualConsole(),
    beforeParse(window) {
      window.alert = () => found.push("a script ran");
    },
  });
  const { document, Event } = page.window;
  const main = document.querySelector("main");
  if (main === null || document.body.children.length !== 1) found.push("it breaks out of its place");
  for (const element of document.querySelectorAll("main *")) {
    const tag = element.localName;
    if (!ELEMENTS.has(tag)) found.push(`<${tag}>`);
    for (const { name: attribute, value } of element.attributes) {
      if (!(ATTRIBUTES[tag] ?? []).includes(attribute)) found.push(`<${tag} ${attribute}>`);
      if (attribute === "href" && !SCHEMES.includes(new URL(value, "about:blank").protocol)) found.push(`href ${value}`);
    }
    for (const event of EVENTS) element.dispatchEvent(new Event(event, { bubbles: true, cancelable: true }));
  }
  await new Promise((resolve) => setImmediate(resolve));
  page.window.close();
  return found;
}

/** A check that finds nothing must be able to find something. */
async function noticesWhatRuns() {
  for (const [html, expected] of [
    ["<script>alert(1)</script>", "a script ran"],
    ["<img src=x onerror=alert(1)>", "a script ran"],
    ["<b onclick=alert(1)>x</b>", "a script ran"],
    ["</main><p>x</p>", "it breaks out of its place"],
    ["<a href='javascript:alert(1)'>x</a>", "href javascript:alert(1)"],
    ["<p style='color: red'>x</p>", "<p style>"],
    ["<img>", "<img>"],
  ]) {
    assert.ok((await complaints(html)).includes(expected), `${html}: ${await complaints(html)}`);
  }
}

async function tryAll(context) {
  const id = await createIncident(context, { title: "Sanitised HTML", team: TEAM });
  const wrong = [];
  for (const body of TEXTS) {
    const { commentAdd } = await request(context, COMMENT_ADD, { input: { id, body } });
    assert.deepEqual(commentAdd.userErrors, [], body);
    assert.equal(commentAdd.comment.body, body, "what was written is kept as it is");
    for (const complaint of await complaints(commentAdd.comment.bodyHtml)) {
      wrong.push({ body, complaint, html: commentAdd.comment.bodyHtml });
    }
  }
  assert.deepEqual(wrong, []);
}

async function shows(context) {
  const id = await createIncident(context, { title: "Sanitised HTML", team: TEAM });
  const body = "# Hi\n\n1 < 2 & **bold** [wiki](https://acme.example/?a=1&b=2)\n\n| a |\n|---|\n| ~~b~~ |\n\n```\n<x>\n```";
  const { commentAdd } = await request(context, COMMENT_ADD, { input: { id, body } });
  const html = commentAdd.comment.bodyHtml;
  assert.deepEqual(await complaints(html), []);
  const { document } = new JSDOM(html).window;
  const text = (selector) => document.querySelector(selector)?.textContent.trim();
  assert.deepEqual(
    ["h1", "p", "p strong", "p a", "td del", "pre code"].map(text),
    ["Hi", "1 < 2 & bold wiki", "bold", "wiki", "b", "<x>"],
  );
  assert.equal(document.querySelector("a").href, "https://acme.example/?a=1&b=2");
  assert.equal(document.querySelector("a").rel, "noopener noreferrer nofollow");
}
