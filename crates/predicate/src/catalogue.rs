//! The field registry: what record types exist, which fields they have, and who may use each field for what.
//!
//! All of it is data. A crate declares its record types as statics in its `fields.rs`; the binary collects them into one [`Catalogue`].

use std::collections::BTreeMap;

use crate::keyed;

/// The type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// The id of a record.
    Id,
    /// Text.
    Text,
    /// One of these names.
    Enum(&'static [&'static str]),
    /// A whole number.
    Int,
    /// A number with a fraction.
    Number,
    /// True or false.
    Bool,
    /// An instant.
    Time,
    /// A short list of texts in one column.
    TextList,
    /// A document: shown, never compared.
    Json,
}

/// Who may do one thing with a field. There is no default: every use of every field is declared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Policy {
    /// Whoever may see the row.
    Always,
    /// Nobody through the API.
    Never,
    /// Those for whom the rule holds on the row.
    When(Rule),
}

/// A rule of access, as data. `access` turns it into a predicate for one viewer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// Holds for every row.
    Always,
    /// The viewer holds this permission with a scope that reaches the row.
    Permission(&'static str),
    /// The id in this field is the viewer's.
    IsViewer(&'static str),
    /// The list in this field holds the viewer's id, as text.
    ListsViewer(&'static str),
    /// The team in this field is one of the viewer's.
    OfViewerTeams(&'static str),
    /// The enum or text field has this value.
    Equals(&'static str, &'static str),
    /// The rule holds for the record that this relation leads to.
    Through(&'static str, &'static Rule),
    /// All hold.
    All(&'static [Rule]),
    /// At least one holds.
    Any(&'static [Rule]),
}

/// One field of a record type.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name in the API, `camelCase`.
    pub name: &'static str,
    /// Its type.
    pub kind: FieldType,
    /// Its column.
    pub column: &'static str,
    /// Whether the column may be null.
    pub nullable: bool,
    /// Who may read it, on rows that they may see. Anything but `Always` makes the field nullable in the API.
    pub read: Policy,
    /// Who may change it, on rows that they may see.
    pub write: Policy,
    /// Who may compare it in a filter. Rows whose value they may not read compare as absent.
    pub filter: Policy,
    /// Who may order by it. Rows whose value they may not read order as absent.
    pub order: Policy,
    /// Whether events carry it among the facts and changes (read rules hold there too).
    pub event: Policy,
}

/// How a relation finds its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelationKind {
    /// The named field of this record holds the id of the other.
    Reference(&'static str),
    /// The other record extends this one: same id.
    Extension,
    /// One of many records that refer to this one: the one whose `key` is what stands behind the colon of the relation's
    /// name, see [`crate::keyed`]. This record holds the same values as a document, in the field that is called as the
    /// relation is; who may not read that field may not follow the relation.
    Keyed {
        /// The field of the other record that holds this one's id.
        parent: &'static str,
        /// The field of the other record that holds the key.
        key: &'static str,
    },
}

/// A to-one relation to another record type.
#[derive(Clone, Copy, Debug)]
pub struct Relation {
    /// Its name in the API.
    pub name: &'static str,
    /// The name of the other record type.
    pub target: &'static str,
    /// How it finds its record.
    pub kind: RelationKind,
}

/// One type of record: where it is stored, what fields it has, who may see which rows.
#[derive(Clone, Copy, Debug)]
pub struct RecordType {
    /// Its name, `camelCase`.
    pub name: &'static str,
    /// Its table; every table has `tenant_id` and `id`.
    pub table: &'static str,
    /// The record type whose rows this one extends (same id): its fields are fields of this one too.
    pub base: Option<&'static RecordType>,
    /// The fields of its own table.
    pub fields: &'static [Field],
    /// The relations that leave from its own table.
    pub relations: &'static [Relation],
    /// Who may see a row.
    pub row: Rule,
    /// Fields whose id makes a row its actor's *own* (scope `OWN`).
    pub own: &'static [&'static str],
    /// Fields whose id is the team that a row belongs to (scope `TEAM`).
    pub team: &'static [&'static str],
}

impl RecordType {
    /// The fields of the base and its own, in that order.
    pub fn all_fields(&self) -> impl Iterator<Item = &'static Field> {
        let base: &'static [Field] = self.base.map_or(&[], |base| base.fields);
        base.iter().chain(self.fields)
    }

    /// A field by its name.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.all_fields().find(|field| field.name == name)
    }

    /// Whether the field is stored in the base's table.
    pub fn is_of_base(&self, name: &str) -> bool {
        self.base.is_some_and(|base| base.fields.iter().any(|field| field.name == name))
    }

    /// A relation by its name.
    pub fn relation(&self, name: &str) -> Option<&'static Relation> {
        let base: &'static [Relation] = self.base.map_or(&[], |base| base.relations);
        base.iter().chain(self.relations).find(|relation| relation.name == name)
    }
}

/// All record types of the product.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    types: BTreeMap<&'static str, &'static RecordType>,
}

/// Why the declarations do not fit together; a programming error, found at start and in tests.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("catalogue: {0}")]
pub struct CatalogueError(String);

