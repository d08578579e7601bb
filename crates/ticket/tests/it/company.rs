//! Random tickets, viewers and predicates, from pools small enough that they meet.

use std::sync::Arc;

use access::permission::{ALL as PERMISSIONS, BUILT_IN_ROLES};
use incident::INCIDENT;
use kernel::{Actor, ActorKind, Ctx, Grant, Grants, Scope, Timestamp, Uuid};
use predicate::{Field, FieldType, Operand, Path, Policy, Predicate, RecordType, Test, Value, keyed};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::{BoxedStrategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestCaseResult, TestError, TestRng, TestRunner};
use store::query::{self, Row};
use ticket::custom_field::fields::CUSTOM_FIELD_VALUE;
use ticket::custom_field::{Audience, Constraints, CreateCustomField, CustomFieldType};
use ticket::fields::{CATEGORY, COMMENT, EXTERNAL_REF};
use ticket::model::{CommentVisibility, Impact, Priority, StateCategory, Urgency, WaitingReason};

use crate::setup::World;

/// Texts that go wrong where something is quoted, folded, cut or counted badly.
pub const TEXTS: &[&str] = &[
    "",
    " ",
    "VPN down",
    "vpn DOWN",
    "vpn",
    "100%",
    "%",
    "a_b",
    "aXb",
    "_",
    "it's",
    "'; --",
    "\"",
    "\\",
    "\\%",
    "a\tb",
    "line\nbreak",
    "Ünïcode",
    "ünïcode",
    "ÜNÏCODE",
    "straße",
    "STRASSE",
    "İstanbul",
    "istanbul",
    "日本語",
    "日",
    "🦀🦀",
    "🦀",
    "e\u{301}",
    "é",
    "NULL",
    "null",
    "?",
    "$1",
    "[1]",
    "{}",
    "\u{1}",
    "\u{7f}",
    "ſ",
    "K",
    "0",
    "1",
];
const TAGS: &[&str] = &["vpn", "VPN", "", "it's", "\"q\"", "日", "1", "null", "a,b", "\\", "\u{1}"];
/// The instants that times are drawn from, in microseconds after one another.
const TIMES: &[i64] = &[-86_400_000_000, -1, 0, 1, 999, 1_000, 1_000_000, 3_600_000_000];

/// The numbers that values of custom fields are drawn from.
const NUMBERS: &[f64] = &[-1e15, -1.25, -0.5, 0.0, 0.1, 0.3, 3.0, 1e15];

/// The custom fields: the relation to their values, key, slot and type.
pub const CUSTOM: &[(&str, &str, &str, CustomFieldType)] = &[
    ("customFields", "title", "text", CustomFieldType::Text),
    ("customFields", "n", "number", CustomFieldType::Number),
    ("customFields", "b", "boolean", CustomFieldType::Boolean),
    ("internalCustomFields", "t", "time", CustomFieldType::DateTime),
    ("internalCustomFields", "r", "reference", CustomFieldType::User),
];
/// The ways to their values.
pub const CUSTOM_HOPS: &[&str] =
    &["customFields:title", "customFields:n", "customFields:b", "internalCustomFields:t", "internalCustomFields:r"];

/// Who and what tickets refer to.
#[derive(Clone)]
pub struct Company {
    pub actors: Vec<Uuid>,
    pub teams: Vec<Uuid>,
    pub categories: Vec<Uuid>,
    pub now: Timestamp,
}

/// A random ticket and what belongs to it, before it has an id.
#[derive(Clone, Debug)]
pub struct Draft {
    pub fields: Vec<(&'static str, Value)>,
    pub comments: Vec<(Uuid, CommentVisibility)>,
    pub reference: bool,
    /// The value of each of [`CUSTOM`].
    pub custom: Vec<Value>,
}

impl Company {
    pub async fn of(world: &World) -> Self {
        for (key, parent) in [("vpn", None), ("home", Some("vpn")), ("odd-1", None)] {
            let command =
                ticket::CreateCategory { key: key.into(), name: "It's 100%".into(), parent: parent.map(Into::into) };
            world.tickets.create_category(&world.root, command).await.unwrap();
        }
        for (document, key, _, kind) in CUSTOM {
            world.tickets.create_custom_field(&world.root, definition(document, key, *kind)).await.unwrap();
        }
        let ids = |rows: Vec<Row>| rows.iter().map(Row::id).collect();
        let people = ["rita", "rob", "ada", "abe", "dana"].map(|name| world.id(name)).to_vec();
        Self {
            actors: people,
            teams: ids(world.all(&access::TEAM).await),
            categories: ids(world.all(&CATEGORY).await),
            now: world.now(),
        }
    }

