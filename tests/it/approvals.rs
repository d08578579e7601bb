//! Approvals through the API: who is asked decides without seeing the ticket, and what waits for it waits.

use serde_json::{Value, json};
use tests::client::Client;
use tests::company;
use tests::installation::each_engine;

use crate::company_life::incident_with;

const APPROVAL: &str = "approval { id state version ticketNumber ticketTitle ticketDescription contentHash boundFields blocks \
    selfApproval reason ticket { id } requestedBy { name } expiresAt decidedAt steps { position name rule ruleValue state \
    approvers { user { name } team { slug } role path } vetoHolders { user { name } path } toAdministrators votes { approver { name } delegate { name } counts veto vote comment decidedBy { name } } } } \
    events { __typename }";
const PENDING: &str = "{ viewer { pendingApprovals { totalCount nodes { id ticketTitle ticket { id } \
    steps { state votes { vote approver { name } } } } } } }";

async fn pending(client: &Client) -> Value {
    client.ask(PENDING, json!({})).await["viewer"]["pendingApprovals"].take()
}

fn kinds(payload: &Value) -> Vec<&str> {
    payload["events"].as_array().expect("events").iter().filter_map(|event| event["__typename"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_from_asking_to_deciding() {
    each_engine(async |installation, company| {
        let client = |person: &company::Person| installation.client(&person.token);
        let (agent, requester, sam) = (client(&company.agent), client(&company.requester), client(&company.sam));
        let input = json!({
            "title": "A new laptop", "description": "Mine is slow.", "team": { "slug": "network" },
            "requester": { "email": company.requester.email },
        });
        let ticket = incident_with(&client(&company.admin), input).await;
        let id = ticket["id"].clone();
        let input = json!({
            "id": id, "name": "Purchase", "blocks": ["resolve"], "boundFields": ["title", "priority"],
            "steps": [
                { "name": "Budget", "rule": "ANY", "approvers": [{ "user": { "id": company.sam.id } }, { "path": "SERVICE_OWNER" }] },
                { "rule": "PERCENT", "ruleValue": 50, "approvers": [{ "team": { "slug": "workplace" } }, { "role": "team_lead" }],
                  "vetoHolders": [{ "user": { "id": company.auditor.id } }] },
            ],
        });
        let mut dry = input.clone();
        dry["dryRun"] = json!(true);
        let dried = agent.done("approvalStart", dry, APPROVAL).await;
        assert_eq!(dried["approval"]["steps"][0]["votes"][0]["approver"]["name"], "Sam", "a dry run shows whom it asks");
        assert_eq!(pending(&sam).await["totalCount"], 0);

        let started = agent.done("approvalStart", input, APPROVAL).await;
        assert_eq!(kinds(&started), ["ApprovalStarted", "ApprovalStepOpened"]);
        let approval = started["approval"]["id"].clone();
        assert_eq!(started["approval"]["steps"][1]["state"], "WAITING");
        let nobody = json!({ "user": null, "team": null, "role": null, "path": null });
        let with = |field: &str, value: Value| {
            let mut approver = nobody.clone();
            approver[field] = value;
            approver
        };
        let told = &started["approval"]["steps"];
        assert_eq!(told[0]["approvers"], json!([with("user", json!({ "name": "Sam" })), with("path", json!("SERVICE_OWNER"))]));
        assert_eq!(told[1]["approvers"], json!([with("team", json!({ "slug": "workplace" })), with("role", json!("team_lead"))]));
        assert_eq!(told[1]["vetoHolders"][0]["user"]["name"], "Auditor");

        // Sam sees what is asked, and nothing of the ticket.
        let seen = pending(&sam).await;
        assert_eq!(seen["nodes"][0]["ticketTitle"], "A new laptop");
        assert_eq!(seen["nodes"][0]["ticket"], Value::Null);
        let by = "query($id: ID!) { node(id: $id) { ... on Approval { name ticketNumber } } ticket(by: { id: $id }) { id } }";
        assert_eq!(sam.refused(by, json!({ "id": approval })).await, "VALIDATION");
        let node = "query($id: ID!) { node(id: $id) { ... on Approval { name } } }";
        assert_eq!(sam.ask(node, json!({ "id": approval })).await["node"]["name"], "Purchase");
        assert_eq!(client(&company.walt).ask(node, json!({ "id": approval })).await["node"], Value::Null);
        let of_ticket = "query($id: ID!) { ticket(by: { id: $id }) { approvals { id state steps { votes { vote } } } } }";
        let listed = requester.ask(of_ticket, json!({ "id": id })).await;
        assert_eq!(listed["ticket"]["approvals"][0]["id"], approval);

        let resolve = json!({ "id": id, "resolutionCode": "SOLVED", "resolutionNotes": "Bought." });
        let selection = "incident { id } userErrors { __typename ... on ApprovalPendingError { approval { id name } } }";
        let document = format!(
            "mutation($input: IncidentResolveInput!) {{ incidentResolve(input: $input) {{ {selection} }} }}"
        );
        let refused = agent.ask(&document, json!({ "input": resolve })).await["incidentResolve"]["userErrors"][0].take();
        assert_eq!(refused["__typename"], "ApprovalPendingError", "{refused}");
        assert_eq!(refused["approval"], json!({ "id": approval, "name": "Purchase" }));

        let error = sam.user_error("approvalDecide", json!({ "id": approval, "decision": "REFUSE" })).await;
        assert_eq!((&error["code"], &error["path"]), (&json!("VALIDATION"), &json!(["comment"])));
        let decided = sam.done("approvalDecide", json!({ "id": approval, "decision": "APPROVE" }), APPROVAL).await;
        assert_eq!(kinds(&decided), ["ApprovalDecided", "ApprovalStepOpened"]);
        assert_eq!(decided["approval"]["ticket"], Value::Null);
        for (person, state) in [(&company.walt, "PENDING"), (&company.auditor, "APPROVED")] {
            let input = json!({ "id": approval, "decision": "APPROVE", "comment": "Fine." });
            let decided = client(person).done("approvalDecide", input, APPROVAL).await;
            assert_eq!(decided["approval"]["state"], state, "{decided}");
        }
        agent.done("incidentResolve", resolve, "incident { id }").await;

        installation.log_end(&agent).await;
        let history = "query($id: ID!) { ticket(by: { id: $id }) { history(last: 3) { nodes { __typename \
            ... on ApprovalDecided { approval { id } approver { name } decidedBy { name } vote } \
            ... on ApprovalCompleted { approval { id } outcome } } } } }";
        let told = agent.ask(history, json!({ "id": id })).await["ticket"]["history"]["nodes"].take();
        assert_eq!(told[0]["vote"], "APPROVED");
        assert_eq!(told[0]["approver"]["name"], "Auditor");
        assert_eq!(told[1], json!({ "__typename": "ApprovalCompleted", "approval": { "id": approval }, "outcome": "APPROVED" }));

        let edit = json!({ "id": id, "title": "Two laptops" });
        let edited = client(&company.admin).done("incidentUpdate", edit, "events { __typename }").await;
        assert_eq!(kinds(&edited), ["TicketUpdated", "ApprovalVoided"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_awaited_approvals_costs_a_handful_of_statements() {
    each_engine(async |installation, company| {
        let (agent, sam) = (installation.client(&company.agent.token), installation.client(&company.sam.token));
        for number in 0..12 {
            let input = json!({ "title": format!("Laptop {number}"), "team": { "slug": "network" },
                "requester": { "email": company.requester.email } });
            let ticket = incident_with(&installation.client(&company.admin.token), input).await;
            let steps = json!([{ "rule": "ANY", "approvers": [{ "user": { "id": company.sam.id } }] }]);
            agent.done("approvalStart", json!({ "id": ticket["id"], "name": "Buy", "steps": steps }), APPROVAL).await;
        }
        pending(&sam).await;
        let before = installation.store().statement_count();
        let seen = pending(&sam).await;
        let statements = installation.store().statement_count() - before;
        assert_eq!(seen["totalCount"], 12);
        assert_eq!(statements, 6, "the page, its count, tickets, steps, votes, people");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decisions_are_delegated() {
    each_engine(async |installation, company| {
        let sam = installation.client(&company.sam.token);
        let ends = (installation.clock.now() + chrono::Duration::days(7)).to_rfc3339();
        let input = json!({ "delegate": { "id": company.walt.id }, "endsAt": ends, "reason": "Holidays" });
        let fields = "delegation { id delegator { name } delegate { name } startsAt endsAt reason version } events { __typename }";
        let made = sam.done("delegationCreate", input.clone(), fields).await;
        assert_eq!(kinds(&made), ["DelegationCreated"]);
        assert_eq!(made["delegation"]["delegator"]["name"], "Sam");
        assert_eq!(sam.user_error("delegationCreate", input).await["code"], "CONFLICT");
        let mine = "{ viewer { delegations { totalCount nodes { id delegate { name } } } } }";
        for (person, count) in [(&company.sam, 1), (&company.walt, 1), (&company.agent, 0)] {
            let seen = installation.client(&person.token).ask(mine, json!({})).await;
            assert_eq!(seen["viewer"]["delegations"]["totalCount"], count, "{}", person.name);
        }
        let id = made["delegation"]["id"].clone();
        let node = "query($id: ID!) { node(id: $id) { ... on Delegation { reason } } }";
        assert_eq!(sam.ask(node, json!({ "id": id })).await["node"]["reason"], "Holidays");
        assert_eq!(installation.client(&company.agent.token).ask(node, json!({ "id": id })).await["node"], Value::Null);
        let ended = sam.done("delegationEnd", json!({ "id": id }), fields).await;
        assert_eq!(kinds(&ended), ["DelegationEnded"]);
        assert_eq!(ended["delegation"]["version"], 2);
    })
    .await;
}
