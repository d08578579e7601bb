//! From rules to predicates: what one viewer may see, filter, order by and change.
//!
//! A rule of the catalogue and the viewer's grants give a predicate over rows. The same predicate is compiled to SQL
//! for lists and counts and evaluated in memory for subscriptions. A field that is readable under a condition is masked at every
//! *reference*: a comparison `F op v` becomes `C and F op v`, `F is absent` becomes `not C or F is absent`, so
//! that no filter can tell apart two records that differ only in what the viewer may not read.

use kernel::{Ctx, Result, UserError};
use predicate::{
    Catalogue, Facts, Field, Operand, Path, Policy, Predicate, RecordType, RelationKind, Rule, Test, Use, ViewerValues,
    Visibilities, Visibility, check, evaluate, keyed, resolve,
};

/// What the viewer may see of every record type.
pub fn visibilities(ctx: &Ctx, catalogue: &Catalogue) -> Visibilities {
    catalogue.iter().map(|record| (record.name, visibility(ctx, catalogue, record))).collect()
}

/// Every row and every field of every record: for counting and checking what is hidden from the viewer as well.
pub fn everything(catalogue: &Catalogue) -> Visibilities {
    catalogue.iter().map(|record| (record.name, Visibility::default())).collect()
}

/// What an unrestricted reader sees: every row and every field. For the write path, which loads through the visible
/// query and then needs the record as it is.
pub fn unmasked(visibilities: &Visibilities) -> Visibilities {
    visibilities
        .iter()
        .map(|(name, visibility)| (*name, Visibility { row: visibility.row.clone(), masks: Default::default() }))
        .collect()
}

fn visibility(ctx: &Ctx, catalogue: &Catalogue, record: &'static RecordType) -> Visibility {
    let masks = record
        .all_fields()
        .filter_map(|field| {
            let mask = policy_predicate(ctx, catalogue, record, &field.read);
            (!mask.is_always()).then_some((field.name, mask))
        })
        .collect();
    Visibility { row: rule_predicate(ctx, catalogue, record, &record.row), masks }
}

/// The rows on which the policy lets this viewer.
pub fn policy_predicate(ctx: &Ctx, catalogue: &Catalogue, record: &'static RecordType, policy: &Policy) -> Predicate {
    match policy {
        Policy::Always => Predicate::always(),
        Policy::Never => Predicate::never(),
        Policy::When(rule) => rule_predicate(ctx, catalogue, record, rule),
    }
}

/// The rows on which the rule holds for this viewer.
pub fn rule_predicate(ctx: &Ctx, catalogue: &Catalogue, record: &'static RecordType, rule: &Rule) -> Predicate {
    match rule {
        Rule::Always => Predicate::always(),
        Rule::Permission(permission) => permission_predicate(ctx, record, permission),
        Rule::IsViewer(field) => Predicate::eq(field, ctx.actor.id),
        Rule::ListsViewer(field) => Predicate::Is(Path::field(*field), Test::Has(ctx.actor.id.to_string())),
        Rule::OfViewerTeams(field) => Predicate::one_of(field, &ctx.grants.teams),
        Rule::Equals(field, value) => Predicate::eq(field, *value),
        Rule::Through(relation, rule) => {
            match record.relation(relation).and_then(|found| catalogue.get(found.target)) {
                Some(target) => rule_predicate(ctx, catalogue, target, rule).through(relation),
                // The catalogue was checked at start; should a relation be missing all the same, nothing is shown.
                None => Predicate::never(),
            }
        }
        Rule::All(rules) => Predicate::all(rules.iter().map(|rule| rule_predicate(ctx, catalogue, record, rule))),
        Rule::Any(rules) => Predicate::any(rules.iter().map(|rule| rule_predicate(ctx, catalogue, record, rule))),
    }
}

fn permission_predicate(ctx: &Ctx, record: &RecordType, permission: &str) -> Predicate {
    if ctx.grants.holds_tenant(permission) {
        return Predicate::always();
    }
    let teams = ctx.grants.teams_with(permission);
    let of_team = record.team.iter().map(|field| Predicate::one_of(field, &teams));
    let own = ctx.grants.holds_own(permission);
    let of_own = record.own.iter().filter(|_| own).map(|field| Predicate::eq(field, ctx.actor.id));
    Predicate::any(of_team.chain(of_own).collect::<Vec<_>>())
}

/// Whether the policy lets this viewer on the record with these facts.
pub fn allows(
    ctx: &Ctx,
    catalogue: &Catalogue,
    record: &'static RecordType,
    policy: &Policy,
    facts: &impl Facts,
) -> bool {
    evaluate(&policy_predicate(ctx, catalogue, record, policy), facts)
}

