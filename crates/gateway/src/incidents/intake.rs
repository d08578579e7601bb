//! What monitoring sends in its own form, as alerts: the webhook of Prometheus' Alertmanager (version 4), and CloudEvents 1.0.

use std::collections::BTreeMap;

use incident::Incidents;
use incident::alert::{AlertReport, AlertStatus, MAX_ALERTS, MAX_LABEL_NAME, MAX_LABEL_VALUE, MAX_LABELS};
use kernel::{Ctx, Error, ErrorCode, Mutation, Result, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::door::Posted;

/// How long a title may be, in characters; what is longer is cut off, and stands in the description as a whole.
const TITLE: usize = ticket::MAX_TITLE;

/// A message of Alertmanager's webhook, version 4. Source: <https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AlertmanagerMessage {
    version: String,
    #[serde(default)]
    receiver: String,
    alerts: Vec<AlertmanagerAlert>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AlertmanagerAlert {
    status: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(default)]
    starts_at: Option<Timestamp>,
    #[serde(default, rename = "generatorURL")]
    generator_url: String,
    #[serde(default)]
    fingerprint: String,
}

fn bad(message: impl Into<String>) -> Error {
    Error::request(ErrorCode::BadRequest, message)
}

/// Takes what was posted to `/intake/alertmanager` or `/intake/cloudevents`. The answer tells what became of each alert.
///
/// # Errors
/// `NOT_FOUND` for another form; `BAD_REQUEST` for what is none; the first refusal, when not one alert was taken.
pub async fn take(incidents: &Incidents, ctx: &Ctx, posted: &Posted) -> Result<Value> {
    let reports = match posted.form.as_str() {
        "alertmanager" => alertmanager(&posted.body)?,
        "cloudevents" => cloud_events(posted)?,
        other => {
            let message =
                format!("nothing is taken at /intake/{other}; there are /intake/alertmanager and /intake/cloudevents");
            return Err(Error::request(ErrorCode::NotFound, message));
        }
    };
    let (mut told, mut refused) = (Vec::with_capacity(reports.len()), Vec::new());
    for part in reports.chunks(MAX_ALERTS) {
        // What is sent again finds its alerts as they are: no key is needed to take it once.
        let done = incidents.ingest(&ctx.for_mutation(Mutation::default()), part.to_vec()).await?;
        for (report, result) in part.iter().zip(done.results) {
            let messages: Vec<String> = result.errors.iter().map(|error| error.message.clone()).collect();
            told.push(json!({ "key": report.key, "outcome": result.outcome.as_str(), "errors": messages }));
            refused.extend(result.errors);
        }
    }
    let all = told.iter().all(|entry| entry["outcome"] == "REFUSED");
    match refused.into_iter().next() {
        Some(first) if all => Err(Error::Refused(vec![first])),
        _ => Ok(json!({ "alerts": told })),
    }
}

/// The alerts of a message of Alertmanager. What is too long is cut off: an alert is not lost for a long annotation.
///
/// # Errors
/// `BAD_REQUEST` for what is no such message.
pub fn alertmanager(body: &[u8]) -> Result<Vec<AlertReport>> {
    let message: AlertmanagerMessage = serde_json::from_slice(body)
        .map_err(|error| bad(format!("the body is no message of Alertmanager's webhook: {error}")))?;
    if message.version != "4" {
        return Err(bad(format!("Alertmanager's webhook has version `{}`; version 4 is understood", message.version)));
    }
    let source = format!("alertmanager/{}", message.receiver);
    Ok(message.alerts.into_iter().map(|alert| alert.report(&source)).collect())
}

impl AlertmanagerAlert {
    fn report(self, source: &str) -> AlertReport {
        let annotation = |name: &str| self.annotations.get(name).filter(|text| !text.trim().is_empty()).cloned();
        let name = self.labels.get("alertname").cloned();
        let title =
            annotation("summary").or_else(|| annotation("title")).or(name).unwrap_or_else(|| "Alert".to_owned());
        let description = annotation("description").or_else(|| annotation("message"));
        // The fingerprint is that of the labels; older versions do not send it.
        let identity = match self.fingerprint.is_empty() {
            true => self.labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(","),
            false => self.fingerprint,
        };
        let status = match self.status.as_str() {
            "resolved" => AlertStatus::Resolved,
            _ => AlertStatus::Firing,
        };
        fitting(AlertReport {
            key: format!("alertmanager:{identity}"),
            status,
            title,
            description,
            severity: self.labels.get("severity").cloned(),
            source: Some(source.to_owned()),
            labels: self.labels,
            starts_at: self.starts_at,
            url: Some(self.generator_url).filter(|url| !url.is_empty()),
        })
    }
}

