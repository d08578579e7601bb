//! Importing: histories of tickets from other systems.
//!
//! [`mapping`] reads what becomes of each column, [`source`] the file, [`plan`] puts the two together, [`convert`] makes a
//! step of a ticket's history of a row (or says why not), [`run`] writes and reports.

mod convert;
mod mapping;
mod names;
mod plan;
mod report;
mod run;
mod source;

pub use mapping::print as print_mapping;
pub use run::csv;
