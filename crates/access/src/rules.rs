//! Decisions without I/O: who may hand on what, and what an update changes.

use kernel::error::Problems;
use kernel::{Grant, Grants, Patch, Result, Scope, UserError, Uuid};
use predicate::Value;
use store::query::Row;

use crate::commands::{
    TeamUpdate, UserUpdate, checked_description, checked_email, checked_name, checked_slug, checked_time_zone,
    checked_url, required,
};

/// The first permission among `wanted` that reaches further than `held`; `None` when all are covered.
///
/// Nobody hands on what they do not hold: `TENANT` covers everything, `TEAM` for all of one's teams covers the same for
/// others and each team that one is a member of, a role for one team covers that team, `OWN` covers `OWN`.
pub fn uncovered<'a>(held: &Grants, wanted: &'a [Grant]) -> Option<&'a Grant> {
    wanted.iter().find(|wanted| !held.grants.iter().any(|own| covers(held, own, wanted)))
}

fn covers(held: &Grants, own: &Grant, wanted: &Grant) -> bool {
    own.permission == wanted.permission
        && match (own.scope, wanted.scope) {
            (Scope::Tenant, _) => true,
            (Scope::Team, Scope::Team) => match (own.team, wanted.team) {
                (None, None) => true,
                (None, Some(team)) => held.teams.contains(&team),
                (Some(mine), wanted) => wanted == Some(mine),
            },
            (Scope::Own, Scope::Own) => true,
            _ => false,
        }
}

/// Whether a change that takes the administrator's role or the right to sign in leaves nobody with it.
pub(crate) fn loses_last_administrator(was_administrator: bool, administrators_left: i64) -> bool {
    was_administrator && administrators_left == 0
}

/// To whom a matter goes next on its way up a line of managers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextManager {
    /// To this user.
    User(Uuid),
    /// There is no line: the team has no manager.
    None,
    /// Nobody active stands above whom it has reached.
    End,
}

/// Who is next in a line of managers: the first active one above whom the matter has reached. Whoever stands in another line has not
/// brought it up this one, so it begins with the first.
pub(crate) fn next_in_line(line: &[Uuid], active: &[Uuid], reached: Option<Uuid>) -> NextManager {
    let passed = line.iter().position(|manager| Some(*manager) == reached).map_or(0, |place| place + 1);
    match line[passed..].iter().find(|manager| active.contains(manager)) {
        Some(manager) => NextManager::User(*manager),
        None if line.is_empty() => NextManager::None,
        None => NextManager::End,
    }
}

