//! The closed sets of words that agreements are described with.

use kernel::words;

words! {
    /// Where an agreement stands.
    AgreementState {
        /// It is being written; everything of it can change.
        Draft = "DRAFT",
        /// It has been agreed, and holds from its first to its last day.
        Agreed = "AGREED",
        /// It was ended, or never came about.
        Terminated = "TERMINATED",
    }
}

words! {
    /// What has become of a requirement.
    RequirementState {
        /// Somebody asks for it.
        Proposed = "PROPOSED",
        /// An agreement answers it.
        Agreed = "AGREED",
        /// It will not be met.
        Declined = "DECLINED",
    }
}

words! {
    /// Whether a review can still be written.
    ReviewState {
        /// It is being prepared or held.
        Open = "OPEN",
        /// It is over; nothing of it changes any more.
        Closed = "CLOSED",
    }
}

words! {
    /// How far an improvement has come.
    ImprovementState {
        /// Somebody suggests it.
        Proposed = "PROPOSED",
        /// It will be done.
        Accepted = "ACCEPTED",
        /// It is being done.
        InProgress = "IN_PROGRESS",
        /// It is there.
        Done = "DONE",
        /// It will not be done.
        Rejected = "REJECTED",
    }
}
