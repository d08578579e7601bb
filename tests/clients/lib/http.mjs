// Operations over HTTP: what a check needs to happen beside the socket it looks at.

import assert from "node:assert/strict";

/** Runs an operation as the context's agent and returns its data. */
export async function request({ url, token }, query, variables) {
  const response = await fetch(`${url}/graphql`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      accept: "application/graphql-response+json",
      authorization: `Bearer ${token}`,
    },
    body: JSON.stringify({ query, variables }),
  });
  const text = await response.text();
  assert.equal(response.status, 200, `HTTP ${response.status}: ${text}`);
  const { data, errors } = JSON.parse(text);
  assert.equal(errors, undefined, text);
  return data;
}

export const INCIDENT_CREATE = `mutation ($title: String!) {
  incidentCreate(input: { title: $title }) { incident { id } userErrors { message } }
}`;

let created = 0;

/** Makes something happen that subscriptions hear of, and returns the incident's id. */
export async function createIncident(context) {
  created += 1;
  const title = `Conformance ${created}`;
  const { incidentCreate } = await request(context, INCIDENT_CREATE, { title });
  assert.deepEqual(incidentCreate.userErrors, []);
  return incidentCreate.incident.id;
}
