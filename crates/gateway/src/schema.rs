//! The schema: all roots merged, and the queries that belong to no practice.

use agreement::{IMPROVEMENT, REQUIREMENT};
use async_graphql::{Context, ID, Interface, MergedObject, MergedSubscription, Object, Result, SimpleObject};
use kernel::Id;
use kernel::id::prefix;
use sla::fields::SLA_CLOCK;
use ticket::custom_field::fields::CUSTOM_FIELD;

use crate::agreements::mutations::AgreementMutations;
use crate::agreements::queries::AgreementQueries;
use crate::agreements::{ServiceAgreement, ServiceImprovement, ServiceLevelRequirement, ServiceReview};
use crate::approvals::mutations::ApprovalMutations;
use crate::approvals::{Approval, Delegation};
use crate::configuration::mutations::ConfigurationMutations;
use crate::configuration::queries::ConfigurationQueries;
use crate::configuration::{ConfigurationItem, Service};
use crate::context::{platform, viewer};
use crate::custom_fields::CustomField;
use crate::custom_fields::mutations::CustomFieldMutations;
use crate::custom_fields::queries::CustomFieldQueries;
use crate::files::{Attachment, FileMutations, FileQueries, Upload};
use crate::incidents::alerts::{AlertMutations, AlertQueries};
use crate::incidents::major::{MajorIncidentAction, MajorIncidentReview, StatusUpdate, TimelineNote};
use crate::incidents::major_mutations::MajorIncidentMutations;
use crate::incidents::major_queries::MajorIncidentQueries;
use crate::incidents::mutations::IncidentMutations;
use crate::incidents::queries::IncidentQueries;
use crate::incidents::{Alert, AlertRule, Incident};
use crate::loaders;
use crate::operations::{Operation, OperationMutations, OperationQueries, OperationSubscriptions};
use crate::people::mutations::PeopleMutations;
use crate::people::queries::PeopleQueries;
use crate::people::types::ServiceAccount;
use crate::people::{Actor, Team, User};
use crate::platform::Platform;
use crate::problems::detection::{ProblemDetectionMutations, ProblemDetectionQueries};
use crate::problems::mutations::ProblemMutations;
use crate::problems::queries::ProblemQueries;
use crate::problems::{Problem, ProblemDetectionRule};
use crate::search::SearchQueries;
use crate::service_levels::attainment::ClockQueries;
use crate::service_levels::background::ServiceLevelOperations;
use crate::service_levels::mutations::ServiceLevelMutations;
use crate::service_levels::queries::ServiceLevelQueries;
use crate::service_levels::{Calendar, SlaClock, SlaPolicy};
use crate::tasks::Task;
use crate::tasks::mutations::TaskMutations;
use crate::tasks::queries::TaskQueries;
use crate::tickets::bulk::{self, BulkMutations, TicketBulkItem};
use crate::tickets::canned_responses::{CannedResponse, CannedResponseMutations, CannedResponseQueries};
use crate::tickets::comments::{Comment, CommentMutations};
use crate::tickets::links::LinkMutations;
use crate::tickets::merges::{self, MergeMutations, TicketMerge};
use crate::tickets::mutations::TicketMutations;
use crate::tickets::past::PastQueries;
use crate::tickets::queries::TicketQueries;
use crate::tickets::recurrence::RecurrenceQueries;
use crate::tickets::recurring_tickets::{
    self, RecurringTicket, RecurringTicketMutations, RecurringTicketQueries, RecurringTicketRun,
};
use crate::tickets::saved_filters::{SavedFilter, SavedFilterMutations, SavedFilterQueries};
use crate::tickets::settings::SettingsMutations;
use crate::tickets::statistics::StatisticsQueries;
use crate::tickets::subscriptions::TicketSubscriptions;
use crate::tickets::templates::{TicketTemplate, TicketTemplateMutations, TicketTemplateQueries};
use crate::tickets::transfer::TransferMutations;
use crate::tickets::types::{Category, Ticket};
use crate::time::mutations::TimeMutations;
use crate::time::rates::{LabourRateMutations, LabourRateQueries};
use crate::time::{LabourRate, TimeEntry};
use crate::workflows::mutations::WorkflowMutations;
use crate::workflows::queries::WorkflowQueries;

/// The schema.
pub type Schema = async_graphql::Schema<Query, Mutation, Subscription>;

