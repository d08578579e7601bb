// The schema as clients get it: the SDL that the server hands out, and its answer to introspection.

import assert from "node:assert/strict";
import { buildSchema, getIntrospectionQuery } from "graphql";

import { request } from "./http.mjs";

/** The text at /schema.graphql. */
export async function schemaText({ url }) {
  const response = await fetch(`${url}/schema.graphql`);
  assert.equal(response.status, 200);
  return response.text();
}

/** The schema as graphql-js sees it. */
export async function schemaOf(context) {
  return buildSchema(await schemaText(context));
}

/** The answer to introspection. */
export function introspect(context) {
  return request(context, getIntrospectionQuery({ oneOf: true, specifiedByUrl: true, schemaDescription: true }));
}
