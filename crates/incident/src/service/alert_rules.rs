//! Adding and changing the rules of alerts.

use access::commands::{checked_description, checked_name, checked_slug};
use access::permission::SETTINGS_MANAGE;
use access::{Changed, Managed, of_key, of_type};
use kernel::error::Problems;
use kernel::id::prefix;
use kernel::{Ctx, Error, Patch, Result, UserError, Uuid};
use predicate::{Predicate, Value};
use serde_json::json;
use store::Tx;
use store::query::{self, Row};

use super::Incidents;
use crate::alert::{MatcherTest, RuleDocument};
use crate::commands::{
    AlertRuleDraft, AlertRuleRef, CreateAlertRule, MAX_ALERT_RULES, MAX_MATCHER_VALUES, MAX_MATCHERS, MAX_SEVERITIES,
    MAX_TEMPLATE, MAX_WINDOW_SECONDS, UpdateAlertRule,
};
use crate::events::{ALERT_RULE_CREATED, ALERT_RULE_UPDATED, SUBJECT_ALERT_RULE};
use crate::fields::ALERT_RULE;

const KIND: Managed = Managed { record: &ALERT_RULE, subject: SUBJECT_ALERT_RULE, prefix: prefix::ALERT_RULE };

/// A rule, read.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) id: Uuid,
    pub(crate) key: String,
    pub(crate) document: RuleDocument,
}

impl AlertRuleRef {
    fn condition(&self) -> Option<Predicate> {
        match self {
            AlertRuleRef::Id(id) => of_type(id, prefix::ALERT_RULE),
            AlertRuleRef::Key(key) => of_key(key),
        }
    }

    const fn path(&self) -> &'static str {
        match self {
            AlertRuleRef::Id(_) => "id",
            AlertRuleRef::Key(_) => "key",
        }
    }
}

impl Incidents {
    /// What a rule says.
    ///
    /// # Errors
    /// `INTERNAL` for a row that this program did not write.
    pub fn rule_says(row: &Row) -> Result<RuleDocument> {
        serde_json::from_value(row.get("document").to_json()).map_err(Error::internal)
    }

    /// The rule that a reference points at, if the viewer may see it.
    ///
    /// # Errors
    /// Database errors.
    pub async fn alert_rule(&self, ctx: &Ctx, reference: &AlertRuleRef) -> Result<Option<Row>> {
        let reader = self.tickets().store().read("alertRule.find");
        self.tickets().access().find_unmasked(&reader, ctx, &ALERT_RULE, reference.condition()).await
    }

    /// The rules that are not retired, in the order in which they are tried; whoever tells of the alerts.
    ///
    /// # Errors
    /// Database errors.
    pub(crate) async fn active_rules(&self, ctx: &Ctx) -> Result<Vec<Rule>> {
        let access = self.tickets().access();
        let system = access.system_ctx(ctx.tenant, &ctx.request_id);
        let visible = access.visible(&system);
        let reader = self.tickets().store().read("alertRule.active");
        let active = Predicate::eq("retired", false);
        let scoped = access.scoped(&system, &visible);
        let mut rows = query::all(&reader, &scoped, &ALERT_RULE, &active, &[], MAX_ALERT_RULES as u64).await?;
        rows.sort_by_key(|row| (row.int("position"), row.id()));
        let rule = |row: &Row| Ok(Rule { id: row.id(), key: row.text("key"), document: Self::rule_says(row)? });
        rows.iter().map(rule).collect()
    }

    /// Adds a rule of alerts.
    ///
    /// # Errors
    /// `FORBIDDEN` without `settings.manage`; `VALIDATION` and `LIMIT` with paths; `NOT_FOUND` for what it points at; `CONFLICT` at
    /// `key` when it is taken.
    pub async fn create_alert_rule(&self, ctx: &Ctx, command: CreateAlertRule) -> Result<Changed<Row>> {
        self.tickets().access().require_tenant(ctx, SETTINGS_MANAGE)?;
        let incidents = self.clone();
        let written = self.tickets().store().write(ctx, "alertRuleCreate", move |tx| {
            let (incidents, command) = (incidents.clone(), command.clone());
            Box::pin(async move { incidents.create_alert_rule_in(tx, &command).await })
        });
        self.tickets().access().answer_row(ctx, written.await?, &ALERT_RULE, "the rule").await
    }