/// Checks a client's filter, makes its relative values concrete, and masks what it refers to.
///
/// # Errors
/// User errors with paths inside the filter: unknown names, wrong types, fields that the viewer's role never reads.
pub fn filter(
    ctx: &Ctx,
    catalogue: &Catalogue,
    visibilities: &Visibilities,
    record: &'static RecordType,
    predicate: Predicate,
    purpose: Use,
) -> Result<Predicate> {
    check(&predicate, record, catalogue, purpose, &|record, field| is_denied(visibilities, record, field))?;
    let values = ViewerValues { viewer: ctx.actor.id, teams: &ctx.grants.teams, now: ctx.now() };
    Ok(mask(resolve(predicate, &values), record, catalogue, visibilities))
}

/// Whether this viewer may never read the field, on any row.
pub fn is_denied(visibilities: &Visibilities, record: &RecordType, field: &Field) -> bool {
    visibilities.get(record.name).and_then(|visibility| visibility.mask(field.name)).is_some_and(Predicate::is_never)
}

/// Checks that the viewer may order by a field.
///
/// # Errors
/// A user error that depends on the viewer's role alone.
pub fn check_order(visibilities: &Visibilities, record: &'static RecordType, name: &str) -> Result<()> {
    let path = keyed::path(name);
    // What stands under a key is read and ordered as the document that holds it is read.
    let gate = path.relations.first().and_then(|relation| keyed::split(relation)).map(|(relation, _)| relation);
    if let Some(field) = gate.and_then(|gate| record.field(gate)) {
        return match is_denied(visibilities, record, field) {
            false => Ok(()),
            true => {
                Err(UserError::validation(["orderBy"], format!("`{name}` cannot be ordered by with your role")).into())
            }
        };
    }
    match record.field(name) {
        Some(field) if field.order != Policy::Never && !is_denied(visibilities, record, field) => Ok(()),
        _ => Err(UserError::validation(["orderBy"], format!("`{name}` cannot be ordered by with your role")).into()),
    }
}

fn mask(
    predicate: Predicate,
    record: &'static RecordType,
    catalogue: &Catalogue,
    visibilities: &Visibilities,
) -> Predicate {
    predicate.map_tests(&mut |path, test| {
        let readable = readable(&path, record, catalogue, visibilities);
        let absent = matches!(test, Test::IsNull(true));
        let leaf = Predicate::Is(path, test);
        if absent { leaf.or(!readable) } else { readable.and(leaf) }
    })
}

/// The rows on which the viewer may read the value at the path: every edge on the way and the field itself.
fn readable(path: &Path, record: &'static RecordType, catalogue: &Catalogue, visibilities: &Visibilities) -> Predicate {
    let mut parts = Vec::new();
    let mut current = record;
    for (depth, name) in path.relations.iter().enumerate() {
        let along = |predicate: Predicate| {
            path.relations[..depth].iter().rev().fold(predicate, |predicate, relation| predicate.through(relation))
        };
        let Some(relation) = catalogue.relation(current, name) else { return Predicate::never() };
        let Some(target) = catalogue.get(relation.target) else { return Predicate::never() };
        match relation.kind {
            RelationKind::Reference(field) => {
                let row =
                    visibilities.get(target.name).map_or_else(Predicate::never, |visibility| visibility.row.clone());
                parts.push(along(field_mask(visibilities, current, field)));
                parts.push(along(row.through(name)));
            }
            // The values under keys are part of the record: whoever may read the document may compare them.
            RelationKind::Keyed { .. } => parts.push(along(field_mask(visibilities, current, relation.name))),
            RelationKind::Extension => {}
        }
        current = target;
    }
    let last = field_mask(visibilities, current, &path.field);
    parts.push(path.relations.iter().rev().fold(last, |predicate, relation| predicate.through(relation)));
    Predicate::all(parts)
}

fn field_mask(visibilities: &Visibilities, record: &RecordType, field: &str) -> Predicate {
    match visibilities.get(record.name) {
        Some(visibility) => visibility.mask(field).cloned().unwrap_or_default(),
        None => Predicate::never(),
    }
}

