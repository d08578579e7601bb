//! Service levels through the API: calendars, policies, clocks, escalations, and what they add up to.

mod attainment;
mod clocks;
mod policies;

use serde_json::{Value, json};
use tests::client::Client;
use tests::company::Company;
use tests::installation::Installation;

use crate::company_life::incident_with;

/// Round the clock.
pub(crate) fn always(key: &str) -> Value {
    let days = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"];
    let week: Vec<Value> = days.iter().map(|day| json!({ "day": day, "from": "00:00", "to": "24:00" })).collect();
    json!({ "key": key, "name": "Always", "timeZone": "UTC", "week": week })
}

/// A promise for a resolution: two hours for P1, eight for others; time stands still while the requester is awaited.
fn standard() -> Value {
    json!({
        "key": "standard", "name": "Standard", "calendar": { "key": "always" },
        "metrics": [
            { "metric": "RESOLUTION",
              "targets": [{ "priorities": ["P1"], "target": "PT2H" }, { "target": "PT8H" }],
              "pauses": { "waitingReasons": ["REQUESTER"] },
              "escalations": [
                  { "at": { "percent": 75 }, "actions": [{ "comment": "Two hours are left." }] },
                  { "at": { "after": "PT1H" }, "actions": [{ "raisePriority": true }, { "assign": { "team": { "slug": "workplace" } } }] },
              ] },
            { "metric": "FIRST_RESPONSE", "targets": [{ "target": "PT1H" }] },
        ],
    })
}

async fn promise(installation: &Installation, company: &Company) -> Client {
    let admin = installation.client(&company.admin.token);
    admin.done("calendarCreate", always("always"), "calendar { id key number week { day } isOpen }").await;
    admin.done("slaPolicyCreate", standard(), "slaPolicy { id key metrics { metric targets { target } } }").await;
    admin
}

/// What the team and the vendor behind the promise have promised, in four hours.
async fn promise_behind(admin: &Client) {
    let metrics = json!([{ "metric": "RESOLUTION", "targets": [{ "target": "PT4H" }] }]);
    for (key, kind) in [("network", "OLA"), ("vendor", "UNDERPINNING_CONTRACT")] {
        let input =
            json!({ "key": key, "name": key, "kind": kind, "calendar": { "key": "always" }, "metrics": metrics });
        admin.done("slaPolicyCreate", input, "slaPolicy { id }").await;
    }
}

/// An incident for the requester that the network team has.
async fn open(agent: &Client, company: &Company, title: &str) -> Value {
    let requester = json!({ "email": company.requester.email });
    incident_with(agent, json!({ "title": title, "team": { "slug": "network" }, "requester": requester })).await
}

const CLOCKS: &str = "query($id: ID!) { ticket(by: { id: $id }) { slaDueAt slaState priority team { slug } version slaClocks { \
    metric kind state startedAt dueAt stoppedAt breachedAt target elapsed remaining percent policyVersion policy { key } \
    endedBy calendar { key } segments { from to running cause waitingReason priority target counted } explain fired { key firedAt } } } }";

async fn clocks(client: &Client, ticket: &Value) -> Value {
    client.ask(CLOCKS, json!({ "id": ticket["id"] })).await["ticket"].take()
}

fn clock<'a>(ticket: &'a Value, metric: &str) -> &'a Value {
    let clocks = ticket["slaClocks"].as_array().expect("clocks");
    clocks.iter().find(|clock| clock["metric"] == metric).unwrap_or_else(|| panic!("no {metric} in {ticket:#}"))
}

fn in_hours(installation: &Installation, hours: i64) -> Value {
    in_minutes(installation, hours * 60)
}

fn in_minutes(installation: &Installation, minutes: i64) -> Value {
    let at = installation.clock.now() + chrono::Duration::minutes(minutes);
    at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true).into()
}

const OPERATION: &str = "subscription($id: ID!) { operation(id: $id) { status done total progress error result { __typename \
    ... on SlaPolicyApplication { dryRun tickets changedTickets changes { metric stateBefore stateAfter dueBefore dueAfter ticket { id } } } \
    ... on SlaSimulation { tickets attainment breachesGained breachesLost figures { metric priority met breached open canceled } \
        gainedTickets { id } lostTickets { id } worst { metric over ticket { id } } } } } }";

/// Follows an operation to its end: its result.
pub(crate) async fn result_of(client: &Client, operation: &Value) -> Value {
    let mut socket = client.socket().await;
    socket.subscribe("operation", OPERATION, json!({ "id": operation["id"] })).await;
    loop {
        let mut shown = socket.next("operation").await["operation"].take();
        if shown["status"] == "SUCCEEDED" {
            assert_eq!((&shown["progress"], &shown["done"]), (&json!(1.0), &shown["total"]), "{shown:#}");
            return shown["result"].take();
        }
        assert_eq!((&shown["error"], &shown["result"]), (&Value::Null, &Value::Null), "{shown:#}");
    }
}

pub(crate) async fn verified(installation: &Installation, company: &Company) -> u64 {
    let platform = installation.platform();
    let ctx = platform.access.system_ctx(company.tenant, "verify");
    let verified = platform.levels.verify(&ctx, |_| ()).await.expect("clocks can be computed");
    assert_eq!(verified.differences, [], "what is stored is what the log says");
    verified.clocks
}
