//! The effects that make records of their own, as the document says them: approvals that a transition asks for, and tasks that
//! it creates. People are named by e-mail address, teams by slug, roles by key.

use std::collections::HashSet;

use access::{TeamRef, UserRef};
use kernel::error::Problems;
use kernel::{Result, UserError};
use serde::{Deserialize, Serialize};

use super::{Effect, Transition, Workflow};
use crate::approval::rules::StepRule;
use crate::approval::{self, ApproverPath, ApproverRef, StepInput};
use crate::model::{Impact, MAX_PLAN, TicketKind, Urgency};
use crate::plan::{self, PlannedTask};
use crate::task::TaskDraft;

/// How long an approval that a transition asks for may wait at most, in days.
pub const MAX_EXPIRY_DAYS: i64 = 3_660;

/// Asks for approval of the ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StartApprovalEffect {
    /// For people.
    pub name: String,
    /// In order; at least one.
    pub steps: Vec<ApprovalStepEffect>,
    /// Whether the ticket's requester, and whoever takes the transition, may decide as well.
    #[serde(default, skip_serializing_if = "is_false")]
    pub self_approval: bool,
    /// The fields that it is bound to; title and description when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound_fields: Option<Vec<String>>,
    /// The keys of the transitions that wait for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<String>,
    /// How long after the transition it expires; ISO 8601; never when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<String>,
}

/// A step of an approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApprovalStepEffect {
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How many must approve: the name of a [`StepRule`].
    pub rule: String,
    /// The number that `QUORUM` and `PERCENT` have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule_value: Option<u32>,
    /// Whose votes count.
    pub approvers: Vec<NamedApprover>,
    /// Whose refusal alone refuses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub veto_holders: Vec<NamedApprover>,
}

/// Who approves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NamedApprover {
    /// The user with this e-mail address; `None` where a document is shown to somebody who may not read addresses.
    User(Option<String>),
    /// The members of the team with this slug.
    Team(String),
    /// Whoever holds the role with this key.
    Role(String),
    /// Whoever stands there, seen from the ticket.
    Path(ApproverPath),
}

/// Creates tasks on the ticket: all of them or none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateTasksEffect {
    /// The plan.
    pub tasks: Vec<TaskEffect>,
}

/// A task of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TaskEffect {
    /// Names it within the plan.
    pub key: String,
    /// What to do, in a line.
    pub title: String,
    /// What to do, in Markdown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The slug of the team that does it; the ticket's team when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// The e-mail address of the member of that team who does it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignee: Option<String>,
    /// How many are affected; as on the ticket when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impact: Option<Impact>,
    /// How long it can wait; as on the ticket when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub urgency: Option<Urgency>,
    /// Free words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The keys of the tasks that must be done first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
}

fn is_false(value: &bool) -> bool {
    !value
}

impl NamedApprover {
    fn reference(&self) -> ApproverRef {
        match self {
            // An address that is hidden names nobody; documents with one are refused.
            NamedApprover::User(email) => ApproverRef::User(UserRef::Email(email.clone().unwrap_or_default())),
            NamedApprover::Team(slug) => ApproverRef::Team(TeamRef::Slug(slug.clone())),
            NamedApprover::Role(key) => ApproverRef::Role(key.clone()),
            NamedApprover::Path(path) => ApproverRef::Path(*path),
        }
    }
}

impl ApprovalStepEffect {
    fn rule(&self) -> Result<StepRule> {
        let rule = StepRule::of(&self.rule, self.rule_value);
        rule.ok_or_else(|| UserError::constraint(["ruleValue"], approval::RULE_VALUE, "ruleValue", None).into())
    }

    /// How many persons it can ask at most, where the document tells: a team or a role can grow.
    fn most_voters(&self) -> Option<usize> {
        let mut persons = HashSet::new();
        for approver in &self.approvers {
            match approver {
                NamedApprover::User(email) => persons.insert(email.as_deref().unwrap_or_default().to_lowercase()),
                NamedApprover::Path(path) => persons.insert(path.as_str().to_owned()),
                NamedApprover::Team(_) | NamedApprover::Role(_) => return None,
            };
        }
        Some(persons.len())
    }
}

