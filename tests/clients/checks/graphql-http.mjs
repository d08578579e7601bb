// The server audits of graphql-http, the GraphQL-over-HTTP reference implementation: MUST, SHOULD
// and MAY alike.

import { serverAudits } from "graphql-http";

export const name = "graphql-http";
export const caseCount = 61;

export function cases({ url, token }) {
  const fetchFn = (address, init = {}) => {
    const headers = new Headers(init.headers);
    headers.set("authorization", `Bearer ${token}`);
    return fetch(address, { ...init, headers });
  };
  return serverAudits({ url: `${url}/graphql`, fetchFn }).map((audit) => ({
    name: `${audit.id} ${audit.name}`,
    run: () => judge(audit),
  }));
}

async function judge(audit) {
  const result = await audit.fn();
  if (result.status === "ok") return;
  const { response } = result;
  const body = await response.text().catch(() => "(body already read)");
  throw new Error(
    `${result.status}: ${result.reason}\n` +
      `HTTP ${response.status} ${response.headers.get("content-type")}\n${body.slice(0, 1000)}`,
  );
}
