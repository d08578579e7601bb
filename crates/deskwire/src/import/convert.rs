//! From a row to a step of a ticket's history, or to the reason why it is put aside.

use std::borrow::Cow;

use chrono::DateTime;
use csv::StringRecord;
use jiff::fmt::strtime;
use kernel::Timestamp;
use predicate::Value;
use ticket::{MAX_KEY, MAX_TAGS, StateCategory};

use super::names::Named;
use super::plan::{CREATED_AT, Longest, Plan, PlannedField, Target};
use super::source::SourceRow;

/// A step whose references are still names.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Where its row begins in the file.
    pub line: u64,
    /// Tells it from the ticket's other steps.
    pub place: String,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// Who did it.
    pub actor: Option<Named>,
    /// When the ticket was opened.
    pub created_at: Option<Timestamp>,
    /// The number, where it comes from the file.
    pub number: Option<String>,
    /// Values by field.
    pub values: Vec<(&'static str, Value)>,
    /// Names by reference.
    pub references: Vec<(&'static str, Option<Named>)>,
    /// Texts that were too long: field and whole text.
    pub shortened: Vec<(&'static str, String)>,
}

/// Why a row is put aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The column.
    pub column: String,
    /// What it holds.
    pub value: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Plan {
    /// The key of a row's ticket; `None` when it has none.
    pub fn key_of<'r>(&self, record: &'r StringRecord) -> Option<&'r str> {
        self.present(record, self.key)
    }

    /// What tells a row from the others of its ticket.
    pub fn place_of(&self, record: &StringRecord) -> String {
        let values: Vec<&str> =
            self.order.iter().map(|column| record.get(*column).unwrap_or_default().trim()).collect();
        values.join("/")
    }

    /// Makes a step of a row.
    ///
    /// # Errors
    /// When a value has no mapping, or one that every ticket has is missing.
    pub fn step(&self, row: &SourceRow) -> Result<Step, Rejection> {
        let record = &row.record;
        let missing = "it is missing, and there is no ticket without it";
        self.key_of(record).ok_or_else(|| self.reject(record, self.key, missing))?;
        let number = match self.number {
            None => None,
            Some(column) => {
                let number = self.present(record, column).ok_or_else(|| self.reject(record, column, missing))?;
                if number.chars().count() > MAX_KEY || number.chars().any(char::is_control) {
                    return Err(self.reject(record, column, &format!("a number has at most {MAX_KEY} characters")));
                }
                Some(number.to_owned())
            }
        };
        let mut step = Step {
            line: row.line,
            place: self.place_of(record),
            occurred_at: self
                .time(record, self.occurred_at)?
                .ok_or_else(|| self.reject(record, self.occurred_at, missing))?,
            actor: self
                .actor
                .and_then(|column| self.present(record, column))
                .map(|text| Named::user(text, &self.users)),
            created_at: None,
            number,
            values: Vec::with_capacity(self.fields.len()),
            references: Vec::with_capacity(5),
            shortened: Vec::new(),
        };
        for field in &self.fields {
            self.take(field, record, &mut step)?;
        }
        self.check_waiting(record, &step)?;
        Ok(step)
    }

    fn take(&self, field: &PlannedField, record: &StringRecord, step: &mut Step) -> Result<(), Rejection> {
        let text = self.text(field, record)?;
        let wrong = |reason: String| self.reject_field(field, record, reason);
        let (name, text) = (field.name, text.as_deref());
        let value = match &field.target {
            Target::User => return reference(step, name, text.map(|text| Named::user(text, &self.users))),
            Target::Team => return reference(step, name, text.map(Named::team)),
            Target::Category(child) => {
                let child = child.and_then(|column| self.present(record, column));
                return reference(step, name, text.map(|text| Named::category(text, child)));
            }
            Target::Time => {
                let time = match text {
                    Some(text) => Some(self.parse_time(text).ok_or_else(|| wrong(self.no_time()))?),
                    None => None,
                };
                if name == CREATED_AT {
                    step.created_at = time;
                    return Ok(());
                }
                Value::from(time)
            }
            Target::Word(words) => match text {
                Some(text) if !words.iter().any(|word| word == text) => {
                    return Err(wrong(format!("it has no mapping; `{name}` takes {}", words.join(", "))));
                }
                text => text.map(str::to_owned).into(),
            },
            Target::Count => match text {
                Some(text) => match text.parse::<i32>() {
                    Ok(number) if number >= 0 => Value::from(number),
                    _ => return Err(wrong("it is no whole number from 0".to_owned())),
                },
                // A counter that is not given follows from the history.
                None => return Ok(()),
            },
            Target::Tags(separator) => Value::TextList(tags(text.unwrap_or_default(), separator)),
            Target::Text(longest) => match text {
                Some(text) => {
                    let fitting = longest.cut(text);
                    if fitting.len() < text.len() {
                        step.shortened.push((name, text.to_owned()));
                    }
                    Value::from(fitting)
                }
                None => Value::Null,
            },
        };
        // A priority that is not given follows from the matrix.
        if !(name == "priority" && value.is_null()) {
            step.values.push((name, value));
        }
        Ok(())
    }

    /// The text that a field gets from a row; `None` when it stays without one.
    fn text<'r>(
        &'r self,
        field: &'r PlannedField,
        record: &'r StringRecord,
    ) -> Result<Option<Cow<'r, str>>, Rejection> {
        let given = field.column.and_then(|column| self.present(record, column));
        let mapped = match (given, &field.values) {
            (Some(text), Some(values)) => match values.get(text).or(field.unlisted.as_ref()) {
                Some(mapped) => Some(mapped.as_str()),
                None => return Err(self.reject_field(field, record, "it has no mapping".to_owned())),
            },
            (given, _) => given,
        };
        let text = mapped.filter(|text| !text.is_empty()).or(field.default.as_deref());
        match text {
            None if field.required => {
                let reason = format!("`{}` is missing, and the mapping gives no default", field.name);
                Err(self.reject_field(field, record, reason))
            }
            None => Ok(None),
            // PostgreSQL cannot store a NUL character.
            Some(text) if text.contains('\0') => Ok(Some(text.replace('\0', "\u{fffd}").into())),
            Some(text) => Ok(Some(text.into())),
        }
    }

    fn check_waiting(&self, record: &StringRecord, step: &Step) -> Result<(), Rejection> {
        let of =
            |name: &str| step.values.iter().find(|(field, _)| *field == name).and_then(|(_, value)| value.as_text());
        let waiting =
            of("state").is_some_and(|state| self.rules.default_workflow().category(state) == StateCategory::Waiting);
        if !waiting || of("waitingReason").is_some() {
            return Ok(());
        }
        let planned = |name: &str| self.fields.iter().find(|field| field.name == name);
        let reason = "a ticket that waits has a `waitingReason`, and the mapping gives none".to_owned();
        match planned("waitingReason").or_else(|| planned("state")) {
            Some(field) => Err(self.reject_field(field, record, reason)),
            None => Err(self.reject(record, self.key, &reason)),
        }
    }

    fn time(&self, record: &StringRecord, column: usize) -> Result<Option<Timestamp>, Rejection> {
        let Some(text) = self.present(record, column) else { return Ok(None) };
        self.parse_time(text).map(Some).ok_or_else(|| self.reject(record, column, &self.no_time()))
    }

    fn no_time(&self) -> String {
        format!("it is no time in the form {}", self.formats.join(" or "))
    }

    /// A time in one of the formats. A local time that there were two of is the first, one that there was none of is as
    /// much later as the clocks were put forward.
    fn parse_time(&self, text: &str) -> Option<Timestamp> {
        self.formats.iter().find_map(|format| {
            let parsed = strtime::parse(format, text).ok()?;
            let instant = match parsed.to_timestamp() {
                Ok(instant) => instant,
                Err(_) => {
                    let local =
                        parsed.to_datetime().or_else(|_| parsed.to_date().map(|date| date.at(0, 0, 0, 0))).ok()?;
                    self.zone.to_ambiguous_zoned(local).compatible().ok()?.timestamp()
                }
            };
            DateTime::from_timestamp_micros(instant.as_microsecond())
        })
    }

    fn present<'r>(&self, record: &'r StringRecord, column: usize) -> Option<&'r str> {
        let text = record.get(column)?.trim();
        (!self.missing.contains(text) && !text.is_empty()).then_some(text)
    }

    fn reject(&self, record: &StringRecord, column: usize, reason: &str) -> Rejection {
        Rejection {
            column: self.columns.get(column).cloned().unwrap_or_default(),
            value: record.get(column).unwrap_or_default().to_owned(),
            reason: reason.to_owned(),
        }
    }

    fn reject_field(&self, field: &PlannedField, record: &StringRecord, reason: String) -> Rejection {
        match field.column {
            Some(column) => self.reject(record, column, &reason),
            None => Rejection { column: String::new(), value: field.default.clone().unwrap_or_default(), reason },
        }
    }
}