impl Catalogue {
    /// Collects the record types and checks that every name that one uses exists.
    ///
    /// # Errors
    /// A name that is declared twice or refers to nothing.
    pub fn new(types: impl IntoIterator<Item = &'static RecordType>) -> Result<Self, CatalogueError> {
        let mut catalogue = Self::default();
        for record in types {
            if catalogue.types.insert(record.name, record).is_some() {
                return Err(CatalogueError(format!("record type `{}` is declared twice", record.name)));
            }
        }
        for record in catalogue.types.values() {
            catalogue.check_record(record)?;
        }
        Ok(catalogue)
    }

    /// A record type by its name.
    pub fn get(&self, name: &str) -> Option<&'static RecordType> {
        self.types.get(name).copied()
    }

    /// All record types, by name.
    pub fn iter(&self) -> impl Iterator<Item = &'static RecordType> {
        self.types.values().copied()
    }

    /// A relation that leaves from a record type: one that it declares (with its key, where it is keyed), or that to a
    /// record type which extends it, by that type's name.
    pub fn relation(&self, record: &'static RecordType, name: &str) -> Option<Relation> {
        let (plain, key) = keyed::split(name).map_or((name, None), |(plain, key)| (plain, Some(key)));
        let is_keyed = |found: &Relation| matches!(found.kind, RelationKind::Keyed { .. });
        if key.is_some() {
            return record.relation(plain).copied().filter(is_keyed);
        }
        record.relation(name).copied().filter(|found| !is_keyed(found)).or_else(|| {
            let extension = self.get(name)?;
            let extends = extension.base.is_some_and(|base| base.name == record.name);
            extends.then_some(Relation { name: extension.name, target: extension.name, kind: RelationKind::Extension })
        })
    }

    /// Where a path of relations leads to.
    pub fn follow(&self, record: &'static RecordType, relations: &[String]) -> Option<&'static RecordType> {
        relations.iter().try_fold(record, |record, name| self.get(self.relation(record, name)?.target))
    }

    fn check_record(&self, record: &'static RecordType) -> Result<(), CatalogueError> {
        let fail = |what: String| Err(CatalogueError(format!("{}: {what}", record.name)));
        let mut names = Vec::new();
        for field in record.all_fields() {
            if names.contains(&field.name) {
                return fail(format!("field `{}` is declared twice", field.name));
            }
            names.push(field.name);
            for policy in [field.read, field.write, field.filter, field.order, field.event] {
                if let Policy::When(rule) = policy {
                    self.check_rule(record, &rule)?;
                }
            }
        }
        for relation in record.relations {
            if self.get(relation.target).is_none() {
                return fail(format!("relation `{}` leads to an unknown record type", relation.name));
            }
            if let RelationKind::Reference(field) = relation.kind
                && record.field(field).is_none_or(|field| field.kind != FieldType::Id)
            {
                return fail(format!("relation `{}` needs an id field `{field}`", relation.name));
            }
            if let RelationKind::Keyed { parent, key } = relation.kind {
                let is_document = record.field(relation.name).is_some_and(|field| field.kind == FieldType::Json);
                let target = self.get(relation.target);
                let has = |name: &str, kind: FieldType| {
                    target.and_then(|target| target.field(name)).is_some_and(|field| field.kind == kind)
                };
                let slots = keyed::SLOTS.iter().all(|(name, kind)| has(name, *kind));
                if !is_document || !slots || !has(parent, FieldType::Id) || !has(key, FieldType::Text) {
                    return fail(format!("the keyed relation `{}` does not fit", relation.name));
                }
            }
        }
        for field in record.own.iter().chain(record.team) {
            if record.field(field).is_none_or(|field| field.kind != FieldType::Id) {
                return fail(format!("ownership needs an id field `{field}`"));
            }
        }
        self.check_rule(record, &record.row)
    }

    fn check_rule(&self, record: &'static RecordType, rule: &Rule) -> Result<(), CatalogueError> {
        let known = |field: &str| {
            record
                .field(field)
                .map(|_| ())
                .ok_or_else(|| CatalogueError(format!("{}: a rule names the unknown field `{field}`", record.name)))
        };
        match rule {
            Rule::Always | Rule::Permission(_) => Ok(()),
            Rule::IsViewer(field) | Rule::OfViewerTeams(field) | Rule::Equals(field, _) => known(field),
            Rule::ListsViewer(name) => match record.field(name) {
                Some(field) if field.kind == FieldType::TextList => Ok(()),
                _ => Err(CatalogueError(format!("{}: a rule needs a list `{name}`", record.name))),
            },
            Rule::Through(relation, rule) => {
                let target =
                    record.relation(relation).and_then(|relation| self.get(relation.target)).ok_or_else(|| {
                        CatalogueError(format!("{}: a rule names the unknown relation `{relation}`", record.name))
                    })?;
                self.check_rule(target, rule)
            }
            Rule::All(rules) | Rule::Any(rules) => rules.iter().try_for_each(|rule| self.check_rule(record, rule)),
        }
    }
}
