//! The closed sets of words of tickets, as the contract names them.

use async_graphql::Enum;

/// Declares an enum of the contract for one of the domain.
macro_rules! word {
    ($(#[$doc:meta])* $name:ident = $domain:path { $($(#[$value_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
        pub enum $name { $($(#[$value_doc])* #[graphql(name = $text)] $variant,)* }

        impl $name {
            /// The name that is stored and shown.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }

            /// Reads a stored name.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some($name::$variant),)* _ => None }
            }
        }

        impl From<$name> for $domain {
            fn from(word: $name) -> Self {
                use $domain as Domain;
                match word { $($name::$variant => Domain::$variant,)* }
            }
        }
    };
}

pub(crate) use word;

word! {
    /// The practice that a ticket belongs to.
    TicketKind = ticket::TicketKind {
        /// An unplanned interruption or reduction in the quality of a service.
        Incident = "INCIDENT",
        /// A piece of the work on another ticket.
        Task = "TASK",
        /// A cause, or a possible cause, of incidents.
        Problem = "PROBLEM",
    }
}

word! {
    /// Where a clock of a service level stands.
    SlaState = ticket::SlaState {
        /// Time counts.
        Running = "RUNNING",
        /// Time does not count; what remains stays as it is.
        Paused = "PAUSED",
        /// It stopped in time.
        Met = "MET",
        /// The time was over before it stopped, or is over now.
        Breached = "BREACHED",
        /// Its policy ceased to hold, or the ticket was canceled.
        Canceled = "CANCELED",
    }
}

word! {
    /// What a state means, whatever a tenant calls it.
    StateCategory = ticket::StateCategory {
        /// Nobody has begun.
        New = "NEW",
        /// Somebody works on it.
        Active = "ACTIVE",
        /// Nothing can be done until something else happens.
        Waiting = "WAITING",
        /// Done, and may come back.
        Resolved = "RESOLVED",
        /// Done for good.
        Closed = "CLOSED",
        /// Given up.
        Canceled = "CANCELED",
    }
}

word! {
    /// What a ticket in a waiting state waits for.
    WaitingReason = ticket::WaitingReason {
        /// An answer of the requester; their public comment ends the waiting.
        Requester = "REQUESTER",
        /// A supplier.
        Vendor = "VENDOR",
        /// A change that is on its way.
        Change = "CHANGE",
        /// The analysis of a problem.
        Problem = "PROBLEM",
        /// Logs, measurements, another occurrence.
        Evidence = "EVIDENCE",
        /// A date, given as `waitingUntil`; the ticket wakes up by itself.
        Schedule = "SCHEDULE",
    }
}

word! {
    /// How many are affected, and how badly.
    Impact = ticket::Impact {
        /// Many people, or a vital service.
        High = "HIGH",
        /// Some people, or a part of a service.
        Medium = "MEDIUM",
        /// One person.
        Low = "LOW",
    }
}

word! {
    /// How long it can wait.
    Urgency = ticket::Urgency {
        /// It cannot.
        High = "HIGH",
        /// A little.
        Medium = "MEDIUM",
        /// It can.
        Low = "LOW",
    }
}

word! {
    /// What is worked on first: from impact and urgency by the tenant's matrix, or overridden.
    Priority = ticket::Priority {
        /// Critical.
        P1 = "P1",
        /// High.
        P2 = "P2",
        /// Moderate.
        P3 = "P3",
        /// Low.
        P4 = "P4",
        /// Planning.
        P5 = "P5",
    }
}

word! {
    /// Who may read a comment.
    CommentVisibility = ticket::CommentVisibility {
        /// Whoever may read the ticket.
        Public = "PUBLIC",
        /// Only those who work on the ticket.
        Internal = "INTERNAL",
    }
}

word! {
    /// How an incident came in.
    IncidentOrigin = incident::IncidentOrigin {
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

word! {
    /// How a configuration item came to stand on a ticket.
    TicketConfigurationItemLink = ticket::ItemLink {
        /// Somebody says that it is affected.
        Manual = "MANUAL",
        /// Impact analysis says so.
        Computed = "COMPUTED",
        /// Somebody says that it is not affected; impact analysis stops there.
        NotImpacted = "NOT_IMPACTED",
    }
}

/// What a viewer may want to do with a ticket, for `viewerCan`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum TicketAction {
    /// Change its fields.
    Update,
    /// Set its team and assignee.
    Assign,
    /// Take at least one transition; `availableTransitions` tells which.
    Transition,
    /// Comment in public.
    Comment,
    /// Comment internally.
    CommentInternally,
    /// Set its priority against the matrix.
    OverridePriority,
    /// Follow it.
    Watch,
    /// Write down the time that they worked on it.
    RecordTime,
}

word! {
    /// How a problem was found.
    ProblemOrigin = problem::ProblemOrigin {
        /// Somebody asked why incidents happen.
        Reactive = "REACTIVE",
        /// It was found before anybody asked: by a rule, or by looking at trends.
        Proactive = "PROACTIVE",
    }
}