/// Reads. Everything but `serverInfo` needs a token.
#[derive(MergedObject, Default)]
pub struct Query(
    GeneralQueries,
    PeopleQueries,
    TicketQueries,
    PastQueries,
    IncidentQueries,
    WorkflowQueries,
    ConfigurationQueries,
    StatisticsQueries,
    RecurrenceQueries,
    SavedFilterQueries,
    CannedResponseQueries,
    TaskQueries,
    CustomFieldQueries,
    ServiceLevelQueries,
    OperationQueries,
    ClockQueries,
    AgreementQueries,
    AlertQueries,
    MajorIncidentQueries,
    ProblemQueries,
    ProblemDetectionQueries,
    SearchQueries,
    LabourRateQueries,
    FileQueries,
    TicketTemplateQueries,
    RecurringTicketQueries,
);

/// Writes. Each takes one `input` and answers what was recorded and what the user can mend.
#[derive(MergedObject, Default)]
pub struct Mutation(
    PeopleMutations,
    TicketMutations,
    IncidentMutations,
    SettingsMutations,
    WorkflowMutations,
    ConfigurationMutations,
    LinkMutations,
    TaskMutations,
    ApprovalMutations,
    SavedFilterMutations,
    CommentMutations,
    CannedResponseMutations,
    CustomFieldMutations,
    ServiceLevelMutations,
    ServiceLevelOperations,
    AgreementMutations,
    AlertMutations,
    MajorIncidentMutations,
    ProblemMutations,
    ProblemDetectionMutations,
    TimeMutations,
    LabourRateMutations,
    FileMutations,
    BulkMutations,
    TransferMutations,
    MergeMutations,
    OperationMutations,
    TicketTemplateMutations,
    RecurringTicketMutations,
);

/// Streams, over WebSocket (`graphql-transport-ws`) or Server-Sent Events.
#[derive(MergedSubscription, Default)]
pub struct Subscription(TicketSubscriptions, OperationSubscriptions);

/// A record that can be found by its id.
#[derive(Interface)]
#[graphql(field(name = "id", ty = "ID", desc = "The record's id: a type prefix and 26 characters."))]
pub enum Node {
    /// A ticket of any kind.
    Ticket(Ticket),
    /// An incident.
    Incident(Incident),
    /// A task.
    Task(Task),
    /// A problem.
    Problem(Problem),
    /// A user.
    User(User),
    /// A service account.
    ServiceAccount(ServiceAccount),
    /// A team.
    Team(Team),
    /// That a ticket was merged into another.
    TicketMerge(TicketMerge),
    /// A comment.
    Comment(Comment),
    /// A file that was announced.
    Upload(Upload),
    /// A file on a ticket.
    Attachment(Attachment),
    /// What is often answered.
    CannedResponse(CannedResponse),
    /// A category.
    Category(Category),
    /// A service.
    Service(Service),
    /// A configuration item.
    ConfigurationItem(ConfigurationItem),
    /// An approval.
    Approval(Approval),
    /// A delegation.
    Delegation(Delegation),
    /// A saved filter.
    SavedFilter(SavedFilter),
    /// A custom field.
    CustomField(CustomField),
    /// A calendar.
    Calendar(Calendar),
    /// A policy of service levels.
    SlaPolicy(SlaPolicy),
    /// A clock of a service level.
    SlaClock(SlaClock),
    /// An alert.
    Alert(Alert),
    /// A rule of alerts.
    AlertRule(AlertRule),
    /// What is told of a major incident.
    StatusUpdate(StatusUpdate),
    /// What somebody noted on the timeline of a major incident.
    TimelineNote(TimelineNote),
    /// How a major incident is looked back at.
    MajorIncidentReview(MajorIncidentReview),
    /// What is to be done after a major incident.
    MajorIncidentAction(MajorIncidentAction),
    /// A rule that finds problems.
    ProblemDetectionRule(ProblemDetectionRule),
    /// An agreement on service levels.
    ServiceAgreement(ServiceAgreement),
    /// A service level requirement.
    ServiceLevelRequirement(ServiceLevelRequirement),
    /// A service review.
    ServiceReview(ServiceReview),
    /// An entry of the service improvement register.
    ServiceImprovement(ServiceImprovement),
    /// A labour rate.
    LabourRate(LabourRate),
    /// A time entry.
    TimeEntry(TimeEntry),
    /// An operation.
    Operation(Operation),
    /// One ticket of a bulk change.
    TicketBulkItem(TicketBulkItem),
    /// What tickets of a sort have in common.
    TicketTemplate(TicketTemplate),
    /// A ticket that is created again and again.
    RecurringTicket(RecurringTicket),
    /// What became of a recurring ticket at one of its times.
    RecurringTicketRun(RecurringTicketRun),
}

