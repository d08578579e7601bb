//! Opening and changing a ticket of any kind: what all practices do alike. A practice adds the fields of its own.

use access::permission::{TICKET_ASSIGN, TICKET_CREATE, TICKET_CREATE_ON_BEHALF, TICKET_OVERRIDE_PRIORITY};
use access::{TeamRef, UserRef};
use configuration::ServiceRef;
use kernel::error::Problems;
use kernel::{ActorKind, Ctx, Error, Patch, Result, UserError};
use predicate::{Policy, Predicate, Rule, Value};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use store::Tx;
use store::query::{self, Row};

use crate::affected::AffectedItems;
use crate::assignment::start_if_new;
use crate::commands::{PriorityOverride, check_long_text, check_text, check_title, normalise_tags};
use crate::custom_field::SetCustomField;
use crate::edit::Edit;
use crate::fields::EXTERNAL_REF;
use crate::kind::{KindRules, Opening};
use crate::model::{Impact, MAX_EXTERNAL_REFS, MAX_TITLE, Urgency};
use crate::queries::check_external;
use crate::service::Tickets;

/// What a new ticket of any kind says.
#[derive(Clone, Debug)]
pub struct TicketDraft {
    /// What it is about, in a line.
    pub title: String,
    /// What it is about, in Markdown.
    pub description: Option<String>,
    /// Who is affected; the viewer when absent.
    pub requester: Option<UserRef>,
    /// How many are affected.
    pub impact: Impact,
    /// How long it can wait.
    pub urgency: Urgency,
    /// A priority against the matrix.
    pub priority_override: Option<PriorityOverride>,
    /// The key of a category.
    pub category: Option<String>,
    /// The service that it is about.
    pub service: Option<ServiceRef>,
    /// The configuration items that it is about.
    pub items: AffectedItems,
    /// The team that works on it.
    pub team: Option<TeamRef>,
    /// The member of the team who does.
    pub assignee: Option<UserRef>,
    /// Free words.
    pub tags: Vec<String>,
    /// Custom fields.
    pub custom_fields: Vec<SetCustomField>,
    /// What it is called elsewhere: (source, key).
    pub external_refs: Vec<(String, String)>,
}

impl TicketDraft {
    /// Says no more than its title, and how much it matters.
    pub fn titled(title: String, impact: Impact, urgency: Urgency) -> Self {
        Self {
            title,
            description: None,
            requester: None,
            impact,
            urgency,
            priority_override: None,
            category: None,
            service: None,
            items: AffectedItems::default(),
            team: None,
            assignee: None,
            tags: Vec::new(),
            custom_fields: Vec::new(),
            external_refs: Vec::new(),
        }
    }

    /// Checks what can be checked without looking anything up, and trims the tags.
    ///
    /// # Errors
    /// `FORBIDDEN` with the permission that is missing; `VALIDATION` and `LIMIT` with paths.
    pub fn check(&mut self, ctx: &Ctx) -> Result<()> {
        for (given, permission) in [
            (true, TICKET_CREATE),
            (self.team.is_some() || self.assignee.is_some(), TICKET_ASSIGN),
            (self.priority_override.is_some(), TICKET_OVERRIDE_PRIORITY),
        ] {
            if given && !ctx.grants.holds(permission) {
                return Err(UserError::forbidden(permission).into());
            }
        }
        let mut problems = Problems::default();
        check_title(&mut problems, &self.title);
        if let Some(description) = &self.description {
            check_long_text(&mut problems, "description", description);
        }
        check_override(&mut problems, self.priority_override.as_ref());
        self.tags = normalise_tags(&mut problems, std::mem::take(&mut self.tags));
        self.items.check(&mut problems);
        if self.external_refs.len() > MAX_EXTERNAL_REFS {
            let message =
                format!("{} references are given; at most {MAX_EXTERNAL_REFS} are allowed", self.external_refs.len());
            problems.add(UserError::limit(["externalRefs"], message, MAX_EXTERNAL_REFS as u64));
        }
        for (index, (source, key)) in self.external_refs.iter().enumerate().take(MAX_EXTERNAL_REFS) {
            let checked = check_external(source, key);
            problems.take(checked.map_err(|error| error.within(&index.to_string()).within("externalRefs")))?;
        }
        problems.check()
    }
}

