//! What a line of an imported file says: the fields of a new ticket, as an export names them.

use access::{TeamRef, UserRef};
use configuration::ServiceRef;
use kernel::error::Problems;
use kernel::id::prefix;
use kernel::{Id, Result, UserError};
use serde_json::{Map, Value as Json};

use crate::custom_field::{MAX_FIELDS, SetCustomField, from_json};
use crate::draft::TicketDraft;
use crate::model::{Impact, MAX_KEY, TicketKind, Urgency};
use crate::queries::{TicketRef, check_external};
use crate::task::{TaskDraft, refuse_on_task};

/// A line, read: what any ticket says, and what only tickets of its kind do.
#[derive(Clone, Debug)]
pub(super) struct ImportRow {
    /// The kind.
    pub kind: TicketKind,
    /// What it says.
    pub draft: TicketDraft,
    /// Of a task: the ticket that it belongs to.
    pub parent: Option<TicketRef>,
    /// What is the kind's own, to be read by its rules.
    pub own: Map<String, Json>,
}

/// The fields of a line, taken out one after the other.
struct Fields {
    given: Map<String, Json>,
    problems: Problems,
}

impl Fields {
    /// A field that says something; null is like absent.
    fn take(&mut self, name: &str) -> Option<Json> {
        self.given.remove(name).filter(|json| !json.is_null())
    }

    fn wrong(&mut self, name: &str, message: String) {
        self.problems.add(UserError::constraint([name], message, "type", None));
    }

    fn text(&mut self, name: &str) -> Option<String> {
        match self.take(name)? {
            Json::String(text) => Some(text),
            _ => {
                self.wrong(name, format!("`{name}` is a text"));
                None
            }
        }
    }

    fn word<T: Copy>(&mut self, name: &str, parse: fn(&str) -> Option<T>, names: &[&str]) -> Option<T> {
        let text = self.text(name)?;
        let word = parse(&text);
        if word.is_none() {
            let message = format!("`{name}` is one of {}", names.join(", "));
            self.problems.add(UserError::constraint([name], message, "enum", None));
        }
        word
    }

    /// An id, or else what people write: a key, a slug, an address.
    fn reference<T>(&mut self, name: &str, of: &'static str, id: fn(Id) -> T, other: fn(String) -> T) -> Option<T> {
        let text = self.text(name)?;
        Some(Id::parse_as(&text, &[of]).map_or_else(|_| other(text), id))
    }

    fn texts(&mut self, name: &str) -> Vec<String> {
        let Some(json) = self.take(name) else { return Vec::new() };
        let texts =
            json.as_array().and_then(|items| items.iter().map(|item| item.as_str().map(str::to_owned)).collect());
        texts.unwrap_or_else(|| {
            self.wrong(name, format!("`{name}` is a list of texts"));
            Vec::new()
        })
    }

    fn external_refs(&mut self) -> Vec<(String, String)> {
        let Some(json) = self.take("externalRefs") else { return Vec::new() };
        let refs = json.as_array().and_then(|items| items.iter().map(external).collect());
        refs.unwrap_or_else(|| {
            self.wrong("externalRefs", "`externalRefs` is a list of objects with `source` and `key`".into());
            Vec::new()
        })
    }

    fn custom_fields(&mut self) -> Vec<SetCustomField> {
        match self.take("customFields") {
            None => Vec::new(),
            // What stands empty in the file has no value here: a required field still needs one.
            Some(Json::Object(values)) if values.len() > MAX_FIELDS => {
                let message =
                    format!("{} custom fields are given; no more than {MAX_FIELDS} can be there", values.len());
                self.problems.add(UserError::limit(["customFields"], message, MAX_FIELDS as u64));
                Vec::new()
            }
            Some(Json::Object(values)) => from_json(values.into_iter().filter(|(_, value)| !value.is_null()).collect()),
            Some(_) => {
                self.wrong("customFields", "`customFields` is an object of values by the fields' keys".into());
                Vec::new()
            }
        }
    }

    fn parent(&mut self) -> Option<TicketRef> {
        let json = self.take("parent")?;
        if let Some((source, key)) = external(&json) {
            let checked = check_external(&source, &key).map_err(|error| error.within("parent"));
            // Nothing is looked up here, so nothing but a refusal comes of it.
            let checked = self.problems.take(checked).ok().flatten();
            return checked.map(|()| TicketRef::External { source, key });
        }
        let read = json.as_str().map(|text| TicketRef::parse(text, "parent"));
        match read {
            Some(Ok(parent)) => return Some(parent),
            Some(Err(error)) => drop(self.problems.take::<()>(Err(error))),
            None => {
                self.wrong("parent", "`parent` is a ticket's number or id, or an object with `source` and `key`".into())
            }
        }
        None
    }
}

fn external(json: &Json) -> Option<(String, String)> {
    let object = json.as_object().filter(|object| object.len() == 2)?;
    let text = |name: &str| object.get(name).and_then(Json::as_str).map(str::to_owned);
    Some((text("source")?, text("key")?))
}

