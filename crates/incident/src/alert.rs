//! Alerts from monitoring: what they say, which rule they follow, and what becomes of them, as pure functions.
//!
//! An alert has a key, by which monitoring means the same thing again. While it fires it belongs to one incident. The incident has a
//! *deduplication key*, which names one open incident of the tenant: the alert's own key or, where the rule groups, the key that
//! the rule's template makes of its labels.
//!
//! ```text
//!   fires:    is it firing on an open incident?        ─▶ counted there
//!             is there an open incident with the key?  ─▶ joins it, within the rule's window
//!             was there one a moment ago?              ─▶ reopens it, within the rule's flap window
//!             otherwise                                ─▶ a new incident
//!   is over:  ends on its incident; with the last one the incident is resolved, or waits for a person, as the rule says
//! ```

use std::collections::BTreeMap;

use chrono::Duration;
use kernel::error::Problems;
use kernel::{Result, Timestamp, UserError, Uuid, words};
use serde::{Deserialize, Serialize};
use ticket::{Impact, Urgency};

/// How many alerts one call may carry.
pub const MAX_ALERTS: usize = 100;
/// How many of them are taken in one transaction, which others may have to wait for; a dry run carries no more.
pub const MAX_ALERTS_IN_A_WRITE: usize = 20;
/// How long the key of an alert may be, in bytes.
pub const MAX_ALERT_KEY: usize = 512;
/// How many labels an alert may have.
pub const MAX_LABELS: usize = 64;
/// How long the name of a label may be, in bytes.
pub const MAX_LABEL_NAME: usize = 128;
/// How long the value of a label may be, in bytes.
pub const MAX_LABEL_VALUE: usize = 1_024;

words! {
    /// Whether an alert is going on.
    AlertStatus {
        /// It is.
        Firing = "FIRING",
        /// It is over.
        Resolved = "RESOLVED",
    }
}

words! {
    /// What became of an alert.
    AlertOutcome {
        /// It opened an incident.
        Created = "CREATED",
        /// It joined an open incident.
        Joined = "JOINED",
        /// It was firing already, and was counted once more.
        Repeated = "REPEATED",
        /// It reopened an incident that had been resolved a moment ago.
        Reopened = "REOPENED",
        /// It is over; other alerts still fire on its incident, or the incident waits for a person.
        Ended = "ENDED",
        /// It is over, and with it its incident was resolved.
        Resolved = "RESOLVED",
        /// It is over, and was not firing: nothing was done.
        NotFiring = "NOT_FIRING",
        /// It was refused; its errors say why.
        Refused = "REFUSED",
    }
}

/// What monitoring tells of one alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertReport {
    /// By which monitoring means the same alert again.
    pub key: String,
    /// Whether it is going on.
    pub status: AlertStatus,
    /// What is wrong, in a line.
    pub title: String,
    /// What is wrong, in Markdown.
    pub description: Option<String>,
    /// How bad monitoring takes it to be, in its own words.
    pub severity: Option<String>,
    /// Where it comes from.
    pub source: Option<String>,
    /// What else describes it.
    pub labels: BTreeMap<String, String>,
    /// When it began, by the clock of monitoring: shown, and never computed with.
    pub starts_at: Option<Timestamp>,
    /// Where to look further.
    pub url: Option<String>,
}

impl AlertReport {
    /// What a matcher or a template means by a name: a label, or `severity`, `source` and `title`, which no label hides.
    pub fn word(&self, name: &str) -> Option<&str> {
        match name {
            "severity" => self.severity.as_deref(),
            "source" => self.source.as_deref(),
            "title" => Some(&self.title),
            label => self.labels.get(label).map(String::as_str),
        }
    }

    /// Checks what can be wrong about one alert.
    ///
    /// # Errors
    /// `VALIDATION` and `LIMIT` with paths.
    pub fn check(&self) -> Result<()> {
        let mut problems = Problems::default();
        ticket::commands::check_title(&mut problems, &self.title);
        if let Some(description) = &self.description {
            ticket::commands::check_long_text(&mut problems, "description", description);
        }
        check_key(&mut problems, "key", &self.key);
        for (field, text) in [("severity", &self.severity), ("source", &self.source), ("url", &self.url)] {
            if let Some(text) = text {
                line(&mut problems, field, text, MAX_LABEL_VALUE);
            }
        }
        if self.labels.len() > MAX_LABELS {
            let message = format!("{} labels; at most {MAX_LABELS} are allowed", self.labels.len());
            problems.add(UserError::limit(["labels"], message, MAX_LABELS as u64));
        }
        for (name, value) in self.labels.iter().take(MAX_LABELS) {
            line(&mut problems, "labels", name, MAX_LABEL_NAME);
            line(&mut problems, "labels", value, MAX_LABEL_VALUE);
        }
        problems.check()
    }
}