    fn times(&self) -> Vec<Timestamp> {
        TIMES.iter().map(|offset| self.now + chrono::Duration::microseconds(*offset)).collect()
    }

    fn id(&self, ids: &[Uuid]) -> BoxedStrategy<Value> {
        select(ids.to_vec()).prop_map(Value::Id).boxed()
    }

    fn time(&self) -> BoxedStrategy<Value> {
        select(self.times()).prop_map(Value::Time).boxed()
    }

    /// A random ticket.
    pub fn draft(&self) -> impl Strategy<Value = Draft> + use<> {
        let text = || select(TEXTS).prop_map(Value::from).boxed();
        let word = |words: &'static [&'static str]| select(words).prop_map(Value::from).boxed();
        let number = || (0..4i64).prop_map(Value::Int).boxed();
        let tags = vec(select(TAGS), 0..3).prop_map(|tags| Value::TextList(tags.into_iter().map(Into::into).collect()));
        let fields: Vec<(&'static str, BoxedStrategy<Value>)> = vec![
            ("title", text()),
            ("description", absent(text())),
            ("state", word(&["new", "assigned", "on_hold", "odd"])),
            ("stateCategory", word(StateCategory::NAMES)),
            ("waitingUntil", absent(self.time())),
            ("impact", word(Impact::NAMES)),
            ("urgency", word(Urgency::NAMES)),
            ("priority", word(Priority::NAMES)),
            ("priorityOverrideReason", absent(text())),
            ("priorityOverrideBy", absent(self.id(&self.actors))),
            ("priorityOverrideAt", absent(self.time())),
            ("category", absent(self.id(&self.categories))),
            ("requester", self.id(&self.actors)),
            ("openedBy", self.id(&self.actors)),
            ("team", absent(self.id(&self.teams))),
            ("assignee", absent(self.id(&self.actors))),
            ("tags", tags.boxed()),
            ("reassignmentCount", number()),
            ("reopenCount", number()),
            ("functionalEscalationLevel", number()),
            ("hierarchicalEscalationLevel", number()),
            ("timeSpent", number()),
            ("cost", absent(number())),
            ("billableCost", absent(number())),
            ("entriesWithoutRate", number()),
            ("escalatedTo", absent(self.id(&self.actors))),
            ("version", (1..4i64).prop_map(Value::Int).boxed()),
            ("createdAt", self.time()),
            ("updatedAt", self.time()),
            ("resolvedAt", absent(self.time())),
            ("closedAt", absent(self.time())),
            ("acknowledgedAt", absent(self.time())),
            ("firstRespondedAt", absent(self.time())),
            ("origin", word(&["PORTAL", "API", "EMAIL"])),
            ("resolutionCode", absent(text())),
            ("resolutionNotes", absent(text())),
            ("majorIncidentState", absent(word(&["PROPOSED", "ACCEPTED", "REJECTED"]))),
            ("majorDecidedAt", absent(self.time())),
            ("nextUpdateDueAt", absent(self.time())),
            ("reviewedAt", absent(self.time())),
        ];
        let custom: Vec<_> = CUSTOM.iter().map(|(_, _, slot, _)| absent(self.slot(slot))).collect();
        let (names, values): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
        let reason = select(WaitingReason::NAMES);
        let comment = (select(self.actors.clone()), select(CommentVisibility::ALL));
        let belonging = (vec(comment, 0..3), any::<bool>(), custom);
        (values, reason, belonging).prop_map(move |(values, reason, (comments, reference, custom))| {
            let mut fields: Vec<_> = names.iter().copied().zip(values).collect();
            let waits = fields.contains(&("stateCategory", "WAITING".into()));
            fields.push(("waitingReason", if waits { reason.into() } else { Value::Null }));
            fields.push(("kind", "INCIDENT".into()));
            for document in ["customFields", "internalCustomFields"] {
                fields.push((document, document_of(document, &custom)));
            }
            Draft { fields, comments, reference, custom }
        })
    }

