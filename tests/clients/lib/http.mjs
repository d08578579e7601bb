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

export const INCIDENT_CREATE = `mutation ($title: String!, $tags: [String!], $team: TeamRefInput) {
  incidentCreate(input: { title: $title, tags: $tags, team: $team }) { incident { id } userErrors { message } }
}`;

/** The agent's team in the demo company: what is in it, the agent may change. */
export const TEAM = { slug: "service-desk" };

let created = 0;

/** Makes something happen that subscriptions hear of, and returns the incident's id. */
export async function createIncident(context, { title, tags, team } = {}) {
  created += 1;
  title ??= `Conformance ${created}`;
  const { incidentCreate } = await request(context, INCIDENT_CREATE, { title, tags, team });
  assert.deepEqual(incidentCreate.userErrors, []);
  return incidentCreate.incident.id;
}

const TOKEN_CREATE = `mutation {
  apiTokenCreate(input: { name: "conformance" }) { token apiToken { id } userErrors { message } }
}`;
const TOKEN_REVOKE = `mutation ($id: ID!) {
  apiTokenRevoke(input: { id: $id }) { apiToken { revokedAt } userErrors { message } }
}`;

/** Makes another token of the same agent: { context, revoke }. */
export async function createToken(context) {
  const { token, apiToken } = (await request(context, TOKEN_CREATE)).apiTokenCreate;
  const revoke = async () => {
    const { apiTokenRevoke } = await request(context, TOKEN_REVOKE, { id: apiToken.id });
    assert.ok(apiTokenRevoke.apiToken.revokedAt, JSON.stringify(apiTokenRevoke));
  };
  return { context: { ...context, token }, revoke };
}