/// What the server tells of itself.
pub struct ServerInfo;

/// What the server tells of itself.
#[Object]
impl ServerInfo {
    /// The server's version.
    fn version(&self, ctx: &Context<'_>) -> &'static str {
        platform(ctx).info.version
    }

    /// The version of the time zone database that is built in, such as `2026e`: what working time, and intervals in a time
    /// zone, are computed with. Null when the database does not tell it.
    fn time_zone_database_version(&self) -> Option<&'static str> {
        calendar::zone_database_version()
    }

    /// The limits that requests meet.
    fn limits(&self, ctx: &Context<'_>) -> ServerLimits {
        let limits = &platform(ctx).info.limits;
        ServerLimits {
            body_bytes: bounded(limits.body_bytes as u64),
            document_bytes: bounded(limits.document_bytes as u64),
            fields: bounded(limits.fields),
            depth: bounded(limits.depth.into()),
            aliases: bounded(limits.aliases),
            root_mutations: bounded(limits.root_mutations),
            cost: bounded(limits.cost),
            page_size: bounded(limits.page),
            operations_per_socket: bounded(limits.operations_per_socket as u64),
            requests_per_second: bounded(limits.requests_per_second),
        }
    }
}

fn bounded(limit: u64) -> i32 {
    i32::try_from(limit).unwrap_or(i32::MAX)
}

/// The limits that requests meet.
#[derive(SimpleObject)]
pub struct ServerLimits {
    /// How large a request's body may be, in bytes.
    body_bytes: i32,
    /// How large a document may be, in bytes.
    document_bytes: i32,
    /// How many fields a document may select, fragments expanded.
    fields: i32,
    /// How deep a document may nest.
    depth: i32,
    /// How many aliases a document may have.
    aliases: i32,
    /// How many mutations one request may have.
    root_mutations: i32,
    /// What one document may cost: fields times page sizes.
    cost: i32,
    /// How many records one page may have.
    page_size: i32,
    /// How many operations at once one WebSocket may carry.
    operations_per_socket: i32,
    /// How many requests per second one viewer may send in the long run.
    requests_per_second: i32,
}

/// How many records `nodes` finds at once.
pub const MAX_NODES: usize = 100;

/// Queries that belong to no practice.
#[derive(Default)]
pub struct GeneralQueries;

#[Object]
impl GeneralQueries {
    /// What the server tells of itself. Needs no token.
    fn server_info(&self) -> ServerInfo {
        ServerInfo
    }

    /// A record by its id. Null when there is none that the viewer may see.
    async fn node(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The record's id, such as `inc_01jcz8…`.")] id: ID,
    ) -> Option<Result<Node>> {
        let found = async {
            viewer(ctx)?;
            find(ctx, parse(&id)?).await
        };
        // Turned inside out, an error leaves the other fields of the document alone.
        found.await.transpose()
    }

    /// Records by their ids, at most 100, in the order asked for. Null for each that the viewer may not see.
    async fn nodes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The records' ids, at most 100.")] ids: Vec<ID>,
    ) -> Result<Vec<Option<Node>>> {
        viewer(ctx)?;
        if ids.len() > MAX_NODES {
            let message = format!("{} ids are given; at most {MAX_NODES} are allowed", ids.len());
            return Err(kernel::Error::from(kernel::UserError::limit(["ids"], message, MAX_NODES as u64)).into());
        }
        let ids = ids.iter().map(parse).collect::<Result<Vec<_>>>()?;
        futures_util::future::try_join_all(ids.into_iter().map(|id| find(ctx, id))).await
    }
}

fn parse(id: &ID) -> Result<Id> {
    let parsed = Id::parse(id);
    Ok(parsed
        .map_err(|error| kernel::Error::from(kernel::UserError::constraint(["id"], error.to_string(), "id", None)))?)
}

