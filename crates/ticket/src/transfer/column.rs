//! What stands in a file of tickets: its columns, and how a value of each is written.

use std::collections::HashMap;

use kernel::{Uuid, words};
use predicate::Value;
use serde_json::{Map, Value as Json};
use store::query::Row;

use crate::custom_field::{DOCUMENT, INTERNAL_DOCUMENT};

words! {
    /// A field of tickets, as files name it.
    ExportColumn {
        /// The id, with the prefix of its kind.
        Id = "id",
        /// The number.
        Number = "number",
        /// The kind.
        Kind = "kind",
        /// What it is about.
        Title = "title",
        /// The same at length, in Markdown.
        Description = "description",
        /// The key of the state.
        State = "state",
        /// The category of the state.
        StateCategory = "stateCategory",
        /// What it waits for.
        WaitingReason = "waitingReason",
        /// Until when it waits.
        WaitingUntil = "waitingUntil",
        /// How many are affected.
        Impact = "impact",
        /// How long it can wait.
        Urgency = "urgency",
        /// The priority.
        Priority = "priority",
        /// The key of the category.
        Category = "category",
        /// The key of the service.
        Service = "service",
        /// Who is affected: the e-mail address, or the name where that is not for the reader.
        Requester = "requester",
        /// Who wrote it down, alike.
        OpenedBy = "openedBy",
        /// The slug of the team.
        Team = "team",
        /// Who works on it, as the requester.
        Assignee = "assignee",
        /// The tags.
        Tags = "tags",
        /// What it is called in other systems.
        ExternalRefs = "externalRefs",
        /// The values of custom fields.
        CustomFields = "customFields",
        /// The number of the ticket that a task belongs to.
        Parent = "parent",
        /// How it came in.
        Origin = "origin",
        /// How it was resolved.
        ResolutionCode = "resolutionCode",
        /// The same at length.
        ResolutionNotes = "resolutionNotes",
        /// How a problem shows.
        Symptom = "symptom",
        /// Why there is a problem.
        RootCause = "rootCause",
        /// What helps against a problem meanwhile.
        Workaround = "workaround",
        /// Whether a problem is a known error.
        KnownError = "knownError",
        /// How its service levels stand.
        SlaState = "slaState",
        /// When the next of its clocks is due.
        SlaDueAt = "slaDueAt",
        /// The version.
        Version = "version",
        /// When it was opened.
        CreatedAt = "createdAt",
        /// When it was last changed.
        UpdatedAt = "updatedAt",
        /// When somebody took notice.
        AcknowledgedAt = "acknowledgedAt",
        /// When the requester first heard of it.
        FirstRespondedAt = "firstRespondedAt",
        /// When it was resolved.
        ResolvedAt = "resolvedAt",
        /// When it was closed.
        ClosedAt = "closedAt",
    }
}

/// What stands between two values of a list in a cell.
const SEPARATOR: &str = "; ";
/// What begins the header of a custom field's column.
pub const CUSTOM: &str = "customFields.";

/// A ticket with what belongs to it, ready to be written.
pub(super) struct Line<'a> {
    /// The ticket, with its relations and what its kind adds.
    pub ticket: &'a Row,
    /// Its id with the kind's prefix.
    pub id: String,
    /// What kinds add: the names of the relations.
    pub kinds: &'a [&'static str],
    /// What it is called elsewhere: source and key.
    pub external_refs: &'a [(String, String)],
    /// The numbers of tickets that tasks belong to.
    pub parents: &'a HashMap<Uuid, String>,
}

impl Line<'_> {
    fn related(&self, relation: &str, names: &[&str]) -> Json {
        let Some(row) = self.ticket.relation(relation) else { return Json::Null };
        names.iter().map(|name| row.get(name).to_json()).find(|json| !json.is_null()).unwrap_or_default()
    }

    /// A field that only some kinds have.
    fn own(&self, field: &str) -> &Value {
        let extensions = self.kinds.iter().filter_map(|kind| self.ticket.relation(kind));
        extensions.map(|row| row.get(field)).find(|value| !value.is_null()).unwrap_or(&Value::Null)
    }

    /// The values of custom fields that the reader may read, by their keys.
    fn custom_fields(&self) -> Map<String, Json> {
        let documents = [DOCUMENT, INTERNAL_DOCUMENT].map(|document| self.ticket.get(document).to_json());
        let values = documents.into_iter().filter_map(|document| match document {
            Json::Object(values) => Some(values),
            _ => None,
        });
        values.flatten().collect()
    }

    fn value(&self, column: ExportColumn) -> Json {
        use ExportColumn as Column;
        match column {
            Column::Id => self.id.clone().into(),
            Column::Category | Column::Service => self.related(column.as_str(), &["key"]),
            Column::Team => self.related("team", &["slug"]),
            Column::Requester | Column::OpenedBy | Column::Assignee => {
                self.related(column.as_str(), &["email", "name"])
            }
            Column::ExternalRefs => {
                let refs =
                    self.external_refs.iter().map(|(source, key)| serde_json::json!({ "source": source, "key": key }));
                refs.collect()
            }
            Column::CustomFields => Json::Object(self.custom_fields()),
            Column::Parent => {
                let parent = self.own("parent").as_id().and_then(|id| self.parents.get(&id));
                parent.cloned().into()
            }
            Column::Origin
            | Column::ResolutionCode
            | Column::ResolutionNotes
            | Column::Symptom
            | Column::RootCause
            | Column::Workaround
            | Column::KnownError => self.own(column.as_str()).to_json(),
            _ => self.ticket.get(column.as_str()).to_json(),
        }
    }

    /// The ticket as a JSON object, with a line's end.
    pub(super) fn write_json(&self, columns: &[ExportColumn], out: &mut Vec<u8>) {
        let object: Map<_, _> =
            columns.iter().map(|column| (column.as_str().to_owned(), self.value(*column))).collect();
        out.extend_from_slice(Json::Object(object).to_string().as_bytes());
        out.push(b'\n');
    }

    /// The ticket as the cells of a table. `keys` are the custom fields that have a column each.
    pub(super) fn cells(&self, columns: &[ExportColumn], keys: &[String]) -> Vec<String> {
        let mut cells = Vec::with_capacity(columns.len() + keys.len());
        for column in columns {
            if *column == ExportColumn::CustomFields {
                let values = self.custom_fields();
                cells.extend(keys.iter().map(|key| cell(values.get(key).unwrap_or(&Json::Null))));
                continue;
            }
            cells.push(match column {
                ExportColumn::ExternalRefs => {
                    let refs: Vec<_> =
                        self.external_refs.iter().map(|(source, key)| format!("{source}:{key}")).collect();
                    harmless(refs.join(SEPARATOR))
                }
                column => cell(&self.value(*column)),
            });
        }
        cells
    }
}

