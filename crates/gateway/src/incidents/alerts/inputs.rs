//! What mutations of alerts and their rules take.

use async_graphql::{ID, InputObject, MaybeUndefined, OneofObject};
use incident::alert::{self as domain, Matcher, MatcherTest, SeverityMapping};
use kernel::id::prefix;

use super::types::AlertStatus;
use crate::configuration::ServiceRef;
use crate::people::inputs::parse_id;
use crate::people::scalars::Url;
use crate::people::{TeamRefInput, UserRefInput};
use crate::scalars::{DateTime, Duration, Markdown, patch, within};
use crate::service_levels::inputs::seconds;
use crate::tickets::words::{Impact, Urgency};

/// Points at a rule of alerts.
#[derive(Clone, Debug, OneofObject)]
pub enum AlertRuleRef {
    /// By id, such as `alr_01jcz8…`.
    Id(ID),
    /// By key, such as `disks`.
    Key(String),
}

impl AlertRuleRef {
    pub(super) fn into_ref(self) -> kernel::Result<incident::AlertRuleRef> {
        Ok(match self {
            AlertRuleRef::Id(id) => incident::AlertRuleRef::Id(parse_id(&id, &[prefix::ALERT_RULE], "id")?),
            AlertRuleRef::Key(key) => incident::AlertRuleRef::Key(key),
        })
    }
}

/// A comparison with a label; one that is not there is an empty text.
#[derive(Clone, Debug, OneofObject)]
pub enum AlertMatcherTestInput {
    /// It is one of these, 1 to 100.
    In(Vec<String>),
    /// It is none of these, 1 to 100.
    NotIn(Vec<String>),
    /// It begins with this.
    StartsWith(String),
    /// It holds this somewhere.
    Contains(String),
}

/// What a label must be.
#[derive(Clone, Debug, InputObject)]
pub struct AlertMatcherInput {
    /// A label, or `severity`, `source`, `title`.
    pub name: String,
    /// What it is compared with.
    pub test: AlertMatcherTestInput,
}

/// What a severity means for an incident.
#[derive(Clone, Debug, InputObject)]
pub struct AlertSeverityInput {
    /// What monitoring calls it, without regard to case; any other, when absent.
    pub severity: Option<String>,
    /// How many are affected.
    pub impact: Impact,
    /// How long it can wait.
    pub urgency: Urgency,
}

/// What a rule of alerts says.
#[derive(Clone, Debug, InputObject)]
pub struct AlertRuleSaysInput {
    /// For which alerts: all of these must hold, at most 20; for all, when absent.
    pub matchers: Option<Vec<AlertMatcherInput>>,
    /// The key of the incident that alerts join, with labels in braces, as in `{alertname}/{cluster}`; at most 500 bytes. Each alert has an
    /// incident of its own when absent.
    pub group_by: Option<String>,
    /// How long after its first alert an incident is joined, at most 30 days; as long as it is open, when absent.
    pub window: Option<Duration>,
    /// How long after it was resolved an incident is reopened, at most 30 days; never, when absent.
    pub flap_window: Option<Duration>,
    /// The resolution code with which an incident is resolved when its last alert is over, such as `SOLVED`; it waits for a person, when
    /// absent.
    pub resolution_code: Option<String>,
    /// What severities mean, at most 20; the first that fits counts, and `MEDIUM` where none does.
    pub severities: Option<Vec<AlertSeverityInput>>,
    /// Who has the incidents, as their requester.
    pub requester: UserRefInput,
    /// The team that works on them.
    pub team: Option<TeamRefInput>,
    /// The service that is interrupted.
    pub service: Option<ServiceRef>,
    /// The key of the incidents' category.
    pub category: Option<String>,
}

impl AlertRuleSaysInput {
    pub(super) fn draft(self) -> kernel::Result<incident::AlertRuleDraft> {
        let matcher = |matcher: AlertMatcherInput| Matcher {
            name: matcher.name,
            test: match matcher.test {
                AlertMatcherTestInput::In(list) => MatcherTest::In(list),
                AlertMatcherTestInput::NotIn(list) => MatcherTest::NotIn(list),
                AlertMatcherTestInput::StartsWith(text) => MatcherTest::StartsWith(text),
                AlertMatcherTestInput::Contains(text) => MatcherTest::Contains(text),
            },
        };
        let severity = |mapping: AlertSeverityInput| SeverityMapping {
            severity: mapping.severity,
            impact: mapping.impact.into(),
            urgency: mapping.urgency.into(),
        };
        Ok(incident::AlertRuleDraft {
            matchers: self.matchers.unwrap_or_default().into_iter().map(matcher).collect(),
            group_by: self.group_by,
            window: self.window.as_ref().map(seconds),
            flap_window: self.flap_window.as_ref().map(seconds),
            resolution_code: self.resolution_code,
            severities: self.severities.unwrap_or_default().into_iter().map(severity).collect(),
            requester: self.requester.into_ref().map_err(|error| error.within("requester"))?,
            team: within("team", self.team.map(TeamRefInput::into_ref))?,
            service: within("service", self.service.map(ServiceRef::into_ref))?,
            category: self.category,
        })
    }
}

