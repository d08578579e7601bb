//! Search: what is found, by whom, in which order; and what must never be found.

use serde_json::{Value, json};
use tests::client::Client;
use tests::installation::{Installation, each_engine, each_engine_with};

use crate::company_life::{assign, comment, incident, incident_with, resolve};
use crate::problems::problem;

const SEARCH: &str = "query($query: String!, $types: [SearchType!], $filter: TicketFilter, $first: Int, $after: Cursor) { \
    search(query: $query, types: $types, filter: $filter, first: $first, after: $after) { totalCount totalCountIsExact \
    pageInfo { hasNextPage hasPreviousPage endCursor } \
    edges { cursor score node { __typename ... on Ticket { number title } } \
    highlights { field fragments { text isMatch } } } } }";

async fn found(client: &Client, query: &str) -> Value {
    client.ask(SEARCH, json!({ "query": query })).await["search"].take()
}

fn of(found: &Value, field: &str) -> Vec<String> {
    let edges = found["edges"].as_array().expect("edges");
    edges.iter().map(|edge| edge["node"][field].as_str().unwrap_or_default().to_owned()).collect()
}

/// The titles that are found, and that the count is that of them.
async fn titles(client: &Client, query: &str) -> Vec<String> {
    let found = found(client, query).await;
    let titles = of(&found, "title");
    assert_eq!(found["totalCount"], titles.len(), "{query}");
    titles
}