impl StartApprovalEffect {
    /// The steps as anybody asks for them.
    ///
    /// # Errors
    /// `VALIDATION` at `steps` for a rule that is none.
    pub(super) fn steps(&self) -> Result<Vec<StepInput>> {
        let mut problems = Problems::default();
        let mut steps = Vec::with_capacity(self.steps.len());
        for (place, step) in self.steps.iter().enumerate() {
            let rule = step.rule().map_err(|error| error.within(&place.to_string()).within("steps"));
            if let Some(rule) = problems.take(rule)? {
                steps.push(StepInput {
                    name: step.name.clone(),
                    rule,
                    approvers: step.approvers.iter().map(NamedApprover::reference).collect(),
                    veto: step.veto_holders.iter().map(NamedApprover::reference).collect(),
                });
            }
        }
        problems.check()?;
        Ok(steps)
    }

    /// How long after the transition it expires.
    ///
    /// # Errors
    /// `VALIDATION` or `LIMIT` at `expiresIn`.
    pub(super) fn expires_after(&self) -> Result<Option<chrono::Duration>> {
        let Some(text) = &self.expires_in else { return Ok(None) };
        let Some(length) = kernel::parse_duration(text).filter(|length| *length > chrono::Duration::zero()) else {
            let message = format!("`expiresIn` is no ISO 8601 duration of days or less: `{text}`");
            return Err(UserError::constraint(["expiresIn"], message, "duration", None).into());
        };
        if length > chrono::Duration::days(MAX_EXPIRY_DAYS) {
            let message = format!("an approval waits at most {MAX_EXPIRY_DAYS} days");
            return Err(UserError::limit(["expiresIn"], message, MAX_EXPIRY_DAYS as u64).into());
        }
        Ok(Some(length))
    }

    fn check(&self, workflow: &Workflow, problems: &mut Problems) -> Result<()> {
        problems.take(self.expires_after())?;
        problems.take(approval::check_blocks(workflow, &self.blocks))?;
        if let Some(steps) = problems.take(self.steps())? {
            problems.take(approval::check_request(&self.name, &steps, &self.blocks, self.bound_fields.as_deref()))?;
        }
        for (place, step) in self.steps.iter().enumerate() {
            let at = |rest: &[String]| [&["steps".to_owned(), place.to_string()], rest].concat();
            for (list, named) in [("approvers", &step.approvers), ("vetoHolders", &step.veto_holders)] {
                for (number, _) in named.iter().enumerate().filter(|(_, one)| **one == NamedApprover::User(None)) {
                    let path = at(&[list.to_owned(), number.to_string(), "user".to_owned()]);
                    problems.add(UserError::constraint(path, "the user's e-mail address is missing", "required", None));
                }
            }
            if let (Ok(StepRule::Quorum(needed)), Some(most)) = (step.rule(), step.most_voters())
                && needed as usize > most
            {
                let message = format!("the step can ask {most} persons at most; its rule needs {needed}");
                let path = at(&["ruleValue".to_owned()]);
                problems.add(UserError::constraint(path, message, "reachable", Some(most as u64)));
            }
        }
        Ok(())
    }
}

impl CreateTasksEffect {
    /// The plan, without those who do the tasks: names are looked up by whoever may.
    pub(super) fn plan(&self) -> Vec<PlannedTask> {
        let planned = |task: &TaskEffect| PlannedTask {
            key: task.key.clone(),
            draft: TaskDraft {
                title: task.title.clone(),
                description: task.description.clone(),
                team: None,
                assignee: None,
                impact: task.impact,
                urgency: task.urgency,
                tags: task.tags.clone(),
                custom_fields: Vec::new(),
            },
            depends_on: task.depends_on.clone(),
        };
        self.tasks.iter().map(planned).collect()
    }

    fn check(&self, problems: &mut Problems) -> Result<()> {
        problems.take(plan::checked(&self.plan()))?;
        for (place, task) in self.tasks.iter().enumerate() {
            if task.assignee.is_some() && task.team.is_none() {
                let path = ["tasks".to_owned(), place.to_string(), "assignee".to_owned()];
                let message = "an assignee is a member of the task's `team`, which is missing";
                problems.add(UserError::constraint(path, message, "teamMember", None));
            }
        }
        Ok(())
    }
}