/// What changes on a ticket of any kind. Absent fields stay.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TicketPatch {
    /// A new title.
    pub title: Option<String>,
    /// A new description.
    pub description: Patch<String>,
    /// Who is affected.
    pub requester: Option<UserRef>,
    /// How many are affected.
    pub impact: Option<Impact>,
    /// How long it can wait.
    pub urgency: Option<Urgency>,
    /// A priority against the matrix; null goes back to the matrix.
    pub priority_override: Patch<PriorityOverride>,
    /// The key of a category.
    pub category: Patch<String>,
    /// The service that it is about.
    pub service: Patch<ServiceRef>,
    /// The configuration items that it is about.
    pub items: AffectedItems,
    /// All tags.
    pub tags: Option<Vec<String>>,
    /// Custom fields; those that are not named stay.
    pub custom_fields: Vec<SetCustomField>,
}

impl TicketPatch {
    /// Whether it says nothing.
    pub fn is_keep(&self) -> bool {
        let Self {
            title,
            description,
            requester,
            impact,
            urgency,
            priority_override,
            category,
            service,
            items,
            tags,
            custom_fields,
        } = self;
        let absent = title.is_none() && requester.is_none() && impact.is_none() && urgency.is_none();
        let kept = description.is_keep() && priority_override.is_keep() && category.is_keep() && service.is_keep();
        absent && kept && items.is_keep() && tags.is_none() && custom_fields.is_empty()
    }

    /// Checks what can be checked without looking anything up, and trims the tags.
    ///
    /// # Errors
    /// `VALIDATION` and `LIMIT` with paths.
    pub fn check(&mut self) -> Result<()> {
        let mut problems = Problems::default();
        if let Some(title) = &self.title {
            check_title(&mut problems, title);
        }
        if let Patch::Set(description) = &self.description {
            check_long_text(&mut problems, "description", description);
        }
        if let Patch::Set(wanted) = &self.priority_override {
            check_override(&mut problems, Some(wanted));
        }
        self.items.check(&mut problems);
        if let Some(tags) = self.tags.take() {
            self.tags = Some(normalise_tags(&mut problems, tags));
        }
        problems.check()
    }
}

fn check_override(problems: &mut Problems, wanted: Option<&PriorityOverride>) {
    if let Some(wanted) = wanted {
        let mut inner = Problems::default();
        check_text(&mut inner, "reason", &wanted.reason, MAX_TITLE);
        if let Err(Error::Refused(errors)) = inner.check() {
            errors.into_iter().for_each(|error| problems.add(error.within("priorityOverride")));
        }
    }
}