    async fn create_alert_rule_in(&self, tx: &mut Tx, command: &CreateAlertRule) -> Result<Row> {
        let mut problems = Problems::default();
        let key = problems.take(checked_slug("key", &command.key))?;
        let name = problems.take(checked_name("name", &command.name))?;
        let description = command.description.as_deref().map(|text| checked_description("description", text));
        let description = problems.take(description.transpose())?;
        let taken = Predicate::eq("key", command.key.as_str());
        if key.is_some()
            && query::exists(&*tx, tx.ctx().tenant, &ALERT_RULE, &taken, self.tickets().access().catalogue()).await?
        {
            problems.add(UserError::taken(["key"], format!("there is a rule `{}` already", command.key)));
        }
        problems.take(self.check_room_for_rule_in(tx, &[]).await)?;
        let document =
            problems.take(self.rule_document_in(tx, &command.draft).await.map_err(|error| error.within("says")))?;
        problems.check()?;
        let (Some(key), Some(name), Some(description), Some(document)) = (key, name, description, document) else {
            return Err(Error::internal("the values were checked"));
        };
        let values = vec![
            ("key", key.into()),
            ("name", name.into()),
            ("description", description.into()),
            ("position", command.position.unwrap_or_default().into()),
            ("document", Value::Json(json!(document))),
        ];
        KIND.insert_in(tx, ALERT_RULE_CREATED, values).await
    }

    /// Refuses one more rule that is not retired than a tenant may have.
    async fn check_room_for_rule_in(&self, tx: &Tx, path: &[&str]) -> Result<()> {
        let active = Predicate::eq("retired", false);
        let visible = access::visibility::unmasked(&self.tickets().access().visible(tx.ctx()));
        let scoped = self.tickets().access().scoped(tx.ctx(), &visible);
        if query::count(tx, &scoped, &ALERT_RULE, &active).await?.total >= MAX_ALERT_RULES as u64 {
            let message = format!("there are {MAX_ALERT_RULES} rules; no more are allowed");
            return Err(UserError::limit(path.iter().copied(), message, MAX_ALERT_RULES as u64).into());
        }
        Ok(())
    }

    /// Changes a rule of alerts. It holds for alerts that come in from now on.
    ///
    /// # Errors
    /// As [`Incidents::create_alert_rule`]; `NOT_FOUND` at `rule`; `CONFLICT` with the current version.
    pub async fn update_alert_rule(&self, ctx: &Ctx, command: UpdateAlertRule) -> Result<Changed<Row>> {
        self.tickets().access().require_tenant(ctx, SETTINGS_MANAGE)?;
        let incidents = self.clone();
        let written = self.tickets().store().write(ctx, "alertRuleUpdate", move |tx| {
            let (incidents, command) = (incidents.clone(), command.clone());
            Box::pin(async move { incidents.update_alert_rule_in(tx, &command).await })
        });
        self.tickets().access().answer_row(ctx, written.await?, &ALERT_RULE, "the rule").await
    }

    async fn update_alert_rule_in(&self, tx: &mut Tx, command: &UpdateAlertRule) -> Result<Row> {
        let found =
            self.tickets().access().find_unmasked(&*tx, tx.ctx(), &ALERT_RULE, command.rule.condition()).await?;
        let before = found.ok_or_else(|| UserError::not_found(["rule", command.rule.path()], "the rule"))?;
        Managed::expect_version(&before, command.expected_version)?;
        let mut problems = Problems::default();
        let mut row = before.clone();
        if let Some(name) = &command.name
            && let Some(name) = problems.take(checked_name("name", name))?
        {
            row.set("name", name.into());
        }
        match &command.description {
            Patch::Keep => {}
            Patch::Clear => row.set("description", Value::Null),
            Patch::Set(text) => {
                if let Some(text) = problems.take(checked_description("description", text))? {
                    row.set("description", text.into());
                }
            }
        }
        if let Some(position) = command.position {
            row.set("position", position.into());
        }
        if let Some(retired) = command.retired {
            if before.bool("retired") && !retired {
                problems.take(self.check_room_for_rule_in(tx, &["retired"]).await)?;
            }
            row.set("retired", retired.into());
        }
        if let Some(draft) = &command.draft
            && let Some(document) =
                problems.take(self.rule_document_in(tx, draft).await.map_err(|error| error.within("says")))?
        {
            row.set("document", Value::Json(json!(document)));
        }
        problems.check()?;
        KIND.update_in(tx, ALERT_RULE_UPDATED, &before, row).await
    }