/// Checks what the document says by itself about the records that a transition makes. Paths are those of the document.
pub(super) fn check(workflow: &Workflow, place: usize, transition: &Transition, problems: &mut Problems) -> Result<()> {
    let to = workflow.category(&transition.to);
    let mut tasks = 0;
    for (number, effect) in transition.effects.iter().enumerate() {
        let mut found = Problems::default();
        let name = match effect {
            Effect::SetField { .. } | Effect::SetWaitingReason { .. } => continue,
            Effect::StartApproval(effect) => {
                if to.is_ended() {
                    let message = "a ticket that is closed or canceled needs no approval";
                    found.add(UserError::constraint([] as [&str; 0], message, "state", None));
                }
                effect.check(workflow, &mut found)?;
                "startApproval"
            }
            Effect::CreateTasks(effect) => {
                if workflow.kind == TicketKind::Task {
                    let message = "a task has no tasks of its own";
                    found.add(UserError::constraint([] as [&str; 0], message, "kind", None));
                }
                if to.is_done() {
                    let message = "a ticket that is done gets no more tasks";
                    found.add(UserError::constraint([] as [&str; 0], message, "state", None));
                }
                effect.check(&mut found)?;
                tasks += effect.tasks.len();
                "createTasks"
            }
        };
        problems.add_within(found, &["transitions", &place.to_string(), "effects", &number.to_string(), name]);
    }
    if tasks > MAX_PLAN && transition.effects.iter().all(|effect| effect.planned() <= MAX_PLAN) {
        let message = format!("transition `{}` creates {tasks} tasks; at most {MAX_PLAN} are allowed", transition.key);
        let path = ["transitions".to_owned(), place.to_string(), "effects".to_owned()];
        problems.add(UserError::limit(path, message, MAX_PLAN as u64));
    }
    Ok(())
}

impl Effect {
    fn planned(&self) -> usize {
        match self {
            Effect::CreateTasks(effect) => effect.tasks.len(),
            _ => 0,
        }
    }
}

impl Workflow {
    /// Whether it names people by their addresses.
    pub(super) fn names_people(&self) -> bool {
        let of_approval = |effect: &StartApprovalEffect| {
            let named = effect.steps.iter().flat_map(|step| step.approvers.iter().chain(&step.veto_holders));
            named.into_iter().any(|one| matches!(one, NamedApprover::User(_)))
        };
        self.transitions.iter().flat_map(|transition| &transition.effects).any(|effect| match effect {
            Effect::StartApproval(effect) => of_approval(effect),
            Effect::CreateTasks(effect) => effect.tasks.iter().any(|task| task.assignee.is_some()),
            Effect::SetField { .. } | Effect::SetWaitingReason { .. } => false,
        })
    }

