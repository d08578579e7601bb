//! Alerts as monitoring tells them: nine of ten for what is known already.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::asking::Asking;
use crate::data::Manifest;
use crate::data::company::{email, team_slug};
use crate::load::{Workload, count};
use crate::random::Random;
use crate::server::Server;
use crate::workload::{body, refuse_errors, request};

/// Alerts of a call.
pub const CALL: usize = 10;
/// Alerts that one incident gathers.
const GROUP: u64 = 20;
const INGEST: &str = "mutation Ingest($input: AlertIngestInput!) { alertIngest(input: $input) { \
    results { outcome } userErrors { code message path } } }";

/// Each call tells one alert that is new and nine that fire already.
pub struct Alerts {
    token: String,
    /// How many alerts there have been.
    told: AtomicU64,
}

impl Alerts {
    /// Makes a rule by which alerts of one host join one incident.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn prepare(server: &Server, manifest: &Manifest) -> Result<Arc<Self>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut asking = Asking::open(server, manifest).await?;
            let says = json!({
                "groupBy": "{host}", "resolutionCode": "SOLVED", "team": { "slug": team_slug(0) },
                "requester": { "email": email(0) },
            });
            let rule = json!({ "key": "hosts", "name": "Hosts", "says": says });
            asking.done("alertRuleCreate", "AlertRuleCreateInput", rule, "alertRule { id }").await?;
            Ok(Arc::new(Self { token: manifest.administrator.clone(), told: AtomicU64::new(0) }))
        })
    }
}

fn alert(number: u64) -> Value {
    json!({
        "key": format!("probe-{number}"), "title": format!("Probe {number} does not answer"), "severity": "critical",
        "labels": [{ "name": "alertname", "value": "ProbeDown" },
                   { "name": "host", "value": format!("host-{}", number / GROUP) }],
    })
}

impl Workload for Alerts {
    fn request(&self, _: usize, random: &mut Random, into: &mut Vec<u8>) -> u64 {
        let new = self.told.fetch_add(1, Ordering::Relaxed);
        let known = (1..CALL).map(|_| if new == 0 { 0 } else { random.below(new) });
        let alerts: Vec<Value> = [new].into_iter().chain(known).map(alert).collect();
        request(into, &self.token, &body(INGEST, &json!({ "input": { "alerts": alerts } })));
        new
    }

    fn check(&self, _: u64, body: &[u8]) -> Result<()> {
        refuse_errors(body)?;
        let (told, refused) = (count(body, b"\"outcome\":"), count(body, b"\"REFUSED\""));
        ensure!(told == CALL && refused == 0, "{told} results, {refused} refused: {}", String::from_utf8_lossy(body));
        Ok(())
    }
}