/// Reads a line. `kind` is that of lines that name none; fields that `ignore` names are left aside.
///
/// # Errors
/// `VALIDATION` with paths into the line's object.
pub(super) fn read(line: &[u8], kind: Option<TicketKind>, ignore: &[String]) -> Result<ImportRow> {
    let nowhere: [&str; 0] = [];
    let mut given = match serde_json::from_slice(line) {
        Ok(Json::Object(given)) => given,
        Ok(_) => return Err(UserError::constraint(nowhere, "the line is no JSON object", "json", None).into()),
        Err(error) => {
            let message = format!("the line is no JSON: {error}");
            return Err(UserError::constraint(nowhere, message, "json", None).into());
        }
    };
    check_names(&given)?;
    given.retain(|name, _| !ignore.contains(name));
    let mut fields = Fields { given, problems: Problems::default() };
    let kind = fields.word("kind", TicketKind::parse, TicketKind::NAMES).or(kind);
    let title = fields.text("title");
    for (missing, name, what) in [
        (kind.is_none(), "kind", "the line names no `kind`, and `kind` of the import none"),
        (title.is_none(), "title", "a ticket has a `title`"),
    ] {
        if missing {
            fields.problems.add(UserError::constraint([name], what, "required", None));
        }
    }
    let draft = TicketDraft {
        description: fields.text("description"),
        requester: fields.reference("requester", prefix::USER, UserRef::Id, UserRef::Email),
        priority_override: None,
        category: fields.text("category"),
        service: fields.reference("service", prefix::SERVICE, ServiceRef::Id, ServiceRef::Key),
        team: fields.reference("team", prefix::TEAM, TeamRef::Id, TeamRef::Slug),
        assignee: fields.reference("assignee", prefix::USER, UserRef::Id, UserRef::Email),
        tags: fields.texts("tags"),
        custom_fields: fields.custom_fields(),
        external_refs: fields.external_refs(),
        ..TicketDraft::titled(
            title.unwrap_or_default(),
            fields.word("impact", Impact::parse, Impact::NAMES).unwrap_or(Impact::Medium),
            fields.word("urgency", Urgency::parse, Urgency::NAMES).unwrap_or(Urgency::Medium),
        )
    };
    let parent = fields.parent();
    fields.problems.check()?;
    let own = fields.given.into_iter().filter(|(_, value)| !value.is_null()).collect();
    let kind = kind.ok_or_else(|| kernel::Error::internal("a kind that is missing was let through"))?;
    Ok(ImportRow { kind, draft, parent, own })
}

/// Refuses what no field is called, without saying it again: names are told in errors, and stored with them.
fn check_names(given: &Map<String, Json>) -> Result<()> {
    let names = |json: Option<&Json>| {
        json.and_then(Json::as_object).is_some_and(|values| values.keys().any(|name| is_no_name(name)))
    };
    let nowhere: &[&str] = &[];
    let (path, of) = match () {
        () if given.keys().any(|name| is_no_name(name)) => (nowhere, "the line"),
        () if names(given.get("customFields")) => (&["customFields"][..], "`customFields`"),
        () => return Ok(()),
    };
    let message = format!("a name in {of} is longer than {MAX_KEY} bytes, or holds a control character");
    Err(UserError::constraint(path.iter().copied(), message, "pattern", None).into())
}

fn is_no_name(name: &str) -> bool {
    name.len() > MAX_KEY || name.chars().any(char::is_control)
}

/// Refuses the fields that nobody has taken.
pub(super) fn refuse_rest(own: &Map<String, Json>, problems: &mut Problems) {
    for name in own.keys() {
        let message = format!("`{name}` is no field that an import sets; name it in `ignore` to leave it aside");
        problems.add(UserError::constraint([name.as_str()], message, "unknown", None));
    }
}

impl ImportRow {
    /// The same as a task.
    ///
    /// # Errors
    /// `VALIDATION` for what tasks do not have, and without a `parent`.
    pub(super) fn into_task(self) -> Result<(TicketRef, TaskDraft)> {
        let Self { draft, parent, own, .. } = self;
        let mut problems = Problems::default();
        let others = [
            (draft.requester.is_some(), "requester"),
            (draft.category.is_some(), "category"),
            (draft.service.is_some(), "service"),
            (!draft.external_refs.is_empty(), "externalRefs"),
        ];
        refuse_on_task(&mut problems, others);
        refuse_rest(&own, &mut problems);
        if parent.is_none() {
            let message = "a task names the ticket that it belongs to, as `parent`";
            problems.add(UserError::constraint(["parent"], message, "required", None));
        }
        problems.check()?;
        let parent = parent.ok_or_else(|| kernel::Error::internal("a parent that is missing was let through"))?;
        let (impact, urgency) = (Some(draft.impact), Some(draft.urgency));
        Ok((parent, TaskDraft::of(draft, impact, urgency)))
    }
}

#[cfg(test)]
mod tests {
    use kernel::Error;
    use kernel::error::MAX_PROBLEMS;
    use serde_json::json;

    use super::*;

