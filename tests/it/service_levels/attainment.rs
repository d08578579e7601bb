//! What the clocks of many tickets add up to.

use serde_json::{Value, json};
use tests::client::Client;
use tests::installation::each_engine;

use super::{in_hours, promise};
use crate::company_life::{comment, incident_with, resolve};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attainment_agrees_with_the_clocks_under_it() {
    each_engine(async |installation, company| {
        let admin = promise(installation, &company).await;
        let agent = installation.client(&company.agent.token);
        let service = json!({ "key": "vpn", "name": "VPN" });
        admin.done("serviceCreate", service, "service { id }").await;
        let since = in_hours(installation, 0);
        for number in 0..6_i64 {
            let requester = json!({ "email": company.requester.email });
            let mut input = json!({ "title": "One", "team": { "slug": "network" }, "requester": requester });
            if number % 2 == 0 {
                input["service"] = json!({ "key": "vpn" });
            }
            let ticket = incident_with(&agent, input).await;
            installation.clock.advance(chrono::Duration::minutes(if number < 4 { 20 } else { 90 }));
            comment(&agent, &ticket, "Hello.", "PUBLIC").await;
            if number == 5 {
                installation.clock.advance(chrono::Duration::hours(9));
            }
            if number != 3 {
                resolve(&agent, &ticket).await;
            }
        }
        let until = in_hours(installation, 1);
        let document = "query($since: DateTime!, $until: DateTime, $groupBy: [SlaDimension!], $filter: SlaClockFilter) { \
            slaAttainment(since: $since, until: $until, groupBy: $groupBy, filter: $filter, interval: DAY) { met breached attainment \
            groups { met breached attainment filter keys { dimension value from to service { key } team { slug } policy { key } } } } }";
        let ask = async |client: &Client, group_by: Value, filter: Value| {
            let variables = json!({ "since": since, "until": until, "groupBy": group_by, "filter": filter });
            client.ask(document, variables).await["slaAttainment"].take()
        };
        let all = ask(&agent, json!([]), Value::Null).await;
        assert_eq!((&all["met"], &all["breached"]), (&json!(8), &json!(3)), "four of six responses, four of five resolutions");
        let by_metric = ask(&agent, json!(["METRIC"]), Value::Null).await;
        let figures: Vec<_> = by_metric["groups"].as_array().unwrap().iter().map(|group| (&group["keys"][0]["value"], &group["met"], &group["breached"])).collect();
        assert_eq!(figures, [(&json!("FIRST_RESPONSE"), &json!(4), &json!(2)), (&json!("RESOLUTION"), &json!(4), &json!(1))]);
        let count = "query($filter: SlaClockFilter) { slaClocks(filter: $filter) { totalCount nodes { metric state ticket { number } } } }";
        for dimensions in [json!(["SERVICE"]), json!(["TEAM", "PRIORITY"]), json!(["POLICY", "KIND"]), json!(["STOPPED_AT", "METRIC"])] {
            let found = ask(&agent, dimensions.clone(), json!({ "metric": { "neq": "APPROVAL" } })).await;
            let mut sum = 0;
            for group in found["groups"].as_array().unwrap() {
                let under = agent.ask(count, json!({ "filter": group["filter"] })).await["slaClocks"].take();
                let both = group["met"].as_i64().unwrap() + group["breached"].as_i64().unwrap();
                assert_eq!(under["totalCount"], both, "{dimensions}: {group:#}");
                sum += both;
            }
            assert_eq!(sum, 11, "{dimensions}: {found:#}");
        }
        let by_service = ask(&agent, json!(["SERVICE"]), Value::Null).await;
        let services: Vec<_> = by_service["groups"].as_array().unwrap().iter().map(|group| (&group["keys"][0]["service"]["key"], &group["met"])).collect();
        assert_eq!(services, [(&json!("vpn"), &json!(5)), (&Value::Null, &json!(3))]);
        let stranger = installation.client(&company.sam.token);
        assert_eq!(ask(&stranger, json!([]), Value::Null).await["attainment"], Value::Null, "of tickets that one sees");
    })
    .await;
}
