//! What can be asked of incidents.

use access::{TeamRef, UserRef};
use configuration::ServiceRef;
use kernel::{Id, Patch, Timestamp};
use ticket::custom_field::SetCustomField;
use ticket::{AffectedItems, Impact, PriorityOverride, TaskDraft, TicketDraft, TicketPatch, TicketRef, Urgency};

use crate::alert::{Matcher, SeverityMapping};
use crate::major::{ActionKind, Step, UpdateAudience};
use crate::model::{EscalationType, IncidentOrigin};

/// Open an incident.
#[derive(Clone, Debug)]
pub struct CreateIncident {
    /// What is wrong, in a line.
    pub title: String,
    /// What is wrong, in Markdown.
    pub description: Option<String>,
    /// Who is affected; the viewer when absent.
    pub requester: Option<UserRef>,
    /// How many are affected.
    pub impact: Impact,
    /// How long it can wait.
    pub urgency: Urgency,
    /// A priority against the matrix.
    pub priority_override: Option<PriorityOverride>,
    /// The key of a category.
    pub category: Option<String>,
    /// The service that is interrupted.
    pub service: Option<ServiceRef>,
    /// The configuration items that it is about.
    pub items: AffectedItems,
    /// The team that works on it.
    pub team: Option<TeamRef>,
    /// The member of the team who does.
    pub assignee: Option<UserRef>,
    /// Free words.
    pub tags: Vec<String>,
    /// Custom fields.
    pub custom_fields: Vec<SetCustomField>,
    /// What it is called elsewhere: (source, key).
    pub external_refs: Vec<(String, String)>,
    /// How it came in.
    pub origin: IncidentOrigin,
    /// What alerts of it have in common; at most one open incident of the tenant has it.
    pub deduplication_key: Option<String>,
}

impl CreateIncident {
    /// What any ticket says.
    pub(crate) fn draft(&self) -> TicketDraft {
        TicketDraft {
            title: self.title.clone(),
            description: self.description.clone(),
            requester: self.requester.clone(),
            impact: self.impact,
            urgency: self.urgency,
            priority_override: self.priority_override.clone(),
            category: self.category.clone(),
            service: self.service.clone(),
            items: self.items.clone(),
            team: self.team.clone(),
            assignee: self.assignee.clone(),
            tags: self.tags.clone(),
            custom_fields: self.custom_fields.clone(),
            external_refs: self.external_refs.clone(),
        }
    }
}

/// Change an incident. Absent fields stay.
#[derive(Clone, Debug)]
pub struct UpdateIncident {
    /// Which incident.
    pub incident: TicketRef,
    /// A new title.
    pub title: Option<String>,
    /// A new description.
    pub description: Patch<String>,
    /// Who is affected.
    pub requester: Option<UserRef>,
    /// How many are affected.
    pub impact: Option<Impact>,
    /// How long it can wait.
    pub urgency: Option<Urgency>,
    /// A priority against the matrix; null goes back to the matrix.
    pub priority_override: Patch<PriorityOverride>,
    /// The key of a category.
    pub category: Patch<String>,
    /// The service that is interrupted.
    pub service: Patch<ServiceRef>,
    /// The configuration items that it is about.
    pub items: AffectedItems,
    /// All tags.
    pub tags: Option<Vec<String>>,
    /// Custom fields; those that are not named stay.
    pub custom_fields: Vec<SetCustomField>,
    /// Refuse when the incident has another version.
    pub expected_version: Option<i32>,
}

impl UpdateIncident {
    /// What changes on any ticket.
    pub(crate) fn patch(&self) -> TicketPatch {
        TicketPatch {
            title: self.title.clone(),
            description: self.description.clone(),
            requester: self.requester.clone(),
            impact: self.impact,
            urgency: self.urgency,
            priority_override: self.priority_override.clone(),
            category: self.category.clone(),
            service: self.service.clone(),
            items: self.items.clone(),
            tags: self.tags.clone(),
            custom_fields: self.custom_fields.clone(),
        }
    }
}

/// Bring an incident to those who know more, or who decide more.
#[derive(Clone, Debug)]
pub struct EscalateIncident {
    /// Which incident.
    pub incident: TicketRef,
    /// Which way.
    pub kind: EscalationType,
    /// To which team, of a functional escalation; that which the present team escalates to, when absent.
    pub team: Option<TeamRef>,
    /// Why.
    pub reason: String,
    /// Refuse when the incident has another version.
    pub expected_version: Option<i32>,
}

/// How many rules of alerts a tenant may have that are not retired.
pub const MAX_ALERT_RULES: usize = 200;
/// How many matchers a rule may have.
pub const MAX_MATCHERS: usize = 20;
/// How many values a matcher may compare with.
pub const MAX_MATCHER_VALUES: usize = 100;
/// How many severities a rule may speak of.
pub const MAX_SEVERITIES: usize = 20;
/// How long the template of a key may be, in bytes.
pub const MAX_TEMPLATE: usize = 500;
/// How long a window may be, in seconds.
pub const MAX_WINDOW_SECONDS: i64 = 30 * 86_400;

