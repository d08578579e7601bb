//! The crate from outside: examples with names, refused documents, and a judge that walks every minute.

mod examples;
mod ical;
mod oracle;
mod refusals;
mod rules;
mod support;