/// The fields that change, each with its new value.
pub(crate) type FieldChanges = Vec<(&'static str, Value)>;

/// What a user update changes of the actor's own fields. Roles and password are not fields.
///
/// # Errors
/// User errors for values that break a rule.
pub(crate) fn user_changes(row: &Row, command: &UserUpdate) -> Result<FieldChanges> {
    let mut problems = Problems::default();
    let name =
        problems.take(required("name", command.name.clone()).and_then(|name| checked(name, "name", checked_name)))?;
    let email = problems
        .take(required("email", command.email.clone()).and_then(|email| checked(email, "email", checked_email)))?;
    let active = problems.take(required("active", command.active.clone()))?;
    let avatar_url = problems.take(patched(&command.avatar_url, "avatarUrl", checked_url))?;
    let time_zone = problems.take(patched(&command.time_zone, "timeZone", checked_time_zone))?;
    if matches!(command.email, Patch::Set(_)) && row.get("email").is_null() {
        problems.add(UserError::validation(["email"], "a service account has no e-mail address"));
    }
    problems.check()?;
    let wanted = [
        ("name", name.flatten().map(Value::from)),
        ("email", email.flatten().map(Value::from)),
        ("avatarUrl", avatar_url.flatten()),
        ("timeZone", time_zone.flatten()),
        ("active", active.flatten().map(Value::from)),
    ];
    Ok(differing(row, wanted))
}

/// What a team update changes.
///
/// # Errors
/// User errors for values that break a rule.
pub(crate) fn team_changes(row: &Row, command: &TeamUpdate) -> Result<FieldChanges> {
    let mut problems = Problems::default();
    let slug =
        problems.take(required("slug", command.slug.clone()).and_then(|slug| checked(slug, "slug", checked_slug)))?;
    let name =
        problems.take(required("name", command.name.clone()).and_then(|name| checked(name, "name", checked_name)))?;
    let description = problems.take(patched(&command.description, "description", checked_description))?;
    problems.check()?;
    let wanted = [
        ("slug", slug.flatten().map(Value::from)),
        ("name", name.flatten().map(Value::from)),
        ("description", description.flatten()),
    ];
    Ok(differing(row, wanted))
}

fn checked(value: Option<String>, field: &str, check: fn(&str, &str) -> Result<String>) -> Result<Option<String>> {
    value.map(|value| check(field, &value)).transpose()
}

fn patched(patch: &Patch<String>, field: &str, check: fn(&str, &str) -> Result<String>) -> Result<Option<Value>> {
    match patch {
        Patch::Keep => Ok(None),
        Patch::Clear => Ok(Some(Value::Null)),
        Patch::Set(value) => check(field, value).map(|value| Some(Value::Text(value))),
    }
}

fn differing(row: &Row, wanted: impl IntoIterator<Item = (&'static str, Option<Value>)>) -> FieldChanges {
    wanted
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .filter(|(name, value)| row.get(name) != value)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::UserRef;
    use crate::fields::ACTOR;
    use crate::permission::{TICKET_READ, TICKET_UPDATE, everything, grant};
    use kernel::Id;

    const MINE: Uuid = Uuid::from_u128(1);
    const OTHER: Uuid = Uuid::from_u128(2);

    fn held(grants: Vec<Grant>) -> Grants {
        Grants { grants, teams: vec![MINE] }
    }

    fn for_team(team: Uuid) -> Grant {
        Grant { team: Some(team), ..grant(TICKET_READ, Scope::Team) }
    }

    #[test]
    fn a_matter_goes_up_the_line_of_managers_one_by_one() {
        let [first, second, third, elsewhere] = [1, 2, 3, 9].map(Uuid::from_u128);
        let line = [first, second, third];
        for (active, reached, next) in [
            (&line[..], None, NextManager::User(first)),
            (&line[..], Some(first), NextManager::User(second)),
            (&line[..], Some(third), NextManager::End),
            (&line[..], Some(elsewhere), NextManager::User(first)),
            (&line[1..], None, NextManager::User(second)),
            (&line[..1], Some(first), NextManager::End),
            (&[], None, NextManager::End),
        ] {
            assert_eq!(next_in_line(&line, active, reached), next, "{active:?} {reached:?}");
        }
        assert_eq!(next_in_line(&[], &[], None), NextManager::None);
    }

    #[test]
    fn everything_covers_everything() {
        let wanted = [grant(TICKET_READ, Scope::Own), grant(TICKET_UPDATE, Scope::Tenant), for_team(OTHER)];
        assert_eq!(uncovered(&everything(), &wanted), None);
    }

    #[test]
    fn nobody_hands_on_what_they_do_not_hold() {
        for (own, wanted, fine) in [
            (grant(TICKET_READ, Scope::Team), grant(TICKET_READ, Scope::Tenant), false),
            (grant(TICKET_READ, Scope::Team), grant(TICKET_READ, Scope::Team), true),
            (grant(TICKET_READ, Scope::Team), for_team(MINE), true),
            (grant(TICKET_READ, Scope::Team), for_team(OTHER), false),
            (for_team(MINE), for_team(MINE), true),
            (for_team(MINE), grant(TICKET_READ, Scope::Team), false),
            (for_team(MINE), for_team(OTHER), false),
            (grant(TICKET_READ, Scope::Own), grant(TICKET_READ, Scope::Own), true),
            (grant(TICKET_READ, Scope::Own), grant(TICKET_READ, Scope::Team), false),
            (grant(TICKET_READ, Scope::Team), grant(TICKET_READ, Scope::Own), false),
            (grant(TICKET_UPDATE, Scope::Tenant), grant(TICKET_READ, Scope::Own), false),
        ] {
            let wanted = [wanted];
            assert_eq!(uncovered(&held(vec![own.clone()]), &wanted).is_none(), fine, "{own:?} for {wanted:?}");
        }
    }

    fn ada() -> Row {
        Row::new(
            &ACTOR,
            vec![
                ("id", MINE.into()),
                ("name", "Ada".into()),
                ("email", "ada@example.com".into()),
                ("active", true.into()),
            ],
        )
    }

    #[test]
    fn only_what_differs_changes() {
        let mut command = UserUpdate::of(UserRef::Id(Id::new("usr", MINE)));
        command.name = Patch::Set("Ada".into());
        command.time_zone = Patch::Set("Europe/Vienna".into());
        command.avatar_url = Patch::Clear;
        assert_eq!(user_changes(&ada(), &command).unwrap(), [("timeZone", Value::from("Europe/Vienna"))]);
    }

    #[test]
    fn all_mistakes_are_told_together() {
        let mut command = UserUpdate::of(UserRef::Id(Id::new("usr", MINE)));
        command.name = Patch::Clear;
        command.email = Patch::Set("nowhere".into());
        command.time_zone = Patch::Set("not a zone".into());
        let kernel::Error::Refused(errors) = user_changes(&ada(), &command).unwrap_err() else { panic!() };
        let paths = errors.iter().map(|error| error.path.join(".")).collect::<Vec<_>>();
        assert_eq!(paths, ["name", "email", "timeZone"]);
    }

    #[test]
    fn the_last_administrator_stays() {
        assert!(loses_last_administrator(true, 0));
        assert!(!loses_last_administrator(true, 1));
        assert!(!loses_last_administrator(false, 0));
    }
}
