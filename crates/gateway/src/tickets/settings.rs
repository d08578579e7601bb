//! What a tenant sets for all its tickets: the priority matrix and the categories.

use async_graphql::{Context, InputObject, MaybeUndefined, Object, Result, SimpleObject};

use crate::context::{mutation, platform};
use crate::payload::payload;
use crate::scalars::patch;
use crate::tickets::event_log::from_store;
use crate::tickets::events::Event;
use crate::tickets::types::Category;
use crate::tickets::words::{Impact, Priority, Urgency};
use crate::user_error::{UserError, part};

/// One cell of the priority matrix.
#[derive(Clone, Debug, SimpleObject)]
pub struct PriorityRule {
    /// The row.
    pub impact: Impact,
    /// The column.
    pub urgency: Urgency,
    /// What they give.
    pub priority: Priority,
}

impl From<ticket::priority::PriorityRule> for PriorityRule {
    fn from(rule: ticket::priority::PriorityRule) -> Self {
        Self {
            impact: Impact::parse(rule.impact.as_str()).unwrap_or(Impact::Low),
            urgency: Urgency::parse(rule.urgency.as_str()).unwrap_or(Urgency::Low),
            priority: Priority::parse(rule.priority.as_str()).unwrap_or(Priority::P5),
        }
    }
}

/// One cell of the priority matrix to set.
#[derive(Clone, Debug, InputObject)]
pub struct PriorityRuleInput {
    /// The row.
    pub impact: Impact,
    /// The column.
    pub urgency: Urgency,
    /// What they shall give.
    pub priority: Priority,
}

/// Sets cells of the priority matrix.
#[derive(Clone, Debug, InputObject)]
pub struct PriorityMatrixSetInput {
    /// The cells; those that are not named stay as they are.
    pub rules: Vec<PriorityRuleInput>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// The matrix after it was set.
#[derive(SimpleObject)]
pub struct PriorityMatrixSetPayload {
    /// All nine cells; null when it was not done.
    pub priority_matrix: Option<Vec<PriorityRule>>,
    /// What was recorded.
    pub events: Vec<Event>,
    /// What the user can mend.
    pub user_errors: Vec<UserError>,
}

/// Adds a category.
#[derive(Clone, Debug, InputObject)]
pub struct CategoryCreateInput {
    /// Unique in the tenant: lower-case letters, digits and hyphens, such as `network`.
    pub key: String,
    /// For people.
    pub name: String,
    /// The key of the category above.
    pub parent: Option<String>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Changes a category. Absent fields stay.
#[derive(Clone, Debug, InputObject)]
pub struct CategoryUpdateInput {
    /// The category's key.
    pub key: String,
    /// A new name.
    pub name: Option<String>,
    /// The key of another category above; null makes it a root.
    pub parent: MaybeUndefined<String>,
    /// Retired categories stay on their tickets and cannot be chosen any more.
    pub retired: Option<bool>,
    /// Refuse when the category has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

payload! {
    /// The category that was added.
    CategoryCreatePayload {
        /// The category; null when it was not done.
        category: Category
    }
}

payload! {
    /// The category that was changed.
    CategoryUpdatePayload {
        /// The category; null when it was not done.
        category: Category
    }
}

/// Mutations of what a tenant sets for all its tickets.
#[derive(Default)]
pub struct SettingsMutations;

#[Object]
impl SettingsMutations {
    /// Sets cells of the priority matrix. Tickets keep their priority until their impact or urgency changes.
    /// Needs `settings.manage`.
    async fn priority_matrix_set(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The cells.")] input: PriorityMatrixSetInput,
    ) -> Result<PriorityMatrixSetPayload> {
        let (viewer, platform) = (mutation(ctx)?, platform(ctx));
        let rules = input.rules.into_iter().map(|rule| ticket::priority::PriorityRule {
            impact: rule.impact.into(),
            urgency: rule.urgency.into(),
            priority: rule.priority.into(),
        });
        let (done, user_errors) = part(platform.tickets.set_priority_matrix(&viewer, rules.collect()).await)?;
        let (matrix, events) = done.map_or((None, Vec::new()), |(matrix, events)| (Some(matrix), events));
        Ok(PriorityMatrixSetPayload {
            priority_matrix: matrix.map(|rules| rules.into_iter().map(PriorityRule::from).collect()),
            events: from_store(&viewer, platform, events),
            user_errors,
        })
    }

    /// Adds a category. Needs `settings.manage`.
    async fn category_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The category.")] input: CategoryCreateInput,
    ) -> Result<CategoryCreatePayload> {
        let (viewer, platform) = (mutation(ctx)?, platform(ctx));
        let command = ticket::CreateCategory { key: input.key, name: input.name, parent: input.parent };
        CategoryCreatePayload::of(ctx, &viewer, platform.tickets.create_category(&viewer, command).await)
    }

    /// Changes a category. Needs `settings.manage`.
    async fn category_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which category, and what changes.")] input: CategoryUpdateInput,
    ) -> Result<CategoryUpdatePayload> {
        let (viewer, platform) = (mutation(ctx)?, platform(ctx));
        let command = ticket::UpdateCategory {
            key: input.key,
            name: input.name,
            parent: patch(input.parent),
            retired: input.retired,
            expected_version: input.expected_version,
        };
        CategoryUpdatePayload::of(ctx, &viewer, platform.tickets.update_category(&viewer, command).await)
    }
}
