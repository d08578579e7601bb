//! The object of each kind of ticket: the fields that all kinds share, declared once.

/// Declares the object of a kind of ticket: the fields that all kinds share, and its own.
macro_rules! ticket_object {
    ($(#[$doc:meta])* $name:ident { $($own:tt)* }) => {
        $(#[$doc])*
        #[async_graphql::Object]
        impl $name {
            /// The ticket's id, such as `inc_01jcz8…`.
            pub async fn id(&self) -> async_graphql::ID {
                $crate::scalars::id_of(Self::PREFIX, self.0.0.id())
            }

            /// The ticket's number for people, such as `INC-1042`. Taken wherever its id is.
            pub async fn number(&self) -> String {
                self.0.0.text("number")
            }

            /// The practice that it belongs to.
            pub async fn kind(&self) -> $crate::tickets::words::TicketKind {
                Self::KIND
            }

            /// Rises by one with each change to the ticket's own fields. For `expectedVersion`.
            pub async fn version(&self) -> i32 {
                self.0.int("version")
            }

            /// What it is about, in a line.
            pub async fn title(&self) -> String {
                self.0.0.text("title")
            }

            /// What it is about, in full.
            pub async fn description(&self) -> Option<$crate::scalars::Markdown> {
                self.0.0.optional_text("description").map($crate::scalars::Markdown)
            }

            /// Where it stands in its workflow.
            pub async fn state(
                &self,
                ctx: &async_graphql::Context<'_>,
            ) -> async_graphql::Result<$crate::tickets::types::TicketState> {
                self.0.state(ctx).await
            }

            /// The workflow that it follows, in its version.
            pub async fn workflow(
                &self,
                ctx: &async_graphql::Context<'_>,
            ) -> async_graphql::Result<$crate::workflows::types::WorkflowVersion> {
                $crate::workflows::types::of_ticket(ctx, &self.0.0).await
            }

            /// What is worked on first.
            pub async fn priority(&self) -> $crate::tickets::words::Priority {
                use $crate::tickets::words::Priority;
                $crate::tickets::types::word(&self.0.0, "priority", Priority::parse, Priority::P5)
            }

            /// Set when somebody overrode the matrix. Readable by those who work on the ticket.
            pub async fn priority_override(
                &self,
                ctx: &async_graphql::Context<'_>,
            ) -> async_graphql::Result<Option<$crate::tickets::types::PriorityOverride>> {
                self.0.priority_override(ctx).await
            }

            /// How many are affected, and how badly.
            pub async fn impact(&self) -> $crate::tickets::words::Impact {
                use $crate::tickets::words::Impact;
                $crate::tickets::types::word(&self.0.0, "impact", Impact::parse, Impact::Low)
            }

            /// How long it can wait.
            pub async fn urgency(&self) -> $crate::tickets::words::Urgency {
                use $crate::tickets::words::Urgency;
                $crate::tickets::types::word(&self.0.0, "urgency", Urgency::parse, Urgency::Low)
            }

            /// Where it stands in the tenant's tree of categories.
            pub async fn category(
                &self,
                ctx: &async_graphql::Context<'_>,
            ) -> async_graphql::Result<Option<$crate::tickets::types::Category>> {
                self.0.category(ctx).await
            }

            /// The service that it is about.
            pub async fn service(
                &self,
                ctx: &async_graphql::Context<'_>,
            ) -> async_graphql::Result<Option<$crate::configuration::Service>> {
                self.0.service(ctx).await
            }

            /// The configuration items that it is about, at most 50. Empty without `configuration.read`.
            pub async fn configuration_items(
                &self,
                ctx: &async_graphql::Context<'_>,
            ) -> async_graphql::Result<Vec<$crate::tickets::types::TicketConfigurationItem>> {
                self.0.configuration_items(ctx).await
            }

            /// Who is affected.
            pub async fn requester(
                &self,
                ctx: &async_graphql::Context<'_>,
            ) -> async_graphql::Result<$crate::people::User> {
                let row = self.0.actor(ctx, "requester").await?;
                let row = row.ok_or_else(|| kernel::Error::internal("a ticket's requester is missing"))?;
                Ok($crate::people::User::from_row(row))
            }

            /// Who wrote it down.
            pub async fn opened_by(
                &self,
                ctx: &async_graphql::Context<'_>,
            ) -> async_graphql::Result<$crate::people::Actor> {
                let row = self.0.actor(ctx, "openedBy").await?;
                let row = row.ok_or_else(|| kernel::Error::internal("who opened a ticket is missing"))?;
                Ok($crate::people::Actor::from_row(row))
            }

            /// The team that works on it.
            pub async fn team(
                &self,
                ctx: &async_graphql::Context<'_>,
            ) -> async_graphql::Result<Option<$crate::people::Team>> {
                self.0.team(ctx).await
            }

            /// The member of the team who works on it.
            pub async fn assignee(
                &self,
                ctx: &async_graphql::Context<'_>,
            ) -> async_graphql::Result<Option<$crate::people::User>> {
                Ok(self.0.actor(ctx, "assignee").await?.map($crate::people::User::from_row))
            }

            /// Free words, at most 50.
            pub async fn tags(&self) -> Vec<String> {
                self.0.0.texts("tags")
            }

            /// What it says in the tenant's custom fields, as far as the viewer may read them; fields without a value are not
            /// there.
            pub async fn custom_fields(
                &self,
                ctx: &async_graphql::Context<'_>,
                #[graphql(desc = "Only those with these keys; all when absent.")] keys: Option<Vec<String>>,
            ) -> async_graphql::Result<Vec<$crate::custom_fields::CustomFieldValue>> {
                $crate::custom_fields::types::of_ticket(ctx, &self.0.0, keys).await
            }

            /// What it is called in other systems, at most 20. Empty for those who do not work on the ticket.
            pub async fn external_refs(
                &self,
                ctx: &async_graphql::Context<'_>,
            ) -> async_graphql::Result<Vec<$crate::tickets::types::ExternalRef>> {
                self.0.external_refs(ctx).await
            }

            /// What was said, oldest first, as far as the viewer may read it. `last: 5` gives the newest five.
            pub async fn comments(
                &self,
                ctx: &async_graphql::Context<'_>,
                #[graphql(desc = "How many from the front, at most 100; 20 when neither `first` nor `last` is given.")] first: Option<i32>,
                #[graphql(desc = "Only those behind this cursor.")] after: Option<$crate::scalars::Cursor>,
                #[graphql(desc = "How many from the back, at most 100.")] last: Option<i32>,
                #[graphql(desc = "Only those before this cursor.")] before: Option<$crate::scalars::Cursor>,
            ) -> async_graphql::Result<$crate::tickets::comments::CommentConnection> {
                let page = $crate::connection::page(first, after, last, before)?;
                $crate::tickets::comments::of_ticket(ctx, self.0.0.id(), page).await
            }

            /// The files on it, and on what was said there, in the order in which they came; at most 100.
            pub async fn attachments(
                &self,
                ctx: &async_graphql::Context<'_>,
            ) -> async_graphql::Result<Vec<$crate::files::Attachment>> {
                let rows = $crate::loaders::attachments(ctx, self.0.0.id()).await?;
                Ok(rows.into_iter().map($crate::files::Attachment::from_row).collect())
            }

            /// Its links with other tickets that the viewer may see, from both sides, at most 100: those that leave from it first.
            pub async fn links(
                &self,
                ctx: &async_graphql::Context<'_>,
                #[graphql(name = "type", desc = "Only those of this type; all when absent.")] kind: Option<
                    $crate::tickets::links::TicketLinkType,
                >,
            ) -> async_graphql::Result<Vec<$crate::tickets::links::TicketLink>> {
                $crate::tickets::links::links(ctx, self.0.0.id(), kind).await
            }

            /// The ticket that it was merged into, which goes on for both. Null for one that was not, and when the viewer may not see
            /// the other.
            pub async fn merged_into(
                &self,
                ctx: &async_graphql::Context<'_>,
            ) -> async_graphql::Result<Option<$crate::tickets::types::Ticket>> {
                $crate::tickets::merges::other(ctx, &self.0.0, "mergedInto").await
            }

            /// The merges of other tickets into it, those that were undone among them, in the order in which they were made; at most
            /// 100, as far as the viewer may see the other tickets.
            pub async fn merges(
                &self,
                ctx: &async_graphql::Context<'_>,
            ) -> async_graphql::Result<Vec<$crate::tickets::merges::TicketMerge>> {
                $crate::tickets::merges::of_ticket(ctx, self.0.0.id()).await
            }

            /// How many tickets it is the parent of, as far as the viewer may see them.
            pub async fn children_summary(
                &self,
                ctx: &async_graphql::Context<'_>,
            ) -> async_graphql::Result<$crate::tickets::links::ChildrenSummary> {
                $crate::tickets::links::children_summary(ctx, self.0.0.id()).await
            }

            /// The tasks that it is done by, oldest first, as far as the viewer may see them. A task has none of its own.
            pub async fn tasks(
                &self,
                ctx: &async_graphql::Context<'_>,
                #[graphql(desc = "How many from the front, at most 100; 20 when neither `first` nor `last` is given.")] first: Option<i32>,
                #[graphql(desc = "Only those behind this cursor.")] after: Option<$crate::scalars::Cursor>,
                #[graphql(desc = "How many from the back, at most 100.")] last: Option<i32>,
                #[graphql(desc = "Only those before this cursor.")] before: Option<$crate::scalars::Cursor>,
            ) -> async_graphql::Result<$crate::tasks::TaskConnection> {
                let page = $crate::connection::page(first, after, last, before)?;
                $crate::tasks::queries::of_ticket(ctx, self.0.0.id(), page).await
            }

            /// Who follows it, at most 100.
            pub async fn watchers(
                &self,
                ctx: &async_graphql::Context<'_>,
            ) -> async_graphql::Result<Vec<$crate::people::User>> {
                self.0.watchers(ctx).await
            }

            /// The approvals that were asked for, oldest first, at most 50.
            pub async fn approvals(
                &self,
                ctx: &async_graphql::Context<'_>,
            ) -> async_graphql::Result<Vec<$crate::approvals::Approval>> {
                self.0.approvals(ctx).await
            }

            /// Every change: who, when, through what, before and after. Oldest first; `last: 10` gives the newest ten.
            pub async fn history(
                &self,
                ctx: &async_graphql::Context<'_>,
                #[graphql(desc = "How many from the front, at most 100; 20 when neither `first` nor `last` is given.")] first: Option<i32>,
                #[graphql(desc = "Only those behind this cursor.")] after: Option<$crate::scalars::Cursor>,
                #[graphql(desc = "How many from the back, at most 100.")] last: Option<i32>,
                #[graphql(desc = "Only those before this cursor.")] before: Option<$crate::scalars::Cursor>,
            ) -> async_graphql::Result<$crate::tickets::event_log::EventConnection> {
                let page = $crate::connection::page(first, after, last, before)?;
                $crate::tickets::event_log::history(ctx, self.0.0.id(), page).await
            }

            /// The transitions that leave from the present state: those that the viewer may take, with the JSON Schema of
            /// their inputs, and those refused, with the reasons.
            pub async fn available_transitions(
                &self,
                ctx: &async_graphql::Context<'_>,
            ) -> async_graphql::Result<Vec<$crate::tickets::types::AvailableTransition>> {
                self.0.available_transitions(ctx).await
            }

            /// Whether the viewer may do something with it, and if not, why.
            pub async fn viewer_can(
                &self,
                ctx: &async_graphql::Context<'_>,
                #[graphql(desc = "What the viewer wants to do.")] action: $crate::tickets::words::TicketAction,
            ) -> async_graphql::Result<$crate::tickets::types::Permission> {
                self.0.viewer_can(ctx, action).await
            }

            /// How often a team or an assignee gave way to another. Readable by those who work on the ticket.
            pub async fn reassignment_count(&self) -> Option<i32> {
                let count = self.0.0.get("reassignmentCount").as_int()?;
                Some(i32::try_from(count).unwrap_or(i32::MAX))
            }

            /// How often it came back.
            pub async fn reopen_count(&self) -> i32 {
                self.0.int("reopenCount")
            }

            /// When it was opened.
            pub async fn created_at(&self) -> $crate::scalars::DateTime {
                $crate::scalars::DateTime(self.0.0.time("createdAt"))
            }

            /// When its own fields changed last.
            pub async fn updated_at(&self) -> $crate::scalars::DateTime {
                $crate::scalars::DateTime(self.0.0.time("updatedAt"))
            }

            /// When it was resolved; null again after a reopening.
            pub async fn resolved_at(&self) -> Option<$crate::scalars::DateTime> {
                self.0.time("resolvedAt")
            }

            /// When it was closed or canceled.
            pub async fn closed_at(&self) -> Option<$crate::scalars::DateTime> {
                self.0.time("closedAt")
            }

            /// When somebody took it up: it first left the category `NEW`, and was not canceled.
            pub async fn acknowledged_at(&self) -> Option<$crate::scalars::DateTime> {
                self.0.time("acknowledgedAt")
            }

            /// When an agent first answered in public.
            pub async fn first_responded_at(&self) -> Option<$crate::scalars::DateTime> {
                self.0.time("firstRespondedAt")
            }

            /// When the clock of a service level agreement is over time that is due next. Null while none runs.
            pub async fn sla_due_at(&self) -> Option<$crate::scalars::DateTime> {
                self.0.time("slaDueAt")
            }

            /// Where that clock stands; of clocks that are paused or have ended, the worst. Null without a service level agreement.
            pub async fn sla_state(&self) -> Option<$crate::tickets::words::SlaState> {
                $crate::tickets::words::SlaState::parse(&self.0.0.optional_text("slaState")?)
            }

            /// How much time was worked on it, by its time entries. Readable by those who work on the ticket.
            pub async fn time_spent(&self) -> Option<$crate::scalars::Duration> {
                self.0.0.get("timeSpent").as_int().map($crate::scalars::Duration::of_seconds)
            }

            /// What that time costs, by the rates that its entries were written down with. Null without `ticket.internal` and
            /// `cost.read` on the ticket.
            pub async fn cost(
                &self,
                ctx: &async_graphql::Context<'_>,
            ) -> async_graphql::Result<Option<$crate::time::TicketCost>> {
                $crate::time::TicketCost::of_ticket(ctx, &self.0.0).await
            }

            /// The time that was worked on it, in the order in which it was written down. Empty for those who do not work on the
            /// ticket.
            pub async fn time_entries(
                &self,
                ctx: &async_graphql::Context<'_>,
                #[graphql(desc = "How many from the front, at most 100; 20 when neither `first` nor `last` is given.")] first: Option<i32>,
                #[graphql(desc = "Only those behind this cursor.")] after: Option<$crate::scalars::Cursor>,
                #[graphql(desc = "How many from the back, at most 100.")] last: Option<i32>,
                #[graphql(desc = "Only those before this cursor.")] before: Option<$crate::scalars::Cursor>,
            ) -> async_graphql::Result<$crate::time::entries::TimeEntryConnection> {
                let page = $crate::connection::page(first, after, last, before)?;
                $crate::time::entries::of_ticket(ctx, self.0.0.id(), page).await
            }

            /// The clocks of its service levels that the viewer may see, at most 200, in the order in which they started.
            pub async fn sla_clocks(
                &self,
                ctx: &async_graphql::Context<'_>,
            ) -> async_graphql::Result<Vec<$crate::service_levels::SlaClock>> {
                $crate::service_levels::clocks::of_ticket(ctx, &self.0.0).await
            }

            $($own)*
        }
    };
}
pub(crate) use ticket_object;
