//! What can be asked of incidents.

use access::{TeamRef, UserRef};
use configuration::ServiceRef;
use kernel::Patch;
use ticket::custom_field::SetCustomField;
use ticket::{AffectedItems, Impact, PriorityOverride, TicketRef, Urgency};

use crate::model::IncidentOrigin;

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