/// Points at a rule of alerts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AlertRuleRef {
    /// By id.
    Id(Id),
    /// By key.
    Key(String),
}

/// What a rule of alerts says.
#[derive(Clone, Debug)]
pub struct AlertRuleDraft {
    /// For which alerts: all of these must hold.
    pub matchers: Vec<Matcher>,
    /// The key of the incident that alerts join, with labels in braces; each has an incident of its own when absent.
    pub group_by: Option<String>,
    /// How long after its first alert an incident is joined, in seconds; as long as it is open, when absent.
    pub window: Option<i64>,
    /// How long after it was resolved an incident is reopened, in seconds; never, when absent.
    pub flap_window: Option<i64>,
    /// The resolution code with which an incident is resolved when its last alert is over; it waits for a person, when absent.
    pub resolution_code: Option<String>,
    /// What severities mean; the first that fits counts.
    pub severities: Vec<SeverityMapping>,
    /// Who has the incidents, as their requester.
    pub requester: UserRef,
    /// The team that works on them.
    pub team: Option<TeamRef>,
    /// The service that is interrupted.
    pub service: Option<ServiceRef>,
    /// The key of a category.
    pub category: Option<String>,
}

/// Add a rule of alerts.
#[derive(Clone, Debug)]
pub struct CreateAlertRule {
    /// Unique in the tenant: lower-case letters, digits and hyphens.
    pub key: String,
    /// For people.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Rules are tried from the lowest on; 0 when absent.
    pub position: Option<i32>,
    /// What it says.
    pub draft: AlertRuleDraft,
}

/// Change a rule of alerts.
#[derive(Clone, Debug)]
pub struct UpdateAlertRule {
    /// Which.
    pub rule: AlertRuleRef,
    /// A new name.
    pub name: Option<String>,
    /// What it is for.
    pub description: Patch<String>,
    /// Rules are tried from the lowest on.
    pub position: Option<i32>,
    /// What it says, as a whole.
    pub draft: Option<AlertRuleDraft>,
    /// A retired rule is for no alerts that come in.
    pub retired: Option<bool>,
    /// Refuse when the rule has another version.
    pub expected_version: Option<i32>,
}

/// Who leads a major incident, what it means, and how often it is told of. What is absent stays.
#[derive(Clone, Debug, Default)]
pub struct MajorDraft {
    /// What it means for the business, in Markdown.
    pub business_impact: Option<String>,
    /// Who commands.
    pub commander: Patch<UserRef>,
    /// Who tells of it.
    pub communications_lead: Patch<UserRef>,
    /// Who writes down.
    pub scribe: Patch<UserRef>,
    /// How long after a status update the next is due, in seconds; null: no reminders.
    pub update_cadence: Patch<i64>,
}

/// Decide on a major incident, or change it.
#[derive(Clone, Debug)]
pub struct ChangeMajor {
    /// Which incident.
    pub incident: TicketRef,
    /// What is done.
    pub step: Step,
    /// What else changes.
    pub draft: MajorDraft,
    /// Refuse when the incident has another version.
    pub expected_version: Option<i32>,
}

/// Tell of a major incident.
#[derive(Clone, Debug)]
pub struct PostStatusUpdate {
    /// Of which.
    pub incident: TicketRef,
    /// What, in Markdown.
    pub body: String,
    /// To whom.
    pub audience: UpdateAudience,
}

/// Note something on the timeline of a major incident.
#[derive(Clone, Debug)]
pub struct AddTimelineNote {
    /// Of which.
    pub incident: TicketRef,
    /// What, in Markdown.
    pub body: String,
    /// When it was; now, when absent.
    pub at: Option<Timestamp>,
}

/// Write the review of a major incident. What is absent stays.
#[derive(Clone, Debug)]
pub struct WriteReview {
    /// Of which.
    pub incident: TicketRef,
    /// What happened, in Markdown.
    pub what_happened: Patch<String>,
    /// Why, and why that, and so on.
    pub five_whys: Option<Vec<String>>,
    /// What is learnt from it, in Markdown.
    pub lessons: Patch<String>,
    /// Refuse when the review has another version.
    pub expected_version: Option<i32>,
}

/// Have something done after a major incident.
#[derive(Clone, Debug)]
pub struct AddMajorAction {
    /// After which.
    pub incident: TicketRef,
    /// What becomes of it.
    pub kind: ActionKind,
    /// What is to be done, and who does it.
    pub draft: TaskDraft,
}

/// Set what holds for the tenant's major incidents. What is absent stays.
#[derive(Clone, Debug, Default)]
pub struct SetMajorSettings {
    /// Whether a major incident is closed after its review only.
    pub review_required: Option<bool>,
    /// How long after a status update the next is due where nobody says otherwise, in seconds; null: no reminders.
    pub update_cadence: Patch<i64>,
    /// Refuse when the settings have another version.
    pub expected_version: Option<i32>,
}
