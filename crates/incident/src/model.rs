//! The words that incidents are described with.

use serde::{Deserialize, Serialize};

/// How an incident came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum IncidentOrigin {
    /// A portal.
    Portal,
    /// A program.
    Api,
    /// An e-mail.
    Email,
    /// A phone call.
    Phone,
    /// A chat.
    Chat,
    /// An alert.
    Monitoring,
    /// A rule.
    Automation,
}

impl IncidentOrigin {
    /// Their names, in order.
    pub const NAMES: &'static [&'static str] = &["PORTAL", "API", "EMAIL", "PHONE", "CHAT", "MONITORING", "AUTOMATION"];

    /// The name that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_in_order() {
        assert_eq!(IncidentOrigin::Portal.as_str(), "PORTAL");
        assert_eq!(IncidentOrigin::Automation.as_str(), "AUTOMATION");
    }
}