    /// A value for the slot of a custom field.
    fn slot(&self, slot: &str) -> BoxedStrategy<Value> {
        match slot {
            "number" => select(NUMBERS).prop_map(Value::Number).boxed(),
            "boolean" => any::<bool>().prop_map(Value::Bool).boxed(),
            "time" => self.time(),
            "reference" => self.id(&self.actors),
            _ => select(TEXTS).prop_map(Value::from).boxed(),
        }
    }

    /// A random viewer: some of the built-in roles, for all teams or for one, or any grants at all.
    pub fn viewer(&self, root: &Ctx) -> impl Strategy<Value = Ctx> + use<> {
        let (root, teams) = (root.clone(), self.teams.clone());
        let team = prop_oneof![Just(None), select(teams.clone()).prop_map(Some)];
        let role = (select(&BUILT_IN_ROLES[..]), team.clone()).prop_map(|(role, team)| {
            let grants = role.grants().into_iter();
            let grants = grants.map(move |(permission, scope)| Grant {
                permission: permission.into(),
                scope,
                team: team.filter(|_| scope == Scope::Team),
            });
            grants.collect::<Vec<_>>()
        });
        let asked = ["ticket.read", "ticket.internal", "user.read", "team.manage"];
        assert!(asked.iter().all(|name| PERMISSIONS.iter().any(|permission| permission.name == *name)));
        let grant = (select(asked.to_vec()), select(vec![Scope::Own, Scope::Team, Scope::Tenant]), team).prop_map(
            |(permission, scope, team)| {
                vec![Grant { permission: permission.into(), scope, team: team.filter(|_| scope == Scope::Team) }]
            },
        );
        let count = teams.len();
        let held = prop_oneof![vec(role, 0..3), vec(grant, 0..5)];
        (held, subsequence(teams, 0..=count), select(self.actors.clone())).prop_map(move |(held, mut teams, actor)| {
            let mut grants: Vec<Grant> = held.into_iter().flatten().collect();
            grants.sort_unstable();
            grants.dedup();
            teams.sort_unstable();
            let actor = Actor { id: actor, kind: ActorKind::User };
            Ctx { actor, grants: Arc::new(Grants { grants, teams }), ..root.clone() }
        })
    }

