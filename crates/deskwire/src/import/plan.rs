//! A mapping put on a file's columns and a kind's fields: everything that can be wrong before the first row is found here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use jiff::tz::TimeZone;
use predicate::{Field, FieldType};
use ticket::import::FIELDS;
use ticket::kind::Kinds;
use ticket::priority::PriorityRule;
use ticket::{Impact, KindRules, MAX_TEXT, MAX_TITLE, Priority, TicketKind, Urgency};

use super::mapping::{FieldMapping, Mapping, Users};

/// When the ticket was opened, if its first row is later.
pub const CREATED_AT: &str = "createdAt";
/// How an incident came in, where neither file nor mapping say.
const DEFAULT_ORIGIN: &str = "API";
/// Fields of every ticket that follow from others where they are not given.
const DERIVED: &[&str] = &["openedBy", "tags", "reassignmentCount", "reopenCount", "priority", CREATED_AT];

/// What is to be done with each row.
pub struct Plan {
    /// The other system.
    pub source: String,
    /// What the rows become.
    pub kind: TicketKind,
    /// The rules of that kind.
    pub rules: Arc<dyn KindRules>,
    /// The file's columns.
    pub columns: Vec<String>,
    /// Texts that mean: no value.
    pub missing: BTreeSet<String>,
    /// The column of the ticket's key.
    pub key: usize,
    /// The columns that order rows.
    pub order: Vec<usize>,
    /// The column that says when.
    pub occurred_at: usize,
    /// The column that says who.
    pub actor: Option<usize>,
    /// The column of the number.
    pub number: Option<usize>,
    /// The fields.
    pub fields: Vec<PlannedField>,
    /// How times are written.
    pub formats: Vec<String>,
    /// The zone of times that name none.
    pub zone: TimeZone,
    /// How users are found and made.
    pub users: Users,
    /// Cells of the priority matrix to set.
    pub matrix: Vec<PriorityRule>,
}

/// One field and where its value comes from.
pub struct PlannedField {
    /// The field.
    pub name: &'static str,
    /// The column.
    pub column: Option<usize>,
    /// The value where the column has none.
    pub default: Option<String>,
    /// What texts become.
    pub values: Option<BTreeMap<String, String>>,
    /// What other texts become.
    pub unlisted: Option<String>,
    /// Whether a ticket cannot be without it.
    pub required: bool,
    /// What it takes.
    pub target: Target,
}

/// What a field takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A text of at most so many characters or bytes.
    Text(Longest),
    /// One of these words.
    Word(Vec<String>),
    /// A whole number from 0.
    Count,
    /// A time.
    Time,
    /// Tags with this between them.
    Tags(String),
    /// A user.
    User,
    /// A team.
    Team,
    /// A category; the column of the one below it.
    Category(Option<usize>),
}

/// How long a text may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Longest {
    /// In characters.
    Characters(usize),
    /// In bytes of UTF-8.
    Bytes(usize),
}

impl Plan {
    /// Puts a mapping on the columns of a file.
    ///
    /// # Errors
    /// Names what does not fit: a column that the file has not, a field that tickets have not, a value that a field does
    /// not take.
    pub fn new(mapping: Mapping, columns: Vec<String>, kinds: &Kinds) -> Result<Self> {
        let kind = TicketKind::parse(&mapping.kind)
            .with_context(|| format!("`kind` is `{}`; it is one of {}", mapping.kind, TicketKind::NAMES.join(", ")))?;
        if kind == TicketKind::Task {
            bail!("`kind` is TASK; tasks belong to tickets and are not imported by themselves");
        }
        if kind == TicketKind::Problem {
            bail!("`kind` is PROBLEM; problems cannot be imported yet");
        }
        let rules = kinds.get(kind).map_err(|error| anyhow!("{error}"))?.clone();
        let column = |name: &str, of: &str| find_column(&columns, name, of);
        if mapping.order.is_empty() {
            bail!("`order` names at least one column");
        }
        let order = mapping.order.iter().map(|name| column(name, "order")).collect::<Result<Vec<_>>>()?;
        let fields = plan_fields(&mapping, &columns, rules.as_ref())?;
        let zone = TimeZone::get(&mapping.dates.time_zone).with_context(|| {
            format!("`dates.time_zone` is `{}`; it is a name like `Europe/Berlin`", mapping.dates.time_zone)
        })?;
        Ok(Self {
            key: column(&mapping.key, "key")?,
            occurred_at: column(&mapping.occurred_at, "occurred_at")?,
            actor: mapping.actor.as_deref().map(|name| column(name, "actor")).transpose()?,
            number: mapping.number.as_deref().map(|name| column(name, "number")).transpose()?,
            matrix: plan_matrix(&mapping.priority_matrix)?,
            source: mapping.source,
            kind,
            rules,
            missing: mapping.missing.into_iter().collect(),
            order,
            fields,
            formats: mapping.dates.formats,
            zone,
            users: mapping.users,
            columns,
        })
    }

    /// The columns that nothing is made of.
    pub fn unmapped(&self) -> Vec<&str> {
        let mut used: BTreeSet<usize> = [self.key, self.occurred_at].into();
        used.extend(self.order.iter().chain(&self.actor).chain(&self.number));
        for field in &self.fields {
            used.extend(field.column);
            if let Target::Category(child) = field.target {
                used.extend(child);
            }
        }
        let unused = self.columns.iter().enumerate().filter(|(index, _)| !used.contains(index));
        unused.map(|(_, name)| name.as_str()).collect()
    }
}

