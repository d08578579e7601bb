// Starts GraphiQL: requests by POST, subscriptions by WebSocket, the Authorization header for both.
(function () {
  'use strict';

  var DEFAULT_QUERY = [
    '# Welcome to Deskwire. This is the whole API: press Ctrl-Space anywhere to see what fits,',
    '# and open the documentation on the left to read what it means.',
    '#',
    '# 1. Sign in, if you have no token yet (delete what you do not need, then press Ctrl-Enter):',
    '#',
    '#    mutation {',
    '#      sessionCreate(input: { email: "agent@demo.example", password: "demo" }) {',
    '#        accessToken',
    '#        userErrors { message path }',
    '#      }',
    '#    }',
    '#',
    '# 2. Put the token under "Headers" below: { "Authorization": "Bearer …" }',
    '#    It is sent with queries and mutations, and in connection_init with subscriptions.',
    '#',
    '# 3. Watch your queue in a second window:',
    '#',
    '#    subscription {',
    '#      ticketEvents { cursor ticket { number title } event { __typename occurredAt } }',
    '#    }',
    '',
    'query Welcome {',
    '  serverInfo { version }',
    '}',
    '',
  ].join('\n');

  /** The headers that the link brings along, as in /graphiql#token=dw_pat_… */
  function headersFromLink() {
    var token = new URLSearchParams(window.location.hash.slice(1)).get('token');
    if (!token) return undefined;
    // A token does not belong into the history or a bookmark.
    window.history.replaceState(null, '', window.location.pathname + window.location.search);
    return JSON.stringify({ Authorization: 'Bearer ' + token }, null, 2);
  }

  function authorization(headers) {
    var name = Object.keys(headers || {}).find(function (key) {
      return key.toLowerCase() === 'authorization';
    });
    return name ? headers[name] : undefined;
  }

  function isSubscription(parameters, options) {
    var definitions = (options && options.documentAST && options.documentAST.definitions) || [];
    return definitions.some(function (definition) {
      return (
        definition.kind === 'OperationDefinition' &&
        definition.operation === 'subscription' &&
        (!parameters.operationName || (definition.name && definition.name.value === parameters.operationName))
      );
    });
  }

  var socket = { authorization: undefined, client: null };

  /** One WebSocket per token. */
  function client(token) {
    if (socket.client && socket.authorization === token) return socket.client;
    if (socket.client) socket.client.dispose();
    socket.authorization = token;
    socket.client = window.graphqlWs.createClient({
      url: window.location.protocol.replace('http', 'ws') + '//' + window.location.host + '/graphql',
      connectionParams: token ? { authorization: token } : {},
    });
    return socket.client;
  }

  function readable(failure) {
    if (failure instanceof Error || Array.isArray(failure)) return failure;
    var reason = failure && failure.reason ? ': ' + failure.reason : '';
    return new Error('the connection was closed' + (failure && failure.code ? ' (' + failure.code + ')' : '') + reason);
  }

  function subscribe(parameters, headers) {
    return {
      subscribe: function (observer) {
        var stop = client(authorization(headers)).subscribe(parameters, {
          next: function (value) { observer.next(value); },
          error: function (failure) { observer.error(readable(failure)); },
          complete: function () { observer.complete(); },
        });
        return { unsubscribe: stop };
      },
    };
  }

  function request(parameters, headers) {
    return window
      .fetch('/graphql', {
        method: 'POST',
        credentials: 'omit',
        headers: Object.assign(
          { 'content-type': 'application/json', accept: 'application/graphql-response+json, application/json' },
          headers,
        ),
        body: JSON.stringify(parameters),
      })
      .then(function (response) { return response.json(); });
  }

  function fetcher(parameters, options) {
    var headers = (options && options.headers) || {};
    return isSubscription(parameters, options) ? subscribe(parameters, headers) : request(parameters, headers);
  }

  var linked = headersFromLink();
  window.ReactDOM.createRoot(document.getElementById('graphiql')).render(
    window.React.createElement(window.GraphiQL, {
      fetcher: fetcher,
      defaultQuery: DEFAULT_QUERY,
      defaultEditorToolsVisibility: 'headers',
      headers: linked,
      isHeadersEditorEnabled: true,
      shouldPersistHeaders: true,
    }),
  );
})();
