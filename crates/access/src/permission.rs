//! Permissions: what can be allowed at all. They are code; who holds which of them, and how far they reach, is data.
//!
//! A role grants permissions, each with a [`Scope`]. A role is given to an actor, for all teams of theirs or for one.

use kernel::{Grant, Grants, Scope};

macro_rules! permissions {
    ($($(#[doc = $doc:literal])+ $name:ident = $key:literal,)*) => {
        $($(#[doc = $doc])+ pub const $name: &str = $key;)*

        /// Every permission there is, with what it allows.
        pub const ALL: &[Permission] = &[
            $(Permission { name: $key, description: concat!($($doc),+) },)*
        ];
    };
}

/// One permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission {
    /// Its name: what it is about, a dot, what it allows.
    pub name: &'static str,
    /// What it allows.
    pub description: &'static str,
}

permissions! {
    /// See tickets and their public comments.
    TICKET_READ = "ticket.read",
    /// See and write what a requester does not: internal comments and working fields.
    TICKET_INTERNAL = "ticket.internal",
    /// Open tickets, as their requester.
    TICKET_CREATE = "ticket.create",
    /// Open tickets for another requester.
    TICKET_CREATE_ON_BEHALF = "ticket.createOnBehalf",
    /// Change a ticket's fields.
    TICKET_UPDATE = "ticket.update",
    /// Set a ticket's team and assignee.
    TICKET_ASSIGN = "ticket.assign",
    /// Move a ticket through its workflow.
    TICKET_TRANSITION = "ticket.transition",
    /// Reopen a resolved ticket.
    TICKET_REOPEN = "ticket.reopen",
    /// Cancel a ticket.
    TICKET_CANCEL = "ticket.cancel",
    /// Comment on a ticket.
    TICKET_COMMENT = "ticket.comment",
    /// Redact what others said on a ticket.
    COMMENT_REDACT = "comment.redact",
    /// Take away what others attached to a ticket.
    ATTACHMENT_REMOVE = "attachment.remove",
    /// Fetch attachments that wait for a virus scanner, and say what it found.
    ATTACHMENT_SCAN = "attachment.scan",
    /// See canned responses.
    CANNED_RESPONSE_READ = "cannedResponse.read",
    /// Create and change canned responses.
    CANNED_RESPONSE_MANAGE = "cannedResponse.manage",
    /// See ticket templates and recurring tickets.
    TEMPLATE_READ = "template.read",
    /// Create, change and delete ticket templates and recurring tickets.
    TEMPLATE_MANAGE = "template.manage",
    /// Set a ticket's priority against the matrix.
    TICKET_OVERRIDE_PRIORITY = "ticket.overridePriority",
    /// Ask for the approval of a ticket, and withdraw what was asked.
    APPROVAL_START = "approval.start",
    /// Pass on a person's decision on an approval, as a service account; every approval is visible to it.
    APPROVAL_DECIDE_ON_BEHALF = "approval.decideOnBehalf",
    /// Tell of alerts, which open, count on and resolve incidents as the rules of alerts say.
    ALERT_INGEST = "alert.ingest",
    /// Say that an incident is a major one, or that it is not, lead it, tell of it and look back at it.
    INCIDENT_MANAGE_MAJOR = "incident.manageMajor",
    /// Open problems, link incidents with them, and publish workarounds.
    PROBLEM_MANAGE = "problem.manage",
    /// Share saved filters: `TEAM` with one's teams, `TENANT` with everybody; and change those of others that are shared so.
    FILTER_SHARE = "filter.share",
    /// See users' e-mail addresses, time zones and roles.
    USER_READ = "user.read",
    /// Create and change users and service accounts, and give them roles.
    USER_MANAGE = "user.manage",
    /// Create and change teams and their members.
    TEAM_MANAGE = "team.manage",
    /// Create and revoke API tokens: `OWN` one's own, `TENANT` those of service accounts (create) and of everybody (revoke).
    TOKEN_MANAGE = "token.manage",
    /// Change the tenant's settings: priority matrix, categories.
    SETTINGS_MANAGE = "settings.manage",
    /// See the audit of administrative acts.
    AUDIT_READ = "audit.read",
    /// See configuration items and their relations. Services are seen by everybody in the tenant.
    CONFIGURATION_READ = "configuration.read",
    /// Create and change services, configuration items and their relations.
    CONFIGURATION_MANAGE = "configuration.manage",
    /// See agreements on service levels, what is required, service reviews and improvements.
    AGREEMENT_READ = "agreement.read",
    /// Create and change agreements on service levels, what is required, service reviews and improvements.
    AGREEMENT_MANAGE = "agreement.manage",
    /// Write down the time that one has worked on a ticket, and correct it.
    TIME_RECORD = "time.record",
    /// Write down and correct anybody's time on a ticket.
    TIME_MANAGE = "time.manage",
    /// See what tickets cost.
    COST_READ = "cost.read",
    /// See labour rates.
    RATE_READ = "rate.read",
    /// Create and change labour rates.
    RATE_MANAGE = "rate.manage",
}

/// The permission with this name.
pub fn find(name: &str) -> Option<&'static Permission> {
    ALL.iter().find(|permission| permission.name == name)
}

/// A grant of the whole tenant for each permission: what the system and the command line act with.
pub fn everything() -> Grants {
    let grants = ALL.iter().map(|permission| grant(permission.name, Scope::Tenant));
    normalised(grants.collect(), Vec::new())
}

/// One permission with its reach, for all teams of the actor.
pub(crate) fn grant(permission: &str, scope: Scope) -> Grant {
    Grant { permission: permission.to_owned(), scope, team: None }
}

/// Grants as [`Grants`] promises them: sorted, without duplicates.
pub(crate) fn normalised(mut grants: Vec<Grant>, mut teams: Vec<kernel::Uuid>) -> Grants {
    grants.sort_unstable();
    grants.dedup();
    teams.sort_unstable();
    teams.dedup();
    Grants { grants, teams }
}

/// A permission with its reach, for all teams of the actor; the parts of which built-in roles are made.
pub type RoleGrant = (&'static str, Scope);

/// A role that every tenant is created with.
#[derive(Clone, Copy, Debug)]
pub struct BuiltInRole {
    /// Its key, by which inputs name it.
    pub key: &'static str,
    /// Its name, for people.
    pub name: &'static str,
    /// Its own grants.
    grants: &'static [RoleGrant],
    /// The role whose grants it has as well.
    extends: Option<&'static BuiltInRole>,
}

impl BuiltInRole {
    /// All that it grants, in the order of declaration.
    pub fn grants(&self) -> Vec<RoleGrant> {
        let mut grants = self.extends.map(BuiltInRole::grants).unwrap_or_default();
        grants.extend_from_slice(self.grants);
        grants
    }
}

/// The key of the role that may do everything; a tenant always has an active user with it.
pub const ADMINISTRATOR: &str = "administrator";
/// The key of the role for people who ask for help.
pub const REQUESTER: &str = "requester";
/// The key of the role for people who help.
pub const AGENT: &str = "agent";
/// The key of the role for those who lead a team.
pub const TEAM_LEAD: &str = "team_lead";
/// The key of the role for programs that tell of alerts.
pub const MONITORING: &str = "monitoring";
/// The key of the role for programs that look for viruses.
pub const SCANNER: &str = "scanner";
/// The key of the role that may see everything and change nothing.
pub const AUDITOR: &str = "auditor";

static REQUESTER_ROLE: BuiltInRole = BuiltInRole {
    key: REQUESTER,
    name: "Requester",
    extends: None,
    grants: &[
        (TICKET_READ, Scope::Own),
        (TICKET_CREATE, Scope::Own),
        (TICKET_COMMENT, Scope::Own),
        (TICKET_REOPEN, Scope::Own),
        (TICKET_CANCEL, Scope::Own),
        (TOKEN_MANAGE, Scope::Own),
    ],
};

static AGENT_ROLE: BuiltInRole = BuiltInRole {
    key: AGENT,
    name: "Agent",
    extends: Some(&REQUESTER_ROLE),
    grants: &[
        (TICKET_READ, Scope::Team),
        (TICKET_INTERNAL, Scope::Team),
        (TICKET_UPDATE, Scope::Team),
        (TICKET_ASSIGN, Scope::Team),
        (TICKET_TRANSITION, Scope::Team),
        (TICKET_REOPEN, Scope::Team),
        (TICKET_CANCEL, Scope::Team),
        (TICKET_COMMENT, Scope::Team),
        (APPROVAL_START, Scope::Team),
        (TICKET_CREATE, Scope::Tenant),
        (TICKET_CREATE_ON_BEHALF, Scope::Tenant),
        (USER_READ, Scope::Tenant),
        (CONFIGURATION_READ, Scope::Tenant),
        (AGREEMENT_READ, Scope::Tenant),
        (PROBLEM_MANAGE, Scope::Tenant),
        (CANNED_RESPONSE_READ, Scope::Tenant),
        (TEMPLATE_READ, Scope::Tenant),
        (TIME_RECORD, Scope::Team),
    ],
};

static TEAM_LEAD_ROLE: BuiltInRole = BuiltInRole {
    key: TEAM_LEAD,
    name: "Team Lead",
    extends: Some(&AGENT_ROLE),
    grants: &[
        (TICKET_READ, Scope::Tenant),
        (TICKET_INTERNAL, Scope::Tenant),
        (TICKET_ASSIGN, Scope::Tenant),
        (TICKET_OVERRIDE_PRIORITY, Scope::Team),
        (COMMENT_REDACT, Scope::Team),
        (ATTACHMENT_REMOVE, Scope::Team),
        (CANNED_RESPONSE_MANAGE, Scope::Tenant),
        (TEMPLATE_MANAGE, Scope::Tenant),
        (INCIDENT_MANAGE_MAJOR, Scope::Tenant),
        (TEAM_MANAGE, Scope::Team),
        (FILTER_SHARE, Scope::Team),
        (TIME_MANAGE, Scope::Team),
        (COST_READ, Scope::Team),
    ],
};

static ADMINISTRATOR_ROLE: BuiltInRole = BuiltInRole {
    key: ADMINISTRATOR,
    name: "Administrator",
    extends: None,
    grants: &[
        (TICKET_READ, Scope::Tenant),
        (TICKET_INTERNAL, Scope::Tenant),
        (TICKET_CREATE, Scope::Tenant),
        (TICKET_CREATE_ON_BEHALF, Scope::Tenant),
        (TICKET_UPDATE, Scope::Tenant),
        (TICKET_ASSIGN, Scope::Tenant),
        (TICKET_TRANSITION, Scope::Tenant),
        (TICKET_REOPEN, Scope::Tenant),
        (TICKET_CANCEL, Scope::Tenant),
        (TICKET_COMMENT, Scope::Tenant),
        (COMMENT_REDACT, Scope::Tenant),
        (ATTACHMENT_REMOVE, Scope::Tenant),
        (ATTACHMENT_SCAN, Scope::Tenant),
        (CANNED_RESPONSE_READ, Scope::Tenant),
        (TEMPLATE_READ, Scope::Tenant),
        (CANNED_RESPONSE_MANAGE, Scope::Tenant),
        (TEMPLATE_MANAGE, Scope::Tenant),
        (TICKET_OVERRIDE_PRIORITY, Scope::Tenant),
        (APPROVAL_START, Scope::Tenant),
        (APPROVAL_DECIDE_ON_BEHALF, Scope::Tenant),
        (ALERT_INGEST, Scope::Tenant),
        (INCIDENT_MANAGE_MAJOR, Scope::Tenant),
        (FILTER_SHARE, Scope::Tenant),
        (USER_READ, Scope::Tenant),
        (USER_MANAGE, Scope::Tenant),
        (TEAM_MANAGE, Scope::Tenant),
        (TOKEN_MANAGE, Scope::Own),
        (TOKEN_MANAGE, Scope::Tenant),
        (SETTINGS_MANAGE, Scope::Tenant),
        (AUDIT_READ, Scope::Tenant),
        (CONFIGURATION_READ, Scope::Tenant),
        (CONFIGURATION_MANAGE, Scope::Tenant),
        (AGREEMENT_READ, Scope::Tenant),
        (AGREEMENT_MANAGE, Scope::Tenant),
        (PROBLEM_MANAGE, Scope::Tenant),
        (TIME_RECORD, Scope::Tenant),
        (TIME_MANAGE, Scope::Tenant),
        (COST_READ, Scope::Tenant),
        (RATE_READ, Scope::Tenant),
        (RATE_MANAGE, Scope::Tenant),
    ],
};

static AUDITOR_ROLE: BuiltInRole = BuiltInRole {
    key: AUDITOR,
    name: "Auditor",
    extends: None,
    grants: &[
        (TICKET_READ, Scope::Tenant),
        (TICKET_INTERNAL, Scope::Tenant),
        (USER_READ, Scope::Tenant),
        (AUDIT_READ, Scope::Tenant),
        (CONFIGURATION_READ, Scope::Tenant),
        (AGREEMENT_READ, Scope::Tenant),
        (CANNED_RESPONSE_READ, Scope::Tenant),
        (TEMPLATE_READ, Scope::Tenant),
        (COST_READ, Scope::Tenant),
        (RATE_READ, Scope::Tenant),
    ],
};

static MONITORING_ROLE: BuiltInRole =
    BuiltInRole { key: MONITORING, name: "Monitoring", extends: None, grants: &[(ALERT_INGEST, Scope::Tenant)] };

static SCANNER_ROLE: BuiltInRole =
    BuiltInRole { key: SCANNER, name: "Scanner", extends: None, grants: &[(ATTACHMENT_SCAN, Scope::Tenant)] };

/// The roles that every tenant is created with.
pub static BUILT_IN_ROLES: [&BuiltInRole; 7] = [
    &REQUESTER_ROLE,
    &AGENT_ROLE,
    &TEAM_LEAD_ROLE,
    &ADMINISTRATOR_ROLE,
    &AUDITOR_ROLE,
    &MONITORING_ROLE,
    &SCANNER_ROLE,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_described() {
        let mut names = ALL.iter().map(|permission| permission.name).collect::<Vec<_>>();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        assert!(ALL.iter().all(|permission| permission.description.trim().ends_with('.')));
    }

    #[test]
    fn an_administrator_may_do_everything_in_the_tenant() {
        let grants = ADMINISTRATOR_ROLE.grants();
        for permission in ALL {
            assert!(grants.contains(&(permission.name, Scope::Tenant)), "{} is missing", permission.name);
        }
    }

    #[test]
    fn a_lead_has_what_an_agent_has_and_an_agent_what_a_requester_has() {
        for (more, less) in [(&TEAM_LEAD_ROLE, &AGENT_ROLE), (&AGENT_ROLE, &REQUESTER_ROLE)] {
            let grants = more.grants();
            assert!(less.grants().iter().all(|grant| grants.contains(grant)));
        }
    }

    #[test]
    fn an_auditor_changes_nothing() {
        assert!(AUDITOR_ROLE.grants().iter().all(|(name, _)| name.ends_with(".read") || *name == TICKET_INTERNAL));
    }

    #[test]
    fn roles_grant_only_permissions_that_exist() {
        for role in BUILT_IN_ROLES {
            assert!(role.grants().iter().all(|(name, _)| find(name).is_some()), "{}", role.key);
        }
    }
}
