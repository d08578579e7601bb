//! Major incidents through the API: decided on, led, told of, looked back at.

use serde_json::{Value, json};
use tests::client::Client;
use tests::company::Company;
use tests::installation::{Installation, each_engine, each_engine_with};

use crate::company_life::{assign, comment, incident, incident_with, resolve, step};
use crate::service_levels::always;

const INCIDENT: &str = "incident { id version state { key } majorIncident { state businessImpact reason updateCadence nextUpdateDueAt \
    reviewRequired commander { name } communicationsLead { name } scribe { name } } } events { __typename }";

async fn open(client: &Client, company: &Company, title: &str) -> Value {
    let requester = json!({ "email": company.requester.email });
    incident_with(client, json!({ "title": title, "team": { "slug": "network" }, "requester": requester })).await
}

async fn declare(client: &Client, incident: &Value) -> Value {
    let input = json!({ "incident": incident["id"], "businessImpact": "Nobody can sell." });
    client.done("majorIncidentDeclare", input, INCIDENT).await
}

fn major(answer: &Value) -> &Value {
    &answer["incident"]["majorIncident"]
}

fn first_path(errors: &Value) -> String {
    let parts = errors[0]["path"].as_array().expect("a path").iter();
    parts.map(|part| part.as_str().expect("a text")).collect::<Vec<_>>().join(".")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incident_is_proposed_rejected_and_accepted() {
    each_engine(async |installation, company| {
        let client = |person: &tests::company::Person| installation.client(&person.token);
        let (admin, agent, lead, requester) =
            (client(&company.admin), client(&company.agent), client(&company.lead), client(&company.requester));
        let ticket = open(&agent, &company, "Shop is down").await;
        let of = |more: Value| {
            let mut input = json!({ "incident": ticket["number"] });
            for (name, value) in more.as_object().expect("an object") {
                input[name] = value.clone();
            }
            input
        };
        let impact = json!({ "businessImpact": "Nobody can sell." });

        let forbidden = requester.user_error("majorIncidentPropose", of(impact.clone())).await;
        assert_eq!((&forbidden["code"], &forbidden["permission"]), (&json!("FORBIDDEN"), &json!("ticket.internal")));
        let empty = agent.user_error("majorIncidentPropose", of(json!({ "businessImpact": " " }))).await;
        assert_eq!((&empty["code"], &empty["path"]), (&json!("VALIDATION"), &json!(["businessImpact"])));
        assert_eq!(lead.user_error("majorIncidentAccept", of(json!({}))).await["constraint"], "majorIncidentState");

        let proposed = agent.done("majorIncidentPropose", of(impact.clone()), INCIDENT).await;
        assert_eq!(
            (&major(&proposed)["state"], &major(&proposed)["nextUpdateDueAt"]),
            (&json!("PROPOSED"), &Value::Null)
        );
        assert_eq!(proposed["events"], json!([{ "__typename": "MajorIncidentProposed" }]));
        let denied = agent.user_error("majorIncidentAccept", of(json!({}))).await;
        assert_eq!(denied["permission"], "incident.manageMajor");
        let rejected = lead.done("majorIncidentReject", of(json!({ "reason": "One shop of forty." })), INCIDENT).await;
        assert_eq!(
            (&major(&rejected)["state"], &major(&rejected)["reason"]),
            (&json!("REJECTED"), &json!("One shop of forty."))
        );
        let query = "query($id: ID!) { incident(by: { id: $id }) { majorIncident { state reason timeline { at } } } }";
        let seen = requester.ask(query, json!({ "id": ticket["id"] })).await;
        assert_eq!(seen["incident"]["majorIncident"]["reason"], Value::Null, "why is for those who work on it");

        agent.done("majorIncidentPropose", of(impact), INCIDENT).await;
        let mut input = of(json!({
            "communicationsLead": { "email": company.agent.email }, "scribe": { "email": company.walt.email },
            "updateCadence": "PT15M", "dryRun": true,
        }));
        let dry = lead.done("majorIncidentAccept", input.clone(), INCIDENT).await;
        assert_eq!(major(&dry)["state"], "ACCEPTED");
        input["dryRun"] = json!(false);
        input["idempotencyKey"] = json!("accept");
        let accepted = lead.done("majorIncidentAccept", input.clone(), INCIDENT).await;
        let due = (installation.clock.now() + chrono::Duration::minutes(15))
            .to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        assert_eq!(
            major(&accepted),
            &json!({
                "state": "ACCEPTED", "businessImpact": "Nobody can sell.", "reason": null, "updateCadence": "PT15M",
                "nextUpdateDueAt": due, "reviewRequired": true, "commander": { "name": "Lead" },
                "communicationsLead": { "name": "Agent" }, "scribe": { "name": "Walt" },
            })
        );
        assert_eq!(accepted["events"], json!([{ "__typename": "MajorIncidentAccepted" }]));
        assert_eq!(lead.done("majorIncidentAccept", input, INCIDENT).await, accepted, "the same call again");

        let cleared = lead.user_error("majorIncidentUpdate", of(json!({ "commander": null }))).await;
        assert_eq!(cleared["path"], json!(["commander"]));
        for cadence in ["PT59S", "P8D"] {
            let refused = lead.user_error("majorIncidentUpdate", of(json!({ "updateCadence": cadence }))).await;
            assert_eq!((&refused["code"], &refused["path"]), (&json!("LIMIT"), &json!(["updateCadence"])));
        }
        let stale = lead.user_error("majorIncidentUpdate", of(json!({ "scribe": null, "expectedVersion": 1 }))).await;
        assert_eq!(stale["code"], "CONFLICT");
        let quiet =
            lead.done("majorIncidentUpdate", of(json!({ "updateCadence": null, "scribe": null })), INCIDENT).await;
        assert_eq!((&major(&quiet)["nextUpdateDueAt"], &major(&quiet)["scribe"]), (&Value::Null, &Value::Null));

        let found = "{ incidents(filter: { majorIncidentState: { eq: ACCEPTED } }) { nodes { number } } }";
        assert_eq!(admin.ask(found, json!({})).await["incidents"]["nodes"], json!([{ "number": ticket["number"] }]));
        let task =
            admin.user_error("majorIncidentDeclare", json!({ "incident": "TSK-1", "businessImpact": "x" })).await;
        assert_eq!(task["path"], json!(["incident"]));
        let done = incident(&admin, "Over").await;
        resolve(&admin, &done).await;
        let late = json!({ "incident": done["id"], "businessImpact": "x" });
        assert_eq!(admin.user_error("majorIncidentDeclare", late).await["constraint"], "majorIncidentState");
    })
    .await;
}

const CLOCKS: &str =
    "query($id: ID!) { ticket(by: { id: $id }) { slaClocks { state metric policy { kind } elapsed } } }";

async fn states(client: &Client, ticket: &Value) -> Value {
    let answer = client.ask(CLOCKS, json!({ "id": ticket["id"] })).await;
    let clocks = answer["ticket"]["slaClocks"].as_array().expect("clocks").iter();
    clocks.map(|clock| json!([clock["metric"], clock["state"], clock["elapsed"]])).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_of_a_major_incident_never_pause() {
    each_engine(async |installation, company| {
        let (admin, agent) = (installation.client(&company.admin.token), installation.client(&company.agent.token));
        admin.done("calendarCreate", always("always"), "calendar { key }").await;
        let policy = json!({
            "key": "standard", "name": "Standard", "calendar": { "key": "always" },
            "metrics": [{
                "metric": "RESOLUTION", "targets": [{ "target": "PT8H" }],
                "pauses": { "waitingReasons": ["VENDOR", "REQUESTER"] },
            }],
        });
        admin.done("slaPolicyCreate", policy, "slaPolicy { key }").await;
        let ticket = open(&agent, &company, "Shop is down").await;
        let later = |hours| installation.clock.advance(chrono::Duration::hours(hours));
        later(1);
        step(&agent, &ticket, "hold", json!({ "waitingReason": "VENDOR" })).await;
        later(1);
        assert_eq!(states(&agent, &ticket).await, json!([["RESOLUTION", "PAUSED", "PT1H"]]));
        declare(&admin, &ticket).await;
        later(1);
        assert_eq!(states(&agent, &ticket).await, json!([["RESOLUTION", "RUNNING", "PT2H"]]), "on from the acceptance");
        step(&agent, &ticket, "resume", json!({})).await;
        step(&agent, &ticket, "hold", json!({ "waitingReason": "REQUESTER" })).await;
        later(1);
        assert_eq!(states(&agent, &ticket).await, json!([["RESOLUTION", "RUNNING", "PT3H"]]));
        assert_eq!(crate::service_levels::verified(installation, &company).await, 1);
    })
    .await;
}

const UPDATES: &str = "{ statusUpdates { totalCount nodes { body audience incident { number } } } }";

async fn told(client: &Client) -> Vec<String> {
    let answer = client.ask(UPDATES, json!({})).await;
    let nodes = answer["statusUpdates"]["nodes"].as_array().expect("nodes").iter();
    nodes.map(|node| node["body"].as_str().expect("a body").to_owned()).collect()
}

const COMMENTS: &str =
    "query($id: ID!) { ticket(by: { id: $id }) { comments { nodes { body visibility author { __typename } } } } }";

async fn comments(client: &Client, ticket: &Value) -> Value {
    let mut nodes = client.ask(COMMENTS, json!({ "id": ticket["id"] })).await["ticket"]["comments"]["nodes"].take();
    // Updates of one moment come in whatever order.
    nodes.as_array_mut().expect("comments").sort_by_key(|node| node["body"].to_string());
    nodes
}

async fn until<F: AsyncFn() -> bool>(what: &str, holds: F) {
    let arrives = async {
        while !holds().await {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tests::soon(what, arrives).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_updates_reach_whom_they_are_for() {
    each_engine_with(
        |config| config.jobs = true,
        async |installation, company| {
            let client = |person: &tests::company::Person| installation.client(&person.token);
            let (admin, agent, walt) = (client(&company.admin), client(&company.agent), client(&company.walt));
            let (requester, sam) = (client(&company.requester), client(&company.sam));
            let ticket = open(&agent, &company, "Shop is down").await;
            let (child, done) = (incident(&sam, "I cannot buy").await, incident(&sam, "Nor could I").await);
            assign(&admin, &child, "network", None).await;
            resolve(&admin, &done).await;
            for other in [&child, &done] {
                let link = json!({ "id": ticket["id"], "type": "PARENT_OF", "target": other["id"] });
                admin.done("ticketLink", link, "ticket { id }").await;
            }
            let post = |audience: &str, body: &str| json!({ "incident": ticket["id"], "audience": audience, "body": body });
            let early = admin.user_error("statusUpdatePost", post("PUBLIC", "x")).await;
            assert_eq!((&early["path"], &early["constraint"]), (&json!(["incident"]), &json!("majorIncidentState")));
            declare(&admin, &ticket).await;
            let denied = agent.user_error("statusUpdatePost", post("PUBLIC", "x")).await;
            assert_eq!(denied["permission"], "incident.manageMajor");
            let lead = json!({ "incident": ticket["id"], "communicationsLead": { "email": company.agent.email } });
            admin.done("majorIncidentUpdate", lead, INCIDENT).await;
            let empty = agent.user_error("statusUpdatePost", post("PUBLIC", " ")).await;
            assert_eq!(empty["path"], json!(["body"]));

            let selection = "statusUpdate { body audience author { name } } events { __typename ... on StatusUpdatePosted { statusUpdate { body } } }";
            let mut public = post("PUBLIC", "We look into it.");
            public["idempotencyKey"] = json!("first");
            let answer = agent.done("statusUpdatePost", public.clone(), selection).await;
            assert_eq!(answer["events"], json!([{ "__typename": "StatusUpdatePosted", "statusUpdate": { "body": "We look into it." } }]));
            assert_eq!(agent.done("statusUpdatePost", public, selection).await, answer, "the same call again");
            agent.done("statusUpdatePost", post("REQUESTERS", "Pay by invoice."), selection).await;
            agent.done("statusUpdatePost", post("INTERNAL", "It was the DNS."), selection).await;

            let all = ["We look into it.", "Pay by invoice.", "It was the DNS."];
            assert_eq!(told(&agent).await, all);
            assert_eq!(told(&requester).await, all[..2]);
            assert_eq!(told(&walt).await, all[..1]);
            assert_eq!(told(&sam).await, all[..1]);
            let strangers = sam.ask(UPDATES, json!({})).await;
            assert_eq!(strangers["statusUpdates"]["nodes"][0]["incident"], Value::Null, "the incident stays hidden");

            until("the comments on the child", async || comments(&agent, &child).await.as_array().map(Vec::len) == Some(3)).await;
            let body = |text: &str| format!("**Status update of {}**\n\n{text}", ticket["number"].as_str().expect("a number"));
            let system = json!({ "__typename": "System" });
            assert_eq!(
                comments(&sam, &child).await,
                json!([
                    { "body": body(all[1]), "visibility": "PUBLIC", "author": system },
                    { "body": body(all[0]), "visibility": "PUBLIC", "author": system },
                ])
            );
            assert_eq!(comments(&agent, &child).await[0]["visibility"], "INTERNAL");
            assert_eq!(comments(&admin, &done).await, json!([]), "what is done is not told of");

            // A job that runs again tells nobody twice.
            let update = sam.ask("{ statusUpdates { nodes { id } } }", json!({})).await;
            let id = update["statusUpdates"]["nodes"][0]["id"].as_str().expect("an id");
            let id = kernel::Id::parse_as(id, &[kernel::id::prefix::STATUS_UPDATE]).expect("an id");
            let platform = installation.platform();
            let ctx = platform.access.system_ctx(company.tenant, "again");
            platform.incidents.tell_children(&ctx, &json!({ "statusUpdate": id.uuid.to_string() })).await.expect("it runs");
            assert_eq!(comments(&agent, &child).await.as_array().map(Vec::len), Some(3));
        },
    )
    .await;
}

async fn reminders(client: &Client, installation: &Installation, ticket: &Value) -> usize {
    installation.log_end(client).await;
    let query = "query($id: ID!) { ticket(by: { id: $id }) { history(last: 100) { nodes { __typename } } } }";
    let answer = client.ask(query, json!({ "id": ticket["id"] })).await;
    let nodes = answer["ticket"]["history"]["nodes"].as_array().expect("nodes").clone();
    nodes.iter().filter(|node| node["__typename"] == "StatusUpdateDue").count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_leads_it_is_reminded_of_the_next_update() {
    each_engine_with(
        |config| config.jobs = true,
        async |installation, company| {
            let (admin, requester) =
                (installation.client(&company.admin.token), installation.client(&company.requester.token));
            let ticket = open(&admin, &company, "Shop is down").await;
            declare(&admin, &ticket).await;
            let clock = installation.clock.clone();
            let later = |minutes| clock.advance(chrono::Duration::minutes(minutes));
            later(20);
            let post = json!({ "incident": ticket["id"], "audience": "INTERNAL", "body": "Still down." });
            admin.done("statusUpdatePost", post, "statusUpdate { id }").await;
            later(29);
            tokio::time::sleep(std::time::Duration::from_millis(600)).await;
            assert_eq!(
                reminders(&admin, installation, &ticket).await,
                0,
                "half an hour after the last update, not earlier"
            );
            later(1);
            until("the reminder", async || reminders(&admin, installation, &ticket).await == 1).await;
            assert_eq!(reminders(&requester, installation, &ticket).await, 0, "it is for those who work on it");
            // After a long time in which nobody looked there is one, not one for each half hour.
            installation.stop().await;
            later(100);
            installation.restart().await;
            let admin = installation.client(&company.admin.token);
            until("the second reminder", async || reminders(&admin, installation, &ticket).await == 2).await;
            resolve(&admin, &ticket).await;
            later(60);
            tokio::time::sleep(std::time::Duration::from_millis(600)).await;
            assert_eq!(reminders(&admin, installation, &ticket).await, 2, "nobody is reminded of what is resolved");
            admin.done("incidentReopen", json!({ "id": ticket["id"] }), "incident { id }").await;
            later(60);
            until("the third reminder", async || reminders(&admin, installation, &ticket).await == 3).await;
        },
    )
    .await;
}

const BACK: &str = "query($id: ID!) { incident(by: { id: $id }) { state { key } majorIncident { \
    timeline { at event { __typename } note { body author { name } } } \
    review { whatHappened fiveWhys lessons completedAt version } actions { kind title ticket { title kind team { slug } } } } \
    availableTransitions { key allowed reasons } } }";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_major_incident_is_looked_back_at_before_it_is_closed() {
    each_engine_with(
        |config| config.jobs = true,
        async |installation, company| {
            let client = |person: &tests::company::Person| installation.client(&person.token);
            let (admin, lead, agent, walt) =
                (client(&company.admin), client(&company.lead), client(&company.agent), client(&company.walt));
            admin.done("serviceCreate", json!({ "key": "shop", "name": "Shop" }), "service { id }").await;
            let of_shop = json!({ "title": "Shop is down", "team": { "slug": "network" }, "service": { "key": "shop" },
                "requester": { "email": company.requester.email } });
            let ticket = incident_with(&agent, of_shop).await;
            let of = |more: Value| {
                let mut input = json!({ "incident": ticket["id"] });
                for (name, value) in more.as_object().expect("an object") {
                    input[name] = value.clone();
                }
                input
            };
            let begun = installation.clock.now();
            installation.clock.advance(chrono::Duration::hours(1));
            let declared = json!({ "businessImpact": "Nobody can sell.", "commander": { "email": company.lead.email } });
            admin.done("majorIncidentDeclare", of(declared), INCIDENT).await;
            let earlier = begun - chrono::Duration::minutes(5);
            let note = json!({ "body": "The certificate expired.", "at": earlier.to_rfc3339() });
            agent.done("timelineNoteAdd", of(note), "timelineNote { at body author { name } }").await;
            let future = json!({ "body": "x", "at": (installation.clock.now() + chrono::Duration::hours(1)).to_rfc3339() });
            assert_eq!(agent.user_error("timelineNoteAdd", of(future)).await["path"], json!(["at"]));
            assert_eq!(walt.user_error("timelineNoteAdd", of(json!({ "body": "x" }))).await["code"], "NOT_FOUND");
            resolve(&agent, &ticket).await;
            let closing = json!({ "id": ticket["id"], "transition": "close" });
            let refused = agent.user_error("ticketTransition", closing.clone()).await;
            assert_eq!(refused["code"], "TRANSITION_REFUSED");
            assert!(refused["reasons"][0].as_str().expect("a reason").contains("majorIncidentReviewComplete"), "{refused}");
            installation.clock.advance(chrono::Duration::days(9));
            tokio::time::sleep(std::time::Duration::from_millis(600)).await;

            let early = lead.user_error("majorIncidentReviewComplete", of(json!({}))).await;
            assert_eq!((&early["path"], &early["constraint"]), (&json!(["incident"]), &json!("review")));
            assert_eq!(agent.user_error("majorIncidentReviewWrite", of(json!({}))).await["permission"], "incident.manageMajor");
            let whys = lead.call("majorIncidentReviewWrite", of(json!({ "fiveWhys": ["Because.", " "] })), "__typename").await;
            assert_eq!(first_path(&whys["userErrors"]), "fiveWhys.1");
            let review = "review { version whatHappened fiveWhys }";
            let text = json!({ "whatHappened": "The certificate of the shop expired.", "fiveWhys": ["Nobody renewed it.", "Nobody was told."] });
            let written = lead.done("majorIncidentReviewWrite", of(text), review).await;
            assert_eq!(written["review"]["version"], 1);
            let lessons = json!({ "lessons": "Watch certificates.", "expectedVersion": 2 });
            assert_eq!(lead.user_error("majorIncidentReviewWrite", of(lessons)).await["currentVersion"], 1);
            lead.done("majorIncidentReviewWrite", of(json!({ "lessons": "Watch certificates.", "expectedVersion": 1 })), review).await;
            let action = json!({ "title": "Watch certificates", "description": "All of them." });
            lead.done("majorIncidentActionAdd", of(action), "action { title ticket { number } } events { __typename }").await;
            installation.clock.advance(chrono::Duration::minutes(1));
            let retire = json!({ "service": { "key": "shop" }, "retired": true });
            admin.done("serviceUpdate", retire, "service { version }").await;
            let problem = json!({ "kind": "PROBLEM", "title": "Why do certificates expire?", "description": "Find out." });
            lead.done("majorIncidentActionAdd", of(problem), "action { kind }").await;
            let became = "query($id: ID!) { incident(by: { id: $id }) { service { key } problems { title description requester { name } service { key } } majorIncident { actions { ticket { kind title } } } } }";
            let seen = async || admin.ask(became, json!({ "id": ticket["id"] })).await["incident"].take();
            until("the problem", async || !seen().await["majorIncident"]["actions"][1]["ticket"].is_null()).await;
            let opened = seen().await;
            let title = "Why do certificates expire?";
            assert_eq!(opened["majorIncident"]["actions"][1]["ticket"], json!({ "kind": "PROBLEM", "title": title }));
            assert_eq!(
                opened["problems"],
                json!([{ "title": title, "description": "Find out.", "requester": { "name": "Lead" }, "service": null }])
            );
            assert_eq!(opened["service"]["key"], "shop", "what is retired leaves what it was said of alone");
            let done = lead.done("majorIncidentReviewComplete", of(json!({})), INCIDENT).await;
            assert_eq!(done["events"], json!([{ "__typename": "MajorIncidentReviewCompleted" }]));
            let again = lead.user_error("majorIncidentReviewWrite", of(json!({ "lessons": null }))).await;
            assert_eq!(again["constraint"], "reviewed");

            installation.log_end(&admin).await;
            let seen = admin.ask(BACK, json!({ "id": ticket["id"] })).await["incident"].take();
            assert_eq!(seen["state"]["key"], "resolved", "it does not close by itself");
            let back = &seen["majorIncident"];
            assert_eq!(back["review"]["version"], 3);
            assert_eq!(
                back["actions"],
                json!([
                    { "kind": "TASK", "title": "Watch certificates", "ticket": { "title": "Watch certificates", "kind": "TASK", "team": { "slug": "network" } } },
                    { "kind": "PROBLEM", "title": title, "ticket": { "title": title, "kind": "PROBLEM", "team": null } },
                ])
            );
            let told: Vec<&str> = back["timeline"].as_array().expect("a timeline").iter().map(|entry| {
                entry["event"]["__typename"].as_str().or(entry["note"]["body"].as_str()).expect("an event or a note")
            }).collect();
            assert_eq!(
                told,
                [
                    "The certificate expired.", "IncidentCreated", "MajorIncidentAccepted", "IncidentResolved",
                    "MajorIncidentReviewUpdated", "MajorIncidentReviewUpdated", "MajorIncidentActionAdded", "MajorIncidentActionAdded", "TicketLinked",
                    "MajorIncidentReviewCompleted",
                ]
            );
            let requester = client(&company.requester);
            let outside = requester.ask(BACK, json!({ "id": ticket["id"] })).await["incident"]["majorIncident"].take();
            assert_eq!((&outside["review"], &outside["actions"]), (&Value::Null, &json!([])));
            assert!(outside["timeline"].as_array().expect("a timeline").iter().all(|entry| entry["note"].is_null()));
            agent.done("ticketTransition", closing, "ticket { state { key } }").await;
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_sets_what_holds_for_its_major_incidents() {
    each_engine(async |installation, company| {
        let (admin, agent) = (installation.client(&company.admin.token), installation.client(&company.agent.token));
        let query = "{ majorIncidentSettings { reviewRequired updateCadence version } }";
        let usual = json!({ "reviewRequired": true, "updateCadence": "PT30M", "version": 0 });
        assert_eq!(agent.ask(query, json!({})).await["majorIncidentSettings"], usual);
        let wanted = json!({ "reviewRequired": false, "updateCadence": null });
        assert_eq!(agent.user_error("majorIncidentSettingsSet", wanted.clone()).await["permission"], "settings.manage");
        let before = open(&agent, &company, "Before").await;
        declare(&admin, &before).await;
        let selection = "majorIncidentSettings { reviewRequired updateCadence version } events { __typename }";
        let set = admin.done("majorIncidentSettingsSet", wanted, selection).await;
        assert_eq!(
            set["majorIncidentSettings"],
            json!({ "reviewRequired": false, "updateCadence": null, "version": 1 })
        );
        assert_eq!(set["events"], json!([{ "__typename": "MajorIncidentSettingsUpdated" }]));
        let stale = json!({ "reviewRequired": true, "expectedVersion": 0 });
        assert_eq!(admin.user_error("majorIncidentSettingsSet", stale).await["currentVersion"], 1);
        let later = json!({ "updateCadence": "PT1H", "expectedVersion": 1 });
        assert_eq!(
            admin.done("majorIncidentSettingsSet", later, selection).await["majorIncidentSettings"]["version"],
            2
        );

        let ticket = open(&agent, &company, "After").await;
        let declared = declare(&admin, &ticket).await;
        assert_eq!(
            (&major(&declared)["reviewRequired"], &major(&declared)["updateCadence"]),
            (&json!(false), &json!("PT1H"))
        );
        comment(&agent, &ticket, "Done.", "PUBLIC").await;
        for (ticket, closes) in [(&ticket, true), (&before, false)] {
            resolve(&agent, ticket).await;
            let closing = json!({ "id": ticket["id"], "transition": "close" });
            let answer = agent.call("ticketTransition", closing, "ticket { id }").await;
            assert_eq!(answer["ticket"].is_object(), closes, "{answer}");
        }
    })
    .await;
}

/// Puts records on an incident past the services, as many as are given.
async fn fill(
    installation: &Installation,
    company: &Company,
    incident: &Value,
    record: &'static predicate::RecordType,
    count: usize,
) {
    let ctx = installation.platform().access.system_ctx(company.tenant, "tests");
    let id = kernel::Id::parse_as(incident["id"].as_str().expect("an id"), &[kernel::id::prefix::INCIDENT]);
    let incident = id.expect("an incident's id").uuid;
    let mut left = count;
    while left > 0 {
        let some = left.min(200);
        let written = installation.store().write(&ctx, "tests.fill", move |tx| {
            Box::pin(async move {
                for _ in 0..some {
                    let own: &[(&'static str, predicate::Value)] = &[
                        ("id", tx.new_id().into()),
                        ("incident", incident.into()),
                        ("audience", "INTERNAL".into()),
                        ("body", "Filled.".into()),
                        ("author", tx.ctx().actor.id.into()),
                        ("at", tx.now().into()),
                        ("kind", "TASK".into()),
                        ("title", "Filled".into()),
                        ("createdAt", tx.now().into()),
                    ];
                    let values = own.iter().filter(|(name, _)| record.field(name).is_some()).cloned().collect();
                    let row = store::query::Row::new(record, values);
                    store::query::insert_in(tx, tx.ctx().tenant, record, &row).await?;
                }
                Ok(())
            })
        });
        written.await.expect("the records fit");
        left -= some;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_major_incident_is_told_of_noted_and_acted_on_so_often_and_no_more() {
    use incident::{fields, major};
    each_engine(async |installation, company| {
        let admin = installation.client(&company.admin.token);
        let ticket = open(&admin, &company, "Shop is down").await;
        declare(&admin, &ticket).await;
        let of = ticket["id"].clone();
        for (record, most, mutation, input) in [
            (
                &fields::STATUS_UPDATE,
                major::MAX_STATUS_UPDATES,
                "statusUpdatePost",
                json!({ "incident": of, "body": "Still down.", "audience": "INTERNAL" }),
            ),
            (
                &fields::TIMELINE_NOTE,
                major::MAX_TIMELINE_NOTES,
                "timelineNoteAdd",
                json!({ "incident": of, "body": "Looked at the logs." }),
            ),
            (
                &fields::ACTION,
                major::MAX_ACTIONS,
                "majorIncidentActionAdd",
                json!({ "incident": of, "title": "Write it down" }),
            ),
        ] {
            fill(installation, &company, &ticket, record, most - 1).await;
            admin.done(mutation, input.clone(), "events { __typename }").await;
            let refused = admin.user_error(mutation, input).await;
            assert_eq!(
                (&refused["code"], &refused["limit"], &refused["path"]),
                (&json!("LIMIT"), &json!(most), &json!(["incident"])),
                "{mutation}"
            );
        }
    })
    .await;
}
