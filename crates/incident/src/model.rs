//! The words that incidents are described with.

kernel::words! {
    /// How an incident came in.
    IncidentOrigin {
        /// A portal.
        Portal = "PORTAL",
        /// A program.
        Api = "API",
        /// An e-mail.
        Email = "EMAIL",
        /// A phone call.
        Phone = "PHONE",
        /// A chat.
        Chat = "CHAT",
        /// An alert.
        Monitoring = "MONITORING",
        /// A rule.
        Automation = "AUTOMATION",
    }
}

kernel::words! {
    /// How an incident is escalated.
    EscalationType {
        /// To a team that knows more: the next level of support.
        Functional = "FUNCTIONAL",
        /// To somebody who decides more: up the line of managers.
        Hierarchical = "HIERARCHICAL",
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
