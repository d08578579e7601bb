//! What a practice tells of its kind of ticket, so that one path serves all kinds.

use std::sync::Arc;

use kernel::UserError;
use kernel::error::Problems;
use predicate::{RecordType, Value};
use serde_json::{Map, Value as Json};
use store::query::Row;

use crate::model::{StateCategory, TicketKind};
use crate::workflow::{Transition, Workflow};

/// How a ticket of a kind begins that says nothing of what is the kind's own.
#[derive(Clone, Debug)]
pub struct Opening {
    /// The permission that opening one needs beside `ticket.create`.
    pub permission: Option<&'static str>,
    /// The name of the event that tells of it.
    pub event: &'static str,
    /// The fields of the kind's extension.
    pub own: Vec<(&'static str, Value)>,
}

/// The rules of one kind of ticket. Each practice registers its own when the binary starts.
pub trait KindRules: Send + Sync + 'static {
    /// The kind.
    fn kind(&self) -> TicketKind;

    /// Its record type: the shared fields and its own.
    fn record(&self) -> &'static RecordType;

    /// The workflow that its tickets follow unless the tenant has another.
    fn default_workflow(&self) -> &Arc<Workflow>;

    /// How one begins that says no more than all tickets say, opened by somebody or `by_itself`; `None` for a kind that begins in
    /// another way.
    fn opening(&self, by_itself: bool) -> Option<Opening>;

    /// The name of the event that a transition between states of these categories leaves behind.
    fn transition_event(&self, transition: &Transition, from: StateCategory, to: StateCategory) -> &'static str;

    /// What of this kind's own speaks against the transition into a state of the category `to`; nothing by default.
    fn refusals(&self, _transition: &Transition, _to: StateCategory, _row: &Row) -> Vec<String> {
        Vec::new()
    }

    /// Whether a ticket that stayed resolved is closed without anybody's doing; it is, by default.
    fn closes_by_itself(&self, _row: &Row) -> bool {
        true
    }

    /// The texts of this kind's own that are searched: fields that everybody reads who sees the ticket, or those who work on it.
    fn searchable(&self) -> &'static [&'static str] {
        &[]
    }

    /// Takes the fields of this kind's own that a new ticket may be given out of `given`, and sets them in `own`, which
    /// [`KindRules::opening`] gave; nothing by default.
    fn open_with(
        &self,
        _given: &mut Map<String, Json>,
        _own: &mut Vec<(&'static str, Value)>,
        _problems: &mut Problems,
    ) {
    }

    /// How one begins that takes comments over from another of its kind: it came in as that did.
    fn opening_from(&self, original: &Row) -> Option<Opening> {
        let mut opening = self.opening(false)?;
        if !original.get("origin").is_null() {
            set_own(&mut opening.own, "origin", original.get("origin").clone());
        }
        Some(opening)
    }

    /// What of this kind's own speaks against merging the ticket into another; nothing by default.
    fn speaks_against_merge(&self, _row: &Row) -> Option<&'static str> {
        None
    }

    /// JSON Schema of an input that only this kind's transitions take; `None` for an unknown one.
    fn input_schema(&self, workflow: &Workflow, name: &str) -> Option<Json>;

    /// The inputs without which no ticket of this kind is resolved, whatever its workflow.
    fn inputs_to_resolve(&self) -> &'static [&'static str];

    /// Takes this kind's inputs out of `inputs`, checks them, and sets the fields of its extension. The ticket comes `from` a state of
    /// that category, and the row stands where it goes already.
    fn apply(
        &self,
        workflow: &Workflow,
        transition: &Transition,
        from: StateCategory,
        inputs: &mut Map<String, Json>,
        row: &mut Row,
        problems: &mut Problems,
    );
}

/// Sets a field among those of a kind's extension.
pub fn set_own(own: &mut Vec<(&'static str, Value)>, field: &'static str, value: Value) {
    own.retain(|(name, _)| *name != field);
    own.push((field, value));
}

/// Takes a word of a closed list out of what is given for a new ticket, and sets the field of its name among those of the kind's extension.
/// What is not given stays as it is.
pub fn take_word(
    field: &'static str,
    words: &[&'static str],
    given: &mut Map<String, Json>,
    own: &mut Vec<(&'static str, Value)>,
    problems: &mut Problems,
) {
    let Some(word) = given.remove(field) else { return };
    match words.iter().find(|known| word == **known) {
        Some(known) => set_own(own, field, (*known).into()),
        None => {
            let message = format!("`{field}` is one of {}", words.join(", "));
            problems.add(UserError::constraint([field], message, "enum", None));
        }
    }
}

/// Has a ticket let go of the key that only one open ticket has when it is done, and take it again when it is reopened. In between it
/// has what it has: while it was open, another one may have taken the key over.
pub fn follow_key(from: StateCategory, to: StateCategory, row: &mut Row, open: &'static str, key: &'static str) {
    if to.is_done() {
        row.set(open, Value::Null);
    } else if from.is_done() {
        row.set(open, row.get(key).clone());
    }
}

/// All kinds, in the order in which they were registered.
#[derive(Clone, Default)]
pub struct Kinds(Vec<Arc<dyn KindRules>>);

impl Kinds {
    /// These kinds.
    pub fn new(kinds: Vec<Arc<dyn KindRules>>) -> Self {
        Self(kinds)
    }

    /// The rules of a kind.
    ///
    /// # Errors
    /// `INTERNAL` when the practice was not registered.
    pub fn get(&self, kind: TicketKind) -> kernel::Result<&Arc<dyn KindRules>> {
        self.0
            .iter()
            .find(|rules| rules.kind() == kind)
            .ok_or_else(|| kernel::Error::internal(format!("no rules are registered for {}", kind.as_str())))
    }

    /// The rules of the kind that a row is of.
    ///
    /// # Errors
    /// `INTERNAL` for a kind that is unknown or was not registered.
    pub fn of(&self, row: &Row) -> kernel::Result<&Arc<dyn KindRules>> {
        let kind = row.text("kind");
        let kind =
            TicketKind::parse(&kind).ok_or_else(|| kernel::Error::internal(format!("unknown ticket kind `{kind}`")))?;
        self.get(kind)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn KindRules>> {
        self.0.iter()
    }
}
