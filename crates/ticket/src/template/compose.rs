//! What a ticket says that is created from a template: what is given, else what the template says.

use std::collections::BTreeSet;

use access::{TeamRef, UserRef};
use configuration::ServiceRef;
use kernel::id::prefix;
use kernel::{Error, Id, Patch, UserError, Uuid};

use super::TemplateValues;
use super::create::CreateFromTemplate;
use crate::affected::AffectedItems;
use crate::custom_field::{Audience, Definitions, Given, SetCustomField};
use crate::draft::TicketDraft;
use crate::model::{Impact, Urgency};
use crate::task::TaskDraft;

/// What a ticket says, and what of it comes from the template.
#[derive(Clone, Debug)]
pub(super) struct Composed {
    pub(super) draft: TicketDraft,
    /// As on the draft, unless nobody says it.
    impact: Option<Impact>,
    urgency: Option<Urgency>,
    pub(super) inherited: Inherited,
}

/// What comes from the template: fields, and custom fields by their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Inherited {
    fields: BTreeSet<&'static str>,
    custom_fields: BTreeSet<String>,
    /// Those among them that agents alone read.
    internal: BTreeSet<String>,
}

impl Composed {
    /// The same as a task says it.
    pub(super) fn task(&self) -> TaskDraft {
        TaskDraft::of(self.draft.clone(), self.impact, self.urgency)
    }
}

impl Inherited {
    /// What is given, else what the template says.
    fn either<T>(&mut self, field: &'static str, given: Option<T>, there: Option<T>) -> Option<T> {
        self.patched(field, given.map_or(Patch::Keep, Patch::Set), there)
    }

    /// The same where what the template says can be taken away.
    fn patched<T>(&mut self, field: &'static str, given: Patch<T>, there: Option<T>) -> Option<T> {
        match given {
            Patch::Set(value) => Some(value),
            Patch::Clear => None,
            Patch::Keep => {
                if there.is_some() {
                    self.fields.insert(field);
                }
                there
            }
        }
    }

    /// Errors with their places in the input: what comes from the template is at `template`, and says so.
    pub(super) fn attributed(&self, error: Error) -> Error {
        let Error::Refused(errors) = error else { return error };
        Error::Refused(errors.into_iter().map(|error| self.attributed_one(error)).collect())
    }

    fn attributed_one(&self, error: UserError) -> UserError {
        let segment = |place: usize| error.path.get(place).map_or("", String::as_str);
        let field = segment(0);
        let named = match field {
            "customFields" if self.custom_fields.contains(segment(1)) => segment(1),
            field if self.fields.contains(field) => field,
            _ => return error,
        };
        // Whoever reads of a run need not be one who reads the value, which a message may repeat.
        let message = match field == "customFields" && self.internal.contains(named) {
            true => format!("the template's `{named}`: the field takes its value no more"),
            false => format!("the template's `{named}`: {}", error.message),
        };
        UserError { message, path: vec!["template".to_owned()], ..error }
    }
}