    /// The same without the addresses.
    pub(super) fn without_addresses(&self) -> Self {
        let mut workflow = self.clone();
        for effect in workflow.transitions.iter_mut().flat_map(|transition| &mut transition.effects) {
            match effect {
                Effect::StartApproval(effect) => {
                    for one in
                        effect.steps.iter_mut().flat_map(|step| step.approvers.iter_mut().chain(&mut step.veto_holders))
                    {
                        if let NamedApprover::User(email) = one {
                            *email = None;
                        }
                    }
                }
                Effect::CreateTasks(effect) => effect.tasks.iter_mut().for_each(|task| task.assignee = None),
                Effect::SetField { .. } | Effect::SetWaitingReason { .. } => {}
            }
        }
        workflow
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::super::check::structure;
    use super::*;

    /// How an effect is broken, and where that shows.
    type Broken = (&'static dyn Fn(&mut Json), &'static str);

    /// What is wrong with a workflow whose transition to this state has these effects: paths below the effects, joined by dots.
    fn wrong(kind: &str, to: &str, effects: Json) -> Vec<String> {
        let state = |key: &str, category: &str| json!({ "key": key, "name": key, "category": category });
        let step = |key: &str, from: &str, to: &str, effects: Json| json!({ "key": key, "name": key, "from": [from], "to": to, "permission": "ticket.transition", "effects": effects });
        let document = json!({
            "key": "t", "version": 1, "kind": kind, "initial": "new",
            "states": [state("new", "NEW"), state("busy", "ACTIVE"), state("resolved", "RESOLVED"), state("closed", "CLOSED")],
            "transitions": [
                step("go", "new", to, effects), step("begin", "new", "busy", json!([])),
                step("resolve", "busy", "resolved", json!([])), step("close", "resolved", "closed", json!([])),
            ],
        });
        let workflow: Workflow = serde_json::from_value(document.clone()).unwrap();
        assert_eq!(serde_json::to_value(&workflow).unwrap()["transitions"], document_without_defaults(&document));
        let mut problems = Problems::default();
        structure(&workflow, &mut problems);
        match problems.check() {
            Ok(()) => Vec::new(),
            Err(kernel::Error::Refused(errors)) => errors
                .into_iter()
                .map(|error| {
                    error.path.join(".").replacen("transitions.0.effects", "", 1).trim_start_matches('.').to_owned()
                })
                .collect(),
            Err(other) => panic!("{other}"),
        }
    }

    fn document_without_defaults(document: &Json) -> Json {
        let mut transitions = document["transitions"].clone();
        for transition in transitions.as_array_mut().unwrap() {
            if transition["effects"] == json!([]) {
                transition.as_object_mut().unwrap().remove("effects");
            }
        }
        transitions
    }

    fn approval(change: impl Fn(&mut Json)) -> Json {
        let mut effect = json!({
            "name": "Purchase", "blocks": ["resolve"], "expiresIn": "P5D", "boundFields": ["title"], "selfApproval": true,
            "steps": [
                { "name": "Budget", "rule": "QUORUM", "ruleValue": 2, "approvers": [
                    { "user": "ada@example.com" }, { "user": "Ada@example.com" }, { "path": "SERVICE_OWNER" }
                ] },
                { "rule": "ANY", "approvers": [{ "team": "network" }, { "role": "team_lead" }], "vetoHolders": [{ "user": "lee@example.com" }] },
            ],
        });
        change(&mut effect);
        json!([{ "startApproval": effect }])
    }

    fn tasks(tasks: Json) -> Json {
        json!([{ "createTasks": { "tasks": tasks } }])
    }

    #[test]
    fn an_approval_is_checked_as_far_as_the_document_tells() {
        let none: [&str; 0] = [];
        assert_eq!(wrong("INCIDENT", "busy", approval(|_| {})), none);
        assert_eq!(wrong("INCIDENT", "resolved", approval(|_| {})), none);
        let cases: &[Broken] = &[
            (&|effect| effect["name"] = json!(" "), "0.startApproval.name"),
            (&|effect| effect["steps"] = json!([]), "0.startApproval.steps"),
            (&|effect| effect["steps"][1]["approvers"] = json!([]), "0.startApproval.steps.1.approvers"),
            (&|effect| effect["steps"][0]["ruleValue"] = json!(3), "0.startApproval.steps.0.ruleValue"),
            (&|effect| effect["steps"][1]["ruleValue"] = json!(3), "0.startApproval.steps.1.ruleValue"),
            (
                &|effect| effect["steps"][1]["vetoHolders"][0]["user"] = Json::Null,
                "0.startApproval.steps.1.vetoHolders.0.user",
            ),
            (&|effect| effect["blocks"][0] = json!("fly"), "0.startApproval.blocks.0"),
            (&|effect| effect["blocks"] = json!(vec!["resolve"; 21]), "0.startApproval.blocks"),
            (&|effect| effect["boundFields"] = json!([]), "0.startApproval.boundFields"),
            (&|effect| effect["expiresIn"] = json!("soon"), "0.startApproval.expiresIn"),
            (&|effect| effect["expiresIn"] = json!("-P1D"), "0.startApproval.expiresIn"),
            (&|effect| effect["expiresIn"] = json!("P3661D"), "0.startApproval.expiresIn"),
        ];
        for (change, path) in cases {
            assert_eq!(wrong("INCIDENT", "busy", approval(change)), [*path]);
        }
        assert_eq!(wrong("INCIDENT", "busy", approval(|effect| effect["expiresIn"] = json!("P3660D"))), none);
        assert_eq!(wrong("INCIDENT", "closed", approval(|_| {})), ["0.startApproval"]);
        // A team can have any number of members.
        let with_team = approval(|effect| {
            effect["steps"][0]["ruleValue"] = json!(9);
            effect["steps"][0]["approvers"][1] = json!({ "team": "network" });
        });
        assert_eq!(wrong("INCIDENT", "busy", with_team), none);
    }

    #[test]
    fn a_plan_is_checked_as_far_as_the_document_tells() {
        let one = |key: &str, needs: &[&str]| json!({ "key": key, "title": "Do it", "dependsOn": needs });
        let plain = |key: &str| json!({ "key": key, "title": "Do it" });
        let none: [&str; 0] = [];
        assert_eq!(wrong("INCIDENT", "busy", tasks(json!([plain("a"), one("b", &["a"])]))), none);
        let circle = json!([one("a", &["b"]), one("b", &["a"])]);
        assert_eq!(wrong("INCIDENT", "busy", tasks(circle)), ["0.createTasks.tasks.0.dependsOn"]);
        let unknown = json!([plain("a"), one("b", &["c"])]);
        assert_eq!(wrong("INCIDENT", "busy", tasks(unknown)), ["0.createTasks.tasks.1.dependsOn.0"]);
        assert_eq!(wrong("INCIDENT", "busy", tasks(json!([plain("a"), plain("a")]))), ["0.createTasks.tasks.1.key"]);
        let untitled = json!([{ "key": "a", "title": "" }]);
        assert_eq!(wrong("INCIDENT", "busy", tasks(untitled)), ["0.createTasks.tasks.0.title"]);
        let of_nowhere = json!([{ "key": "a", "title": "x", "assignee": "ada@example.com" }]);
        assert_eq!(wrong("INCIDENT", "busy", tasks(of_nowhere)), ["0.createTasks.tasks.0.assignee"]);
        assert_eq!(wrong("INCIDENT", "busy", tasks(json!([]))), ["0.createTasks.tasks"]);
        let many = |count: usize| Json::from_iter((0..count).map(|key| plain(&key.to_string())));
        assert_eq!(wrong("INCIDENT", "busy", tasks(many(MAX_PLAN))), none);
        assert_eq!(wrong("INCIDENT", "busy", tasks(many(MAX_PLAN + 1))), ["0.createTasks.tasks"]);
        let together = json!([tasks(many(MAX_PLAN))[0], tasks(many(1))[0]]);
        assert_eq!(wrong("INCIDENT", "busy", together), [""], "all of a transition count");
        assert_eq!(wrong("INCIDENT", "resolved", tasks(json!([plain("a")]))), ["0.createTasks"]);
        assert_eq!(wrong("TASK", "busy", tasks(json!([plain("a")]))), ["0.createTasks"]);
    }

    #[test]
    fn addresses_can_be_left_out() {
        let effects = approval(|_| {});
        let effect: Effect = serde_json::from_value(effects[0].clone()).unwrap();
        let Effect::StartApproval(effect) = effect else { panic!("{effect:?}") };
        let transition = json!({ "key": "go", "name": "Go", "from": [], "to": "new", "permission": "ticket.transition",
            "effects": [effects[0], { "createTasks": { "tasks": [{ "key": "a", "title": "x", "team": "network", "assignee": "ada@example.com" }] } }] });
        let document = json!({ "key": "t", "version": 1, "kind": "INCIDENT", "initial": "new", "states": [], "transitions": [transition] });
        let workflow: Workflow = serde_json::from_value(document).unwrap();
        assert!(workflow.names_people() && effect.steps.len() == 2);
        let shown = serde_json::to_string(&workflow.without_addresses()).unwrap();
        assert!(!shown.contains('@') && shown.contains("network") && shown.contains("SERVICE_OWNER"), "{shown}");
    }
}