fn number(ticket: &Value) -> String {
    ticket["number"].as_str().expect("a number").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_words_phrases_and_beginnings() {
    each_engine(async |installation, company| {
        let agent = installation.client(&company.agent.token);
        let vpn = incident_with(&agent, json!({
            "title": "VPN drops every few minutes", "description": "Since the update of the Größenmeßgerät in Łódź.",
            "team": { "slug": "network" }, "tags": ["remote-office"],
        }))
        .await;
        incident_with(
            &agent,
            json!({ "title": "Printer jams", "description": "Drops of ink.", "team": { "slug": "network" } }),
        )
        .await;
        comment(&agent, &vpn, "It is the concentrator fra-vpn01.example.com.", "PUBLIC").await;
        let vpn_alone = ["VPN drops every few minutes"];
        for query in [
            "vpn",
            "VPN DROPS",
            "drops vpn",
            "\"every few minutes\"",
            "minu*",
            "grossen*",
            "lodz",
            "Łódź",
            "remote-office",
            "concentrator",
            "fra-vpn01.example.com",
            "\"concentrator fra\"",
            "vpn concentrator",
            "dro* minutes",
            "\"every fe\"*",
            "ｖｐｎ",
        ] {
            assert_eq!(titles(&agent, query).await, vpn_alone, "{query}");
        }
        for query in ["\"minutes few\"", "minu", "vpn printer", "01", "\"drops minutes\"", "example com vpn01x"] {
            assert_eq!(titles(&agent, query).await, Vec::<String>::new(), "{query}");
        }
        assert_eq!(
            titles(&agent, "drops").await,
            ["VPN drops every few minutes", "Printer jams"],
            "a title before a description"
        );
        let whole = number(&vpn);
        for query in
            [whole.clone(), whole.to_lowercase(), whole.replace('-', " "), whole.split('-').nth(1).unwrap().to_owned()]
        {
            assert_eq!(
                titles(&agent, &query).await.first().map(String::as_str),
                Some("VPN drops every few minutes"),
                "{query}"
            );
        }
        assert_eq!(found(&agent, &whole).await["edges"][0]["score"], 100);

        // What is changed is found as it is now.
        agent.done("incidentUpdate", json!({ "id": vpn["id"], "title": "Tunnel collapses" }), "incident { id }").await;
        assert_eq!(titles(&agent, "minutes").await, Vec::<String>::new());
        assert_eq!(titles(&agent, "tunnel concentrator").await, ["Tunnel collapses"]);
        resolve(&agent, &vpn).await;
        assert_eq!(
            titles(&agent, "tunnel restarted").await,
            ["Tunnel collapses"],
            "how it was resolved is found as well"
        );
        // What is tried leaves nothing behind.
        let input = json!({ "title": "Zebra crossing", "dryRun": true });
        agent.done("incidentCreate", input, "incident { number }").await;
        assert_eq!(titles(&agent, "zebra").await, Vec::<String>::new());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hits_are_marked_filtered_and_paged() {
    each_engine(async |installation, company| {
        let agent = installation.client(&company.agent.token);
        let mut all = Vec::new();
        for place in 0..5 {
            installation.clock.advance(chrono::Duration::minutes(1));
            let title = if place == 2 { "Something else" } else { "The badge reader fails" };
            let input = json!({ "title": title, "description": "badge", "team": { "slug": "network" }, "impact": if place < 2 { "HIGH" } else { "LOW" } });
            all.push(number(&incident_with(&agent, input).await));
        }
        installation.clock.advance(chrono::Duration::minutes(1));
        let sick = problem(&agent, json!({ "title": "Every badge reader fails" })).await;
        let expected = [&number(&sick), &all[4], &all[3], &all[1], &all[0], &all[2]].map(ToString::to_string);
        let page = found(&agent, "badge").await;
        assert_eq!(of(&page, "number"), expected, "titles first, and the newest of them");
        assert_eq!(page["totalCountIsExact"], true);
        let fragments = &page["edges"][1]["highlights"];
        assert_eq!(fragments[0]["field"], "TITLE");
        let marked = json!([{ "text": "The ", "isMatch": false }, { "text": "badge", "isMatch": true }, { "text": " reader fails", "isMatch": false }]);
        assert_eq!(fragments[0]["fragments"], marked);
        assert_eq!(fragments[1]["field"], "DESCRIPTION");

        // Page by page the same, whatever comes in between.
        let (mut seen, mut after) = (Vec::new(), Value::Null);
        loop {
            let asked = json!({ "query": "badge", "first": 2, "after": after });
            let page = agent.ask(SEARCH, asked).await["search"].take();
            seen.extend(of(&page, "number"));
            assert_eq!(page["pageInfo"]["hasPreviousPage"], !after.is_null());
            after = page["pageInfo"]["endCursor"].clone();
            if page["pageInfo"]["hasNextPage"] == false {
                break;
            }
            incident_with(&agent, json!({ "title": "Nothing to see", "team": { "slug": "network" } })).await;
        }
        assert_eq!(seen, expected);
        let other = json!({ "query": "reader", "first": 2, "after": after });
        assert_eq!(agent.refused(SEARCH, other).await, "BAD_CURSOR");

        let asked = async |more: Value| {
            let mut variables = json!({ "query": "badge" });
            for (name, value) in more.as_object().expect("an object") {
                variables[name] = value.clone();
            }
            of(&agent.ask(SEARCH, variables).await["search"], "number")
        };
        assert_eq!(asked(json!({ "types": ["PROBLEM"] })).await, expected[..1]);
        assert_eq!(asked(json!({ "types": ["TASK"] })).await, Vec::<String>::new());
        assert_eq!(asked(json!({ "types": ["INCIDENT", "PROBLEM"], "filter": { "impact": { "eq": "HIGH" } } })).await, expected[3..5]);
        assert_eq!(asked(json!({ "filter": { "team": { "slug": { "eq": "workplace" } } } })).await, Vec::<String>::new());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_finds_what_they_may_not_read() {
    each_engine(async |installation, company| {
        let client = |person: &tests::company::Person| installation.client(&person.token);
        let (admin, agent, walt) = (client(&company.admin), client(&company.agent), client(&company.walt));
        let (requester, sam) = (client(&company.requester), client(&company.sam));
        let field = json!({ "key": "cost", "name": "Cost center", "type": "TEXT", "readableBy": "AGENTS" });
        admin.done("customFieldCreate", field, "customField { id }").await;
        let field = json!({ "key": "site", "name": "Site", "type": "TEXT" });
        admin.done("customFieldCreate", field, "customField { id }").await;
        let input = json!({ "title": "Lamp flickers", "customFields": [{ "key": "site", "text": "Heiligenstadt" }] });
        let ticket = incident_with(&requester, input).await;
        assign(&admin, &ticket, "network", None).await;
        comment(&agent, &ticket, "Publicly: aurora.", "PUBLIC").await;
        comment(&agent, &ticket, "Secretly: borealis.", "INTERNAL").await;
        let values = json!({ "id": ticket["id"], "customFields": [{ "key": "cost", "text": "Costcenter4711" }] });
        admin.done("incidentUpdate", values, "incident { id }").await;
        let reason = json!({ "id": ticket["id"], "priorityOverride": { "priority": "P1", "reason": "The chairwoman sits below." } });
        admin.done("incidentUpdate", reason, "incident { id }").await;
        for (query, those_who_work_on_it, requesters) in [
            ("lamp", true, true),
            ("heiligenstadt", true, true),
            ("aurora", true, true),
            ("borealis", true, false),
            ("bor*", true, false),
            ("\"secretly borealis\"", true, false),
            ("lamp borealis", true, false),
            ("aurora borealis", true, false),
            ("costcenter4711", true, false),
            ("flickers cost*", true, false),
            ("chairwoman", true, false),
        ] {
            for (who, name, sees) in [
                (&admin, "admin", those_who_work_on_it),
                (&agent, "agent", those_who_work_on_it),
                (&requester, "requester", requesters),
                (&walt, "walt", false),
                (&sam, "sam", false),
            ] {
                assert_eq!(titles(who, query).await.len(), usize::from(sees), "{name}: {query}");
            }
        }
        // Walt reads the inner life of his team's tickets, and not that of his own ones elsewhere.
        let own = incident(&walt, "Walt's lamp flickers").await;
        assign(&admin, &own, "network", None).await;
        comment(&agent, &own, "Secretly: borealis again.", "INTERNAL").await;
        assert_eq!(titles(&walt, "lamp").await, ["Walt's lamp flickers"]);
        assert_eq!(titles(&walt, "borealis").await, Vec::<String>::new());
        assert_eq!(titles(&walt, "walt lamp secretly").await, Vec::<String>::new());
        let teams = incident_with(&walt, json!({ "title": "A lamp of ours", "team": { "slug": "workplace" } })).await;
        comment(&walt, &teams, "Secretly: borealis too.", "INTERNAL").await;
        assert_eq!(titles(&walt, "lamp borealis").await, ["A lamp of ours"]);
        let marks = found(&walt, "borealis").await;
        assert_eq!(marks["edges"][0]["highlights"][0]["field"], "INTERNAL_COMMENT");
        assert_eq!(marks["edges"][0]["score"], 1);
        // A symptom is for those who work on problems; it ranks behind what everybody reads.
        problem(&agent, json!({ "title": "Flickering", "symptom": "Strobes at noon", "team": { "slug": "network" } })).await;
        assert_eq!(titles(&agent, "strobes").await, ["Flickering"]);
        assert_eq!(titles(&sam, "strobes").await, Vec::<String>::new());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_hidden_moves_nothing() {
    each_engine(async |installation, company| {
        let (sam, requester) = (installation.client(&company.sam.token), installation.client(&company.requester.token));
        for title in ["Badge reader", "Reader of badges", "A badge, a reader, a door"] {
            installation.clock.advance(chrono::Duration::minutes(1));
            incident_with(&requester, json!({ "title": title, "description": "badge reader" })).await;
        }
        let before = found(&requester, "badge reader").await;
        assert_eq!(before["totalCount"], 3);
        // A word that becomes common, by records that the viewer does not see, is worth as much as before.
        for place in 0..30 {
            incident_with(
                &sam,
                json!({ "title": format!("Badge {place}"), "description": "badge badge badge reader" }),
            )
            .await;
        }
        assert_eq!(found(&requester, "badge reader").await, before);
    })
    .await;
}

/// Signs that mean something to FTS5, to `to_tsquery`, to SQL or to a reader of Unicode.
const HOSTILE: &[&str] = &[
    "vpn AND",
    "OR vpn",
    "NOT",
    "NOT vpn",
    "vpn NEAR/2 drops",
    "NEAR(vpn drops, 2)",
    "title:vpn",
    "{title} : vpn",
    "-vpn",
    "^vpn",
    "vpn + drops",
    "vpn^2",
    "vpn*drops",
    "(vpn",
    "vpn)",
    "((vpn) & (drops",
    "vpn & drops",
    "vpn | drops",
    "!vpn",
    "vpn <-> drops",
    "vpn:*",
    "vpn:A",
    "vpn:*D",
    "'vpn'",
    "vpn'",
    "'' OR 1=1 --",
    "vpn'; DROP TABLE ticket_search; --",
    "\\vpn",
    "vpn\\",
    "%vpn%",
    "_",
    "$1 vpn",
    "?1 vpn",
    "@vpn",
    ":vpn",
    "#vpn",
    "vpn\u{0}drops",
    "vpn\u{202e}drops",
    "vpn\u{feff}",
    "\u{1f4a9} vpn",
    "İstanbul",
    "ﬃ",
    "½",
    "\u{e000}vpn",
    "ǅ",
    "ᾳ",
    "कि",
    "接続",
    "\u{1e900}",
    "ﷺ",
    "1e5",
    "-1.5e-3",
    "0x1F",
    "v1.2.3-rc.4+5",
    "http://vpn.example/a?b=c&d",
    "a@b.example",
    "C:\\vpn\\drops",
    "\u{85}vpn",
    "vpn\u{2028}drops",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_text_is_an_operator() {
    each_engine(async |installation, company| {
        let agent = installation.client(&company.agent.token);
        incident_with(&agent, json!({ "title": "Printer jams", "team": { "slug": "network" } })).await;
        for hostile in HOSTILE {
            // What is written down as it is asked for is found; what is not there is not, whatever the signs mean elsewhere.
            let input = json!({ "title": format!("Q {}", hostile.replace('\0', " ")), "team": { "slug": "network" } });
            let written = incident_with(&agent, input).await;
            let answer = agent.answer(SEARCH, json!({ "query": hostile, "first": 100 })).await;
            match tests::client::code(&answer) {
                None => {
                    let numbers = of(&answer["data"]["search"], "number");
                    assert!(numbers.contains(&number(&written)), "{hostile:?}: {answer}");
                    assert!(
                        !of(&answer["data"]["search"], "title").contains(&"Printer jams".to_owned()),
                        "{hostile:?}"
                    );
                }
                code => assert_eq!(code, Some("VALIDATION"), "{hostile:?}: {answer}"),
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_looked_for_is_told() {
    each_engine(async |installation, company| {
        let agent = installation.client(&company.agent.token);
        let long = "x".repeat(ticket::search::MAX_QUERY + 1);
        let many: Vec<String> = (0..=ticket::search::MAX_TERMS).map(|term| format!("w{term}")).collect();
        for (query, code, said) in [
            ("", "VALIDATION", "no words"),
            ("?!… --", "VALIDATION", "no words"),
            ("\"vpn drops", "VALIDATION", "not closed"),
            ("v*", "VALIDATION", "at least 2"),
            (long.as_str(), "VALIDATION", "at most 200"),
            (many.join(" ").as_str(), "LIMIT", "at most 10"),
        ] {
            let answer = agent.answer(SEARCH, json!({ "query": query })).await;
            assert_eq!(tests::client::code(&answer), Some(code), "{query}: {answer}");
            assert!(
                answer["errors"][0]["message"].as_str().is_some_and(|message| message.contains(said)),
                "{query}: {answer}"
            );
        }
        assert_eq!(agent.refused(SEARCH, json!({ "query": "vpn", "first": 101 })).await, "LIMIT");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tickets_from_before_are_indexed_by_a_job() {
    each_engine_with(
        |config| config.jobs = true,
        async |installation, company| {
            let agent = installation.client(&company.agent.token);
            let ticket = incident_with(&agent, json!({ "title": "Old lamp", "team": { "slug": "network" } })).await;
            comment(&agent, &ticket, "Secretly: filament.", "INTERNAL").await;
            comment(&agent, &ticket, "Publicly: bulb.", "PUBLIC").await;
            // As the migration finds a database that is older: tickets without an index, and a job for each tenant.
            let engine = installation.store_config().location.engine();
            let sql = migrations::sql::render(engine, migrations::m0025_search::MIGRATION.up).expect("it renders");
            let (_, job) = sql.split_once("INSERT INTO job").expect("the migration enqueues jobs");
            installation.stop().await;
            installation.tamper(&["DELETE FROM ticket_search".to_owned(), format!("INSERT INTO job{job}")]).await;
            installation.restart().await;
            let agent = installation.client(&company.agent.token);
            tests::soon("the ticket is indexed", async {
                while found(&agent, "lamp").await["totalCount"] == 0 {
                    tokio::task::yield_now().await;
                }
            })
            .await;
            for query in ["lamp", "lamp filament", "bulb"] {
                assert_eq!(titles(&agent, query).await, ["Old lamp"], "{query}");
            }
            assert_eq!(titles(&installation.client(&company.sam.token), "lamp").await, Vec::<String>::new());
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_index_knows_whose_a_ticket_is() {
    each_engine(async |installation, company| {
        let admin = installation.client(&company.admin.token);
        let requester = json!({ "email": company.requester.email });
        let input = json!({ "title": "Lamp", "team": { "slug": "network" }, "requester": requester });
        let ticket = incident_with(&admin, input).await;
        let finds = async |installation: &Installation, who: &str, expected: usize, why: &str| {
            assert_eq!(titles(&installation.client(who), "lamp").await.len(), expected, "{why}");
        };
        finds(installation, &company.agent.token, 1, "the team's").await;
        finds(installation, &company.walt.token, 0, "another team's").await;
        finds(installation, &company.requester.token, 1, "the requester's").await;
        finds(installation, &company.sam.token, 0, "another one's").await;
        // No word of a user is taken for one of the scope.
        let word = format!("t{}", kernel::Id::parse(&company.network).expect("an id").uuid.simple());
        assert_eq!(titles(&admin, &word).await, Vec::<String>::new());

        // It follows the ticket.
        let assigned = json!({ "id": ticket["id"], "team": { "slug": "workplace" } });
        admin.done("ticketAssign", assigned, "ticket { id }").await;
        let given = json!({ "id": ticket["id"], "requester": { "email": company.sam.email } });
        admin.done("incidentUpdate", given, "incident { id }").await;
        for (who, expected) in
            [(&company.agent, 0), (&company.walt, 1), (&company.requester, 0), (&company.sam, 1), (&company.admin, 1)]
        {
            finds(installation, &who.token, expected, &who.email).await;
        }

        // Tickets from before are given their words by the migration.
        let engine = installation.store_config().location.engine();
        let sql = migrations::sql::render(engine, migrations::m0034_search_scope::MIGRATION.up).expect("it renders");
        let (_, filling) = sql.split_once("UPDATE ticket_search SET scope").expect("the migration fills the column");
        let (filling, _) = filling.split_once(';').expect("a statement ends");
        installation.stop().await;
        let emptied = "UPDATE ticket_search SET scope = ''".to_owned();
        installation.tamper(&[emptied]).await;
        installation.restart().await;
        finds(installation, &company.walt.token, 0, "the index has no word for it").await;
        installation.stop().await;
        installation.tamper(&[format!("UPDATE ticket_search SET scope{filling}")]).await;
        installation.restart().await;
        finds(installation, &company.walt.token, 1, "the team's").await;
        finds(installation, &company.sam.token, 1, "the requester's").await;
        finds(installation, &company.agent.token, 0, "another team's").await;
    })
    .await;
}

const SUGGESTED: &str = "query($id: ID!, $first: Int! = 5) { incident(by: { id: $id }) { \
    suggestedKnownErrors(first: $first) { score reasons { kind words service { key } category { key } configurationItem { name } } node { title symptom } } \
    similarIncidents(first: $first) { score reasons { kind words service { key } category { key } configurationItem { name } } node { title } } } }";

async fn suggested(client: &Client, ticket: &Value) -> Value {
    client.ask(SUGGESTED, json!({ "id": ticket["id"] })).await["incident"].take()
}

fn scored(list: &Value) -> Vec<(i64, &str)> {
    let list = list.as_array().expect("a list");
    list.iter().map(|found| (found["score"].as_i64().unwrap(), found["node"]["title"].as_str().unwrap())).collect()
}

fn kinds(found: &Value) -> Vec<&str> {
    let reasons = found["reasons"].as_array().expect("reasons");
    reasons.iter().map(|reason| reason["kind"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_like_an_incident_is_suggested_with_reasons() {
    each_engine(async |installation, company| {
        let client = |person: &tests::company::Person| installation.client(&person.token);
        let (admin, agent, walt, sam) = (client(&company.admin), client(&company.agent), client(&company.walt), client(&company.sam));
        crate::configuration::service(&admin, "web").await;
        let item = crate::configuration::item(&admin, "gw1").await;
        let open = async |who: &Client, title: &str, more: Value| {
            installation.clock.advance(chrono::Duration::minutes(1));
            let mut input = json!({ "title": title, "team": { "slug": "network" } });
            for (name, value) in more.as_object().expect("an object") {
                input[name] = value.clone();
            }
            incident_with(who, input).await
        };
        let all = json!({ "service": { "key": "web" }, "category": "vpn", "configurationItems": [{ "id": item }] });
        let asked = open(&agent, "Gateway drops sessions after lunch", all.clone()).await;
        open(&agent, "Sessions are dropped", json!({ "description": "The gateway drops them." })).await;
        open(&agent, "Something about it", all).await;
        open(&agent, "Of the web", json!({ "service": { "key": "web" } })).await;
        open(&agent, "Lunch is late", json!({})).await;
        open(&agent, "Of the category alone", json!({ "category": "vpn" })).await;
        open(&walt, "Gateway drops sessions of others", json!({ "team": { "slug": "workplace" } })).await;
        problem(&agent, json!({ "title": "A timer", "symptom": "Sessions drop after lunch", "rootCause": "A timer.", "knownError": true })).await;
        problem(&agent, json!({ "title": "Gateway drops sessions, nobody knows why" })).await;

        let seen = suggested(&agent, &asked).await;
        assert_eq!(scored(&seen["similarIncidents"]), [(9, "Something about it"), (6, "Sessions are dropped"), (3, "Of the web")]);
        let first = &seen["similarIncidents"][0];
        assert_eq!(kinds(first), ["CONFIGURATION_ITEM", "SERVICE", "CATEGORY"]);
        assert_eq!(first["reasons"][0]["configurationItem"]["name"], "gw1");
        assert_eq!((&first["reasons"][1]["service"]["key"], &first["reasons"][2]["category"]["key"]), (&json!("web"), &json!("vpn")));
        assert_eq!(seen["similarIncidents"][1]["reasons"][0]["words"], json!(["gateway", "drops", "sessions"]));
        // A known error is recognised by its symptom; a problem that is none is not suggested.
        assert_eq!(scored(&seen["suggestedKnownErrors"]), [(6, "A timer")]);
        assert_eq!(seen["suggestedKnownErrors"][0]["reasons"][0]["words"], json!(["sessions", "after", "lunch"]));

        // The same incident, seen by who may read less of the others: no hit, no score by what is hidden.
        let own = incident(&sam, "Gateway drops sessions after lunch").await;
        let seen = suggested(&sam, &own).await;
        assert_eq!(seen, json!({ "suggestedKnownErrors": [], "similarIncidents": [] }));

        let many = |first: i64| json!({ "id": asked["id"], "first": first });
        assert_eq!(agent.ask(SUGGESTED, many(1)).await["incident"]["similarIncidents"].as_array().map(Vec::len), Some(1));
        assert_eq!(agent.refused(SUGGESTED, many(21)).await, "LIMIT");
        // A page of incidents with both is too dear.
        let page = "{ incidents(first: 100) { nodes { similarIncidents { score } } } }";
        assert_eq!(agent.refused(page, json!({})).await, "COST_EXCEEDED");
    })
    .await;
}
