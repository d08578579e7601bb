//! What the company has agreed on its network: with a customer, with the team, and with the carrier, who together promise too little.
//! It comes behind the incidents, so that those are told without the clocks of teams and suppliers.

use access::{TeamRef, UserRef};
use agreement::{
    AgreementDraft, AgreementRef, AgreementState, CreateAgreement, CreateReview, ImprovementDraft, RequirementDraft,
    ReviewDraft, UpdateAgreement,
};
use anyhow::Result;
use chrono::Duration;
use configuration::ServiceRef;
use gateway::platform::Platform;
use kernel::{Ctx, Patch};
use sla::policy::Pauses;
use sla::{CalendarRef, Metric, MetricDraft, PolicyKind, PolicyRef};
use ticket::Priority;

use super::service_levels::{hours, publish, target};

/// How long the agreements hold already, and the review looks back, in days.
const DAYS: i64 = 90;

pub(super) async fn load(platform: &Platform, ctx: &Ctx) -> Result<()> {
    let always = || Some(CalendarRef::Key("always".to_owned()));
    let within = |urgent, other| {
        let targets = vec![target(&[Priority::P1], hours(urgent), always()), target(&[], hours(other), None)];
        vec![MetricDraft { metric: Metric::Resolution, targets, pauses: Pauses::default(), escalations: Vec::new() }]
    };
    publish(platform, ctx, "network-team", "Network team", PolicyKind::Ola, within(3, 8)).await?;
    publish(platform, ctx, "carrier", "Carrier", PolicyKind::UnderpinningContract, within(2, 16)).await?;
    let team = AgreementDraft { team: Patch::Set(TeamRef::Slug("network".to_owned())), ..AgreementDraft::default() };
    agree(platform, ctx, "network-team", "Network team", PolicyKind::Ola, "network-team", team).await?;
    let carrier = AgreementDraft { supplier: Patch::Set("Example Carrier".to_owned()), ..AgreementDraft::default() };
    agree(platform, ctx, "carrier", "Carrier", PolicyKind::UnderpinningContract, "carrier", carrier).await?;
    let sales = AgreementDraft { customer: Patch::Set("Sales".to_owned()), ..AgreementDraft::default() };
    agree(platform, ctx, "sales", "Network for Sales", PolicyKind::Sla, "standard", sales).await?;
    load_review(platform, ctx).await
}

async fn agree(
    platform: &Platform,
    ctx: &Ctx,
    key: &str,
    name: &str,
    kind: PolicyKind,
    policy: &str,
    party: AgreementDraft,
) -> Result<()> {
    let service = |key: &str| ServiceRef::Key(key.to_owned());
    let draft = AgreementDraft {
        name: Some(name.to_owned()),
        services: Some(vec![service("remote-access"), service("office-network")]),
        policies: Some(vec![PolicyRef::Key(policy.to_owned())]),
        owner: Patch::Set(UserRef::Email("lead@demo.example".to_owned())),
        valid_from: Patch::Set(ctx.now() - Duration::days(DAYS)),
        ..party
    };
    platform.agreements.create_agreement(ctx, CreateAgreement { key: key.to_owned(), kind, draft }).await?;
    let agreed = UpdateAgreement {
        agreement: AgreementRef::Key(key.to_owned()),
        draft: AgreementDraft::default(),
        state: Some(AgreementState::Agreed),
        expected_version: None,
    };
    platform.agreements.update_agreement(ctx, agreed).await?;
    Ok(())
}

async fn load_review(platform: &Platform, ctx: &Ctx) -> Result<()> {
    let sales = || AgreementRef::Key("sales".to_owned());
    let requirement = RequirementDraft {
        title: Some("Remote access back within two hours".to_owned()),
        customer: Patch::Set("Sales".to_owned()),
        service: Some(ServiceRef::Key("remote-access".to_owned())),
        metric: Some(Metric::Resolution),
        priorities: Some(vec![Priority::P1]),
        target: Some(hours(2)),
        ..RequirementDraft::default()
    };
    platform.agreements.create_requirement(ctx, requirement).await?;
    let review = CreateReview {
        agreement: sales(),
        since: ctx.now() - Duration::days(DAYS),
        until: ctx.now(),
        draft: ReviewDraft {
            attendees: Some(vec![UserRef::Email("lead@demo.example".to_owned())]),
            ..ReviewDraft::default()
        },
    };
    platform.agreements.create_review(ctx, review).await?;
    let improvement = ImprovementDraft {
        title: Some("A second line to the data centre".to_owned()),
        service: Patch::Set(ServiceRef::Key("remote-access".to_owned())),
        agreement: Patch::Set(sales()),
        benefit: Patch::Set("The carrier's repair no longer counts against what Sales is promised.".to_owned()),
        ..ImprovementDraft::default()
    };
    platform.agreements.create_improvement(ctx, improvement).await?;
    Ok(())
}
