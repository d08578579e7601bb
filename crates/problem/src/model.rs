//! The words that problems are described with.

use kernel::words;

words! {
    /// How a problem was found.
    ProblemOrigin {
        /// Somebody asked why incidents happen.
        Reactive = "REACTIVE",
        /// It was found before anybody asked: by a rule, or by looking at trends.
        Proactive = "PROACTIVE",
    }
}

/// The resolution code of a problem whose cause is gone.
pub const FIXED: &str = "FIXED";
/// The resolution code of a problem that one lives with, until the date of its review.
pub const RISK_ACCEPTED: &str = "RISK_ACCEPTED";
/// The resolution code of a problem that is another one.
pub const DUPLICATE: &str = ticket::link::DUPLICATE;
/// The resolution code of a problem that is none.
pub const CANCELED: &str = "CANCELED";