    /// The document that is stored.
    async fn rule_document_in(&self, tx: &mut Tx, draft: &AlertRuleDraft) -> Result<RuleDocument> {
        let ctx = tx.ctx().clone();
        let mut problems = Problems::default();
        check_rule(&mut problems, draft);
        let access = self.tickets().access();
        let requester = access.user_in(tx, &ctx, &draft.requester).await.map_err(|error| error.within("requester"));
        let requester = problems.take(requester)?;
        let team = match &draft.team {
            Some(team) => problems.take(self.tickets().team_in(tx, team, "team").await)?,
            None => None,
        };
        let service = match &draft.service {
            Some(service) => problems.take(self.tickets().usable_service_in(tx, service).await)?,
            None => None,
        };
        if let Some(category) = &draft.category {
            problems.take(self.tickets().usable_category_in(tx, category).await)?;
        }
        problems.check()?;
        Ok(RuleDocument {
            matchers: draft.matchers.clone(),
            group_by: draft.group_by.clone(),
            window: draft.window,
            flap_window: draft.flap_window.unwrap_or_default(),
            resolution_code: draft.resolution_code.clone(),
            severities: draft.severities.clone(),
            requester: requester.map(|row| row.id()).unwrap_or_default(),
            team: team.map(|row| row.id()),
            service: service.map(|row| row.id()),
            category: draft.category.clone(),
        })
    }
}

fn check_rule(problems: &mut Problems, draft: &AlertRuleDraft) {
    let mut many = |path: &str, count: usize, most: usize| {
        if count > most {
            let message = format!("{count} are given; at most {most} are allowed");
            problems.add(UserError::limit([path], message, most as u64));
        }
    };
    many("matchers", draft.matchers.len(), MAX_MATCHERS);
    many("severities", draft.severities.len(), MAX_SEVERITIES);
    many("groupBy", draft.group_by.as_deref().map_or(0, str::len), MAX_TEMPLATE);
    for (place, matcher) in draft.matchers.iter().enumerate().take(MAX_MATCHERS) {
        let at = |field: &str| ["matchers".to_owned(), place.to_string(), field.to_owned()];
        if matcher.name.trim().is_empty() || matcher.name.len() > crate::alert::MAX_LABEL_NAME {
            let message = format!("a label has a name of 1 to {} bytes", crate::alert::MAX_LABEL_NAME);
            problems.add(UserError::validation(at("name"), message));
        }
        let (field, list) = match &matcher.test {
            MatcherTest::In(list) => ("in", list),
            MatcherTest::NotIn(list) => ("notIn", list),
            MatcherTest::StartsWith(_) | MatcherTest::Contains(_) => continue,
        };
        if list.is_empty() || list.len() > MAX_MATCHER_VALUES {
            let message = format!("give 1 to {MAX_MATCHER_VALUES} values");
            problems.add(UserError::limit(at(field), message, MAX_MATCHER_VALUES as u64));
        }
    }
    if let Some(template) = &draft.group_by
        && !closed(template)
    {
        let message = "each label stands in braces, as in `{alertname}/{cluster}`";
        problems.add(UserError::validation(["groupBy"], message));
    }
    for (field, length) in [("window", draft.window), ("flapWindow", draft.flap_window)] {
        if length.is_some_and(|length| !(0..=MAX_WINDOW_SECONDS).contains(&length)) {
            let message = format!("from nothing to {} days", MAX_WINDOW_SECONDS / 86_400);
            problems.add(UserError::limit([field], message, MAX_WINDOW_SECONDS as u64));
        }
    }
}