    /// A random, well-typed predicate over a record type; `hops` are the relations that it may go through.
    pub fn predicate(
        &self,
        record: &'static RecordType,
        catalogue: &predicate::Catalogue,
        hops: &[&str],
    ) -> BoxedStrategy<Predicate> {
        let mut leaves = self.leaves(record, &[]);
        for hop in hops {
            let path = [(*hop).to_owned()];
            let target = catalogue.follow(record, &path).expect("the relation exists");
            let slot = CUSTOM.iter().find(|(document, key, ..)| *hop == keyed::join(document, key));
            // A value under a key is in the slot of its type alone.
            let leads = |(path, _): &(Path, _)| slot.is_none_or(|(_, _, slot, _)| path.field == *slot);
            leaves.extend(self.leaves(target, &path).into_iter().filter(leads));
        }
        let leaf = select(leaves)
            .prop_flat_map(|(path, tests)| (Just(path), tests))
            .prop_map(|(path, test)| Predicate::Is(path, test));
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                2 => vec(inner.clone(), 0..4).prop_map(Predicate::All),
                2 => vec(inner.clone(), 0..4).prop_map(Predicate::Any),
                2 => inner.clone().prop_map(|part| Predicate::Not(Box::new(part))),
                1 => inner.prop_map(|part| !part),
            ]
        })
        .boxed()
    }

    fn leaves(&self, record: &'static RecordType, relations: &[String]) -> Vec<(Path, BoxedStrategy<Test>)> {
        let fields = record.all_fields().filter(|field| field.filter != Policy::Never);
        let path = |field: &Field| Path { relations: relations.to_vec(), field: field.name.to_owned() };
        fields.map(|field| (path(field), self.tests(field))).collect()
    }

    fn tests(&self, field: &'static Field) -> BoxedStrategy<Test> {
        let operand = self.operand(&field.kind);
        let absence = any::<bool>().prop_map(Test::IsNull).boxed();
        let Some(operand) = operand else {
            return match field.kind {
                FieldType::TextList => prop_oneof![absence, select(TAGS).prop_map(|tag| Test::Has(tag.into()))].boxed(),
                _ => absence,
            };
        };
        let mut tests = vec![
            absence,
            operand.clone().prop_map(Test::Eq).boxed(),
            vec(operand.clone(), 0..4).prop_map(Test::In).boxed(),
        ];
        if matches!(field.kind, FieldType::Int | FieldType::Number | FieldType::Time | FieldType::Text) {
            let order = [Test::Lt, Test::Lte, Test::Gt, Test::Gte];
            tests.extend(order.map(|test| operand.clone().prop_map(test).boxed()));
        }
        if field.kind == FieldType::Text {
            let part = select(TEXTS).prop_flat_map(|text| {
                let characters: Vec<char> = text.chars().collect();
                let count = characters.len();
                subsequence((0..=count).collect::<Vec<_>>(), 0..=count.min(2)).prop_map(move |cut| {
                    let (from, to) = (cut.first().copied().unwrap_or(0), cut.get(1).copied().unwrap_or(count));
                    characters[from..to].iter().collect::<String>()
                })
            });
            let flipped = part.clone().prop_map(|text| {
                text.chars()
                    .map(|c| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
                    .collect()
            });
            let part = prop_oneof![part, flipped];
            tests.push(part.clone().prop_map(Test::Contains).boxed());
            tests.push(part.prop_map(Test::StartsWith).boxed());
        }
        if field.kind == FieldType::Id {
            tests.push(Just(Test::InViewerTeams).boxed());
        }
        proptest::strategy::Union::new(tests).boxed()
    }

    /// Something to compare with; `None` where there is nothing.
    fn operand(&self, kind: &FieldType) -> Option<BoxedStrategy<Operand>> {
        let value = |strategy: BoxedStrategy<Value>| strategy.prop_map(Operand::Value).boxed();
        Some(match kind {
            FieldType::Id => {
                let known = [&self.actors, &self.teams, &self.categories].into_iter().flatten().copied();
                let known: Vec<_> = known.chain([Uuid::nil()]).collect();
                prop_oneof![4 => value(self.id(&known)), 1 => Just(Operand::Viewer)].boxed()
            }
            FieldType::Text => {
                let stored = ["vpn", "rita@acme.example", "network", "NETWORK", "ada", "USER", "on_hold", "INC-1"];
                let text = prop_oneof![4 => select(TEXTS).boxed(), 1 => select(stored.to_vec()).boxed()];
                value(text.prop_map(Value::from).boxed())
            }
            FieldType::Enum(names) => value(select(*names).prop_map(Value::from).boxed()),
            FieldType::Int => {
                value(prop_oneof![4 => -1..5i64, 1 => select(vec![i64::MIN, i64::MAX])].prop_map(Value::Int).boxed())
            }
            FieldType::Number => value(select(NUMBERS).prop_map(Value::Number).boxed()),
            FieldType::Bool => value(any::<bool>().prop_map(Value::Bool).boxed()),
            FieldType::Time => {
                let relative = select(vec![-86_400, -1, 0, 1, 3_600]).prop_map(|offset| Operand::Now { offset });
                prop_oneof![4 => value(self.time()), 1 => relative].boxed()
            }
            FieldType::TextList | FieldType::Json => return None,
        })
    }
}

/// The document of a ticket that holds these values.
fn document_of(document: &str, custom: &[Value]) -> Value {
    let own = CUSTOM.iter().zip(custom).filter(|((of, ..), value)| *of == document && !value.is_null());
    let values: serde_json::Map<_, _> = own
        .map(|((_, key, ..), value)| {
            let json = match value {
                Value::Id(uuid) => kernel::Id::new(kernel::id::prefix::USER, *uuid).to_string().into(),
                value => value.to_json(),
            };
            ((*key).to_owned(), json)
        })
        .collect();
    if values.is_empty() { Value::Null } else { Value::Json(values.into()) }
}

/// A custom field without any constraint.
pub fn definition(document: &str, key: &str, kind: CustomFieldType) -> CreateCustomField {
    let audience = if document == "customFields" { Audience::Everyone } else { Audience::Agents };
    CreateCustomField {
        key: key.into(),
        name: key.into(),
        description: None,
        kind,
        kinds: Vec::new(),
        options: Vec::new(),
        constraints: Constraints::default(),
        default: None,
        required_in: Vec::new(),
        readable_by: audience,
        writable_by: audience,
        position: None,
    }
}

