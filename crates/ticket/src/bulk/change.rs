//! What is done with each ticket of a bulk change.

use access::{TeamRef, UserRef};
use kernel::error::Problems;
use kernel::{Error, Id, Patch, Result, UserError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use store::Tx;
use store::query::Row;

use crate::commands::{AssignTicket, TransitionTicket, normalise_tags};
use crate::draft::TicketPatch;
use crate::edit::Edit;
use crate::model::{MAX_TAGS, TicketKind};
use crate::queries::TicketRef;
use crate::service::Tickets;
use crate::task::refuse_on_task;

/// What is done with each ticket.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum BulkChange {
    /// Its fields change.
    Update(Box<BulkPatch>),
    /// It is moved through its workflow.
    Transition(BulkTransition),
}

/// What changes on each ticket: the fields that tickets of all kinds share, but for those that say what one ticket is about.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct BulkPatch {
    /// The fields that an update changes.
    pub fields: TicketPatch,
    /// Tags to put beside those there are.
    pub add_tags: Vec<String>,
    /// Tags to take away.
    pub remove_tags: Vec<String>,
    /// The team.
    pub team: Patch<TeamRef>,
    /// The assignee, a member of the team.
    pub assignee: Patch<UserRef>,
}

/// The transition that each ticket takes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BulkTransition {
    /// Its key.
    pub transition: String,
    /// Its inputs, by name.
    pub inputs: Map<String, Json>,
    /// A public comment to add along.
    pub comment: Option<String>,
}

impl BulkChange {
    /// Where in the call's input it stands, for the paths of errors.
    pub(super) const fn path(&self) -> Option<&'static str> {
        match self {
            BulkChange::Update(_) => Some("patch"),
            BulkChange::Transition(_) => None,
        }
    }

    /// Checks what can be checked without looking at a ticket, and trims the tags.
    ///
    /// # Errors
    /// `VALIDATION` and `LIMIT` with paths into the input of the call.
    pub(super) fn check(&mut self) -> Result<()> {
        match self {
            BulkChange::Update(patch) => patch.check().map_err(|error| error.within("patch")),
            BulkChange::Transition(change) => {
                let nobody = TicketRef::Number(String::new());
                change.of(nobody, None).check()
            }
        }
    }
}

impl BulkTransition {
    fn of(&self, ticket: TicketRef, expected_version: Option<i32>) -> TransitionTicket {
        TransitionTicket {
            ticket,
            transition: self.transition.clone(),
            inputs: self.inputs.clone(),
            comment: self.comment.clone(),
            resolve_children: false,
            expected_version,
        }
    }
}

impl BulkPatch {
    fn check(&mut self) -> Result<()> {
        let mut problems = Problems::default();
        problems.take(self.fields.check())?;
        for (path, tags) in [("addTags", &mut self.add_tags), ("removeTags", &mut self.remove_tags)] {
            let mut own = Problems::default();
            *tags = normalise_tags(&mut own, std::mem::take(tags));
            if let Err(Error::Refused(errors)) = own.check() {
                errors.into_iter().for_each(|error| problems.add(UserError { path: vec![path.to_owned()], ..error }));
            }
        }
        if self.fields.tags.is_some() && !(self.add_tags.is_empty() && self.remove_tags.is_empty()) {
            let message = "`tags` replaces all tags: give it alone, or `addTags` and `removeTags`";
            problems.add(UserError::constraint(["tags"], message, "exclusive", None));
        }
        if !self.changes_fields() && !self.assigns() {
            problems.add(UserError::constraint([] as [&str; 0], "the patch changes nothing", "required", None));
        }
        problems.check()
    }

    fn changes_fields(&self) -> bool {
        !(self.fields.is_keep() && self.add_tags.is_empty() && self.remove_tags.is_empty())
    }

    fn assigns(&self) -> bool {
        !(self.team.is_keep() && self.assignee.is_keep())
    }

    /// The fields that tickets of this kind do not take, whoever asks: those that their own update has not either.
    fn refused_on(&self, kind: TicketKind) -> Result<()> {
        if kind != TicketKind::Task {
            return Ok(());
        }
        let fields = &self.fields;
        let mut problems = Problems::default();
        let others = [
            (fields.requester.is_some(), "requester"),
            (!fields.priority_override.is_keep(), "priorityOverride"),
            (!fields.category.is_keep(), "category"),
            (!fields.service.is_keep(), "service"),
            (fields.items.affected.is_some(), "configurationItems"),
            (fields.items.not_impacted.is_some(), "notImpactedItems"),
        ];
        refuse_on_task(&mut problems, others);
        problems.check()
    }

    /// The update of one ticket.
    fn on(&self, ticket: &Row) -> Result<TicketPatch> {
        let mut fields = self.fields.clone();
        if !(self.add_tags.is_empty() && self.remove_tags.is_empty()) {
            fields.tags = Some(tagged(ticket.texts("tags"), &self.add_tags, &self.remove_tags)?);
        }
        Ok(fields)
    }
}

/// The tags of a ticket after some were added and some taken away; one that is in both lists is taken away.
fn tagged(mut tags: Vec<String>, add: &[String], remove: &[String]) -> Result<Vec<String>> {
    for tag in add {
        if !tags.contains(tag) {
            tags.push(tag.clone());
        }
    }
    tags.retain(|tag| !remove.contains(tag));
    if tags.len() > MAX_TAGS {
        let message = format!("the ticket would have {} tags; at most {MAX_TAGS} are allowed", tags.len());
        return Err(UserError::limit(["addTags"], message, MAX_TAGS as u64).into());
    }
    Ok(tags)
}

