//! What is behind the VPN's dropping: a known error with its incidents, and what helps until it is fixed.

use access::{TeamRef, UserRef};
use anyhow::{Result, anyhow};
use configuration::ServiceRef;
use gateway::platform::Platform;
use kernel::Ctx;
use predicate::Predicate;
use problem::detection::DetectionKey;
use problem::{CreateDetectionRule, CreateProblem, DetectionDraft, Incidents, LinkIncidents, ProblemOrigin};
use serde_json::json;
use ticket::{Impact, TicketDraft, TicketRef, Urgency};

use super::step;

pub(super) async fn load(platform: &Platform, ctx: &Ctx) -> Result<()> {
    let lead = || UserRef::Email("lead@demo.example".to_owned());
    let command = CreateProblem {
        draft: TicketDraft {
            description: Some("Every second incident of the network team is about it.".to_owned()),
            requester: Some(lead()),
            category: Some("vpn".to_owned()),
            service: Some(ServiceRef::Key("remote-access".to_owned())),
            team: Some(TeamRef::Slug("network".to_owned())),
            assignee: Some(lead()),
            ..TicketDraft::titled("VPN sessions drop while nobody types".to_owned(), Impact::High, Urgency::Medium)
        },
        origin: ProblemOrigin::Reactive,
        symptom: Some("The VPN drops every few minutes, mostly while one reads.".to_owned()),
        root_cause: Some("The gateway's idle timer is shorter than the clients' keep-alive.".to_owned()),
        workaround: Some("Set the keep-alive of the VPN client to 30 seconds.".to_owned()),
        known_error: true,
    };
    let created = platform.problems.create(ctx, command).await?;
    let row = created.row.ok_or_else(|| anyhow!("the demo's problem is hidden from who made it"))?;
    let problem = TicketRef::Number(row.text("number"));
    let incidents = Incidents::Matching(Predicate::eq("key", "vpn").through("category"));
    platform.problems.link_incidents(ctx, LinkIncidents { problem: problem.clone(), incidents }).await?;
    for transition in ["assess", "analyze", "fix"] {
        step(platform, ctx, &problem, transition, json!({})).await?;
    }
    platform.problems.publish_workaround(ctx, problem, None).await?;
    let draft = DetectionDraft {
        same: DetectionKey::ServiceAndCategory,
        threshold: 5,
        window: 7 * 86_400,
        condition: None,
        impact: Impact::Medium,
        urgency: Urgency::Medium,
        requester: lead(),
        team: None,
    };
    let command = CreateDetectionRule {
        key: "recurring".to_owned(),
        name: "Five of a kind in a week".to_owned(),
        description: Some("Somebody should ask why.".to_owned()),
        draft,
    };
    platform.problems.create_detection_rule(ctx, command).await?;
    Ok(())
}