async fn find(ctx: &Context<'_>, id: Id) -> Result<Option<Node>> {
    Ok(match id.prefix {
        // An id with the prefix of another kind names nothing.
        prefix::INCIDENT => loaders::ticket(ctx, id.uuid).await?.and_then(|row| match Ticket::from_row(row) {
            Ticket::Incident(incident) => Some(Node::Incident(incident)),
            _ => None,
        }),
        prefix::TASK => loaders::ticket(ctx, id.uuid).await?.and_then(|row| match Ticket::from_row(row) {
            Ticket::Task(task) => Some(Node::Task(task)),
            _ => None,
        }),
        prefix::PROBLEM => loaders::ticket(ctx, id.uuid).await?.and_then(|row| match Ticket::from_row(row) {
            Ticket::Problem(problem) => Some(Node::Problem(problem)),
            _ => None,
        }),
        prefix::USER | prefix::SERVICE_ACCOUNT => match loaders::actor(ctx, id.uuid).await?.map(Actor::from_row) {
            Some(Actor::User(user)) if id.prefix == prefix::USER => Some(Node::User(user)),
            Some(Actor::ServiceAccount(account)) if id.prefix == prefix::SERVICE_ACCOUNT => {
                Some(Node::ServiceAccount(account))
            }
            _ => None,
        },
        prefix::TEAM => loaders::team(ctx, id.uuid).await?.map(|row| Node::Team(Team::from_row(row))),
        prefix::CATEGORY => loaders::category(ctx, id.uuid).await?.map(|row| Node::Category(Category::from_row(row))),
        prefix::SERVICE => loaders::service(ctx, id.uuid).await?.map(|row| Node::Service(Service::from_row(row))),
        prefix::CONFIGURATION_ITEM => loaders::configuration_item(ctx, id.uuid)
            .await?
            .map(|row| Node::ConfigurationItem(ConfigurationItem::from_row(row))),
        prefix::APPROVAL => crate::approvals::types::find(ctx, id.uuid).await?.map(Node::Approval),
        prefix::CUSTOM_FIELD => {
            let found = platform(ctx).tickets.by_ids(&viewer(ctx)?, &CUSTOM_FIELD, &[id.uuid], &[]).await?.pop();
            found.map(|row| Node::CustomField(CustomField::from_row(row)))
        }
        prefix::OPERATION => {
            let found = platform(ctx).access.operation(&viewer(ctx)?, id.uuid).await?;
            found.map(|row| Node::Operation(Operation::from_row(row)))
        }
        prefix::RECURRING_TICKET_RUN => recurring_tickets::find_run(ctx, id.uuid).await?.map(Node::RecurringTicketRun),
        prefix::OPERATION_ITEM => bulk::find(ctx, id.uuid).await?.map(Node::TicketBulkItem),
        prefix::CALENDAR => loaders::calendar(ctx, id.uuid).await?.map(|row| Node::Calendar(Calendar::from_row(row))),
        prefix::SLA_CLOCK => {
            let tickets = &platform(ctx).tickets;
            let found = tickets.by_ids(&viewer(ctx)?, &SLA_CLOCK, &[id.uuid], &["policy"]).await?.pop();
            found.map(|row| Node::SlaClock(SlaClock::from_row(row)))
        }
        prefix::SLA_POLICY => {
            loaders::sla_policy(ctx, id.uuid).await?.map(|row| Node::SlaPolicy(SlaPolicy::from_row(row)))
        }
        prefix::ALERT => loaders::alert(ctx, id.uuid).await?.map(|row| Node::Alert(Alert::from_row(row))),
        prefix::ALERT_RULE => {
            loaders::alert_rule(ctx, id.uuid).await?.map(|row| Node::AlertRule(AlertRule::from_row(row)))
        }
        prefix::STATUS_UPDATE => {
            loaders::status_update(ctx, id.uuid).await?.map(|row| Node::StatusUpdate(StatusUpdate::from_row(row)))
        }
        prefix::TIMELINE_NOTE => {
            loaders::timeline_note(ctx, id.uuid).await?.map(|row| Node::TimelineNote(TimelineNote::from_row(row)))
        }
        prefix::MAJOR_INCIDENT_REVIEW => {
            let found =
                platform(ctx).tickets.by_ids(&viewer(ctx)?, &incident::fields::REVIEW, &[id.uuid], &[]).await?.pop();
            found.map(|row| Node::MajorIncidentReview(MajorIncidentReview::from_row(row)))
        }
        prefix::MAJOR_INCIDENT_ACTION => {
            let found = loaders::major_action(ctx, id.uuid).await?;
            found.map(|row| Node::MajorIncidentAction(MajorIncidentAction::from_row(row)))
        }
        prefix::PROBLEM_DETECTION_RULE => {
            let found = loaders::detection_rule(ctx, id.uuid).await?;
            found.map(|row| Node::ProblemDetectionRule(ProblemDetectionRule::from_row(row)))
        }
        prefix::SERVICE_AGREEMENT => {
            loaders::agreement(ctx, id.uuid).await?.map(|row| Node::ServiceAgreement(ServiceAgreement::from_row(row)))
        }
        prefix::SERVICE_REVIEW => {
            loaders::review(ctx, id.uuid).await?.map(|row| Node::ServiceReview(ServiceReview::from_row(row)))
        }
        prefix::SERVICE_LEVEL_REQUIREMENT => {
            let found = platform(ctx).tickets.by_ids(&viewer(ctx)?, &REQUIREMENT, &[id.uuid], &[]).await?.pop();
            found.map(|row| Node::ServiceLevelRequirement(ServiceLevelRequirement::from_row(row)))
        }
        prefix::SERVICE_IMPROVEMENT => {
            let found = platform(ctx).tickets.by_ids(&viewer(ctx)?, &IMPROVEMENT, &[id.uuid], &[]).await?.pop();
            found.map(|row| Node::ServiceImprovement(ServiceImprovement::from_row(row)))
        }
        prefix::LABOUR_RATE => {
            loaders::labour_rate(ctx, id.uuid).await?.map(|row| Node::LabourRate(LabourRate::from_row(row)))
        }
        prefix::TIME_ENTRY => crate::time::entries::find(ctx, id.uuid).await?.map(Node::TimeEntry),
        prefix::SAVED_FILTER => {
            let filter = platform(ctx).tickets.saved_filter(&viewer(ctx)?, id.uuid).await?;
            filter.map(|row| Node::SavedFilter(SavedFilter::from_row(row)))
        }
        prefix::DELEGATION => {
            let delegation = platform(ctx).tickets.delegation(&viewer(ctx)?, id.uuid).await?;
            delegation.map(|row| Node::Delegation(Delegation::from_row(row)))
        }
        prefix::TICKET_MERGE => merges::find(ctx, id.uuid).await?.map(Node::TicketMerge),
        prefix::COMMENT => loaders::comment(ctx, id.uuid).await?.map(|row| Node::Comment(Comment::from_row(row))),
        prefix::UPLOAD => crate::files::uploads::find(ctx, id.uuid).await?.map(Node::Upload),
        prefix::ATTACHMENT => {
            loaders::attachment(ctx, id.uuid).await?.map(|row| Node::Attachment(Attachment::from_row(row)))
        }
        prefix::TICKET_TEMPLATE => {
            loaders::ticket_template(ctx, id.uuid).await?.map(|row| Node::TicketTemplate(TicketTemplate::from_row(row)))
        }
        prefix::RECURRING_TICKET => loaders::recurring_ticket(ctx, id.uuid)
            .await?
            .map(|row| Node::RecurringTicket(RecurringTicket::from_row(row))),
        prefix::CANNED_RESPONSE => {
            let found = platform(ctx).tickets.canned_response_by_id(&viewer(ctx)?, id.uuid).await?;
            found.map(|row| Node::CannedResponse(CannedResponse::from_row(row)))
        }
        // Other ids name records that only their own queries show.
        _ => None,
    })
}

/// The schema over a platform. Documents are checked at the doors, so the library's own validation is the fast one.
pub fn build(platform: Platform) -> Schema {
    builder().data(platform).finish()
}

/// The schema's text.
pub fn sdl() -> String {
    builder().finish().sdl_with_options(async_graphql::SDLExportOptions::new().include_specified_by())
}

fn builder() -> async_graphql::SchemaBuilder<Query, Mutation, Subscription> {
    async_graphql::Schema::build(Query::default(), Mutation::default(), Subscription::default())
        .validation_mode(async_graphql::ValidationMode::Fast)
}