fn find_column(columns: &[String], name: &str, of: &str) -> Result<usize> {
    columns.iter().position(|column| column == name).ok_or_else(|| {
        let close = columns.iter().map(|column| (strsim::damerau_levenshtein(column, name), column)).min();
        match close {
            Some((distance, column)) if distance <= name.len().max(3) / 2 => {
                anyhow!("`{of}` names the column `{name}`, which the file has not; did you mean `{column}`?")
            }
            _ => anyhow!("`{of}` names the column `{name}`, which the file has not; it has {}", columns.join(", ")),
        }
    })
}

fn plan_fields(mapping: &Mapping, columns: &[String], rules: &dyn KindRules) -> Result<Vec<PlannedField>> {
    let record = rules.record();
    let own = record.fields.iter().map(|field| field.name);
    let known: Vec<&str> = FIELDS.iter().copied().chain([CREATED_AT]).chain(own).collect();
    if let Some(name) = mapping.fields.keys().find(|name| !known.contains(&name.as_str())) {
        bail!("`fields.{name}`: tickets have no such field to import; they have {}", known.join(", "));
    }
    let origin = FieldMapping { default: Some(DEFAULT_ORIGIN.to_owned()), ..FieldMapping::default() };
    let mut fields = Vec::new();
    for name in known {
        let Some(field) = record.field(name) else { continue };
        let required = !field.nullable && !DERIVED.contains(&name);
        let wanted = mapping.fields.get(name).or_else(|| (name == "origin").then_some(&origin));
        match wanted {
            Some(wanted) => fields.push(plan_field(field, wanted, required, columns, rules)?),
            None if required => {
                bail!("`fields.{name}` is missing: every ticket has one; give it a `column`, a `default` or both")
            }
            None => {}
        }
    }
    Ok(fields)
}

fn plan_field(
    field: &'static Field,
    wanted: &FieldMapping,
    required: bool,
    columns: &[String],
    rules: &dyn KindRules,
) -> Result<PlannedField> {
    let of = format!("fields.{}", field.name);
    let column = wanted.column.as_deref().map(|name| find_column(columns, name, &of)).transpose()?;
    if column.is_none() && wanted.default.is_none() {
        bail!("`{of}` has neither a `column` nor a `default`");
    }
    let child = wanted.child.as_deref().map(|name| find_column(columns, name, &of)).transpose()?;
    let target = target(field, wanted, child, rules);
    if wanted.child.is_some() && !matches!(target, Target::Category(_)) {
        bail!("`{of}.child`: only a category has one");
    }
    if wanted.separator.is_some() && !matches!(target, Target::Tags(_)) {
        bail!("`{of}.separator`: only tags have one");
    }
    if let Target::Word(words) = &target {
        let listed = wanted.values.iter().flat_map(BTreeMap::values);
        let given = listed.chain(&wanted.default).chain(&wanted.unlisted).filter(|text| !text.is_empty());
        for text in given {
            if !words.contains(text) {
                bail!("`{of}` takes no `{text}`; it takes {}", words.join(", "));
            }
        }
    }
    Ok(PlannedField {
        name: field.name,
        column,
        default: wanted.default.clone(),
        values: wanted.values.clone(),
        unlisted: wanted.unlisted.clone(),
        required,
        target,
    })
}

fn target(field: &Field, wanted: &FieldMapping, child: Option<usize>, rules: &dyn KindRules) -> Target {
    let workflow = rules.default_workflow();
    match (field.name, &field.kind) {
        ("state", _) => Target::Word(workflow.states.iter().map(|state| state.key.clone()).collect()),
        ("resolutionCode", _) => Target::Word(workflow.resolution_codes.iter().map(|code| code.key.clone()).collect()),
        ("category", _) => Target::Category(child),
        ("team", _) => Target::Team,
        (_, FieldType::Id) => Target::User,
        (_, FieldType::Enum(names)) => Target::Word(names.iter().map(|name| (*name).to_owned()).collect()),
        (_, FieldType::Time) => Target::Time,
        (_, FieldType::Int) => Target::Count,
        (_, FieldType::TextList) => Target::Tags(wanted.separator.clone().unwrap_or_else(|| ",".to_owned())),
        ("title", _) => Target::Text(Longest::Characters(MAX_TITLE)),
        _ => Target::Text(Longest::Bytes(MAX_TEXT)),
    }
}

fn plan_matrix(cells: &BTreeMap<String, BTreeMap<String, String>>) -> Result<Vec<PriorityRule>> {
    let mut rules = Vec::new();
    for (impact, row) in cells {
        for (urgency, priority) in row {
            let rule = (Impact::parse(impact), Urgency::parse(urgency), Priority::parse(priority));
            let (Some(impact), Some(urgency), Some(priority)) = rule else {
                bail!(
                    "`priority_matrix.{impact}.{urgency}` is `{priority}`; a cell is an impact ({}), an urgency ({}) and a priority ({})",
                    Impact::NAMES.join(", "),
                    Urgency::NAMES.join(", "),
                    Priority::NAMES.join(", ")
                );
            };
            rules.push(PriorityRule { impact, urgency, priority });
        }
    }
    Ok(rules)
}