/// Checks a key by which the same thing is meant again.
pub(crate) fn check_key(problems: &mut Problems, field: &str, key: &str) {
    line(problems, field, key, MAX_ALERT_KEY);
    if key.trim().is_empty() {
        problems.add(UserError::validation([field], "a key is needed by which it is known again"));
    }
}

fn line(problems: &mut Problems, field: &str, text: &str, most: usize) {
    if text.len() > most {
        let message = format!("`{field}` has {} bytes; at most {most} are allowed", text.len());
        problems.add(UserError::limit([field], message, most as u64));
    }
    if text.contains('\0') {
        problems.add(UserError::validation([field], format!("`{field}` holds a NUL character")));
    }
}

/// What a rule says. Stored as JSON; the ids in it are those of records.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleDocument {
    /// For which alerts: all of these must hold.
    pub matchers: Vec<Matcher>,
    /// The key of the incident that alerts join, made of labels in braces, as in `{alertname}/{cluster}`; each alert has an incident of its
    /// own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_by: Option<String>,
    /// How long after its first alert an incident is joined, in seconds; as long as it is open, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<i64>,
    /// How long after it was resolved an incident is reopened, in seconds.
    pub flap_window: i64,
    /// The resolution code with which an incident is resolved when its last alert is over; it waits for a person, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution_code: Option<String>,
    /// What severities mean; the first that fits counts.
    pub severities: Vec<SeverityMapping>,
    /// Who has the incidents, as their requester.
    pub requester: Uuid,
    /// The team that works on them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<Uuid>,
    /// The service that is interrupted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Uuid>,
    /// The key of a category.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
}

/// What a label must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Matcher {
    /// A label, or `severity`, `source`, `title`.
    pub name: String,
    /// What is compared with.
    pub test: MatcherTest,
}

/// A comparison with a label; one that is not there is an empty text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MatcherTest {
    /// Is one of these.
    In(Vec<String>),
    /// Is none of these.
    NotIn(Vec<String>),
    /// Begins with this.
    StartsWith(String),
    /// Holds this somewhere.
    Contains(String),
}

impl Matcher {
    fn holds(&self, report: &AlertReport) -> bool {
        let word = report.word(&self.name).unwrap_or_default();
        match &self.test {
            MatcherTest::In(list) => list.iter().any(|one| one == word),
            MatcherTest::NotIn(list) => list.iter().all(|one| one != word),
            MatcherTest::StartsWith(text) => word.starts_with(text.as_str()),
            MatcherTest::Contains(text) => word.contains(text.as_str()),
        }
    }
}

/// What a severity means for an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SeverityMapping {
    /// What monitoring calls it, without regard to case; any other, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// How many are affected.
    pub impact: Impact,
    /// How long it can wait.
    pub urgency: Urgency,
}

impl RuleDocument {
    /// Whether the rule is for this alert.
    pub fn fits(&self, report: &AlertReport) -> bool {
        self.matchers.iter().all(|matcher| matcher.holds(report))
    }

    /// What the alert's severity means; medium, when nothing is said of it.
    pub fn weight(&self, report: &AlertReport) -> (Impact, Urgency) {
        let severity = report.severity.as_deref().unwrap_or_default();
        let fits = |mapping: &&SeverityMapping| match &mapping.severity {
            Some(known) => known.eq_ignore_ascii_case(severity),
            None => true,
        };
        let found = self.severities.iter().find(fits);
        found.map_or((Impact::Medium, Urgency::Medium), |mapping| (mapping.impact, mapping.urgency))
    }

    /// The key of the incident that the alert belongs to. Keys that rules make never meet those of alerts or of other rules.
    pub fn deduplication_key(&self, rule: &str, report: &AlertReport) -> String {
        match &self.group_by {
            Some(template) => format!("group:{rule}:{}", rendered(template, report)),
            None => format!("alert:{}", report.key),
        }
    }
}