/// Adds a rule of alerts.
#[derive(Clone, Debug, InputObject)]
pub struct AlertRuleCreateInput {
    /// Unique in the tenant: 1 to 63 lower-case letters, digits and hyphens, such as `disks`.
    pub key: String,
    /// For people: 1 to 200 characters.
    pub name: String,
    /// What it is for; at most 10,000 characters.
    pub description: Option<Markdown>,
    /// Rules are tried from the lowest on, and the first that fits holds; 0 when absent.
    pub position: Option<i32>,
    /// What it says.
    pub says: AlertRuleSaysInput,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Changes a rule of alerts. Absent fields stay, null clears. It holds for alerts that come in from now on.
#[derive(Clone, Debug, InputObject)]
pub struct AlertRuleUpdateInput {
    /// Which.
    pub rule: AlertRuleRef,
    /// A new name: 1 to 200 characters.
    pub name: Option<String>,
    /// What it is for; at most 10,000 characters.
    pub description: MaybeUndefined<Markdown>,
    /// Rules are tried from the lowest on.
    pub position: Option<i32>,
    /// What it says, as a whole.
    pub says: Option<AlertRuleSaysInput>,
    /// A retired rule is for no alerts that come in.
    pub retired: Option<bool>,
    /// Refuse when the rule has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

impl AlertRuleUpdateInput {
    pub(super) fn command(self) -> kernel::Result<incident::UpdateAlertRule> {
        let draft = self.says.map(AlertRuleSaysInput::draft).transpose().map_err(|error| error.within("says"))?;
        Ok(incident::UpdateAlertRule {
            rule: self.rule.into_ref().map_err(|error| error.within("rule"))?,
            name: self.name,
            description: patch(self.description).map(|text| text.0),
            position: self.position,
            draft,
            retired: self.retired,
            expected_version: self.expected_version,
        })
    }
}

/// A label of an alert.
#[derive(Clone, Debug, InputObject)]
pub struct AlertLabelInput {
    /// Its name, at most 128 bytes.
    pub name: String,
    /// Its value, at most 1,024 bytes.
    pub value: String,
}

/// What monitoring tells of one alert.
#[derive(Clone, Debug, InputObject)]
pub struct AlertInput {
    /// By which monitoring means the same alert again: 1 to 512 bytes.
    pub key: String,
    /// Whether it is going on; `FIRING` when absent.
    pub status: Option<AlertStatus>,
    /// What is wrong, in a line; at most 255 characters.
    pub title: String,
    /// What is wrong, in full; at most 64 KiB.
    pub description: Option<Markdown>,
    /// How bad it is, in the words of monitoring; at most 1,024 bytes.
    pub severity: Option<String>,
    /// Where it comes from; at most 1,024 bytes.
    pub source: Option<String>,
    /// What else describes it, at most 64 labels.
    pub labels: Option<Vec<AlertLabelInput>>,
    /// When it began, by the clock of monitoring: shown, and never computed with.
    pub starts_at: Option<DateTime>,
    /// Where to look further.
    pub url: Option<Url>,
}

impl AlertInput {
    pub(super) fn report(self) -> domain::AlertReport {
        let labels = self.labels.unwrap_or_default().into_iter();
        domain::AlertReport {
            key: self.key,
            status: self.status.map_or(domain::AlertStatus::Firing, Into::into),
            title: self.title,
            description: self.description.map(|text| text.0),
            severity: self.severity,
            source: self.source,
            labels: labels.map(|label| (label.name, label.value)).collect(),
            starts_at: self.starts_at.map(|at| at.0),
            url: self.url.map(|url| url.0),
        }
    }
}

/// Tells of alerts.
#[derive(Clone, Debug, InputObject)]
pub struct AlertIngestInput {
    /// The alerts, 1 to 100; in a dry run 1 to 20.
    pub alerts: Vec<AlertInput>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}
