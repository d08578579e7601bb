//! Batches of alerts, their rules, and what is told of major incidents.

use async_graphql::Context;
use incident::fields::{ACTION, ALERT, ALERT_RULE, STATUS_UPDATE, TIMELINE_NOTE};
use kernel::Uuid;
use store::query::Row;

use super::batch::{Loaders, belonging, by_field, by_id};

/// An alert by its id.
///
/// # Errors
/// As [`super::actor`].
pub async fn alert(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, AlertKey(id)).await
}

/// A rule of alerts by its id.
///
/// # Errors
/// As [`super::actor`].
pub async fn alert_rule(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, AlertRuleKey(id)).await
}

/// A status update by its id.
///
/// # Errors
/// As [`super::actor`].
pub async fn status_update(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, StatusUpdateKey(id)).await
}

/// The last status updates of an incident.
///
/// # Errors
/// As [`super::actor`].
pub async fn status_updates(ctx: &Context<'_>, incident: Uuid) -> async_graphql::Result<Vec<Row>> {
    Loaders::or_default(ctx, StatusUpdatesKey(incident)).await
}

/// What the log tells of an incident, as far as a timeline shows it.
///
/// # Errors
/// As [`super::actor`].
pub async fn timeline_events(ctx: &Context<'_>, incident: Uuid) -> async_graphql::Result<Vec<Row>> {
    Loaders::or_default(ctx, TimelineEventsKey(incident)).await
}

/// A note on a timeline by its id.
///
/// # Errors
/// As [`super::actor`].
pub async fn timeline_note(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, TimelineNoteKey(id)).await
}

/// What is noted on the timeline of an incident.
///
/// # Errors
/// As [`super::actor`].
pub async fn timeline_notes(ctx: &Context<'_>, incident: Uuid) -> async_graphql::Result<Vec<Row>> {
    Loaders::or_default(ctx, TimelineNotesKey(incident)).await
}

/// The review of a major incident.
///
/// # Errors
/// As [`super::actor`].
pub async fn major_review(ctx: &Context<'_>, incident: Uuid) -> async_graphql::Result<Option<Row>> {
    Ok(Loaders::or_default(ctx, MajorReviewKey(incident)).await?.pop())
}

/// An action after a major incident by its id.
///
/// # Errors
/// As [`super::actor`].
pub async fn major_action(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, MajorActionKey(id)).await
}

/// What is to be done after a major incident.
///
/// # Errors
/// As [`super::actor`].
pub async fn major_actions(ctx: &Context<'_>, incident: Uuid) -> async_graphql::Result<Vec<Row>> {
    Loaders::or_default(ctx, MajorActionsKey(incident)).await
}

by_id!(AlertKey, &ALERT, &[]);
by_id!(AlertRuleKey, &ALERT_RULE, &[]);
by_id!(StatusUpdateKey, &STATUS_UPDATE, &[]);
belonging!(StatusUpdatesKey, Vec<Row>, |batch, incidents| {
    by_field("incident", batch.platform.incidents.status_updates_of(&batch.ctx()?, incidents).await?)
});
belonging!(TimelineEventsKey, Vec<Row>, |batch, incidents| {
    by_field("subject", batch.platform.incidents.timeline_events_of(&batch.ctx()?, incidents).await?)
});
by_id!(TimelineNoteKey, &TIMELINE_NOTE, &[]);
belonging!(TimelineNotesKey, Vec<Row>, |batch, incidents| {
    by_field("incident", batch.platform.incidents.timeline_notes_of(&batch.ctx()?, incidents).await?)
});
belonging!(MajorReviewKey, Vec<Row>, |batch, incidents| {
    by_field("incident", batch.platform.incidents.major_reviews_of(&batch.ctx()?, incidents).await?)
});
by_id!(MajorActionKey, &ACTION, &[]);
belonging!(MajorActionsKey, Vec<Row>, |batch, incidents| {
    by_field("incident", batch.platform.incidents.major_actions_of(&batch.ctx()?, incidents).await?)
});