fn absent(value: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    prop_oneof![1 => Just(Value::Null), 2 => value].boxed()
}

/// Writes drafts down as tickets, with numbers from `first` on; answers their ids in order.
pub async fn insert(world: &World, first: usize, drafts: &[Draft]) -> Vec<Uuid> {
    let drafts = drafts.to_vec();
    let written = world.store.write(&world.root, "test.insert", move |tx| {
        let drafts = drafts.clone();
        Box::pin(async move {
            let mut ids = Vec::new();
            for (place, draft) in drafts.iter().enumerate() {
                ids.push(insert_draft(tx, first + place, draft).await?);
            }
            Ok(ids)
        })
    });
    written.await.unwrap().fresh().unwrap()
}

async fn insert_draft(tx: &mut store::Tx, place: usize, draft: &Draft) -> kernel::Result<Uuid> {
    let (tenant, id) = (tx.ctx().tenant, tx.new_id());
    let mut fields = draft.fields.clone();
    fields.extend([("id", id.into()), ("number", format!("INC-{place}").into())]);
    query::insert_in(tx, tenant, &INCIDENT, &Row::new(&INCIDENT, fields)).await?;
    for ((_, key, slot, _), value) in CUSTOM.iter().zip(&draft.custom).filter(|(_, value)| !value.is_null()) {
        let fields =
            vec![("id", tx.new_id().into()), ("ticket", id.into()), ("key", (*key).into()), (*slot, value.clone())];
        query::insert_in(tx, tenant, &CUSTOM_FIELD_VALUE, &Row::new(&CUSTOM_FIELD_VALUE, fields)).await?;
    }
    for (author, visibility) in &draft.comments {
        let fields = vec![
            ("id", tx.new_id().into()),
            ("ticket", id.into()),
            ("author", (*author).into()),
            ("visibility", visibility.as_str().into()),
            ("body", "x".into()),
            ("version", 1.into()),
            ("createdAt", tx.now().into()),
        ];
        query::insert_in(tx, tenant, &COMMENT, &Row::new(&COMMENT, fields)).await?;
    }
    if draft.reference {
        let fields = vec![
            ("id", tx.new_id().into()),
            ("ticket", id.into()),
            ("source", "jira".into()),
            ("key", place.to_string().into()),
        ];
        query::insert_in(tx, tenant, &EXTERNAL_REF, &Row::new(&EXTERNAL_REF, fields)).await?;
    }
    Ok(id)
}

/// How often each property is tried on each engine, unless this variable says otherwise.
const CASES: &str = "DESKWIRE_PROPERTY_CASES";
/// Where the random numbers begin: a number. A failure prints it.
const SEED: &str = "DESKWIRE_PROPERTY_SEED";

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

fn seed() -> u64 {
    setting(SEED).unwrap_or(42)
}

/// How often a property is tried that is tried this often by default.
pub fn cases(default: u32) -> u32 {
    setting(CASES).map_or(default, |cases| u32::try_from(cases).unwrap_or(u32::MAX))
}

fn runner(default: u32) -> TestRunner {
    let config =
        Config { cases: cases(default), failure_persistence: None, max_shrink_iters: 500, ..Config::default() };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed().to_le_bytes());
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

/// Draws one value of the strategy, the same for the same seed.
pub fn sample<S: Strategy>(strategy: &S) -> S::Value {
    strategy.new_tree(&mut runner(1)).expect("the strategy has values").current()
}

/// Tries the property on random values, and shrinks and prints the first that it fails on, with the seed.
pub fn check<S: Strategy>(cases: u32, strategy: &S, property: impl AsyncFn(S::Value) -> TestCaseResult) {
    let handle = tokio::runtime::Handle::current();
    let outcome = tokio::task::block_in_place(|| runner(cases).run(strategy, |value| handle.block_on(property(value))));
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(reason, value)) => {
            panic!("{reason}\nafter shrinking, with {SEED}={}:\n{value:#?}", seed())
        }
        Err(TestError::Abort(reason)) => panic!("{SEED}={}: {reason}", seed()),
    }
}

/// A failure of a property that is not an assertion.
pub fn broken(error: impl std::fmt::Display) -> TestCaseError {
    TestCaseError::fail(error.to_string())
}
