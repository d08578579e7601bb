//! The history of a clock. It grows with each turn, every write reads and writes it, and hardly any looks into it: what is stored
//! stays text until somebody asks for it, and what is new is put behind it.

use std::sync::Arc;

use kernel::{Error, Result, Timestamp, Uuid};
use serde::{Deserialize, Serialize, Serializer};
use ticket::model::{Priority, WaitingReason};

use crate::model::Cause;

/// How many segments a clock remembers; the oldest are put together.
pub const MAX_SEGMENTS: usize = 100;

/// A stretch of a clock, until the next one or until it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Segment {
    /// When it began.
    pub from: Timestamp,
    /// Whether time counts in it.
    pub running: bool,
    /// Why it began.
    pub cause: Cause,
    /// What the ticket waits for in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<WaitingReason>,
    /// The ticket's priority when it began.
    pub priority: Priority,
    /// The target in force, in seconds.
    pub target: i64,
    /// The calendar in force.
    pub calendar: Uuid,
    /// What had gone by when it began, in microseconds.
    pub elapsed: i64,
}

/// The segments of a clock, from its first to its last.
#[derive(Clone, Debug, Default)]
pub struct Segments {
    /// Those that were stored: JSON objects with commas between them.
    stored: Arc<str>,
    /// How many these are.
    count: usize,
    /// When the last of these began.
    since: Option<Timestamp>,
    /// Those that came behind them.
    added: Vec<Segment>,
}

impl Segments {
    /// Takes over what was stored, a JSON list, with a look at nothing but the last of it.
    ///
    /// # Errors
    /// `INTERNAL` for what this program did not write.
    pub(crate) fn stored(text: &str) -> Result<Self> {
        let broken = || Error::internal("a clock has unreadable segments");
        let inner = text.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).ok_or_else(broken)?.trim();
        // No value of a segment is an object, and no text of it has a brace.
        let since = match inner.rfind('{').and_then(|place| inner.get(place..)) {
            Some(last) => Some(serde_json::from_str::<Segment>(last).map_err(Error::internal)?.from),
            None if inner.is_empty() => None,
            None => return Err(broken()),
        };
        let segments = Self { stored: inner.into(), count: inner.matches('{').count(), since, added: Vec::new() };
        if segments.count >= MAX_SEGMENTS {
            // The next one makes two of them one, for which all are read: what cannot be read would be lost by that.
            segments.read()?;
        }
        Ok(segments)
    }

    /// All of them. What is stored and cannot be read is left out: [`StoredClock::from_row`](crate::StoredClock::from_row) tells.
    pub fn list(&self) -> Vec<Segment> {
        let mut all = self.read().unwrap_or_default();
        all.extend_from_slice(&self.added);
        all
    }

    /// Those that were stored.
    pub(crate) fn read(&self) -> Result<Vec<Segment>> {
        serde_json::from_str(&format!("[{}]", self.stored)).map_err(Error::internal)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count + self.added.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// When the last of them began.
    pub fn since(&self) -> Option<Timestamp> {
        self.added.last().map(|segment| segment.from).or(self.since)
    }

    /// Adds one. Beyond [`MAX_SEGMENTS`] the second and the third become one: the start stays where it was.
    pub(crate) fn push(&mut self, segment: Segment) {
        if self.len() >= MAX_SEGMENTS {
            let mut all = self.list();
            all.remove(1);
            if let Some(second) = all.get_mut(1) {
                second.cause = Cause::Earlier;
            }
            *self = Self { added: all, ..Self::default() };
        }
        self.added.push(segment);
    }

    /// The JSON list that is stored.
    ///
    /// # Errors
    /// None that is known of.
    pub(crate) fn to_text(&self) -> Result<String> {
        let mut text = String::with_capacity(self.stored.len() + 2 + self.added.len() * 256);
        text.push('[');
        text.push_str(&self.stored);
        for segment in &self.added {
            if text.len() > 1 {
                text.push_str(", ");
            }
            let written = serde_json::to_string(segment).map_err(Error::internal)?;
            text.push_str(&written);
        }
        text.push(']');
        Ok(text)
    }
}

impl PartialEq for Segments {
    fn eq(&self, other: &Self) -> bool {
        let alike = || self.stored == other.stored && self.added == other.added;
        self.len() == other.len() && (alike() || self.list() == other.list())
    }
}

impl Eq for Segments {}

impl Serialize for Segments {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.list().serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(number: i64) -> Segment {
        Segment {
            from: Timestamp::from_timestamp_micros(1_700_000_000_000_000 + number).unwrap(),
            running: number % 2 == 0,
            cause: if number % 2 == 0 { Cause::Resumed } else { Cause::Paused },
            reason: (number % 2 == 1).then_some(WaitingReason::Vendor),
            priority: Priority::P3,
            target: 3_600,
            calendar: Uuid::from_u128(7),
            elapsed: number,
        }
    }

    #[test]
    fn what_is_stored_and_continued_is_as_if_it_had_never_been_stored() {
        let mut whole = Segments::default();
        for number in 0..i64::try_from(MAX_SEGMENTS).unwrap() + 20 {
            let mut continued = Segments::stored(&whole.to_text().unwrap()).unwrap();
            assert_eq!(continued, whole);
            assert_eq!((continued.len(), continued.since()), (whole.len(), whole.since()));
            whole.push(segment(number));
            continued.push(segment(number));
            assert_eq!(continued, whole);
            assert_eq!(continued.since(), Some(segment(number).from));
            assert_ne!(continued, Segments::default());
            // PostgreSQL orders the fields anew.
            let reordered: serde_json::Value = serde_json::from_str(&continued.to_text().unwrap()).unwrap();
            assert_eq!(Segments::stored(&reordered.to_string()).unwrap(), whole);
            whole = continued;
        }
        assert_eq!(whole.len(), MAX_SEGMENTS);
        assert_eq!(whole.list()[1].cause, Cause::Earlier);
    }

    #[test]
    fn a_full_history_that_cannot_be_read_is_told_before_it_is_shortened() {
        let mut whole = Segments::default();
        for number in 0..i64::try_from(MAX_SEGMENTS).unwrap() {
            whole.push(segment(number));
        }
        let unknown = |text: String| text.replacen("RESUMED", "FROM_TOMORROW", 1);
        let text = whole.to_text().unwrap();
        assert!(text.contains("RESUMED"));
        Segments::stored(&unknown(text)).unwrap_err();
        let mut short = Segments::default();
        short.push(segment(0));
        short.push(segment(1));
        assert_eq!(
            Segments::stored(&unknown(short.to_text().unwrap())).unwrap().len(),
            2,
            "and is kept as it is otherwise"
        );
    }

    #[test]
    fn what_this_program_did_not_write_is_told() {
        for text in ["", "null", "{}", "[1]", r#"[{"from": 1}]"#, r#"["a"]"#] {
            Segments::stored(text).unwrap_err();
        }
        assert!(Segments::stored(" [ ] ").unwrap().is_empty());
    }
}