/// A template with each label in braces replaced by its value; nothing stands for one that is not there.
pub fn rendered(template: &str, report: &AlertReport) -> String {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once('{') {
        text.push_str(before);
        let Some((name, after)) = behind.split_once('}') else {
            text.push('{');
            rest = behind;
            break;
        };
        text.push_str(report.word(name.trim()).unwrap_or_default());
        rest = after;
    }
    text.push_str(rest);
    text
}

/// What is known when an alert comes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The open incident that the same alert fires on.
    pub firing_on: Option<Uuid>,
    /// The open incident with the key, and when its first alert came.
    pub open: Option<(Uuid, Timestamp)>,
    /// The incident with the key that was resolved last and can be reopened, and when it was.
    pub resolved: Option<(Uuid, Timestamp)>,
}

/// What to do with an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Count it on the incident that it fires on.
    Repeat(Uuid),
    /// Have it join this incident.
    Join(Uuid),
    /// Reopen this incident.
    Reopen(Uuid),
    /// Open an incident; this one, which has the key, is joined no more.
    Create {
        /// The incident that gives the key away.
        release: Option<Uuid>,
    },
    /// End it on this incident.
    End(Uuid),
    /// Nothing.
    Nothing,
}

/// What to do with an alert.
pub fn decide(status: AlertStatus, known: Known, rule: &RuleDocument, now: Timestamp) -> Step {
    if status == AlertStatus::Resolved {
        return known.firing_on.map_or(Step::Nothing, Step::End);
    }
    if let Some(incident) = known.firing_on {
        return Step::Repeat(incident);
    }
    let within = |since: Timestamp, window: i64| now - since <= Duration::seconds(window);
    match (known.open, known.resolved) {
        (Some((incident, first)), _) if rule.window.is_none_or(|window| within(first, window)) => Step::Join(incident),
        (Some((incident, _)), _) => Step::Create { release: Some(incident) },
        (None, Some((incident, at))) if within(at, rule.flap_window) => Step::Reopen(incident),
        (None, _) => Step::Create { release: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::Error;

    fn report() -> AlertReport {
        AlertReport {
            key: "k".into(),
            status: AlertStatus::Firing,
            title: "Disk is full".into(),
            description: None,
            severity: Some("Critical".into()),
            source: Some("prometheus".into()),
            labels: BTreeMap::from([("host".into(), "db1".into()), ("severity".into(), "hidden".into())]),
            starts_at: None,
            url: None,
        }
    }

    fn refused(change: impl FnOnce(&mut AlertReport)) -> Vec<String> {
        let mut report = report();
        change(&mut report);
        match report.check() {
            Ok(()) => Vec::new(),
            Err(Error::Refused(errors)) => errors.iter().map(|error| error.path.join(".")).collect(),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn each_limit_of_an_alert_is_kept() {
        let none: [&str; 0] = [];
        let labels = |count: usize| (0..count).map(|label| (label.to_string(), String::new())).collect();
        let label = |name: usize, value: usize| BTreeMap::from([("n".repeat(name), "v".repeat(value))]);
        assert_eq!(refused(|report| report.key = "k".repeat(MAX_ALERT_KEY)), none);
        assert_eq!(refused(|report| report.key = "k".repeat(MAX_ALERT_KEY + 1)), ["key"]);
        assert_eq!(refused(|report| report.key = " ".into()), ["key"]);
        assert_eq!(refused(|report| report.key = "a\0b".into()), ["key"]);
        assert_eq!(refused(|report| report.labels = labels(MAX_LABELS)), none);
        assert_eq!(refused(|report| report.labels = labels(MAX_LABELS + 1)), ["labels"]);
        assert_eq!(refused(|report| report.labels = label(MAX_LABEL_NAME, MAX_LABEL_VALUE)), none);
        assert_eq!(refused(|report| report.labels = label(MAX_LABEL_NAME + 1, 1)), ["labels"]);
        assert_eq!(refused(|report| report.labels = label(1, MAX_LABEL_VALUE + 1)), ["labels"]);
        assert_eq!(refused(|report| report.source = Some("s".repeat(MAX_LABEL_VALUE + 1))), ["source"]);
        assert_eq!(refused(|report| report.title = String::new()), ["title"]);
    }

    #[test]
    fn a_template_takes_labels_and_words_that_no_label_hides() {
        for (template, text) in [
            ("{host}", "db1"),
            ("{ host }/{severity}/{source}", "db1/Critical/prometheus"),
            ("{unknown}-{title}", "-Disk is full"),
            ("plain", "plain"),
            ("{open", "{open"),
        ] {
            assert_eq!(rendered(template, &report()), text, "{template}");
        }
        // What a label says is never read as a template again.
        let mut sly = report();
        sly.labels.insert("host".into(), "{title}".into());
        assert_eq!(rendered("{host}", &sly), "{title}");
    }

    #[test]
    fn keys_of_rules_and_of_alerts_never_meet() {
        let grouped = RuleDocument { group_by: Some("k".into()), ..RuleDocument::default() };
        let keys = [
            grouped.deduplication_key("a", &report()),
            grouped.deduplication_key("b", &report()),
            RuleDocument::default().deduplication_key("a", &report()),
        ];
        assert_eq!(keys, ["group:a:k", "group:b:k", "alert:k"]);
    }

    #[test]
    fn all_matchers_must_hold_and_a_missing_label_is_an_empty_text() {
        let matcher = |name: &str, test| Matcher { name: name.into(), test };
        let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        for (matchers, fits) in [
            (vec![], true),
            (vec![matcher("host", MatcherTest::In(list(&["db2", "db1"])))], true),
            (vec![matcher("host", MatcherTest::NotIn(list(&["db1"])))], false),
            (vec![matcher("rack", MatcherTest::In(list(&[""])))], true),
            (vec![matcher("rack", MatcherTest::NotIn(list(&["db1"])))], true),
            (vec![matcher("host", MatcherTest::StartsWith("db".into()))], true),
            (vec![matcher("host", MatcherTest::Contains("b1".into()))], true),
            (
                vec![
                    matcher("host", MatcherTest::Contains("b".into())),
                    matcher("title", MatcherTest::StartsWith("CPU".into())),
                ],
                false,
            ),
        ] {
            let rule = RuleDocument { matchers, ..RuleDocument::default() };
            assert_eq!(rule.fits(&report()), fits, "{rule:?}");
        }
    }

    #[test]
    fn the_first_severity_that_fits_counts() {
        let mapping = |severity: Option<&str>, impact, urgency| SeverityMapping {
            severity: severity.map(str::to_owned),
            impact,
            urgency,
        };
        let mut rule = RuleDocument::default();
        assert_eq!(rule.weight(&report()), (Impact::Medium, Urgency::Medium));
        rule.severities = vec![
            mapping(Some("warning"), Impact::Low, Urgency::Low),
            mapping(Some("critical"), Impact::High, Urgency::Medium),
            mapping(None, Impact::Low, Urgency::Medium),
        ];
        assert_eq!(rule.weight(&report()), (Impact::High, Urgency::Medium));
        let unknown = AlertReport { severity: Some("odd".into()), ..report() };
        assert_eq!(rule.weight(&unknown), (Impact::Low, Urgency::Medium));
        let unsaid = AlertReport { severity: None, ..report() };
        assert_eq!(rule.weight(&unsaid), (Impact::Low, Urgency::Medium));
    }

    #[test]
    fn what_becomes_of_an_alert_follows_what_is_known() {
        use AlertStatus::{Firing, Resolved};
        let now = Timestamp::UNIX_EPOCH + Duration::days(1);
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let ago = |seconds| now - Duration::seconds(seconds);
        let rule = RuleDocument { window: Some(60), flap_window: 30, ..RuleDocument::default() };
        let endless = RuleDocument { window: None, ..rule.clone() };
        let nothing = Known::default();
        let firing = Known { firing_on: Some(one), open: Some((two, now)), ..nothing };
        let open = |seconds| Known { open: Some((one, ago(seconds))), ..nothing };
        let resolved = |seconds| Known { resolved: Some((one, ago(seconds))), ..nothing };
        for (status, known, rule, step) in [
            (Resolved, nothing, &rule, Step::Nothing),
            (Resolved, open(1), &rule, Step::Nothing),
            (Resolved, firing, &rule, Step::End(one)),
            (Firing, firing, &rule, Step::Repeat(one)),
            (Firing, open(60), &rule, Step::Join(one)),
            (Firing, open(61), &rule, Step::Create { release: Some(one) }),
            (Firing, open(1_000_000), &endless, Step::Join(one)),
            (Firing, resolved(30), &rule, Step::Reopen(one)),
            (Firing, resolved(31), &rule, Step::Create { release: None }),
            (Firing, nothing, &rule, Step::Create { release: None }),
        ] {
            assert_eq!(decide(status, known, rule, now), step, "{status:?} {known:?}");
        }
    }
}
