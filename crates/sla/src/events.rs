//! The events of this crate: what becomes of clocks on tickets, and the audit trail of calendars and policies.

/// A clock is over time. The subject is the ticket; policy, metric and when it was due are in the payload.
pub const BREACHED: &str = "SlaBreached";
/// An escalation of a clock was due. The subject is the ticket; policy, metric, which escalation, when it was due and what was
/// done are in the payload.
pub const ESCALATED: &str = "SlaEscalated";
/// Other versions of a policy and its calendars hold for the ticket from now on, back to its beginning.
pub const POLICY_APPLIED: &str = "SlaPolicyApplied";

/// A calendar was added.
pub const CALENDAR_CREATED: &str = "CalendarCreated";
/// A calendar changed; a new version of what it says is in the payload.
pub const CALENDAR_UPDATED: &str = "CalendarUpdated";
/// A policy was added.
pub const POLICY_CREATED: &str = "SlaPolicyCreated";
/// A policy changed; a new version of what it says is in the payload.
pub const POLICY_UPDATED: &str = "SlaPolicyUpdated";

/// What the log calls calendars.
pub const SUBJECT_CALENDAR: &str = "calendar";
/// What the log calls policies.
pub const SUBJECT_POLICY: &str = "slaPolicy";
