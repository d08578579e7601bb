//! Service levels: the rules on stories told event by event, and the whole on both engines.

mod oracle;
mod rules;
mod story;