fn reference(step: &mut Step, name: &'static str, named: Option<Named>) -> Result<(), Rejection> {
    step.references.push((name, named));
    Ok(())
}

fn tags(text: &str, separator: &str) -> Vec<String> {
    let parts: Vec<&str> = match separator.is_empty() {
        true => vec![text],
        false => text.split(separator).collect(),
    };
    let mut tags: Vec<String> = Vec::new();
    for tag in parts {
        let tag = Longest::Characters(MAX_KEY).cut(tag.trim()).to_owned();
        if !tag.is_empty() && !tags.contains(&tag) && tags.len() < MAX_TAGS {
            tags.push(tag);
        }
    }
    tags
}

impl Longest {
    /// The beginning of a text that is not too long.
    fn cut(self, text: &str) -> &str {
        match self {
            Longest::Characters(most) => text.char_indices().nth(most).map_or(text, |(end, _)| &text[..end]),
            Longest::Bytes(most) => &text[..text.floor_char_boundary(most)],
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use incident::IncidentRules;
    use ticket::MAX_TITLE;
    use ticket::kind::Kinds;

    use super::super::mapping::Mapping;
    use super::*;

    const MAPPING: &str = r#"
source = "legacy"
missing = ["-"]
key = "id"
order = ["id", "n"]
occurred_at = "at"
actor = "by"
[dates]
formats = ["%d.%m.%Y %H:%M", "%d.%m.%Y"]
time_zone = "Europe/Berlin"
[fields.title]
column = "title"
[fields.state]
column = "state"
unlisted = "on_hold"
values = { "open" = "new", "done" = "closed" }
[fields.waitingReason]
column = "reason"
[fields.impact]
default = "LOW"
[fields.urgency]
default = "LOW"
[fields.priority]
column = "priority"
[fields.requester]
column = "caller"
default = "Nobody"
[fields.category]
column = "category"
child = "sub"
[fields.tags]
column = "tags"
separator = ";"
[fields.reopenCount]
column = "reopened"
"#;
    const COLUMNS: &[&str] = &[
        "id", "n", "at", "by", "title", "state", "reason", "priority", "caller", "category", "sub", "tags", "reopened",
    ];

    fn plan(mapping: &str) -> anyhow::Result<Plan> {
        let kinds = Kinds::new(vec![Arc::new(IncidentRules::new().unwrap())]);
        Plan::new(Mapping::parse(mapping)?, COLUMNS.iter().map(|name| (*name).to_owned()).collect(), &kinds)
    }

    /// A row that holds, with these values instead.
    fn step(instead: &[(&str, &str)]) -> Result<Step, Rejection> {
        let usual = ["A", "1", "31.12.2024 23:30", "ada", "Mail", "open", "", "P4", "Rosa", "Net", "VPN", "a;b", "0"];
        let value = |(name, usual): (&&'static str, &&'static str)| {
            instead
                .iter()
                .find(|(wanted, _)| wanted == name)
                .map_or((*usual).to_owned(), |(_, value)| (*value).to_owned())
        };
        let record = StringRecord::from(COLUMNS.iter().zip(&usual).map(value).collect::<Vec<_>>());
        plan(MAPPING).unwrap().step(&SourceRow { line: 2, record })
    }

    fn value(step: &Step, field: &str) -> Option<Value> {
        step.values.iter().find(|(name, _)| *name == field).map(|(_, value)| value.clone())
    }

    fn named(step: &Step, field: &str) -> Option<Named> {
        step.references.iter().find(|(name, _)| *name == field).and_then(|(_, named)| named.clone())
    }

    fn aside(instead: &[(&str, &str)]) -> (String, String) {
        let rejection = step(instead).unwrap_err();
        (rejection.column, rejection.reason)
    }

    #[test]
    fn a_row_becomes_a_step() {
        let step = step(&[]).unwrap();
        assert_eq!(step.place, "A/1");
        assert_eq!(step.occurred_at.to_rfc3339(), "2024-12-31T22:30:00+00:00");
        assert_eq!(value(&step, "state"), Some("new".into()));
        assert_eq!(value(&step, "tags"), Some(Value::TextList(vec!["a".into(), "b".into()])));
        assert_eq!(value(&step, "reopenCount"), Some(0.into()));
        let Some(Named::Category { key, parent: Some(parent), .. }) = named(&step, "category") else { panic!() };
        assert_eq!((key.as_str(), *parent), ("net-vpn", Named::category("Net", None)));
    }

    #[test]
    fn what_is_missing_has_a_default_or_puts_the_row_aside() {
        let without =
            step(&[("caller", "-"), ("category", "-"), ("reopened", ""), ("priority", "-"), ("by", "-")]).unwrap();
        assert_eq!(named(&without, "requester"), Some(Named::user("Nobody", &super::super::mapping::Users::default())));
        assert_eq!(named(&without, "category"), None, "a child without its parent is none");
        assert_eq!((value(&without, "reopenCount"), value(&without, "priority"), without.actor), (None, None, None));
        assert_eq!(aside(&[("title", " ")]).0, "title");
        assert_eq!(aside(&[("at", "-")]).0, "at");
        assert_eq!(aside(&[("id", "-")]).0, "id");
    }

    #[test]
    fn what_cannot_be_mapped_is_put_aside_with_column_and_reason() {
        assert!(aside(&[("priority", "urgent")]).1.contains("P1"));
        assert!(aside(&[("at", "yesterday")]).1.contains("%d.%m.%Y"));
        assert!(aside(&[("reopened", "-1")]).1.contains("whole number"));
        assert!(aside(&[("state", "parked")]).1.contains("waitingReason"), "unlisted states wait");
        assert!(step(&[("state", "parked"), ("reason", "VENDOR")]).is_ok());
    }

    #[test]
    fn local_times_follow_the_clocks_of_their_zone() {
        let at = |text| step(&[("at", text)]).unwrap().occurred_at.to_rfc3339();
        assert_eq!(at("1.7.2024 12:00"), "2024-07-01T10:00:00+00:00");
        assert_eq!(at("31.03.2024 02:30"), "2024-03-31T01:30:00+00:00", "there was no 02:30");
        assert_eq!(at("27.10.2024 02:30"), "2024-10-27T00:30:00+00:00", "the first of the two");
        assert_eq!(at("1.7.2024"), "2024-06-30T22:00:00+00:00");
    }

    #[test]
    fn long_texts_are_cut_and_kept_whole_for_the_report() {
        let whole = "ü".repeat(MAX_TITLE + 1);
        let cut = step(&[("title", &whole)]).unwrap();
        assert_eq!(value(&cut, "title"), Some("ü".repeat(MAX_TITLE).into()));
        assert_eq!(cut.shortened, [("title", whole)]);
        assert_eq!(Longest::Bytes(3).cut("aüü"), "aü");
    }

    #[test]
    fn a_mapping_that_does_not_fit_is_refused_at_once() {
        for (from, to, told) in [
            ("column = \"title\"", "column = \"titel\"", "did you mean `title`"),
            ("[fields.title]", "[fields.titel]", "no such field"),
            ("default = \"LOW\"", "default = \"TINY\"", "HIGH, MEDIUM, LOW"),
            ("\"new\"", "\"fresh\"", "takes no `fresh`"),
            ("Europe/Berlin", "Europe/Bonn", "Europe/Bonn"),
            ("order = [\"id\", \"n\"]", "order = []", "at least one column"),
            ("[fields.title]\ncolumn = \"title\"", "", "`fields.title` is missing"),
        ] {
            let error = plan(&MAPPING.replace(from, to)).err().map(|error| format!("{error:#}"));
            assert!(error.as_deref().is_some_and(|error| error.contains(told)), "{told}: {error:?}");
        }
    }
}
