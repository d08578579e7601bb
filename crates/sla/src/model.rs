//! The closed sets of words that service levels are described with.

use kernel::words;

pub use ticket::model::SlaState as ClockState;

words! {
    /// Between whom a promise stands.
    PolicyKind {
        /// A service level agreement: with those who use the service. Its clocks are seen by everybody who sees the ticket.
        Sla = "SLA",
        /// An operational level agreement: of a team with the rest of the house. Each assignment of a team starts a clock.
        Ola = "OLA",
        /// An underpinning contract: of a supplier. It runs while the ticket waits for the vendor.
        UnderpinningContract = "UNDERPINNING_CONTRACT",
    }
}

words! {
    /// What a clock measures.
    Metric {
        /// From creation to the first public comment of an agent.
        FirstResponse = "FIRST_RESPONSE",
        /// From the first unanswered public comment of the requester to the next public comment of an agent.
        NextResponse = "NEXT_RESPONSE",
        /// From creation until the ticket is resolved.
        Resolution = "RESOLUTION",
        /// From creation until what was ordered is there.
        Fulfilment = "FULFILMENT",
        /// From the opening of an approval's step until it is decided.
        Approval = "APPROVAL",
    }
}

words! {
    /// Whether time counts on a clock, and whether it can again.
    Phase {
        /// Time counts.
        Running = "RUNNING",
        /// Time does not count.
        Paused = "PAUSED",
        /// What it waited for has happened.
        Stopped = "STOPPED",
        /// It measures nothing any more.
        Canceled = "CANCELED",
    }
}

words! {
    /// Why a segment of a clock began, or why the clock ended.
    Cause {
        /// The ticket was opened.
        Opened = "OPENED",
        /// The policy's condition came to hold.
        ConditionHeld = "CONDITION_HELD",
        /// The requester asked.
        Asked = "ASKED",
        /// The team was put on the ticket.
        Assigned = "ASSIGNED",
        /// The ticket began to wait for the vendor.
        VendorAwaited = "VENDOR_AWAITED",
        /// A step of an approval was opened.
        StepOpened = "STEP_OPENED",
        /// The ticket came into a state in which time does not count.
        Paused = "PAUSED",
        /// The ticket left such a state.
        Resumed = "RESUMED",
        /// Another target holds, such as after a change of priority.
        Retargeted = "RETARGETED",
        /// The ticket was reopened.
        Reopened = "REOPENED",
        /// An agent answered.
        Answered = "ANSWERED",
        /// The ticket was resolved or closed.
        Resolved = "RESOLVED",
        /// The team handed the ticket on.
        HandedOver = "HANDED_OVER",
        /// The step was decided.
        Decided = "DECIDED",
        /// The approval fell or was called off.
        Withdrawn = "WITHDRAWN",
        /// The policy's condition ceased to hold, or there is no target any more.
        ConditionLost = "CONDITION_LOST",
        /// The ticket was canceled.
        TicketCanceled = "TICKET_CANCELED",
        /// The ticket was merged into another.
        Merged = "MERGED",
        /// That was undone.
        MergeUndone = "MERGE_UNDONE",
        /// What came before, put together: a clock remembers a limited number of segments.
        Earlier = "EARLIER",
    }
}

impl Phase {
    /// Whether the clock can still be late.
    pub const fn is_open(self) -> bool {
        matches!(self, Phase::Running | Phase::Paused)
    }
}
