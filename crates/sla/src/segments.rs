//! The history of a clock. It grows with each turn, every write reads and writes it, and hardly any looks into it: what is stored
//! stays text until somebody asks for it, and what is new is put behind it. The text is short, for what is written of a clock is
//! mostly this: the terms of the first segment, then the segments as lists, with terms of their own where these are others.

use std::sync::Arc;

use kernel::{Error, Result, Timestamp, Uuid};
use serde::{Deserialize, Serialize};
use ticket::model::{Priority, WaitingReason};

use crate::model::Cause;

/// How many segments a clock remembers; the oldest are put together.
pub const MAX_SEGMENTS: usize = 100;

/// A stretch of a clock, until the next one or until it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// When it began.
    pub from: Timestamp,
    /// Whether time counts in it.
    pub running: bool,
    /// Why it began.
    pub cause: Cause,
    /// What the ticket waits for in it.
    pub reason: Option<WaitingReason>,
    /// What holds in it.
    pub terms: Terms,
    /// What had gone by when it began, in microseconds.
    pub elapsed: i64,
}

/// What holds in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The ticket's priority when it began.
    pub priority: Priority,
    /// The target in force, in seconds.
    pub target: i64,
    /// The calendar in force.
    pub calendar: Uuid,
}

/// A segment as it is stored: when it began in microseconds since 1970, whether time counts, why, what had gone by, what is awaited,
/// and its terms unless they are those of the first.
#[derive(Serialize, Deserialize)]
struct Entry(
    i64,
    bool,
    Cause,
    i64,
    Option<WaitingReason>,
    #[serde(default, skip_serializing_if = "Option::is_none")] Option<Terms>,
);

impl Entry {
    fn of(segment: &Segment, first: Terms) -> Self {
        let own = (segment.terms != first).then_some(segment.terms);
        let Segment { from, running, cause, reason, elapsed, .. } = segment;
        Self(from.timestamp_micros(), *running, *cause, *elapsed, *reason, own)
    }

    fn from(&self) -> Result<Timestamp> {
        Timestamp::from_timestamp_micros(self.0).ok_or_else(broken)
    }

    fn segment(&self, first: Terms) -> Result<Segment> {
        let Self(_, running, cause, elapsed, reason, own) = *self;
        Ok(Segment { from: self.from()?, running, cause, reason, terms: own.unwrap_or(first), elapsed })
    }
}

fn broken() -> Error {
    Error::internal("a clock has unreadable segments")
}

/// The segments of a clock, from its first to its last.
#[derive(Clone, Debug, Default)]
pub struct Segments {
    /// Those that were stored, with the terms of the first before them and commas between.
    stored: Arc<str>,
    /// How many these are.
    count: usize,
    /// The terms of the first and when the last began, of these.
    ends: Option<(Terms, Timestamp)>,
    /// Those that came behind them.
    added: Vec<Segment>,
}

impl Segments {
    /// Takes over what was stored, with a look at nothing but the terms of the first and the last of it.
    ///
    /// # Errors
    /// `INTERNAL` for what this program did not write.
    pub(crate) fn stored(text: &str) -> Result<Self> {
        let inner = text.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).ok_or_else(broken)?.trim();
        if inner.is_empty() {
            return Ok(Self::default());
        }
        // No value of a segment is a list, and no text of it has a bracket.
        let last = inner.rfind('[').and_then(|place| inner.get(place..)).ok_or_else(broken)?;
        let last: Entry = serde_json::from_str(last).map_err(Error::internal)?;
        let ends = Some((split(inner)?.0, last.from()?));
        let segments = Self { stored: inner.into(), count: inner.matches('[').count(), ends, added: Vec::new() };
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
        if self.count == 0 {
            return Ok(Vec::new());
        }
        let (first, entries) = split(&self.stored)?;
        let entries: Vec<Entry> = serde_json::from_str(&format!("[{entries}]")).map_err(Error::internal)?;
        entries.iter().map(|entry| entry.segment(first)).collect()
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
        self.added.last().map(|segment| segment.from).or(self.ends.map(|(_, since)| since))
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

    /// The text that is stored, a JSON list.
    ///
    /// # Errors
    /// None that is known of.
    pub(crate) fn to_text(&self) -> Result<String> {
        let first = self.ends.map(|(first, _)| first).or_else(|| self.added.first().map(|segment| segment.terms));
        let Some(first) = first else { return Ok("[]".to_owned()) };
        let mut text = String::with_capacity(self.stored.len() + 128 + self.added.len() * 64);
        text.push('[');
        match self.count {
            0 => text.push_str(&serde_json::to_string(&first).map_err(Error::internal)?),
            _ => text.push_str(&self.stored),
        }
        for segment in &self.added {
            text.push(',');
            text.push_str(&serde_json::to_string(&Entry::of(segment, first)).map_err(Error::internal)?);
        }
        text.push(']');
        Ok(text)
    }
}

/// The terms of the first segment, and the segments.
fn split(inner: &str) -> Result<(Terms, &str)> {
    // The terms are an object with no other one in it.
    let end = inner.find('}').ok_or_else(broken)? + 1;
    let (terms, entries) = inner.split_at_checked(end).ok_or_else(broken)?;
    let terms = serde_json::from_str(terms).map_err(Error::internal)?;
    Ok((terms, entries.trim_start().strip_prefix(',').ok_or_else(broken)?))
}

impl PartialEq for Segments {
    fn eq(&self, other: &Self) -> bool {
        let alike = || self.stored == other.stored && self.added == other.added;
        self.len() == other.len() && (alike() || self.list() == other.list())
    }
}

impl Eq for Segments {}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(number: i64) -> Segment {
        Segment {
            from: Timestamp::from_timestamp_micros(1_700_000_000_000_000 + number).unwrap(),
            running: number % 2 == 0,
            cause: if number % 2 == 0 { Cause::Resumed } else { Cause::Paused },
            reason: (number % 2 == 1).then_some(WaitingReason::Vendor),
            terms: Terms {
                priority: if number % 7 == 3 { Priority::P1 } else { Priority::P3 },
                target: 3_600,
                calendar: Uuid::from_u128(7),
            },
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
            let spaced = continued.to_text().unwrap().replace(',', ", ");
            assert_eq!(Segments::stored(&spaced).unwrap(), whole);
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
        let terms = r#"{"priority":"P3","target":1,"calendar":"00000000-0000-0000-0000-000000000007"}"#;
        let written = format!(r#"[{terms},[1,true,"OPENED",0,null]]"#);
        assert_eq!(Segments::stored(&written).unwrap().to_text().unwrap(), written);
        let (alone, reversed) = (format!("[{terms}]"), format!(r#"[[1,true,"OPENED",0,null],{terms}]"#));
        let texts = ["", "null", "{}", "[1]", r#"[{"from": 1}]"#, r#"["a"]"#, r#"[[1,true,"OPENED",0,null]]"#];
        for text in texts.into_iter().chain([alone.as_str(), reversed.as_str()]) {
            Segments::stored(text).unwrap_err();
        }
        assert!(Segments::stored(" [ ] ").unwrap().is_empty());
    }
}
