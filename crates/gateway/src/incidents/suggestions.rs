//! What may help with an incident: known errors and other incidents that are like it, each with reasons.

use async_graphql::{Context, Enum, Result, SimpleObject};
use kernel::{Ctx, Uuid};
use store::query::Row;
use ticket::ItemLink;
use ticket::likeness::{Likeness, MAX_SUGGESTIONS, Shared, Suggestion};

use crate::configuration::{ConfigurationItem, Service};
use crate::context::{platform, viewer};
use crate::incidents::Incident;
use crate::loaders;
use crate::problems::Problem;
use crate::tickets::types::{Category, TicketRow};

/// What two tickets share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum SuggestionReasonKind {
    /// A configuration item.
    ConfigurationItem,
    /// The service.
    Service,
    /// The category.
    Category,
    /// Words of the title that the other says too.
    Words,
}

/// Why a ticket is suggested.
#[derive(SimpleObject)]
pub struct SuggestionReason {
    /// What is shared.
    kind: SuggestionReasonKind,
    /// The configuration item, of the kind `CONFIGURATION_ITEM`.
    configuration_item: Option<ConfigurationItem>,
    /// The service, of the kind `SERVICE`.
    service: Option<Service>,
    /// The category, of the kind `CATEGORY`.
    category: Option<Category>,
    /// The words, of the kind `WORDS`: in lower case and without diacritics, in the order of the title.
    words: Vec<String>,
}

/// A known error that may explain an incident.
#[derive(SimpleObject)]
pub struct SuggestedKnownError {
    /// The problem.
    node: Problem,
    /// 5 for each shared configuration item (at most 3 count), 3 for the service, 1 for the category, 2 for each shared word (at most 5
    /// count). At least 3.
    score: i32,
    /// What it shares with the incident.
    reasons: Vec<SuggestionReason>,
}

/// An incident that is like another.
#[derive(SimpleObject)]
pub struct SimilarIncident {
    /// The incident.
    node: Incident,
    /// 5 for each shared configuration item (at most 3 count), 3 for the service, 1 for the category, 2 for each shared word (at most 5
    /// count). At least 3.
    score: i32,
    /// What it shares with the other.
    reasons: Vec<SuggestionReason>,
}

/// Known errors that are like this incident.
///
/// # Errors
/// `LIMIT`; database errors.
pub async fn known_errors(ctx: &Context<'_>, incident: &TicketRow, first: i32) -> Result<Vec<SuggestedKnownError>> {
    let (viewer, like, items) = asked(ctx, incident).await?;
    let found = platform(ctx).problems.known_errors_like(&viewer, &like, limit(first)?).await?;
    let own = Own::of(ctx, incident, items, &found).await?;
    let suggested = found.into_iter().map(|Suggestion { row, score, shared }| SuggestedKnownError {
        node: Problem::from_row(row),
        score: bounded(score),
        reasons: own.reasons(shared),
    });
    Ok(suggested.collect())
}

/// Incidents that are like this one.
///
/// # Errors
/// `LIMIT`; database errors.
pub async fn incidents(ctx: &Context<'_>, incident: &TicketRow, first: i32) -> Result<Vec<SimilarIncident>> {
    let (viewer, like, items) = asked(ctx, incident).await?;
    let found = platform(ctx).incidents.similar(&viewer, &like, limit(first)?).await?;
    let own = Own::of(ctx, incident, items, &found).await?;
    let suggested = found.into_iter().map(|Suggestion { row, score, shared }| SimilarIncident {
        node: Incident::from_row(row),
        score: bounded(score),
        reasons: own.reasons(shared),
    });
    Ok(suggested.collect())
}

/// What is compared, and the configuration items that the viewer may see of it.
async fn asked(ctx: &Context<'_>, incident: &TicketRow) -> Result<(Ctx, Likeness, Vec<Row>)> {
    let row = &incident.0;
    let links = loaders::ticket_items(ctx, row.id()).await?;
    let affected = links.iter().filter(|link| link.text("link") != ItemLink::NotImpacted.as_str());
    let items: Vec<Row> = affected.filter_map(|link| link.relation("configurationItem").cloned()).collect();
    let like = Likeness {
        except: Some(row.id()),
        items: items.iter().map(Row::id).collect(),
        service: row.get("service").as_id(),
        category: row.get("category").as_id(),
        title: row.text("title"),
    };
    Ok((viewer(ctx)?, like, items))
}

/// What an incident has, of which others may have the same.
struct Own {
    items: Vec<Row>,
    service: Option<Service>,
    category: Option<Category>,
}

impl Own {
    /// Read once, however many suggestions share it.
    async fn of(ctx: &Context<'_>, incident: &TicketRow, items: Vec<Row>, found: &[Suggestion]) -> Result<Self> {
        let shares_service = found.iter().any(|found| found.shared.service.is_some());
        let shares_category = found.iter().any(|found| found.shared.category.is_some());
        Ok(Self {
            items,
            service: if shares_service { incident.service(ctx).await? } else { None },
            category: if shares_category { incident.category(ctx).await? } else { None },
        })
    }

    fn reasons(&self, shared: Shared) -> Vec<SuggestionReason> {
        let reason = |kind| SuggestionReason {
            kind,
            configuration_item: None,
            service: None,
            category: None,
            words: Vec::new(),
        };
        let item = |id: &Uuid| {
            let found = self.items.iter().find(|item| item.id() == *id).cloned();
            let configuration_item = found.map(ConfigurationItem::from_row);
            SuggestionReason { configuration_item, ..reason(SuggestionReasonKind::ConfigurationItem) }
        };
        let mut reasons: Vec<_> = shared.items.iter().map(item).collect();
        if shared.service.is_some() {
            let service = self.service.clone();
            reasons.push(SuggestionReason { service, ..reason(SuggestionReasonKind::Service) });
        }
        if shared.category.is_some() {
            let category = self.category.clone();
            reasons.push(SuggestionReason { category, ..reason(SuggestionReasonKind::Category) });
        }
        if !shared.words.is_empty() {
            reasons.push(SuggestionReason { words: shared.words, ..reason(SuggestionReasonKind::Words) });
        }
        reasons
    }
}

fn limit(first: i32) -> kernel::Result<usize> {
    match usize::try_from(first) {
        Ok(limit) if limit <= MAX_SUGGESTIONS => Ok(limit),
        _ => {
            let message = format!("`first` is {first}; it must be between 0 and {MAX_SUGGESTIONS}");
            Err(kernel::UserError::limit(["first"], message, MAX_SUGGESTIONS as u64).into())
        }
    }
}

fn bounded(score: i64) -> i32 {
    i32::try_from(score).unwrap_or(i32::MAX)
}