/// The alerts of what was posted as CloudEvents over HTTP: structured, in a batch, or binary.
fn cloud_events(posted: &Posted) -> Result<Vec<AlertReport>> {
    let media = posted.attribute("content-type").unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim().to_lowercase();
    let json = || serde_json::from_slice(&posted.body).map_err(|error| bad(format!("the body is no JSON: {error}")));
    match media.as_str() {
        "application/cloudevents+json" => Ok(vec![cloud_event(&json()?)?]),
        "application/cloudevents-batch+json" => {
            let events: Vec<Map<String, Value>> = serde_json::from_slice(&posted.body)
                .map_err(|error| bad(format!("the body is no batch of CloudEvents: {error}")))?;
            events.iter().map(cloud_event).collect()
        }
        "application/json" | "" if posted.attribute("ce-specversion").is_some() => {
            let attributes =
                posted.attributes.iter().filter_map(|(name, value)| Some((name.strip_prefix("ce-")?, value)));
            let mut event: Map<String, Value> =
                attributes.map(|(name, value)| (name.to_owned(), Value::from(value.as_str()))).collect();
            let data = if posted.body.is_empty() { Value::Null } else { Value::Object(json()?) };
            event.insert("data".to_owned(), data);
            Ok(vec![cloud_event(&event)?])
        }
        _ => {
            let message = "a CloudEvent is posted as `application/cloudevents+json`, as `application/cloudevents-batch+json`, or as `application/json` with `ce-` headers";
            Err(Error::request(ErrorCode::UnsupportedMediaType, message))
        }
    }
}

/// The alert of a CloudEvent: its attributes, and its data where that is an object.
///
/// `data` may have `key`, `status` (`FIRING`, `RESOLVED`), `title`, `description`, `severity`, `labels` and `url`. Without `key` it is the
/// event's source and subject; without `status` an event whose type ends in `resolved` is over, any other fires.
///
/// # Errors
/// `BAD_REQUEST` for what is no CloudEvent 1.0.
pub fn cloud_event(event: &Map<String, Value>) -> Result<AlertReport> {
    let text = |name: &str| event.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let required = |name: &str| text(name).ok_or_else(|| bad(format!("a CloudEvent needs the attribute `{name}`")));
    if required("specversion")? != "1.0" {
        return Err(bad("CloudEvents of version 1.0 are understood"));
    }
    let (source, kind) = (required("source")?, required("type")?);
    required("id")?;
    let empty = Map::new();
    let data = event.get("data").and_then(Value::as_object).unwrap_or(&empty);
    let said = |name: &str| data.get(name).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
    let status = match said("status") {
        Some(word) => AlertStatus::parse(&word.to_uppercase())
            .ok_or_else(|| bad(format!("`data.status` is `{word}`; it is FIRING or RESOLVED")))?,
        None if kind.to_lowercase().ends_with("resolved") => AlertStatus::Resolved,
        None => AlertStatus::Firing,
    };
    let labels = data.get("labels").and_then(Value::as_object).unwrap_or(&empty).iter();
    let mut labels: BTreeMap<String, String> =
        labels.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect();
    labels.insert("type".to_owned(), kind.to_owned());
    let subject = text("subject").unwrap_or_default();
    Ok(fitting(AlertReport {
        key: said("key").map_or_else(|| format!("cloudevents:{source}#{subject}"), |key| format!("cloudevents:{key}")),
        status,
        title: said("title").or(text("subject")).unwrap_or(kind).to_owned(),
        description: said("description").map(str::to_owned),
        severity: said("severity").map(str::to_owned),
        source: Some(source.to_owned()),
        labels,
        starts_at: text("time").and_then(|time| time.parse().ok()),
        url: said("url").map(str::to_owned),
    }))
}

/// What is too long, cut off: the key excepted, which would be another one, and is refused.
fn fitting(mut report: AlertReport) -> AlertReport {
    if report.title.chars().count() > TITLE {
        let whole = std::mem::take(&mut report.title);
        report.title = whole.chars().take(TITLE - 1).chain(['…']).collect();
        report.description = Some(report.description.map_or(whole.clone(), |text| format!("{whole}\n\n{text}")));
    }
    report.title = report.title.replace(|character: char| character.is_control(), " ");
    report.description = report.description.map(|text| cut(text, ticket::MAX_TEXT));
    report.severity = report.severity.map(|text| cut(text, MAX_LABEL_VALUE));
    report.source = report.source.map(|text| cut(text, MAX_LABEL_VALUE));
    report.url = report.url.map(|text| cut(text, MAX_LABEL_VALUE));
    let labels = std::mem::take(&mut report.labels).into_iter().take(MAX_LABELS);
    report.labels = labels.map(|(name, value)| (cut(name, MAX_LABEL_NAME), cut(value, MAX_LABEL_VALUE))).collect();
    report
}

/// The first so many bytes of a text, at the boundary of a character.
fn cut(text: String, most: usize) -> String {
    if text.len() <= most {
        return text;
    }
    let end = (0..=most).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    text[..end].to_owned()
}
