//! How many SQL statements an operation takes: bounded, whatever the number of rows.

use serde_json::{Value, json};
use tests::client::{Client, document};
use tests::installation::{Installation, each_engine};

use crate::company_life::{assign, comment, incident};

/// The statements of one operation, credentials being known already.
async fn statements(installation: &Installation, client: &Client, query: &str, variables: Value) -> (u64, Value) {
    let before = installation.store().statement_count();
    let data = client.ask(query, variables).await;
    (installation.store().statement_count() - before, data)
}

const TICKET: &str = "query($id: ID!) { ticket(by: { id: $id }) { id number title state { key } \
    requester { id name } assignee { id name } team { id name } category { key } openedBy { name } \
    comments(last: 5) { nodes { id body author { name } } } } }";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_ticket_with_its_people_and_last_comments() {
    each_engine(async |installation, company| {
        let (lead, agent) = (installation.client(&company.lead.token), installation.client(&company.agent.token));
        let ticket = incident(&installation.client(&company.requester.token), "VPN drops").await;
        assign(&lead, &ticket, "network", Some(&company.agent.email)).await;
        let mut counts = Vec::new();
        for (comments, expected) in [(0, 0), (1, 1), (8, 5)] {
            for number in 0..comments {
                comment(if number % 2 == 0 { &lead } else { &agent }, &ticket, "Hm.", "PUBLIC").await;
            }
            let (count, data) = statements(installation, &agent, TICKET, json!({ "id": ticket["id"] })).await;
            assert_eq!(data["ticket"]["comments"]["nodes"].as_array().map(Vec::len), Some(expected));
            assert_eq!(data["ticket"]["assignee"]["name"], "Agent");
            counts.push(count);
        }
        assert!(counts.iter().all(|count| *count == counts[0] && *count <= 5), "{counts:?}");
        assert_eq!(counts[0], 2, "today: the ticket with its edges, and its comments with their authors");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_fifty() {
    each_engine(async |installation, company| {
        let (lead, sam) = (installation.client(&company.lead.token), installation.client(&company.sam.token));
        let mut counts = Vec::new();
        for (more, rows) in [(3, 3), (52, 50)] {
            for number in 0..more {
                let ticket = incident(&sam, &format!("Incident {number}")).await;
                assign(&lead, &ticket, if number % 2 == 0 { "network" } else { "workplace" }, None).await;
            }
            let page = |count: &str| {
                format!(
                    "{{ tickets(first: 50, filter: {{ state: {{ category: {{ in: [NEW, ACTIVE] }} }} }}, orderBy: [{{ field: PRIORITY }}]) \
                     {{ {count} logCursor pageInfo {{ hasNextPage }} nodes {{ id number requester {{ name }} assignee {{ name }} \
                     team {{ name }} ... on Incident {{ origin }} }} }} }}"
                )
            };
            let (plain, data) = statements(installation, &lead, &page(""), json!({})).await;
            assert_eq!(data["tickets"]["nodes"].as_array().map(Vec::len), Some(rows));
            let (counted, data) = statements(installation, &lead, &page("totalCount totalCountIsExact"), json!({})).await;
            assert!(data["tickets"]["totalCount"].as_i64() >= Some(rows as i64));
            counts.push((plain, counted));
        }
        assert!(counts.iter().all(|(plain, counted)| *plain <= 2 && *counted == plain + 1), "{counts:?}");
        assert_eq!(counts[0], counts[1], "the number of rows makes no difference");
        assert_eq!(counts[0].0, 1, "today: one");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edges_of_many_are_batched() {
    each_engine(async |installation, company| {
        let (lead, sam) = (installation.client(&company.lead.token), installation.client(&company.sam.token));
        let document = "{ tickets(first: 50) { nodes { comments(last: 5) { nodes { author { name } attachments { fileName } } } attachments { fileName attachedBy { name } downloadUrl } watchers { name } \
                        externalRefs { key } configurationItems { link } links { ticket { number } } childrenSummary { open } tasks(first: 5) { nodes { title dependsOn { title } } } priorityOverride { by { name } } category { parent { key } } } } }";
        let admin = installation.client(&company.admin.token);
        let mut counts = Vec::new();
        let mut last: Option<Value> = None;
        for more in [3, 20] {
            for number in 0..more {
                let input = json!({
                    "title": format!("Incident {number}"), "category": "vpn",
                    "externalRefs": [{ "source": "pager", "key": format!("{more}-{number}") }],
                });
                let ticket = crate::company_life::incident_with(&lead, input).await;
                assign(&lead, &ticket, "network", None).await;
                let file = crate::attachments::uploaded(&lead, "a.txt", "text/plain", b"a").await;
                let said = json!({ "id": ticket["id"], "body": "Hm.", "visibility": "INTERNAL", "attachments": [file] });
                lead.done("commentAdd", said, "comment { id }").await;
                lead.done("ticketWatch", json!({ "id": ticket["id"] }), "ticket { id }").await;
                if let Some(last) = last.replace(ticket["id"].clone()) {
                    let link = json!({ "id": ticket["id"], "type": "CAUSED_BY", "target": last });
                    admin.done("ticketLink", link, "ticket { id }").await;
                }
            }
            let (count, data) = statements(installation, &lead, document, json!({})).await;
            assert!(data["tickets"]["nodes"].as_array().map(Vec::len) >= Some(more));
            counts.push(count);
            let (unseen, data) = statements(installation, &sam, document, json!({})).await;
            assert_eq!(data["tickets"]["nodes"], json!([]));
            assert_eq!(unseen, 1, "what is not there is not asked for");
        }
        assert_eq!(counts[0], counts[1], "one statement for each kind of edge, however many tickets");
        assert!(counts[0] <= 14, "{counts:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mutations_are_bounded() {
    each_engine(async |installation, company| {
        let (lead, agent) = (installation.client(&company.lead.token), installation.client(&company.agent.token));
        // The first of each tenant takes a block of numbers.
        let first = incident(&agent, "The first").await;
        assign(&lead, &first, "network", Some(&company.agent.email)).await;
        let id = &first["id"];
        crate::time_and_cost::rate(&installation.client(&company.admin.token), "everybody", "60", json!({})).await;
        let ticket = "ticket { id version state { key } team { name } assignee { name } } events { __typename }";
        let mut figures = Vec::new();
        for (mutation, input, selection) in [
            (
                "incidentCreate",
                json!({ "title": "VPN", "category": "vpn", "team": { "slug": "network" } }),
                "incident { id } events { __typename }",
            ),
            (
                "incidentUpdate",
                json!({ "id": id, "title": "Another", "tags": ["a"] }),
                "incident { id } events { __typename }",
            ),
            (
                "commentAdd",
                json!({ "id": id, "body": "Hm." }),
                "comment { id author { name } } ticket { id } events { __typename }",
            ),
            (
                "timeEntryAdd",
                json!({ "ticket": id, "duration": "PT1H", "note": "Hm." }),
                "timeEntry { id user { name } team { name } } ticket { timeSpent } events { __typename }",
            ),
            ("ticketTransition", json!({ "id": id, "transition": "start" }), ticket),
            ("ticketAssign", json!({ "id": id, "assignee": null }), ticket),
            ("ticketWatch", json!({ "id": id }), "ticket { id }"),
            (
                "incidentResolve",
                json!({ "id": id, "resolutionCode": "SOLVED", "resolutionNotes": "x" }),
                "incident { id }",
            ),
        ] {
            let text = document(mutation, selection);
            let (count, data) = statements(installation, &agent, &text, json!({ "input": input })).await;
            assert_eq!(data[mutation]["userErrors"], json!([]), "{mutation}");
            figures.push((mutation, count));
        }
        let bounds = [
            ("incidentCreate", 9),
            ("incidentUpdate", 5),
            ("commentAdd", 6),
            // It is held with its user and its rate, and added up with the user's day.
            ("timeEntryAdd", 12),
            ("ticketTransition", 4),
            ("ticketAssign", 4),
            ("ticketWatch", 5),
            ("incidentResolve", 7),
        ];
        println!("{:?}: statements of mutations {figures:?}", installation.engine);
        for ((mutation, count), (_, bound)) in figures.iter().zip(bounds) {
            assert!(*count <= bound, "{mutation} took {count} statements; at most {bound} are fine: {figures:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bulk_change_takes_so_many_for_each_ticket() {
    each_engine(async |installation, company| {
        let agent = installation.client(&company.agent.token);
        let mut tickets = Vec::new();
        for number in 0..40 {
            let input = json!({ "title": format!("VPN {number}"), "team": { "slug": "network" } });
            tickets.push(crate::company_life::incident_with(&agent, input).await["id"].take());
        }
        let text = document("ticketBulkUpdate", "operation { status } results { outcome ticket { number } }");
        let mut figures = Vec::new();
        for (on_error, counts) in [("SKIP_ITEM", [1, 20, 40]), ("REJECT_ALL", [1, 20, 40])] {
            let mut taken = Vec::new();
            for (round, count) in counts.into_iter().enumerate() {
                let tag = format!("{on_error} {round}");
                let input = json!({ "ids": tickets[..count], "patch": { "tags": [tag] }, "onError": on_error });
                let (statements, data) = statements(installation, &agent, &text, json!({ "input": input })).await;
                let results = data["ticketBulkUpdate"]["results"].as_array().expect("results");
                assert!(results.len() == count && results.iter().all(|result| result["outcome"] == "DONE"), "{data}");
                taken.push(statements);
            }
            figures.push((on_error, taken));
        }
        println!("{:?}: statements of bulk changes of 1, 20 and 40 tickets {figures:?}", installation.engine);
        for (on_error, taken) in &figures {
            let for_each = (taken[2] - taken[1]).div_ceil(20);
            assert!(for_each <= 6, "{on_error}: {for_each} for each ticket: {figures:?}");
            assert!(taken[0] <= 28, "{on_error}: {figures:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merge_takes_as_many_however_much_it_moves() {
    each_engine(async |installation, company| {
        let agent = installation.client(&company.agent.token);
        let selection = "ticket { number } duplicate { number mergedInto { number } } merge { id comments attachments watchers } events { __typename }";
        let shown = "query($id: ID!) { ticket(by: { id: $id }) { merges { id mergedBy { name } duplicate { number } } \
                     comments(first: 50) { nodes { movedFrom { number } } } attachments { movedFrom { number } } } }";
        let split = "ticket { number } original { number } events { __typename }";
        let (mut figures, mut reads) = (Vec::new(), Vec::new());
        for comments in [1, 2, 40] {
            let open = async |title: &str| {
                let input = json!({ "title": format!("{title} {comments}"), "team": { "slug": "network" } });
                crate::company_life::incident_with(&agent, input).await
            };
            let (copy, original) = (open("Copy").await, open("Original").await);
            for number in 0..comments {
                let mut said = json!({ "id": copy["id"], "body": "Hm.", "visibility": if number % 2 == 0 { "INTERNAL" } else { "PUBLIC" } });
                if number % 10 == 0 {
                    said["attachments"] = json!([crate::attachments::uploaded(&agent, "a.txt", "text/plain", b"a").await]);
                }
                agent.done("commentAdd", said, "comment { id }").await;
            }
            let input = json!({ "id": copy["id"], "into": original["id"] });
            let (merged, data) = statements(installation, &agent, &document("ticketMerge", selection), json!({ "input": input })).await;
            assert_eq!(data["ticketMerge"]["merge"]["comments"], comments, "{data}");
            let (read, data) = statements(installation, &agent, shown, json!({ "id": original["id"] })).await;
            assert_eq!(data["ticket"]["comments"]["nodes"][0]["movedFrom"]["number"], copy["number"]);
            reads.push(read);
            let input = json!({ "id": copy["id"] });
            let (undone, data) = statements(installation, &agent, &document("ticketMergeUndo", selection), json!({ "input": input })).await;
            assert_eq!(data["ticketMergeUndo"]["userErrors"], json!([]), "{data}");
            let ids = "query($id: ID!) { ticket(by: { id: $id }) { comments(first: 100) { nodes { id } } } }";
            let said = agent.ask(ids, json!({ "id": copy["id"] })).await["ticket"]["comments"]["nodes"].take();
            let said: Vec<Value> = said.as_array().into_iter().flatten().map(|comment| comment["id"].clone()).collect();
            let input = json!({ "id": copy["id"], "comments": said, "title": "Split" });
            let (parted, data) = statements(installation, &agent, &document("ticketSplit", split), json!({ "input": input })).await;
            assert_eq!(data["ticketSplit"]["userErrors"], json!([]), "{data}");
            figures.push([merged, undone, parted]);
        }
        println!("{:?}: statements of a merge, of undoing it and of a split, with 1, 2 and 40 comments {figures:?}, and of showing it {reads:?}", installation.engine);
        assert!(figures.iter().all(|one| *one == figures[0]), "how much is moved makes no difference: {figures:?}");
        assert!(figures.iter().all(|[merge, undo, split]| *merge <= 32 && *undo <= 23 && *split <= 21), "{figures:?}");
        // The tickets at the other ends are asked for together with what names them at the same time.
        assert!(reads.iter().all(|read| *read <= 8), "{reads:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_takes_as_many_however_much_is_found() {
    each_engine(async |installation, company| {
        let agent = installation.client(&company.agent.token);
        let plain = "{ search(query: \"lamp flickers\", first: 50) { nodes { ... on Ticket { number team { name } requester { name } } } } }";
        let whole = "{ search(query: \"lamp flickers\", first: 50) { totalCount totalCountIsExact \
                     edges { score highlights { field } node { ... on Ticket { number } } } } }";
        let mut counts = Vec::new();
        for more in [1, 20] {
            for number in 0..more {
                let input = json!({ "title": format!("Lamp {number} flickers"), "team": { "slug": "network" } });
                let ticket = crate::company_life::incident_with(&agent, input).await;
                comment(&agent, &ticket, "A lamp.", "PUBLIC").await;
            }
            let (few, data) = statements(installation, &agent, plain, json!({})).await;
            assert!(data["search"]["nodes"].as_array().map(Vec::len) >= Some(more));
            let (all, _) = statements(installation, &agent, whole, json!({})).await;
            counts.push((few, all));
        }
        assert_eq!(counts[0], counts[1], "the number of hits makes no difference");
        assert_eq!(counts[0], (2, 4), "what is found and the records; comments for highlights, and the count");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn suggestions_are_bounded() {
    each_engine(async |installation, company| {
        let agent = installation.client(&company.agent.token);
        let document = "query($id: ID!) { incident(by: { id: $id }) { similarIncidents(first: 20) { score reasons { kind words } node { number } } \
                        suggestedKnownErrors(first: 20) { score node { number } } } }";
        let mut counts = Vec::new();
        for more in [2, 20] {
            let mut last = Value::Null;
            for number in 0..more {
                let input = json!({ "title": format!("Lamp {number} flickers"), "team": { "slug": "network" }, "category": "vpn" });
                last = crate::company_life::incident_with(&agent, input).await;
            }
            let (count, data) = statements(installation, &agent, document, json!({ "id": last["id"] })).await;
            assert!(data["incident"]["similarIncidents"].as_array().map(Vec::len) >= Some(more - 1));
            counts.push(count);
        }
        assert_eq!(counts[0], counts[1], "the number of suggestions makes no difference");
        assert!(counts[0] <= 12, "{counts:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_past_of_a_ticket_is_read_by_pages_of_its_events() {
    each_engine(async |installation, company| {
        let agent = installation.client(&company.agent.token);
        let ticket = crate::company_life::incident_with(
            &agent,
            json!({ "title": "VPN drops", "team": { "slug": "network" }, "category": "vpn" }),
        )
        .await;
        let at = installation.clock.now().to_rfc3339();
        installation.clock.advance(chrono::Duration::minutes(1));
        let then = "query($id: ID!, $at: DateTime!) { ticket(by: { id: $id }, asOf: $at) { title state { name } requester { name } \
                    openedBy { name } team { name } category { key } customFields { key } } }";
        let diff = "query($id: ID!, $at: DateTime!) { ticketDiff(by: { id: $id }, from: $at) { eventCount \
                    differences { field changedBy { name } } } }";
        let mut counts = Vec::new();
        for more in [3, 20] {
            for number in 0..more {
                let input = json!({ "id": ticket["id"], "title": format!("VPN drops {more} {number}") });
                agent.done("incidentUpdate", input, "incident { id }").await;
            }
            let variables = json!({ "id": ticket["id"], "at": at });
            let (past, data) = statements(installation, &agent, then, variables.clone()).await;
            assert_eq!(data["ticket"]["title"], "VPN drops");
            let (changed, data) = statements(installation, &agent, diff, variables).await;
            assert!(data["ticketDiff"]["eventCount"].as_i64() >= Some(more));
            counts.push((past, changed));
        }
        assert_eq!(counts[0], counts[1], "the number of events makes no difference within a page of 250");
        assert_eq!(counts[0], (5, 3), "the ticket, its events, and its people, team and category; the ticket, its events, and who");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn templates_and_recurring_tickets_are_bounded() {
    each_engine(async |installation, company| {
        let lead = installation.client(&company.lead.token);
        let values = json!({ "title": "Check", "category": "vpn", "team": { "slug": "network" }, "assignee": { "email": company.agent.email } });
        let list = "{ recurringTickets(first: 50) { nodes { name upcoming(first: 20) { at } setUpBy { name } \
                    template { key values { team { slug } category { key } assignee { name } customFields { key } } tasks { team { slug } } } \
                    runs(last: 5) { nodes { status ticket { number } } } } } }";
        let templates = "{ ticketTemplates(first: 50) { nodes { key values { team { slug } category { key } } tasks { team { slug } } } } }";
        let mut counts = Vec::new();
        for more in [2, 10] {
            for number in 0..more {
                let (key, tasks) = (format!("t{more}-{number}"), json!([{ "title": "A", "team": { "slug": "network" } }]));
                let template = json!({ "key": key, "name": "T", "kind": "INCIDENT", "values": values, "tasks": tasks });
                lead.done("ticketTemplateCreate", template, "template { id }").await;
                let recurring = json!({ "name": key, "template": { "key": key }, "rule": "FREQ=DAILY", "startsAt": "2026-01-06T08:00", "timeZone": "UTC" });
                let id = lead.done("recurringTicketCreate", recurring, "recurringTicket { id }").await["recurringTicket"]["id"].take();
                installation.clock.advance(chrono::Duration::days(2));
                let uuid = kernel::Id::parse(id.as_str().expect("an id")).expect("an id").uuid;
                let system = installation.platform().access.system_ctx(company.tenant, "tests");
                let payload = json!({ "recurringTicket": uuid.to_string() });
                installation.platform().tickets.run_recurring(&system, &payload, false).await.expect("it runs");
            }
            let (count, data) = statements(installation, &lead, list, json!({})).await;
            assert!(data["recurringTickets"]["nodes"].as_array().map(Vec::len) >= Some(more));
            assert!(data["recurringTickets"]["nodes"][0]["runs"]["nodes"].as_array().map(Vec::len) >= Some(1), "{data}");
            let (of_templates, _) = statements(installation, &lead, templates, json!({})).await;
            counts.push((count, of_templates));
        }
        assert_eq!(counts[0], counts[1], "the number of recurring tickets and templates makes no difference");
        assert!(counts[0].0 <= 9 && counts[0].1 <= 3, "{counts:?}");
        let mut figures = Vec::new();
        for (mutation, input, selection, bound) in [
            ("ticketTemplateCreate", json!({ "key": "new", "name": "T", "kind": "INCIDENT", "values": values }), "template { id }", 12),
            ("ticketCreateFromTemplate", json!({ "template": { "key": "new" } }), "ticket { number }", 14),
            ("ticketCreateFromTemplate", json!({ "template": { "key": "t2-0" } }), "ticket { number }", 22),
            (
                "recurringTicketCreate",
                json!({ "name": "N", "template": { "key": "new" }, "rule": "FREQ=DAILY", "startsAt": "2026-01-06T08:00", "timeZone": "UTC" }),
                "recurringTicket { id }",
                24,
            ),
        ] {
            let text = document(mutation, selection);
            let (count, data) = statements(installation, &lead, &text, json!({ "input": input })).await;
            assert_eq!(data[mutation]["userErrors"], json!([]), "{mutation}");
            figures.push((mutation, count, bound));
        }
        println!("{:?}: statements of templates and recurring tickets {counts:?} {figures:?}", installation.engine);
        for (mutation, count, bound) in &figures {
            assert!(count <= bound, "{mutation} took {count} statements; at most {bound} are fine: {figures:?}");
        }
    })
    .await;
}