/// What a ticket says.
pub(super) fn composed(values: &TemplateValues, definitions: &Definitions, given: &CreateFromTemplate) -> Composed {
    let mut inherited = Inherited::default();
    let user = |id: Uuid| UserRef::Id(Id::new(prefix::USER, id));
    let title = inherited.either("title", given.title.clone(), values.title.clone());
    let description = inherited.patched("description", given.description.clone(), values.description.clone());
    let requester = inherited.either("requester", given.requester.clone(), values.requester.map(user));
    let impact = inherited.either("impact", given.impact, values.impact);
    let urgency = inherited.either("urgency", given.urgency, values.urgency);
    let category = values.category.as_ref().map(|category| category.key.clone());
    let category = inherited.patched("category", given.category.clone(), category);
    let service = values.service.map(|id| ServiceRef::Id(Id::new(prefix::SERVICE, id)));
    let service = inherited.patched("service", given.service.clone(), service);
    let team = values.team.map(|id| TeamRef::Id(Id::new(prefix::TEAM, id)));
    let team = inherited.patched("team", given.team.clone(), team);
    let assignee = inherited.patched("assignee", given.assignee.clone(), values.assignee.map(user));
    let there = (!values.tags.is_empty()).then(|| values.tags.clone());
    let tags = inherited.either("tags", given.tags.clone(), there).unwrap_or_default();
    let named: BTreeSet<&str> = given.custom_fields.iter().map(|set| set.key.as_str()).collect();
    let mut custom_fields = given.custom_fields.clone();
    for (key, value) in values.custom_fields.iter().filter(|(key, _)| !named.contains(key.as_str())) {
        let field = definitions.get(key);
        if field.is_some_and(|field| field.readable_by == Audience::Agents) {
            inherited.internal.insert(key.clone());
        }
        let value = Some(Given::Json(value.clone()));
        custom_fields.push(SetCustomField { at: key.clone(), key: key.clone(), value });
        inherited.custom_fields.insert(key.clone());
    }
    let draft = TicketDraft {
        title: title.unwrap_or_default(),
        description,
        requester,
        impact: impact.unwrap_or(Impact::Medium),
        urgency: urgency.unwrap_or(Urgency::Medium),
        priority_override: None,
        category,
        service,
        items: AffectedItems::default(),
        team,
        assignee,
        tags,
        custom_fields,
        external_refs: Vec::new(),
    };
    Composed { draft, impact, urgency, inherited }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Category, TemplateRef};
    use super::*;

    fn values() -> TemplateValues {
        let mut values = TemplateValues {
            title: Some("Check the backup".into()),
            category: Some(Category { id: Uuid::from_u128(3), key: "backup".into() }),
            team: Some(Uuid::from_u128(1)),
            assignee: Some(Uuid::from_u128(2)),
            impact: Some(Impact::Low),
            tags: vec!["backup".into()],
            ..TemplateValues::default()
        };
        values.custom_fields.insert("site".into(), json!("Bern"));
        values.custom_fields.insert("costCenter".into(), json!("42"));
        values
    }

    fn given() -> CreateFromTemplate {
        CreateFromTemplate::of(TemplateRef::Key("backup".into()))
    }

    #[test]
    fn what_is_given_goes_first() {
        let said = composed(&values(), &Definitions::default(), &given());
        assert_eq!(said.draft.title, "Check the backup");
        assert_eq!((said.draft.impact, said.draft.urgency), (Impact::Low, Urgency::Medium));
        assert_eq!((said.task().impact, said.task().urgency), (Some(Impact::Low), None));
        assert_eq!(said.draft.custom_fields.len(), 2);
        let overridden = CreateFromTemplate {
            title: Some("Look again".into()),
            assignee: Patch::Clear,
            category: Patch::Set("vpn".into()),
            tags: Some(Vec::new()),
            custom_fields: vec![SetCustomField { at: "0".into(), key: "site".into(), value: None }],
            ..given()
        };
        let said = composed(&values(), &Definitions::default(), &overridden);
        assert_eq!(said.draft.title, "Look again");
        assert_eq!((said.draft.category.as_deref(), said.draft.assignee.is_none()), (Some("vpn"), true));
        assert!(said.draft.team.is_some() && said.draft.tags.is_empty());
        let fields: Vec<_> =
            said.draft.custom_fields.iter().map(|set| (set.key.as_str(), set.value.is_some())).collect();
        assert_eq!(fields, [("site", false), ("costCenter", true)]);
    }

    #[test]
    fn an_error_says_whether_it_lies_with_the_template() {
        let given = CreateFromTemplate { title: Some("x".into()), ..given() };
        let inherited = composed(&values(), &Definitions::default(), &given).inherited;
        let error = |path: &[&str]| {
            let refused = UserError::constraint(path.iter().copied(), "it is retired", "retired", None);
            match inherited.attributed(refused.into()) {
                Error::Refused(mut errors) => errors.pop().map(|error| (error.path.join("."), error.message)),
                _ => None,
            }
        };
        let at_template =
            |field: &str| Some(("template".to_owned(), format!("the template's `{field}`: it is retired")));
        let as_it_is = |path: &str| Some((path.to_owned(), "it is retired".to_owned()));
        assert_eq!(error(&["category"]), at_template("category"));
        assert_eq!(error(&["team", "id"]), at_template("team"));
        assert_eq!(error(&["customFields", "site"]), at_template("site"));
        assert_eq!(error(&["title"]), as_it_is("title"));
        assert_eq!(error(&["service"]), as_it_is("service"));
        assert_eq!(
            error(&["customFields", "region"]),
            as_it_is("customFields.region"),
            "which the template does not say"
        );
    }
}