/// The condition "this field is the viewer", for rules made in code.
pub fn is_viewer(field: &str) -> Predicate {
    Predicate::Is(Path::field(field), Test::Eq(Operand::Viewer))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kernel::{Actor, ActorKind, Channel, Clock, Grant, Grants, Mutation, Scope, Uuid};
    use predicate::{FieldType, Relation, Value};

    use super::*;

    const fn field(name: &'static str, kind: FieldType, read: Policy) -> Field {
        Field {
            name,
            kind,
            column: name,
            nullable: true,
            read,
            write: Policy::Never,
            filter: Policy::Always,
            order: Policy::Always,
            event: Policy::Always,
        }
    }

    static ACTOR: RecordType = RecordType {
        name: "actor",
        table: "actor",
        base: None,
        fields: &[
            field("id", FieldType::Id, Policy::Always),
            field(
                "email",
                FieldType::Text,
                Policy::When(Rule::Any(&[Rule::IsViewer("id"), Rule::Permission("user.read")])),
            ),
        ],
        relations: &[],
        row: Rule::Always,
        own: &["id"],
        team: &[],
    };

    static TICKET: RecordType = RecordType {
        name: "ticket",
        table: "ticket",
        base: None,
        fields: &[
            field("id", FieldType::Id, Policy::Always),
            field("requester", FieldType::Id, Policy::Always),
            field("team", FieldType::Id, Policy::Always),
            field("effort", FieldType::Int, Policy::When(Rule::Permission("ticket.internal"))),
        ],
        relations: &[Relation { name: "requester", target: "actor", kind: RelationKind::Reference("requester") }],
        row: Rule::Permission("ticket.read"),
        own: &["requester"],
        team: &["team"],
    };

    const VIEWER: Uuid = Uuid::from_u128(1);
    const TEAM: Uuid = Uuid::from_u128(10);

    fn ctx(grants: &[(&str, Scope)]) -> Ctx {
        let grants = grants
            .iter()
            .map(|(permission, scope)| Grant { permission: (*permission).into(), scope: *scope, team: None })
            .collect();
        Ctx {
            tenant: Uuid::nil(),
            actor: Actor { id: VIEWER, kind: ActorKind::User },
            grants: Arc::new(Grants { grants, teams: vec![TEAM] }),
            channel: Channel::System,
            request_id: "test".into(),
            clock: Clock::System,
            mutation: Mutation::default(),
        }
    }

    fn ticket(requester: u128, team: u128, effort: i64) -> impl Fn(&Path) -> Value {
        move |path: &Path| match path.dotted().as_str() {
            "requester" | "requester.id" => Value::Id(Uuid::from_u128(requester)),
            "requester.email" => "ada@example.com".into(),
            "team" => Value::Id(Uuid::from_u128(team)),
            "effort" => Value::Int(effort),
            _ => Value::Null,
        }
    }

    fn catalogue() -> Catalogue {
        Catalogue::new([&ACTOR, &TICKET]).unwrap()
    }

    #[test]
    fn scopes_reach_as_far_as_they_say() {
        let catalogue = catalogue();
        for (scope, own, of_team, other) in
            [(Scope::Own, true, false, false), (Scope::Team, false, true, false), (Scope::Tenant, true, true, true)]
        {
            let row = visibilities(&ctx(&[("ticket.read", scope)]), &catalogue)["ticket"].row.clone();
            assert_eq!(evaluate(&row, &ticket(1, 99, 0)), own, "{scope:?}");
            assert_eq!(evaluate(&row, &ticket(2, 10, 0)), of_team, "{scope:?}");
            assert_eq!(evaluate(&row, &ticket(2, 99, 0)), other, "{scope:?}");
        }
        assert!(visibilities(&ctx(&[]), &catalogue)["ticket"].row.is_never());
    }

    #[test]
    fn a_masked_field_cannot_be_told_by_any_comparison() {
        let catalogue = catalogue();
        let ctx = ctx(&[("ticket.read", Scope::Tenant), ("ticket.internal", Scope::Team)]);
        let visible = visibilities(&ctx, &catalogue);
        for test in [
            Test::Eq(Operand::Value(Value::Int(7))),
            Test::Gt(Operand::Value(Value::Int(3))),
            Test::IsNull(true),
            Test::IsNull(false),
        ] {
            for negate in [false, true] {
                let asked = Predicate::Is(Path::field("effort"), test.clone());
                let asked = if negate { !asked } else { asked };
                let masked = filter(&ctx, &catalogue, &visible, &TICKET, asked, Use::Query).unwrap();
                let worlds = [ticket(2, 99, 7), ticket(2, 99, 1)].map(|facts| evaluate(&masked, &facts));
                assert_eq!(worlds[0], worlds[1], "{test:?} tells hidden values apart");
            }
        }
    }

    #[test]
    fn a_field_of_a_related_record_is_masked_by_that_records_rules() {
        let catalogue = catalogue();
        let ctx = ctx(&[("ticket.read", Scope::Tenant)]);
        let visible = visibilities(&ctx, &catalogue);
        let asked = Predicate::eq("email", "ada@example.com").through("requester");
        let masked = filter(&ctx, &catalogue, &visible, &TICKET, asked, Use::Query).unwrap();
        assert!(evaluate(&masked, &ticket(1, 99, 0)), "one's own address may be compared");
        assert!(!evaluate(&masked, &ticket(2, 99, 0)));
    }

    #[test]
    fn naming_a_field_that_the_role_never_reads_is_an_error() {
        let catalogue = catalogue();
        let ctx = ctx(&[("ticket.read", Scope::Tenant)]);
        let visible = visibilities(&ctx, &catalogue);
        let asked = Predicate::eq("effort", 3);
        assert!(filter(&ctx, &catalogue, &visible, &TICKET, asked, Use::Query).is_err());
        assert!(check_order(&visible, &TICKET, "effort").is_err());
        assert!(check_order(&visible, &TICKET, "requester").is_ok());
    }
}