impl Tickets {
    /// Changes one ticket of a bulk, by the same steps as alone: its fields, then who works on it, each with its own event.
    ///
    /// # Errors
    /// Those of the single change.
    pub(super) async fn change_one_in(
        &self,
        tx: &mut Tx,
        ticket: Id,
        expected_version: Option<i32>,
        change: &BulkChange,
    ) -> Result<Edit> {
        let reference = TicketRef::Id(ticket);
        match change {
            BulkChange::Transition(change) => self.take_transition_in(tx, change.of(reference, expected_version)).await,
            BulkChange::Update(patch) => {
                let mut edit = self.edit_in(tx, &reference, "id").await?;
                edit.expect_version(expected_version)?;
                patch.refused_on(edit.rules.kind())?;
                if patch.changes_fields() {
                    let fields = patch.on(&edit.before)?;
                    self.patch_in(tx, &mut edit, &fields).await?;
                    self.save_patch_in(tx, &mut edit, &fields).await?;
                    edit.proceed();
                }
                if patch.assigns() {
                    let assignment = AssignTicket {
                        ticket: reference,
                        team: patch.team.clone(),
                        assignee: patch.assignee.clone(),
                        expected_version: None,
                    };
                    self.assign_in(tx, &mut edit, &assignment).await?;
                }
                tx.answers_with(edit.reference());
                Ok(edit)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Impact;

    fn tags(list: &[&str]) -> Vec<String> {
        list.iter().map(|tag| (*tag).to_owned()).collect()
    }

    fn rules(result: Result<()>) -> Vec<(String, String)> {
        let Err(Error::Refused(errors)) = result else { return Vec::new() };
        let rule = |error: &UserError| match &error.detail {
            kernel::Detail::Validation { constraint, .. } => constraint.to_string(),
            _ => error.code.as_str().to_owned(),
        };
        errors.iter().map(|error| (error.path.join("."), rule(error))).collect()
    }

    fn one(path: &str, rule: &str) -> Vec<(String, String)> {
        vec![(path.to_owned(), rule.to_owned())]
    }

    #[test]
    fn tags_are_added_and_taken_away() {
        let there = tags(&["vpn", "mail"]);
        assert_eq!(tagged(there.clone(), &tags(&["vpn", "site"]), &tags(&["mail"])).unwrap(), ["vpn", "site"]);
        assert_eq!(tagged(there.clone(), &tags(&["x"]), &tags(&["x"])).unwrap(), there, "taken away wins");
        let full: Vec<String> = (0..MAX_TAGS).map(|tag| tag.to_string()).collect();
        assert!(tagged(full.clone(), &tags(&["0"]), &[]).is_ok());
        assert_eq!(rules(tagged(full.clone(), &tags(&["x"]), &[]).map(drop)), one("addTags", "LIMIT"));
        assert!(tagged(full, &tags(&["x"]), &tags(&["0"])).is_ok(), "there is room again");
    }

    #[test]
    fn a_patch_says_something_and_says_it_once() {
        let check = |patch: BulkPatch| rules(BulkChange::Update(Box::new(patch)).check());
        assert_eq!(check(BulkPatch::default()), one("patch", "required"));
        let replaced = TicketPatch { tags: Some(tags(&["a"])), ..TicketPatch::default() };
        let both = BulkPatch { fields: replaced.clone(), add_tags: tags(&["b"]), ..BulkPatch::default() };
        assert_eq!(check(both), one("patch.tags", "exclusive"));
        assert_eq!(check(BulkPatch { fields: replaced, ..BulkPatch::default() }), []);
        let empty = BulkPatch { remove_tags: tags(&[" "]), ..BulkPatch::default() };
        assert_eq!(check(empty), one("patch.removeTags", "minLength"));
        assert_eq!(check(BulkPatch { assignee: Patch::Clear, ..BulkPatch::default() }), []);
    }

    #[test]
    fn a_task_takes_what_its_own_update_takes() {
        let fields = TicketPatch { category: Patch::Clear, impact: Some(Impact::High), ..TicketPatch::default() };
        let patch = BulkPatch { fields, ..BulkPatch::default() };
        assert_eq!(rules(patch.refused_on(TicketKind::Task)), one("category", "kind"));
        for kind in [TicketKind::Incident, TicketKind::Problem] {
            assert!(patch.refused_on(kind).is_ok());
        }
    }

    #[test]
    fn a_change_is_the_same_after_it_was_kept() {
        let fields = TicketPatch {
            category: Patch::Clear,
            service: Patch::Set(configuration::ServiceRef::Key("mail".into())),
            ..TicketPatch::default()
        };
        let team = Patch::Set(TeamRef::Id(Id::new(kernel::id::prefix::TEAM, kernel::Uuid::from_u128(7))));
        let change = BulkChange::Update(Box::new(BulkPatch { fields, team, ..BulkPatch::default() }));
        let kept: BulkChange = serde_json::from_value(serde_json::json!(change)).unwrap();
        assert_eq!(format!("{kept:?}"), format!("{change:?}"));
    }
}
