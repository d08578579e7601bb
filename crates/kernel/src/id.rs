//! Ids as clients see them: a type prefix and a UUID in Crockford base 32 (TypeID 0.3), `inc_01jcz8…`.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const SUFFIX_LENGTH: usize = 26;

/// A record's id with the prefix of its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id {
    /// The type's prefix, one of [`prefix`].
    pub prefix: &'static str,
    /// The id that the database stores.
    pub uuid: Uuid,
}

/// The prefixes of all record types, each the first part of its ids.
pub mod prefix {
    /// Tenant.
    pub const TENANT: &str = "tnt";
    /// User.
    pub const USER: &str = "usr";
    /// Service account.
    pub const SERVICE_ACCOUNT: &str = "svc";
    /// The system itself, as an actor of a tenant.
    pub const SYSTEM: &str = "sys";
    /// Team.
    pub const TEAM: &str = "team";
    /// Role.
    pub const ROLE: &str = "role";
    /// Session.
    pub const SESSION: &str = "ses";
    /// API token.
    pub const API_TOKEN: &str = "tok";
    /// Category.
    pub const CATEGORY: &str = "cat";
    /// Incident.
    pub const INCIDENT: &str = "inc";
    /// Alert.
    pub const ALERT: &str = "alt";
    /// Rule of alerts.
    pub const ALERT_RULE: &str = "alr";
    /// What is told of a major incident.
    pub const STATUS_UPDATE: &str = "sup";
    /// What somebody notes on the timeline of a major incident.
    pub const TIMELINE_NOTE: &str = "tln";
    /// How a major incident is looked back at.
    pub const MAJOR_INCIDENT_REVIEW: &str = "mir";
    /// What a tenant sets for its major incidents.
    pub const MAJOR_INCIDENT_SETTINGS: &str = "mis";
    /// What came out of that.
    pub const MAJOR_INCIDENT_ACTION: &str = "mia";
    /// Task.
    pub const TASK: &str = "tsk";
    /// Problem.
    pub const PROBLEM: &str = "prb";
    /// Rule that finds problems.
    pub const PROBLEM_DETECTION_RULE: &str = "pdr";
    /// Merge of a ticket into another.
    pub const TICKET_MERGE: &str = "mrg";
    /// Comment.
    pub const COMMENT: &str = "com";
    /// Canned response.
    pub const CANNED_RESPONSE: &str = "can";
    /// Ticket template.
    pub const TICKET_TEMPLATE: &str = "tpl";
    /// Recurring ticket.
    pub const RECURRING_TICKET: &str = "rec";
    /// Run of a recurring ticket.
    pub const RECURRING_TICKET_RUN: &str = "run";
    /// Approval.
    pub const APPROVAL: &str = "apr";
    /// Step of an approval.
    pub const APPROVAL_STEP: &str = "aps";
    /// Vote on a step of an approval.
    pub const APPROVAL_VOTE: &str = "apv";
    /// Delegation.
    pub const DELEGATION: &str = "del";
    /// Saved filter.
    pub const SAVED_FILTER: &str = "flt";
    /// Custom field.
    pub const CUSTOM_FIELD: &str = "fld";
    /// Event of the log.
    pub const EVENT: &str = "evt";
    /// Workflow.
    pub const WORKFLOW: &str = "wfl";
    /// Service.
    pub const SERVICE: &str = "service";
    /// Configuration item.
    pub const CONFIGURATION_ITEM: &str = "ci";
    /// Operation in the background.
    pub const OPERATION: &str = "op";
    /// Item of an operation.
    pub const OPERATION_ITEM: &str = "opi";
    /// Calendar of working time.
    pub const CALENDAR: &str = "cal";
    /// Policy of service levels.
    pub const SLA_POLICY: &str = "slp";
    /// Clock of a service level on a ticket.
    pub const SLA_CLOCK: &str = "clk";
    /// Agreement on service levels.
    pub const SERVICE_AGREEMENT: &str = "agr";
    /// Service level requirement.
    pub const SERVICE_LEVEL_REQUIREMENT: &str = "slr";
    /// Service review.
    pub const SERVICE_REVIEW: &str = "rev";
    /// Service improvement.
    pub const SERVICE_IMPROVEMENT: &str = "imp";
    /// Labour rate.
    pub const LABOUR_RATE: &str = "lbr";
    /// Time entry.
    pub const TIME_ENTRY: &str = "tme";
    /// Upload.
    pub const UPLOAD: &str = "upl";
    /// Attachment.
    pub const ATTACHMENT: &str = "att";