impl Tickets {
    /// Opens a ticket inside a write: everything but the answer. `own` are the fields of its kind, `event` tells that it was opened.
    ///
    /// # Errors
    /// `FORBIDDEN`, `VALIDATION`, `NOT_FOUND` for what the draft points at, `CONFLICT` for an external reference that is taken.
    pub async fn open_in(
        &self,
        tx: &mut Tx,
        rules: &std::sync::Arc<dyn KindRules>,
        draft: &TicketDraft,
        number: String,
        own: Vec<(&'static str, Value)>,
        event: &'static str,
    ) -> Result<Edit> {
        let ctx = tx.ctx().clone();
        let record = rules.record();
        let mut edit = Edit::new(rules.clone(), rules.default_workflow().clone(), Row::new(record, Vec::new()));
        let shared = [
            ("id", Value::from(ctx.new_id())),
            ("kind", rules.kind().as_str().into()),
            ("number", number.into()),
            ("title", draft.title.trim().into()),
            ("description", draft.description.clone().into()),
            ("impact", draft.impact.as_str().into()),
            ("urgency", draft.urgency.as_str().into()),
            ("tags", Value::TextList(draft.tags.clone())),
            ("reassignmentCount", 0.into()),
            ("reopenCount", 0.into()),
            ("functionalEscalationLevel", 0.into()),
            ("hierarchicalEscalationLevel", 0.into()),
            ("timeSpent", 0.into()),
            ("entriesWithoutRate", 0.into()),
            ("version", 1.into()),
            ("createdAt", tx.now().into()),
            ("updatedAt", tx.now().into()),
        ];
        for (field, value) in shared.into_iter().chain(own) {
            edit.after.set(field, value);
        }
        let mut problems = Problems::default();
        let people = self.set_people_in(tx, &ctx, &mut edit, draft).await;
        problems.take(people)?;
        if let Some(key) = &draft.category {
            let category = self.usable_category_in(tx, key).await;
            if let Some(category) = problems.take(category)? {
                edit.set_reference("category", Some(category));
            }
        }
        if let Some(service) = &draft.service {
            let service = self.usable_service_in(tx, service).await;
            if let Some(service) = problems.take(service)? {
                edit.set_reference("service", Some(service));
            }
        }
        problems.check()?;
        edit.authorise_state_after(&ctx, self.access())?;
        if draft.priority_override.is_some() {
            self.authorise_override(&ctx, &edit, &edit.after)?;
        }
        self.set_priority_in(tx, &mut edit, draft.priority_override.as_ref()).await?;
        self.set_custom_fields_in(tx, &mut edit, &draft.custom_fields, true).await?;
        let workflow = self.workflow_for(tx, &ctx, rules.as_ref(), &edit.after).await?;
        edit.begin(&workflow);
        start_if_new(&mut edit, tx.now());
        self.require_custom_fields_in(tx, &edit).await?;
        query::insert_unique_in(tx, ctx.tenant, record, &edit.after).await?;
        edit.insert_custom_fields_in(tx).await?;
        edit.index_in(tx).await?;
        self.insert_external_refs_in(tx, &edit.after, &draft.external_refs).await?;
        tx.emit(edit.event(self.access(), event, Json::Null));
        self.set_items_in(tx, &edit, &draft.items).await?;
        tx.answers_with(edit.reference());
        // Whoever goes on with it goes on from what was written.
        edit.proceed();
        Ok(edit)
    }

    /// The same as its kind begins, for whoever may.
    ///
    /// # Errors
    /// As [`Tickets::open_in`]; `FORBIDDEN` without what the kind needs.
    pub(crate) async fn open_as_in(
        &self,
        tx: &mut Tx,
        rules: &std::sync::Arc<dyn KindRules>,
        draft: &TicketDraft,
        number: String,
        opening: Opening,
    ) -> Result<Edit> {
        if let Some(permission) = opening.permission.filter(|permission| !tx.ctx().grants.holds(permission)) {
            return Err(UserError::forbidden(permission).into());
        }
        self.open_in(tx, rules, draft, number, opening.own, opening.event).await
    }

    async fn set_people_in(&self, tx: &mut Tx, ctx: &Ctx, edit: &mut Edit, draft: &TicketDraft) -> Result<()> {
        let opener = self.access().actors_in(tx, ctx, &[ctx.actor.id]).await?.pop();
        let requester = match &draft.requester {
            Some(requester) => Some(self.user_in(tx, requester, "requester").await?),
            None if ctx.actor.kind == ActorKind::User => opener.clone(),
            None => {
                let message = "whoever is no person must name a `requester`";
                return Err(UserError::constraint(["requester"], message, "required", None).into());
            }
        };
        let on_behalf = requester.as_ref().is_some_and(|requester| requester.id() != ctx.actor.id);
        if on_behalf && !ctx.grants.holds_tenant(TICKET_CREATE_ON_BEHALF) {
            return Err(UserError::forbidden(TICKET_CREATE_ON_BEHALF).into());
        }
        edit.set_reference("openedBy", opener);
        edit.set_reference("requester", requester);
        if let Some(team) = &draft.team {
            let team = self.team_in(tx, team, "team").await?;
            edit.set_reference("team", Some(team));
        }
        if let Some(assignee) = &draft.assignee {
            let user = self.user_in(tx, assignee, "assignee").await?;
            self.check_member_in(tx, &edit.after, &user).await?;
            edit.set_reference("assignee", Some(user));
        }
        Ok(())
    }

    /// Sets the priority from the override or from the matrix.
    async fn set_priority_in(&self, tx: &mut Tx, edit: &mut Edit, wanted: Option<&PriorityOverride>) -> Result<()> {
        let (reason, by, at) = match wanted {
            Some(wanted) => (wanted.reason.trim().into(), tx.ctx().actor.id.into(), tx.now().into()),
            None => (Value::Null, Value::Null, Value::Null),
        };
        edit.set("priorityOverrideReason", reason);
        edit.set("priorityOverrideBy", by);
        edit.set("priorityOverrideAt", at);
        match wanted {
            Some(wanted) => {
                edit.set("priority", wanted.priority.as_str());
                Ok(())
            }
            None => self.follow_matrix_in(tx, edit).await,
        }
    }

    async fn insert_external_refs_in(&self, tx: &mut Tx, ticket: &Row, refs: &[(String, String)]) -> Result<()> {
        let ctx = tx.ctx().clone();
        for (index, (source, key)) in refs.iter().enumerate() {
            let taken = Predicate::eq("source", source.as_str()).and(Predicate::eq("key", key.as_str()));
            if query::exists(tx, ctx.tenant, &EXTERNAL_REF, &taken, self.access().catalogue()).await? {
                let message = format!("another ticket is `{key}` in `{source}` already");
                let path = ["externalRefs".to_owned(), index.to_string(), "key".to_owned()];
                return Err(UserError::taken(path, message).into());
            }
            let row = Row::new(
                &EXTERNAL_REF,
                vec![
                    ("id", ctx.new_id().into()),
                    ("ticket", ticket.id().into()),
                    ("source", source.as_str().into()),
                    ("key", key.as_str().into()),
                ],
            );
            query::insert_unique_in(tx, ctx.tenant, &EXTERNAL_REF, &row).await?;
        }
        Ok(())
    }

    /// Sets on a loaded ticket what a patch says. Writing it down is [`Tickets::save_patch_in`]: a practice sets its own fields in
    /// between.
    ///
    /// # Errors
    /// `VALIDATION`, `NOT_FOUND` for what the patch points at.
    pub async fn patch_in(&self, tx: &mut Tx, edit: &mut Edit, patch: &TicketPatch) -> Result<()> {
        if let Some(title) = &patch.title {
            edit.set("title", title.trim());
        }
        match &patch.description {
            Patch::Keep => {}
            Patch::Clear => edit.set("description", Value::Null),
            Patch::Set(text) => edit.set("description", text.as_str()),
        }
        if let Some(requester) = &patch.requester {
            let user = self.user_in(tx, requester, "requester").await?;
            edit.set_reference("requester", Some(user));
        }
        match &patch.category {
            Patch::Keep => {}
            Patch::Clear => edit.set_reference("category", None),
            Patch::Set(key) => {
                let category = self.usable_category_in(tx, key).await?;
                edit.set_reference("category", Some(category));
            }
        }
        match &patch.service {
            Patch::Keep => {}
            Patch::Clear => edit.set_reference("service", None),
            Patch::Set(service) => {
                let service = self.usable_service_in(tx, service).await?;
                edit.set_reference("service", Some(service));
            }
        }
        if let Some(tags) = &patch.tags {
            edit.set("tags", Value::TextList(tags.clone()));
        }
        if let Some(impact) = patch.impact {
            edit.set("impact", impact.as_str());
        }
        if let Some(urgency) = patch.urgency {
            edit.set("urgency", urgency.as_str());
        }
        self.set_custom_fields_in(tx, edit, &patch.custom_fields, false).await
    }

    /// Writes a patched ticket, each changed field as far as the viewer may change it.
    ///
    /// # Errors
    /// `FORBIDDEN` with the permission that is missing; `VALIDATION` for required custom fields and for configuration items.
    pub async fn save_patch_in(&self, tx: &mut Tx, edit: &mut Edit, patch: &TicketPatch) -> Result<()> {
        self.require_custom_fields_in(tx, edit).await?;
        edit.authorise_fields(tx.ctx(), self.access())?;
        if !patch.items.is_keep() {
            self.authorise_items(tx.ctx(), edit)?;
            edit.hold_in(tx).await?;
        }
        self.update_priority_in(tx, edit, patch).await?;
        edit.authorise_state_after(tx.ctx(), self.access())?;
        edit.save_in(tx, self.access(), crate::events::UPDATED, Json::Null).await?;
        self.set_items_in(tx, edit, &patch.items).await?;
        tx.answers_with(edit.reference());
        Ok(())
    }

    /// An override stands until it is taken back; without one, the priority follows impact and urgency.
    async fn update_priority_in(&self, tx: &mut Tx, edit: &mut Edit, patch: &TicketPatch) -> Result<()> {
        let overridden = !edit.before.get("priorityOverrideBy").is_null();
        let moved = edit.before.get("impact") != edit.after.get("impact")
            || edit.before.get("urgency") != edit.after.get("urgency");
        if !patch.priority_override.is_keep() {
            self.authorise_override(tx.ctx(), edit, &edit.before)?;
        }
        match &patch.priority_override {
            Patch::Set(wanted) => self.set_priority_in(tx, edit, Some(wanted)).await,
            Patch::Clear => self.set_priority_in(tx, edit, None).await,
            Patch::Keep if moved && !overridden => self.set_priority_in(tx, edit, None).await,
            Patch::Keep => Ok(()),
        }
    }

    /// Refuses unless the viewer may override the priority of this ticket.
    fn authorise_override(&self, ctx: &Ctx, edit: &Edit, ticket: &Row) -> Result<()> {
        let policy = Policy::When(Rule::Permission(TICKET_OVERRIDE_PRIORITY));
        match self.access().allows(ctx, edit.rules.record(), &policy, ticket) {
            true => Ok(()),
            false => Err(UserError::forbidden(TICKET_OVERRIDE_PRIORITY).into()),
        }
    }
}
