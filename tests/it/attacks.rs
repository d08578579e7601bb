//! What attackers send, against the whole server.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gateway::door::Milliseconds;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tests::client::{Client, code};
use tests::company::PASSWORD;
use tests::installation::{each_engine, each_engine_with};
use tests::socket::{Frame, Socket};

/// In a build without optimisation on a busy machine.
const QUICK: Duration = Duration::from_secs(30);

/// Sends a document that must be refused before it costs anything.
async fn refused_quickly(client: &Client, document: &str, variables: Value) -> (u16, String) {
    let begun = Instant::now();
    let (status, text) = client.text(document, &variables).await;
    assert!(begun.elapsed() < QUICK, "{:?} for {}…", begun.elapsed(), &document[..document.len().min(60)]);
    let answer: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text}"));
    let code = code(&answer).unwrap_or_else(|| panic!("not refused: {text}")).to_owned();
    assert!(text.len() < 8_192, "a refusal is short");
    (status, code)
}

fn fragments(count: usize, width: usize) -> String {
    let mut document = String::from("{ ...f0 }");
    for number in 0..count {
        let spreads = vec![format!("...f{}", number + 1); width].join(" ");
        document.push_str(&format!(" fragment f{number} on Query {{ {spreads} }}"));
    }
    document + &format!(" fragment f{count} on Query {{ serverInfo {{ version }} }}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_that_explode() {
    each_engine(async |installation, company| {
        for client in [installation.client(&company.agent.token), installation.stranger()] {
            let aliases: String = (0..10_000).map(|n| format!("a{n}:serverInfo{{version}}")).collect();
            let deep = |depth: usize| "{a".repeat(depth) + &"}".repeat(depth);
            let filter = |depth: usize| {
                let (open, close) = ("{not:".repeat(depth), "}".repeat(depth));
                format!("{{ tickets(filter: {open}{{title:{{eq:\"x\"}}}}{close}) {{ totalCount }} }}")
            };
            for (name, document) in [
                ("2^24", fragments(24, 2)),
                ("60^5", fragments(5, 60)),
                ("10,000 aliases", format!("{{ {} }}", &aliases[..60_000.min(aliases.len())].rsplit_once('}').map_or("", |parts| parts.0).to_owned()) + "}"),
                ("all aliases", format!("{{ {aliases} }}")),
                ("depth 100,000", deep(100_000)),
                ("depth 20,000", deep(20_000)),
                ("filter 10,000 deep", filter(10_000)),
                ("a circle", "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }".into()),
                ("pages in pages", "{ tickets(first: 100) { nodes { comments(first: 100) { nodes { ticket { history(first: 100) { nodes { id } } } } } } } }".into()),
                ("eleven mutations", {
                    let one = |n: usize| format!("m{n}: ticketWatch(input: {{ id: \"INC-1\" }}) {{ userErrors {{ code }} }}");
                    format!("mutation {{ {} }}", (0..11).map(one).collect::<Vec<_>>().join(" "))
                }),
            ] {
                let (status, code) = refused_quickly(&client, &document, json!({})).await;
                assert_eq!(status, 400, "{name}: {code}");
                assert!(!["INTERNAL", "UNAUTHENTICATED"].contains(&code.as_str()), "{name}: {code}");
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalid_document_does_nothing_at_all() {
    each_engine(async |installation, company| {
        let agent = installation.client(&company.agent.token);
        let create = |name: &str, more: &str| {
            format!(
                "{name}: incidentCreate(input: {{ title: \"Half a document\" {more} }}) {{ userErrors {{ code }} }}"
            )
        };
        let document = format!("mutation {{ {} {} }}", create("a", ""), create("b", "description: {}"));
        let (status, code) = refused_quickly(&agent, &document, json!({})).await;
        assert_eq!((status, code.as_str()), (400, "GRAPHQL_VALIDATION_FAILED"));
        let found = "{ tickets(filter: { title: { eq: \"Half a document\" } }) { totalCount } }";
        assert_eq!(agent.ask(found, json!({})).await["tickets"]["totalCount"], 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn variables_that_explode() {
    each_engine(async |installation, company| {
        let agent = installation.client(&company.agent.token);
        let document = "query($filter: TicketFilter) { tickets(filter: $filter) { totalCount } }";
        let nested =
            |levels: usize| (0..levels).fold(json!({ "title": { "eq": "x" } }), |inside, _| json!({ "not": inside }));
        let many: Vec<_> = (0..60_000).map(|n| n.to_string()).collect();
        let wide: Vec<_> = (0..5_000).map(|n| json!({ "title": { "eq": n.to_string() } })).collect();
        for (name, filter) in [
            ("37 levels of not", nested(37)),
            ("60 levels of not", nested(60)),
            ("110 levels of not", nested(110)),
            ("60,000 values", json!({ "number": { "in": many } })),
            ("5,000 alternatives", json!({ "or": wide })),
            ("a long text", json!({ "title": { "contains": "x".repeat(500_000) } })),
            ("wildcards", json!({ "title": { "contains": "%_".repeat(600) } })),
        ] {
            let begun = Instant::now();
            let answer = agent.answer(document, json!({ "filter": filter })).await;
            let code = code(&answer).unwrap_or_default();
            assert!(["VALIDATION", "LIMIT", "COST_EXCEEDED"].contains(&code), "{name}: {code} {answer}");
            assert!(begun.elapsed() < QUICK, "{name}");
        }
        // Nested beyond what a JSON parser should follow: sent as text, for ours does not follow it either.
        for deep in ["[".repeat(10_000) + &"]".repeat(10_000), "{\"a\":".repeat(10_000) + "1" + &"}".repeat(10_000)] {
            let body = format!(
                "{{\"query\": \"query($f: JSON) {{ serverInfo {{ version }} }}\", \"variables\": {{\"f\": {deep}}}}}"
            );
            let response = agent.post(&json!({})).body(body).send().await.expect("the server answers");
            assert_eq!(response.status().as_u16(), 400);
        }
        let (_, text) =
            agent.text("query($i: TicketTransitionInput!) { serverInfo { version } }", &json!({ "i": 7 })).await;
        assert!(text.contains("GRAPHQL_VALIDATION_FAILED"), "{text}");
        for (first, last) in [
            (json!(2_147_483_647), Value::Null),
            (Value::Null, json!(2_147_483_647)),
            (json!(-1), Value::Null),
            (json!(101), Value::Null),
            (json!(5), json!(5)),
        ] {
            let document = "query($f: Int, $l: Int) { tickets(first: $f, last: $l) { nodes { id } } }";
            let answer = agent.answer(document, json!({ "f": first, "l": last })).await;
            let code = code(&answer).unwrap_or_default();
            assert!(["VALIDATION", "LIMIT", "COST_EXCEEDED"].contains(&code), "{first} {last}: {answer}");
        }
        let answer = agent.answer("{ tickets(first: 2147483648) { nodes { id } } }", json!({})).await;
        assert_eq!(code(&answer), Some("GRAPHQL_VALIDATION_FAILED"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_none() {
    each_engine(async |installation, company| {
        let agent = installation.client(&company.agent.token);
        let status = async |request: reqwest::RequestBuilder| {
            request.send().await.expect("the server answers").status().as_u16()
        };
        let query = json!({ "query": "{ serverInfo { version } }" });
        let large = json!({ "query": format!("{{ serverInfo {{ version }} }} #{}", "x".repeat(2 << 20)) });
        // A connection whose body is not read to its end is not used again.
        let once = installation.client(&company.agent.token);
        assert_eq!(status(once.post(&large)).await, 413);

        let mutation = "mutation { ticketWatch(input: { id: \"INC-1001\" }) { userErrors { code } } }";
        let encoded: String = mutation.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let get = agent.http.get(agent.url(&format!("/graphql?query={encoded}"))).bearer_auth(&company.agent.token);
        assert_eq!(status(get.header("accept", "application/json")).await, 405);

        for kind in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/graphql",
            "",
        ] {
            let request =
                agent.http.post(agent.url("/graphql")).bearer_auth(&company.agent.token).body(query.to_string());
            let request = if kind.is_empty() { request } else { request.header("content-type", kind) };
            assert_eq!(status(request).await, 415, "{kind}");
        }
        for body in [
            json!([query, query]),
            json!([]),
            json!("{ serverInfo { version } }"),
            json!(7),
            json!({}),
            json!({ "query": 7 }),
            json!({ "query": "{ serverInfo { version } }", "variables": [] }),
        ] {
            assert_eq!(status(agent.post(&body)).await, 400, "{body}");
        }
        assert_eq!(status(agent.post(&query).body("{")).await, 400);
        for method in [reqwest::Method::PUT, reqwest::Method::DELETE, reqwest::Method::PATCH] {
            assert_eq!(status(agent.http.request(method.clone(), agent.url("/graphql"))).await, 405, "{method}");
        }
        assert_eq!(status(agent.post(&query)).await, 200);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_that_are_none() {
    each_engine_with(
        |config| config.limits.socket_init_timeout = Milliseconds(300),
        async |installation, company| {
            let address = installation.address();
            assert_eq!(Socket::connect(address, &[("origin", "https://evil.example")]).await.err(), Some(403));
            let ours = format!("http://{address}");
            assert!(Socket::connect(address, &[("origin", &ours)]).await.is_ok());
            let mut silent = Socket::connect(address, &[]).await.expect("it opens");
            assert_eq!(silent.closed().await.0, 4408);
            let mut eager = Socket::connect(address, &[]).await.expect("it opens");
            eager.subscribe("1", "{ serverInfo { version } }", json!({})).await;
            assert_eq!(eager.closed().await.0, 4401);
            let mut forged = Socket::connect(address, &[]).await.expect("it opens");
            forged
                .send(json!({ "type": "connection_init", "payload": { "Authorization": "Bearer dw_pat_nonsense" } }))
                .await;
            assert_eq!(forged.closed().await.0, 4403);

            let agent = installation.client(&company.agent.token);
            let mut socket = agent.socket().await;
            for id in 0..100 {
                socket.subscribe(&id.to_string(), "subscription { ticketEvents { cursor } }", json!({})).await;
            }
            socket.subscribe("100", "subscription { ticketEvents { cursor } }", json!({})).await;
            let Frame::Message(message) = socket.frame().await else { panic!("the socket stays open") };
            assert_eq!((&message["type"], &message["id"]), (&json!("error"), &json!("100")));
            assert_eq!(message["payload"][0]["extensions"]["code"], "TOO_MANY_SUBSCRIPTIONS");
            socket.subscribe("0", "{ serverInfo { version } }", json!({})).await;
            assert_eq!(socket.closed().await.0, 4409);
        },
    )
    .await;
}

fn encoded(json: &Value) -> String {
    URL_SAFE_NO_PAD.encode(json.to_string())
}

fn signed(header: &Value, claims: &Value, key: &[u8]) -> String {
    let content = format!("{}.{}", encoded(header), encoded(claims));
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(content.as_bytes());
    format!("{content}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_that_are_forged() {
    each_engine(async |installation, company| {
        let input = json!({ "tenant": company.slug, "email": company.agent.email, "password": PASSWORD });
        let session = installation.stranger().done("sessionCreate", input, "accessToken refreshToken").await;
        let token = session["accessToken"].as_str().expect("a token").to_owned();
        let parts: Vec<&str> = token.split('.').collect();
        let bytes = URL_SAFE_NO_PAD.decode(parts[1]).expect("base64");
        let claims: Value = serde_json::from_slice(&bytes).expect("claims");
        let key = installation.store().secret("jwt");
        let header = json!({ "typ": "JWT", "alg": "HS256" });
        let viewer = "{ viewer { actor { id } } }";
        let whoever = async |token: &str| {
            let answer = installation.client(token).answer(viewer, json!({})).await;
            code(&answer).map(str::to_owned)
        };
        assert_eq!(whoever(&token).await, None);
        assert_eq!(whoever(&signed(&header, &claims, &key)).await, None, "the test signs as the server does");

        let with = |name: &str, value: Value| {
            let mut claims = claims.clone();
            claims[name] = value;
            claims
        };
        let mut forgeries = vec![
            ("none", format!("{}.{}.", encoded(&json!({ "alg": "none" })), parts[1])),
            ("none, signed", signed(&json!({ "alg": "none" }), &claims, &key)),
            ("another key", signed(&header, &claims, b"secret")),
            ("an empty key", signed(&header, &claims, b"")),
            ("HS384", signed(&json!({ "alg": "HS384" }), &claims, &key)),
            ("RS256", signed(&json!({ "alg": "RS256" }), &claims, &key)),
            ("another audience", signed(&header, &with("aud", json!("other")), &key)),
            ("another issuer", signed(&header, &with("iss", json!("other")), &key)),
            ("an audience that is a list", signed(&header, &with("aud", json!(["deskwire", "other"])), &key)),
            ("ended", signed(&header, &with("exp", json!(claims["nbf"].as_i64().map(|at| at - 6))), &key)),
            ("not yet", signed(&header, &with("nbf", json!(claims["nbf"].as_i64().map(|at| at + 60))), &key)),
            ("another session", signed(&header, &with("sid", json!(kernel::Uuid::nil())), &key)),
            (
                "another actor",
                signed(&header, &with("sub", json!(kernel::Id::parse(&company.admin.id).expect("an id").uuid)), &key),
            ),
            ("another tenant", signed(&header, &with("tenant", json!(kernel::Uuid::nil())), &key)),
            ("no signature", format!("{}.{}.", parts[0], parts[1])),
            ("two parts", format!("{}.{}", parts[0], parts[1])),
            ("the refresh token", session["refreshToken"].as_str().unwrap_or_default().to_owned()),
        ];
        for name in ["aud", "iss", "sub", "exp", "nbf", "sid", "tenant"] {
            let mut claims = claims.clone();
            claims.as_object_mut().expect("claims").remove(name);
            forgeries.push((name, signed(&header, &claims, &key)));
        }
        for (name, forgery) in forgeries {
            assert_eq!(whoever(&forgery).await.as_deref(), Some("UNAUTHENTICATED"), "{name}");
        }
        installation.clock.advance(chrono::Duration::minutes(16));
        assert_eq!(whoever(&token).await.as_deref(), Some("UNAUTHENTICATED"), "a session's token ends by itself");
    })
    .await;
}