    fn paths<T: std::fmt::Debug>(result: Result<T>) -> Vec<String> {
        match result {
            Err(Error::Refused(errors)) => errors.into_iter().map(|error| error.path.join(".")).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn of(json: &Json) -> Result<ImportRow> {
        read(json.to_string().as_bytes(), None, &[])
    }

    #[test]
    fn a_line_is_a_ticket() {
        let row = of(&json!({
            "kind": "INCIDENT", "title": "Mail", "requester": "ada@acme.example", "impact": "HIGH", "team": "network", "tags": ["mail"],
            "externalRefs": [{ "source": "jira", "key": "OPS-1" }], "customFields": { "site": "bern", "floor": null },
            "description": null, "origin": "EMAIL"
        }))
        .unwrap();
        assert_eq!((row.kind, row.draft.title.as_str()), (TicketKind::Incident, "Mail"));
        assert_eq!((row.draft.impact, row.draft.urgency), (Impact::High, Urgency::Medium));
        assert_eq!(row.draft.requester, Some(UserRef::Email("ada@acme.example".into())));
        assert_eq!(row.draft.team, Some(TeamRef::Slug("network".into())));
        assert_eq!(row.draft.external_refs, [("jira".to_owned(), "OPS-1".to_owned())]);
        assert_eq!(row.draft.custom_fields.len(), 1);
        assert_eq!(row.own.keys().collect::<Vec<_>>(), ["origin"]);
    }

    #[test]
    fn what_is_wrong_with_a_line_is_named_at_its_place() {
        assert_eq!(paths(read(b"{\"title\": ", None, &[])), [""]);
        assert_eq!(paths(read(b"[1]", None, &[])), [""]);
        assert_eq!(paths(read(b"\xff\xfe", None, &[])), [""]);
        assert_eq!(paths(of(&json!({}))), ["kind", "title"]);
        let wrong = json!({
            "kind": "CHANGE", "title": 3, "impact": "high", "tags": "mail", "externalRefs": [{ "source": "jira" }],
            "customFields": [], "parent": 7, "team": {}
        });
        let found = paths(of(&wrong));
        for path in ["kind", "title", "impact", "tags", "externalRefs", "customFields", "parent", "team"] {
            assert!(found.iter().any(|one| one == path), "{path}: {found:?}");
        }
        assert_eq!(read(b"{\"title\": \"x\"}", Some(TicketKind::Task), &[]).unwrap().kind, TicketKind::Task);
    }

    #[test]
    fn what_nobody_sets_is_refused_or_left_aside() {
        let line = json!({ "kind": "TASK", "title": "x", "parent": "INC-1", "number": "TSK-1", "version": null });
        let row = of(&line).unwrap();
        assert_eq!(row.parent, Some(TicketRef::Number("INC-1".into())));
        assert_eq!(paths(row.into_task()), ["number"]);
        let row = read(line.to_string().as_bytes(), None, &["number".to_owned()]).unwrap();
        assert_eq!(row.into_task().unwrap().0, TicketRef::Number("INC-1".into()));
    }

    #[test]
    fn what_is_no_name_is_not_said_again() {
        let long = "x".repeat(MAX_KEY + 1);
        for (line, path) in [
            (json!({ "title": "x", "a\0b": 1 }), ""),
            (json!({ "title": "x", long.as_str(): 1 }), ""),
            (json!({ "title": "x", "customFields": { "a\0b": 1 } }), "customFields"),
            (json!({ "title": "x", "customFields": { long.as_str(): 1 } }), "customFields"),
            (json!({ "kind": "TASK", "title": "x", "parent": { "source": "a\0", "key": "1" } }), "parent.source"),
        ] {
            let told = match of(&line) {
                Err(Error::Refused(errors)) => errors,
                other => panic!("{other:?}"),
            };
            assert_eq!(told.last().unwrap().path.join("."), path, "{told:?}");
            let said = format!("{told:?}");
            assert!(!said.contains("\\0") && !said.contains(&long), "{said}");
        }
    }

    #[test]
    fn a_line_full_of_mistakes_is_told_some_of_them() {
        let unknown: Map<String, Json> = (0..50_000).map(|place| (format!("f{place}"), json!(1))).collect();
        let mut problems = Problems::default();
        refuse_rest(&unknown, &mut problems);
        assert_eq!(paths(problems.check()).len(), MAX_PROBLEMS + 1);
        let many = of(&json!({ "kind": "TASK", "title": "x", "customFields": unknown }));
        assert_eq!(paths(many), ["customFields"]);
    }

    #[test]
    fn a_task_is_what_tasks_are() {
        let line = json!({ "kind": "TASK", "title": "x", "service": "mail", "requester": "a@b.example" });
        assert_eq!(paths(of(&line).unwrap().into_task()), ["requester", "service", "parent"]);
        let line = json!({ "kind": "TASK", "title": "x", "parent": { "source": "jira", "key": "1" } });
        let parent = TicketRef::External { source: "jira".into(), key: "1".into() };
        assert_eq!(of(&line).unwrap().into_task().unwrap().0, parent);
    }
}