    /// Every prefix there is.
    pub const ALL: &[&str] = &[
        TENANT,
        USER,
        SERVICE_ACCOUNT,
        SYSTEM,
        TEAM,
        ROLE,
        SESSION,
        API_TOKEN,
        CATEGORY,
        INCIDENT,
        ALERT,
        ALERT_RULE,
        STATUS_UPDATE,
        TIMELINE_NOTE,
        MAJOR_INCIDENT_REVIEW,
        MAJOR_INCIDENT_SETTINGS,
        MAJOR_INCIDENT_ACTION,
        TASK,
        COMMENT,
        CANNED_RESPONSE,
        TICKET_TEMPLATE,
        RECURRING_TICKET,
        RECURRING_TICKET_RUN,
        EVENT,
        WORKFLOW,
        SERVICE,
        CONFIGURATION_ITEM,
        APPROVAL,
        APPROVAL_STEP,
        APPROVAL_VOTE,
        DELEGATION,
        SAVED_FILTER,
        CUSTOM_FIELD,
        CALENDAR,
        SLA_POLICY,
        SLA_CLOCK,
        SERVICE_AGREEMENT,
        SERVICE_LEVEL_REQUIREMENT,
        SERVICE_REVIEW,
        SERVICE_IMPROVEMENT,
        OPERATION,
        OPERATION_ITEM,
        PROBLEM,
        TICKET_MERGE,
        PROBLEM_DETECTION_RULE,
        LABOUR_RATE,
        TIME_ENTRY,
        UPLOAD,
        ATTACHMENT,
    ];
}

/// Why a text is not an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not a prefix, an underscore and 26 characters of base 32.
    #[error("`{0}` is not an id; ids look like `inc_01jcz8…` (a prefix, an underscore, 26 characters)")]
    Malformed(String),
    /// Well formed, but of no type that exists.
    #[error("`{0}` starts with no known prefix")]
    UnknownPrefix(String),
    /// Well formed, but of another type than was asked for.
    #[error("expected an id that starts with {expected}, got one that starts with `{found}_`")]
    WrongPrefix {
        /// The prefixes that would do, as text.
        expected: String,
        /// The prefix it has.
        found: &'static str,
    },
}

impl Id {
    /// An id of the type with this prefix.
    pub const fn new(prefix: &'static str, uuid: Uuid) -> Self {
        Self { prefix, uuid }
    }

    /// Reads any id.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let malformed = || IdError::Malformed(text.chars().take(64).collect());
        let (prefix, suffix) = text.rsplit_once('_').ok_or_else(malformed)?;
        let uuid = decode(suffix).ok_or_else(malformed)?;
        let prefix = prefix::ALL
            .iter()
            .copied()
            .find(|known| *known == prefix)
            .ok_or_else(|| IdError::UnknownPrefix(text.chars().take(64).collect()))?;
        Ok(Self { prefix, uuid })
    }

    /// Reads an id whose prefix must be one of `expected`.
    pub fn parse_as(text: &str, expected: &[&'static str]) -> Result<Self, IdError> {
        let id = Self::parse(text)?;
        if expected.contains(&id.prefix) {
            return Ok(id);
        }
        let expected = expected.iter().map(|prefix| format!("`{prefix}_`")).collect::<Vec<_>>().join(" or ");
        Err(IdError::WrongPrefix { expected, found: id.prefix })
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.prefix)?;
        f.write_str("_")?;
        let value = self.uuid.as_u128();
        for position in (0..SUFFIX_LENGTH).rev() {
            let digit = (value >> (position * 5)) & 31;
            fmt::Write::write_char(f, ALPHABET[digit as usize] as char)?;
        }
        Ok(())
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Id::parse(&text).map_err(serde::de::Error::custom)
    }
}

fn decode(suffix: &str) -> Option<Uuid> {
    // 26 characters hold 130 bits: the first may use only three of its five.
    if suffix.len() != SUFFIX_LENGTH || suffix.as_bytes()[0] > b'7' {
        return None;
    }
    suffix
        .bytes()
        .try_fold(0u128, |value, byte| {
            let digit = ALPHABET.iter().position(|known| *known == byte)?;
            Some((value << 5) | digit as u128)
        })
        .map(Uuid::from_u128)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_the_typeid_specification() {
        let uuid = Uuid::parse_str("01890a5d-ac96-774b-bcce-b302099a8057").unwrap();
        assert_eq!(Id::new(prefix::TEAM, uuid).to_string(), "team_01h455vb4pex5vsknk084sn02q");
        assert_eq!(Id::parse("team_01h455vb4pex5vsknk084sn02q").unwrap().uuid, uuid);
    }

    #[test]
    fn extremes_survive_the_way_there_and_back() {
        for uuid in [Uuid::nil(), Uuid::max()] {
            let id = Id::new(prefix::INCIDENT, uuid);
            assert_eq!(Id::parse(&id.to_string()), Ok(id));
            let kept = serde_json::to_string(&id).unwrap();
            assert_eq!(serde_json::from_str::<Id>(&kept).unwrap(), id);
        }
    }

    #[test]
    fn says_what_is_wrong() {
        assert!(matches!(Id::parse("INC-1042"), Err(IdError::Malformed(_))));
        assert!(matches!(Id::parse("inc_8zzzzzzzzzzzzzzzzzzzzzzzzz"), Err(IdError::Malformed(_))));
        assert!(matches!(Id::parse("xyz_01h455vb4pex5vsknk084sn02q"), Err(IdError::UnknownPrefix(_))));
        let wrong = Id::parse_as("team_01h455vb4pex5vsknk084sn02q", &[prefix::USER, prefix::SERVICE_ACCOUNT]);
        assert_eq!(
            wrong.unwrap_err().to_string(),
            "expected an id that starts with `usr_` or `svc_`, got one that starts with `team_`"
        );
    }
}
