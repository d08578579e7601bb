//! The closed sets of words that tickets are described with, and the limits of their texts.

use kernel::words;

/// The longest title, in characters.
pub const MAX_TITLE: usize = 255;
/// The longest description, comment or resolution notes, in bytes of UTF-8.
pub const MAX_TEXT: usize = 64 * 1024;
/// How many tags a ticket may have.
pub const MAX_TAGS: usize = 50;
/// The longest tag, category key or external reference part, in characters.
pub const MAX_KEY: usize = 100;
/// How many references to other systems a ticket may have.
pub const MAX_EXTERNAL_REFS: usize = 20;
/// How many configuration items a ticket may be about.
pub const MAX_ITEMS: usize = 50;
/// How many tasks a ticket may have, and how many of them one may depend on.
pub const MAX_TASKS: usize = 100;
/// How many tasks a plan may have.
pub const MAX_PLAN: usize = 50;
/// How many links a ticket may have, both ways together, those that make it the cause of others apart.
pub const MAX_LINKS: usize = 100;
/// Of how many others a ticket may be the cause.
pub const MAX_CAUSED: usize = 1_000;
/// How many watchers a ticket may have.
pub const MAX_WATCHERS: usize = 100;

words! {
    /// The practice that a ticket belongs to.
    TicketKind {
        /// An unplanned interruption or reduction in the quality of a service.
        Incident = "INCIDENT",
        /// A piece of the work on another ticket.
        Task = "TASK",
        /// A cause, or a possible cause, of incidents.
        Problem = "PROBLEM",
    }
}

words! {
    /// What a state means, whatever a tenant calls it. Queues, clocks and reports read categories.
    StateCategory {
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

words! {
    /// What a ticket in a waiting state waits for.
    WaitingReason {
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

words! {
    /// How many are affected, and how badly.
    Impact {
        /// Many people, or a vital service.
        High = "HIGH",
        /// Some people, or a part of a service.
        Medium = "MEDIUM",
        /// One person.
        Low = "LOW",
    }
}

words! {
    /// How long it can wait.
    Urgency {
        /// It cannot.
        High = "HIGH",
        /// A little.
        Medium = "MEDIUM",
        /// It can.
        Low = "LOW",
    }
}

words! {
    /// What is worked on first: from impact and urgency by the tenant's matrix, or overridden.
    Priority {
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

words! {
    /// Where a clock of a service level stands.
    SlaState {
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

words! {
    /// Who may read a comment.
    CommentVisibility {
        /// Whoever may read the ticket.
        Public = "PUBLIC",
        /// Only those who work on it; a requester never learns that it exists.
        Internal = "INTERNAL",
    }
}

words! {
    /// How a configuration item came to stand on a ticket.
    ItemLink {
        /// Somebody says that it is affected.
        Manual = "MANUAL",
        /// Impact analysis says so.
        Computed = "COMPUTED",
        /// Somebody says that it is not affected; impact analysis stops there.
        NotImpacted = "NOT_IMPACTED",
    }
}

words! {
    /// How one ticket stands to another: the first `BLOCKS` the second, and so on.
    LinkType {
        /// They have to do with each other.
        RelatesTo = "RELATES_TO",
        /// It tells of the same as the other, which goes on for both.
        Duplicates = "DUPLICATES",
        /// The other cannot go on before it is done.
        Blocks = "BLOCKS",
        /// The other is its cause.
        CausedBy = "CAUSED_BY",
        /// The other resolves it.
        ResolvedBy = "RESOLVED_BY",
        /// The other is a part of it.
        ParentOf = "PARENT_OF",
    }
}

impl LinkType {
    /// Whether no chain of such links may lead back to where it began.
    pub const fn is_acyclic(self) -> bool {
        matches!(self, LinkType::ParentOf | LinkType::Blocks | LinkType::Duplicates)
    }
}

impl TicketKind {
    /// The first part of the numbers of this kind.
    pub const fn number_prefix(self) -> &'static str {
        match self {
            TicketKind::Incident => "INC",
            TicketKind::Task => "TSK",
            TicketKind::Problem => "PRB",
        }
    }

    /// The prefix of the ids of this kind.
    pub const fn id_prefix(self) -> &'static str {
        match self {
            TicketKind::Incident => kernel::id::prefix::INCIDENT,
            TicketKind::Task => kernel::id::prefix::TASK,
            TicketKind::Problem => kernel::id::prefix::PROBLEM,
        }
    }
}

impl StateCategory {
    /// Whether work on the ticket is over.
    pub const fn is_done(self) -> bool {
        matches!(self, StateCategory::Resolved) || self.is_ended()
    }

    /// Whether the ticket has come to its end: it is closed or canceled, and nobody works on it any more.
    pub const fn is_ended(self) -> bool {
        matches!(self, StateCategory::Closed | StateCategory::Canceled)
    }
}