/// Whether each brace that opens is closed, with a name within, and none closes alone.
fn closed(template: &str) -> bool {
    let mut rest = template;
    loop {
        let (before, behind) = match rest.split_once('{') {
            Some(parts) => parts,
            None => return !rest.contains('}'),
        };
        let Some((name, after)) = behind.split_once('}') else { return false };
        if before.contains('}') || name.trim().is_empty() || name.contains('{') {
            return false;
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use access::UserRef;

    use crate::alert::{MAX_LABEL_NAME, Matcher, SeverityMapping};

    fn draft() -> AlertRuleDraft {
        AlertRuleDraft {
            matchers: Vec::new(),
            group_by: None,
            window: None,
            flap_window: None,
            resolution_code: None,
            severities: Vec::new(),
            requester: UserRef::Email("monitoring@example.com".into()),
            team: None,
            service: None,
            category: None,
        }
    }

    fn refused(change: impl FnOnce(&mut AlertRuleDraft)) -> Vec<String> {
        let (mut draft, mut problems) = (draft(), Problems::default());
        change(&mut draft);
        check_rule(&mut problems, &draft);
        match problems.check() {
            Ok(()) => Vec::new(),
            Err(Error::Refused(errors)) => errors.iter().map(|error| error.path.join(".")).collect(),
            Err(other) => panic!("{other}"),
        }
    }

    fn matcher(test: MatcherTest) -> Matcher {
        Matcher { name: "host".into(), test }
    }

    #[test]
    fn each_limit_of_a_rule_is_kept() {
        let severity = SeverityMapping { severity: None, impact: ticket::Impact::High, urgency: ticket::Urgency::High };
        let equals = || matcher(MatcherTest::Contains("a".into()));
        let values = |count| vec!["a".to_owned(); count];
        let none: [&str; 0] = [];
        assert_eq!(refused(|draft| draft.matchers = vec![equals(); MAX_MATCHERS]), none);
        assert_eq!(refused(|draft| draft.matchers = vec![equals(); MAX_MATCHERS + 1]), ["matchers"]);
        assert_eq!(refused(|draft| draft.severities = vec![severity.clone(); MAX_SEVERITIES]), none);
        assert_eq!(refused(|draft| draft.severities = vec![severity.clone(); MAX_SEVERITIES + 1]), ["severities"]);
        for (test, path) in [(MatcherTest::In as fn(_) -> _, "in"), (MatcherTest::NotIn, "notIn")] {
            assert_eq!(refused(|draft| draft.matchers = vec![matcher(test(values(MAX_MATCHER_VALUES)))]), none);
            for count in [0, MAX_MATCHER_VALUES + 1] {
                let path = format!("matchers.0.{path}");
                assert_eq!(refused(|draft| draft.matchers = vec![matcher(test(values(count)))]), [path]);
            }
        }
        let long = |count| Matcher { name: "n".repeat(count), ..equals() };
        assert_eq!(refused(|draft| draft.matchers = vec![long(MAX_LABEL_NAME)]), none);
        assert_eq!(refused(|draft| draft.matchers = vec![long(MAX_LABEL_NAME + 1)]), ["matchers.0.name"]);
        assert_eq!(refused(|draft| draft.group_by = Some("g".repeat(MAX_TEMPLATE))), none);
        assert_eq!(refused(|draft| draft.group_by = Some("g".repeat(MAX_TEMPLATE + 1))), ["groupBy"]);
        assert_eq!(refused(|draft| draft.window = Some(MAX_WINDOW_SECONDS)), none);
        assert_eq!(refused(|draft| draft.window = Some(MAX_WINDOW_SECONDS + 1)), ["window"]);
        assert_eq!(refused(|draft| draft.flap_window = Some(-1)), ["flapWindow"]);
    }

    #[test]
    fn braces_of_a_template_come_in_pairs() {
        for (template, fine) in [
            ("", true),
            ("all", true),
            ("{host}", true),
            ("{ host }/{b}", true),
            ("{host", false),
            ("host}", false),
            ("{}", false),
            ("{a{b}}", false),
            ("a}b{c}", false),
        ] {
            assert_eq!(closed(template), fine, "{template}");
        }
    }
}