/// The names of a table's columns.
pub(super) fn header(columns: &[ExportColumn], keys: &[String]) -> Vec<String> {
    let names = columns.iter().flat_map(|column| match column {
        ExportColumn::CustomFields => keys.iter().map(|key| format!("{CUSTOM}{key}")).collect(),
        column => vec![column.as_str().to_owned()],
    });
    names.collect()
}

/// A value as it stands in a cell.
fn cell(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(text) => harmless(text.clone()),
        Json::Array(items) if items.iter().all(Json::is_string) => {
            let texts: Vec<_> = items.iter().filter_map(Json::as_str).collect();
            harmless(texts.join(SEPARATOR))
        }
        other => other.to_string(),
    }
}

/// A text that no spreadsheet takes for a formula: one that begins like it gets an apostrophe in front, as OWASP's "CSV Injection" has it.
fn harmless(text: String) -> String {
    match text.chars().find(|sign| *sign != ' ') {
        Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '\u{ff1d}' | '\u{ff0b}' | '\u{ff0d}' | '\u{ff20}') => {
            format!("'{text}")
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use kernel::Uuid;
    use serde_json::json;

    use super::*;
    use crate::fields::{TASK, TICKET};
    use crate::model::TicketKind;

    fn row(title: &str) -> Row {
        let mut row = Row::new(
            &TICKET,
            vec![
                ("id", Uuid::from_u128(1).into()),
                ("number", "TSK-1".into()),
                ("kind", TicketKind::Task.as_str().into()),
                ("title", title.into()),
                ("tags", Value::TextList(vec!["vpn".into(), "a,b".into()])),
                (DOCUMENT, Value::Json(json!({ "site": "Bern", "floor": -3 }))),
                (INTERNAL_DOCUMENT, Value::Json(json!({ "note": "=1+1" }))),
            ],
        );
        row.set_relation("task", Some(Row::new(&TASK, vec![("parent", Uuid::from_u128(9).into())])));
        row
    }

    fn with_line<T>(title: &str, look: impl FnOnce(&Line<'_>) -> T) -> T {
        let (ticket, parents) = (row(title), HashMap::from([(Uuid::from_u128(9), "INC-9".to_owned())]));
        let refs = [("jira".to_owned(), "OPS-1".to_owned())];
        let id = "tsk_1".to_owned();
        look(&Line { ticket: &ticket, id, kinds: &["task"], external_refs: &refs, parents: &parents })
    }

    const SOME: &[ExportColumn] = &[
        ExportColumn::Id,
        ExportColumn::Title,
        ExportColumn::Tags,
        ExportColumn::ExternalRefs,
        ExportColumn::CustomFields,
        ExportColumn::Parent,
        ExportColumn::Team,
    ];

    #[test]
    fn a_ticket_is_a_line_of_json() {
        let mut out = Vec::new();
        with_line("a\nb", |line| line.write_json(SOME, &mut out));
        assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1, "a line's end stands at its end only");
        let json: Json = serde_json::from_slice(&out).unwrap();
        let wanted = json!({
            "id": "tsk_1", "title": "a\nb", "tags": ["vpn", "a,b"], "externalRefs": [{ "source": "jira", "key": "OPS-1" }],
            "customFields": { "site": "Bern", "floor": -3, "note": "=1+1" }, "parent": "INC-9", "team": null
        });
        assert_eq!(json, wanted);
    }

    #[test]
    fn a_ticket_is_a_row_of_a_table() {
        let keys: Vec<String> = ["floor", "note", "gone"].map(str::to_owned).to_vec();
        let cells = with_line("@SUM(A1)", |line| line.cells(SOME, &keys));
        assert_eq!(cells, ["tsk_1", "'@SUM(A1)", "vpn; a,b", "jira:OPS-1", "-3", "'=1+1", "", "INC-9", ""]);
        let names = header(SOME, &keys);
        assert_eq!(names.len(), cells.len());
        assert_eq!(names[4..7], ["customFields.floor", "customFields.note", "customFields.gone"]);
    }

    #[test]
    fn no_text_is_a_formula() {
        for text in ["=1+1", "+1", "-1", "@a", "\t=1", "\r=1", "\n=1", "  =1", "\u{ff1d}1"] {
            assert_eq!(harmless(text.to_owned()), format!("'{text}"), "{text:?}");
        }
        for text in ["", "a=1", "1-2", "INC-1", "'=1"] {
            assert_eq!(harmless(text.to_owned()), text);
        }
    }
}
