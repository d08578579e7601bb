//! What makes a definition, and what makes a value: pure rules.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use kernel::error::Problems;
use kernel::id::prefix;
use kernel::{Id, UserError};
use predicate::Value;
use regex::RegexBuilder;
use serde_json::Value as Json;
use url::Url;

use super::{
    Audience, Constraints, CustomFieldType, FieldOption, Given, MAX_NUMBER, MAX_OPTIONS, MAX_PATTERN, MAX_REQUIRED_IN,
    MAX_VALUE,
};
use crate::commands::{check_long_text, check_text, parse_time};
use crate::model::{MAX_KEY, MAX_TITLE};

/// The longest key, in characters.
const MAX_FIELD_KEY: usize = 50;
/// How much memory a compiled pattern may take, in bytes.
const PATTERN_SIZE: usize = 256 * 1024;

/// What a definition says, wherever it comes from.
pub(super) struct Draft<'a> {
    pub(super) key: &'a str,
    pub(super) name: &'a str,
    pub(super) description: Option<&'a str>,
    pub(super) kind: CustomFieldType,
    pub(super) options: &'a [FieldOption],
    pub(super) constraints: &'a Constraints,
    pub(super) default: Option<&'a Json>,
    pub(super) required_in: &'a [String],
    pub(super) readable_by: Audience,
    pub(super) writable_by: Audience,
}

/// Why a value cannot be taken: the message, the rule that it breaks, and the limit where there is one.
#[derive(Debug, PartialEq)]
pub(super) struct Refusal {
    pub(super) message: String,
    pub(super) rule: &'static str,
    pub(super) limit: Option<u64>,
}

impl Refusal {
    fn new(rule: &'static str, message: impl Into<String>) -> Self {
        Self { message: message.into(), rule, limit: None }
    }
}

/// A value that fits its field, or one that has yet to be looked up.
#[derive(Debug)]
pub(super) enum Checked {
    /// As the slot holds it.
    Value(Value),
    /// A user.
    User(access::UserRef),
    /// A configuration item.
    Item(configuration::ItemRef),
}

/// Checks a definition.
pub(super) fn definition(draft: &Draft<'_>, problems: &mut Problems) {
    let mut bytes = draft.key.bytes();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let begins = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic());
    if !begins || !bytes.all(plain) || draft.key.len() > MAX_FIELD_KEY {
        let message = format!("`key` is 1 to {MAX_FIELD_KEY} letters, digits and underscores, a letter first");
        problems.add(UserError::constraint(["key"], message, "pattern", Some(MAX_FIELD_KEY as u64)));
    }
    check_text(problems, "name", draft.name, MAX_TITLE);
    if let Some(description) = draft.description {
        check_long_text(problems, "description", description);
    }
    if draft.readable_by == Audience::Agents && draft.writable_by == Audience::Everyone {
        let message = "what only agents read can only be written by agents";
        problems.add(UserError::constraint(["writableBy"], message, "audience", None));
    }
    if draft.required_in.len() > MAX_REQUIRED_IN {
        let message = format!("{} states are given; at most {MAX_REQUIRED_IN} are allowed", draft.required_in.len());
        problems.add(UserError::limit(["requiredIn"], message, MAX_REQUIRED_IN as u64));
    }
    for state in draft.required_in {
        check_text(problems, "requiredIn", state, MAX_KEY);
    }
    options(draft, problems);
    constraints(draft, problems);
    default(draft, problems);
}

fn options(draft: &Draft<'_>, problems: &mut Problems) {
    let is_enum = draft.kind == CustomFieldType::Enum;
    let usable = draft.options.iter().any(|option| !option.retired);
    if is_enum != usable || is_enum == draft.options.is_empty() {
        let message = "`options` go with the type ENUM, which needs at least one that is not retired";
        problems.add(UserError::constraint(["options"], message, "options", None));
    }
    if draft.options.len() > MAX_OPTIONS {
        let message = format!("{} options are given; at most {MAX_OPTIONS} are allowed", draft.options.len());
        problems.add(UserError::limit(["options"], message, MAX_OPTIONS as u64));
    }
    let mut keys = BTreeSet::new();
    for (place, option) in draft.options.iter().enumerate() {
        let mut own = Problems::default();
        check_text(&mut own, "key", &option.key, MAX_KEY);
        check_text(&mut own, "name", &option.name, MAX_TITLE);
        if !keys.insert(&option.key) {
            own.add(UserError::constraint(["key"], format!("`{}` stands twice", option.key), "unique", None));
        }
        // What `take` answers is whether there was nothing to note.
        let checked = own.check().map_err(|error| error.within(&place.to_string()).within("options"));
        let _ = problems.take(checked);
    }
}

fn constraints(draft: &Draft<'_>, problems: &mut Problems) {
    let Constraints { minimum, maximum, max_length, pattern } = draft.constraints;
    let is_text = draft.kind == CustomFieldType::Text;
    let is_number = draft.kind == CustomFieldType::Number;
    for (name, given, fits) in [
        ("minimum", minimum.is_some(), is_number),
        ("maximum", maximum.is_some(), is_number),
        ("maxLength", max_length.is_some(), is_text),
        ("pattern", pattern.is_some(), is_text),
    ] {
        if given && !fits {
            let message = format!("`{name}` does not go with the type {}", draft.kind.as_str());
            problems.add(UserError::constraint([name], message, "type", None));
        }
    }
    for (name, bound) in [("minimum", minimum), ("maximum", maximum)] {
        if bound.is_some_and(|bound| !in_range(bound)) {
            problems.add(UserError::constraint([name], out_of_range(), "range", None));
        }
    }
    if let (Some(minimum), Some(maximum)) = (minimum, maximum)
        && minimum > maximum
    {
        problems.add(UserError::constraint(["minimum"], "`minimum` is above `maximum`", "range", None));
    }
    if max_length.is_some_and(|length| length == 0 || length as usize > MAX_VALUE) {
        let message = format!("`maxLength` is 1 to {MAX_VALUE}");
        problems.add(UserError::constraint(["maxLength"], message, "range", Some(MAX_VALUE as u64)));
    }
    if let Some(pattern) = pattern {
        if pattern.contains('\0') {
            problems.add(UserError::constraint(["pattern"], "`pattern` holds a NUL character", "characters", None));
        } else if pattern.chars().count() > MAX_PATTERN {
            let message = format!("`pattern` has more than {MAX_PATTERN} characters");
            problems.add(UserError::constraint(["pattern"], message, "maxLength", Some(MAX_PATTERN as u64)));
        } else if let Err(error) = whole(pattern) {
            let message = format!("`pattern` is no regular expression: {error}");
            problems.add(UserError::constraint(["pattern"], message, "pattern", None));
        }
    }
}

fn default(draft: &Draft<'_>, problems: &mut Problems) {
    let Some(json) = draft.default else { return };
    let refusal = match draft.kind {
        CustomFieldType::User | CustomFieldType::ConfigurationItem => {
            Some(Refusal::new("type", format!("a field of type {} has no default", draft.kind.as_str())))
        }
        _ => value(draft.kind, draft.options, draft.constraints, Given::Json(json.clone())).err(),
    };
    if let Some(refusal) = refusal {
        problems.add(UserError::constraint(["default"], refusal.message, refusal.rule, refusal.limit));
    }
}

/// A pattern matches the whole text.
fn whole(pattern: &str) -> Result<regex::Regex, regex::Error> {
    RegexBuilder::new(&format!("^(?:{pattern})$")).size_limit(PATTERN_SIZE).build()
}

fn in_range(number: f64) -> bool {
    number.is_finite() && number.abs() <= MAX_NUMBER
}

fn out_of_range() -> String {
    format!("a number is between -{MAX_NUMBER:e} and {MAX_NUMBER:e}")
}

/// A value for a field of this type, as its slot holds it.
pub(super) fn value(
    kind: CustomFieldType,
    options: &[FieldOption],
    constraints: &Constraints,
    given: Given,
) -> Result<Checked, Refusal> {
    let given = match given {
        Given::Json(json) => of_json(kind, json)?,
        other => other,
    };
    match (kind, given) {
        (CustomFieldType::Text, Given::Text(value)) => text(constraints, value),
        (CustomFieldType::Number, Given::Number(value)) => number(constraints, value),
        (CustomFieldType::Boolean, Given::Boolean(value)) => Ok(Checked::Value(value.into())),
        (CustomFieldType::Date, Given::Date(value)) => date(&value),
        (CustomFieldType::DateTime, Given::DateTime(value)) => Ok(Checked::Value(value.into())),
        (CustomFieldType::Enum, Given::Option(value)) => option(options, value),
        (CustomFieldType::User, Given::User(user)) => Ok(Checked::User(user)),
        (CustomFieldType::ConfigurationItem, Given::ConfigurationItem(item)) => Ok(Checked::Item(item)),
        (CustomFieldType::Url, Given::Url(value)) => url(value),
        (kind, _) => Err(wrong_type(kind)),
    }
}

fn wrong_type(kind: CustomFieldType) -> Refusal {
    Refusal::new("type", format!("the field is of type {}: give its value as `{}`", kind.as_str(), kind.input()))
}

/// What a JSON value is for a field of this type.
fn of_json(kind: CustomFieldType, json: Json) -> Result<Given, Refusal> {
    let wrong = |form: &str| Refusal::new("type", format!("the field is of type {}: give {form}", kind.as_str()));
    let text = |form: &str| json.as_str().map(str::to_owned).ok_or_else(|| wrong(form));
    Ok(match kind {
        CustomFieldType::Text => Given::Text(text("a text")?),
        CustomFieldType::Number => Given::Number(json.as_f64().ok_or_else(|| wrong("a number"))?),
        CustomFieldType::Boolean => Given::Boolean(json.as_bool().ok_or_else(|| wrong("`true` or `false`"))?),
        CustomFieldType::Date => Given::Date(text("a date such as `2026-03-01`")?),
        CustomFieldType::DateTime => {
            let form = "an instant in RFC 3339 such as `2026-03-01T09:00:00Z`";
            Given::DateTime(parse_time(&text(form)?).ok_or_else(|| wrong(form))?)
        }
        CustomFieldType::Enum => Given::Option(text("the key of an option")?),
        CustomFieldType::Url => Given::Url(text("a URL")?),
        CustomFieldType::User => {
            let form = "`{ \"email\": … }`, `{ \"id\": … }`, or an id";
            let id = json.as_str().and_then(|text| Id::parse_as(text, &[prefix::USER]).ok());
            let given = id.map(access::UserRef::Id).map_or_else(|| access::UserRef::from_json(&json, "user"), Ok);
            Given::User(given.map_err(|_| wrong(form))?)
        }
        CustomFieldType::ConfigurationItem => {
            let text = json.as_str().or_else(|| json.get("id").and_then(Json::as_str));
            let id = text.and_then(|text| Id::parse_as(text, &[prefix::CONFIGURATION_ITEM]).ok());
            let id = id.ok_or_else(|| wrong("`{ \"id\": \"ci_…\" }`, or the id"))?;
            Given::ConfigurationItem(configuration::ItemRef::Id(id))
        }
    })
}

fn fits(value: &str) -> Result<(), Refusal> {
    if value.trim().is_empty() {
        return Err(Refusal::new("minLength", "the value is empty; null takes it away"));
    }
    if value.len() > MAX_VALUE {
        let message = format!("the value has {} bytes; at most {MAX_VALUE} are allowed", value.len());
        return Err(Refusal { limit: Some(MAX_VALUE as u64), ..Refusal::new("maxBytes", message) });
    }
    if value.contains('\0') {
        return Err(Refusal::new("characters", "the value holds a NUL character"));
    }
    Ok(())
}

fn text(constraints: &Constraints, value: String) -> Result<Checked, Refusal> {
    fits(&value)?;
    if let Some(most) = constraints.max_length.filter(|most| value.chars().count() > *most as usize) {
        let message = format!("the value has more than {most} characters");
        return Err(Refusal { limit: Some(most.into()), ..Refusal::new("maxLength", message) });
    }
    if let Some(pattern) = &constraints.pattern
        && !whole(pattern).is_ok_and(|pattern| pattern.is_match(&value))
    {
        return Err(Refusal::new("pattern", format!("the value does not match `{pattern}`")));
    }
    Ok(Checked::Value(value.into()))
}

fn number(constraints: &Constraints, value: f64) -> Result<Checked, Refusal> {
    if !in_range(value) {
        return Err(Refusal::new("range", out_of_range()));
    }
    if let Some(least) = constraints.minimum.filter(|least| value < *least) {
        return Err(Refusal::new("minimum", format!("the value is below {least}")));
    }
    if let Some(most) = constraints.maximum.filter(|most| value > *most) {
        return Err(Refusal::new("maximum", format!("the value is above {most}")));
    }
    // Zero has one form.
    Ok(Checked::Value(Value::Number(if value == 0.0 { 0.0 } else { value })))
}

fn date(value: &str) -> Result<Checked, Refusal> {
    let read = NaiveDate::parse_from_str(value, "%Y-%m-%d").ok();
    match read.filter(|read| read.format("%Y-%m-%d").to_string() == value && value.len() == 10) {
        Some(_) => Ok(Checked::Value(value.into())),
        None => Err(Refusal::new("date", format!("`{value}` is no date such as `2026-03-01`"))),
    }
}

fn option(options: &[FieldOption], value: String) -> Result<Checked, Refusal> {
    match options.iter().find(|option| option.key == value) {
        Some(option) if option.retired => Err(Refusal::new("retired", format!("the option `{value}` is retired"))),
        Some(_) => Ok(Checked::Value(value.into())),
        None => {
            let known = options.iter().filter(|option| !option.retired).take(20);
            let known: Vec<_> = known.map(|option| format!("`{}`", option.key)).collect();
            Err(Refusal::new("enum", format!("`{value}` is no option; there are {}", known.join(", "))))
        }
    }
}

fn url(value: String) -> Result<Checked, Refusal> {
    fits(&value)?;
    match Url::parse(&value) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(Checked::Value(value.into())),
        _ => Err(Refusal::new("url", format!("`{value}` is no address such as `https://example.com/page`"))),
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use kernel::Uuid;
    use kernel::error::Detail;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_ticket_holds_can_be_given_again() {
        let id = |prefix| Id::new(prefix, Uuid::from_u128(7));
        let user = of_json(CustomFieldType::User, json!(id(prefix::USER).to_string()));
        assert!(matches!(user, Ok(Given::User(access::UserRef::Id(given))) if given == id(prefix::USER)));
        let item = of_json(CustomFieldType::ConfigurationItem, json!(id(prefix::CONFIGURATION_ITEM).to_string()));
        let own = |given| matches!(given, configuration::ItemRef::Id(given) if given == id(prefix::CONFIGURATION_ITEM));
        assert!(matches!(item, Ok(Given::ConfigurationItem(given)) if own(given.clone())));
        assert!(of_json(CustomFieldType::User, json!(id(prefix::TEAM).to_string())).is_err());
        assert!(of_json(CustomFieldType::ConfigurationItem, json!(7)).is_err());
    }

    fn take(kind: CustomFieldType, constraints: &Constraints, json: Json) -> Result<Value, &'static str> {
        let options = [
            FieldOption { key: "east".into(), name: "East".into(), retired: false },
            FieldOption { key: "north".into(), name: "North".into(), retired: true },
        ];
        match value(kind, &options, constraints, Given::Json(json)) {
            Ok(Checked::Value(value)) => Ok(value),
            Ok(_) => Ok(Value::Null),
            Err(refusal) => Err(refusal.rule),
        }
    }

    #[test]
    fn a_value_fits_its_type() {
        let free = Constraints::default();
        use CustomFieldType as Type;
        for (kind, json, expected) in [
            (Type::Text, json!("x"), Ok("x".into())),
            (Type::Text, json!(" "), Err("minLength")),
            (Type::Text, json!(7), Err("type")),
            (Type::Text, json!("é".repeat(MAX_VALUE / 2 + 1)), Err("maxBytes")),
            (Type::Text, json!("a\0b"), Err("characters")),
            (Type::Number, json!(7), Ok(7.0.into())),
            (Type::Number, json!(-0.0), Ok(0.0.into())),
            (Type::Number, json!(2e15), Err("range")),
            (Type::Number, json!("7"), Err("type")),
            (Type::Boolean, json!(true), Ok(true.into())),
            (Type::Boolean, json!("true"), Err("type")),
            (Type::Date, json!("2024-02-29"), Ok("2024-02-29".into())),
            (Type::Date, json!("2026-02-29"), Err("date")),
            (Type::Date, json!("2026-2-1"), Err("date")),
            (Type::Date, json!("+2026-02-01"), Err("date")),
            (Type::DateTime, json!("2026-03-01T09:00:00+01:00"), Ok(parse_time("2026-03-01T08:00:00Z").into())),
            (Type::DateTime, json!("2026-03-01"), Err("type")),
            (Type::Enum, json!("east"), Ok("east".into())),
            (Type::Enum, json!("north"), Err("retired")),
            (Type::Enum, json!("west"), Err("enum")),
            (Type::Url, json!("https://example.com/a?b"), Ok("https://example.com/a?b".into())),
            (Type::Url, json!("javascript:alert(1)"), Err("url")),
            (Type::Url, json!("example.com"), Err("url")),
            (Type::User, json!("ada"), Err("type")),
            (Type::ConfigurationItem, json!({ "id": "inc_1" }), Err("type")),
        ] {
            assert_eq!(take(kind, &free, json.clone()), expected, "{kind:?} {json}");
        }
    }

    #[test]
    fn a_value_keeps_to_its_constraints() {
        let number = Constraints { minimum: Some(1.0), maximum: Some(2.5), ..Constraints::default() };
        assert_eq!(take(CustomFieldType::Number, &number, json!(2.5)), Ok(2.5.into()));
        assert_eq!(take(CustomFieldType::Number, &number, json!(0.5)), Err("minimum"));
        assert_eq!(take(CustomFieldType::Number, &number, json!(3)), Err("maximum"));
        let text = Constraints { max_length: Some(4), pattern: Some("[0-9]+|x".into()), ..Constraints::default() };
        assert_eq!(take(CustomFieldType::Text, &text, json!("4711")), Ok("4711".into()));
        assert_eq!(take(CustomFieldType::Text, &text, json!("47110")), Err("maxLength"));
        assert_eq!(take(CustomFieldType::Text, &text, json!("47x")), Err("pattern"), "the whole text must match");
    }

    static FREE: Constraints = Constraints { minimum: None, maximum: None, max_length: None, pattern: None };

    fn plain() -> Draft<'static> {
        Draft {
            key: "costCenter",
            name: "Cost center",
            description: None,
            kind: CustomFieldType::Text,
            options: &[],
            constraints: &FREE,
            default: None,
            required_in: &[],
            readable_by: Audience::Everyone,
            writable_by: Audience::Everyone,
        }
    }

    fn verdict(draft: &Draft<'_>) -> Vec<(String, &'static str)> {
        let mut problems = Problems::default();
        definition(draft, &mut problems);
        let errors = match problems.check() {
            Ok(()) => Vec::new(),
            Err(kernel::Error::Refused(errors)) => errors,
            Err(other) => panic!("{other}"),
        };
        let rule = |detail: &Detail| match detail {
            Detail::Validation { constraint: Cow::Borrowed(constraint), .. } => *constraint,
            _ => "limit",
        };
        errors.iter().map(|error| (error.path.join("."), rule(&error.detail))).collect()
    }

    fn at(path: &str, rule: &'static str) -> Vec<(String, &'static str)> {
        vec![(path.to_owned(), rule)]
    }

    #[test]
    fn a_definition_makes_sense() {
        let option = |key: &str, retired| FieldOption { key: key.into(), name: "An option".into(), retired };
        assert!(verdict(&plain()).is_empty());
        for key in ["9lives", "a:b", "a.b", "", &"x".repeat(MAX_FIELD_KEY + 1)] {
            assert_eq!(verdict(&Draft { key, ..plain() }), at("key", "pattern"));
        }
        assert_eq!(verdict(&Draft { readable_by: Audience::Agents, ..plain() }), at("writableBy", "audience"));
        let retired = [option("a", true)];
        let twice = [option("a", false), option("a", false)];
        let many: Vec<_> = (0..=MAX_OPTIONS).map(|number| option(&number.to_string(), false)).collect();
        for (options, expected) in [
            (&[][..], at("options", "options")),
            (&retired[..], at("options", "options")),
            (&twice[..], at("options.1.key", "unique")),
            (&many[..], at("options", "limit")),
        ] {
            assert_eq!(verdict(&Draft { kind: CustomFieldType::Enum, options, ..plain() }), expected);
        }
        let states: Vec<_> = (0..=MAX_REQUIRED_IN).map(|number| number.to_string()).collect();
        assert_eq!(verdict(&Draft { required_in: &states, ..plain() }), at("requiredIn", "limit"));
    }

    #[test]
    fn constraints_and_defaults_fit_the_type() {
        let with = |constraints: &Constraints, kind, default: Option<Json>| {
            verdict(&Draft { constraints, kind, default: default.as_ref(), ..plain() })
        };
        let free = Constraints::default;
        use CustomFieldType as Type;
        let minimum = Constraints { minimum: Some(2.0), maximum: Some(1.0), ..free() };
        assert_eq!(with(&minimum, Type::Number, None), at("minimum", "range"));
        assert_eq!(with(&minimum, Type::Text, None).len(), 3, "both do not go with a text");
        let nan = Constraints { minimum: Some(f64::NAN), ..free() };
        assert_eq!(with(&nan, Type::Number, None), at("minimum", "range"));
        for length in [0, MAX_VALUE as u32 + 1] {
            let length = Constraints { max_length: Some(length), ..free() };
            assert_eq!(with(&length, Type::Text, None), at("maxLength", "range"));
        }
        for pattern in ["(", "a\0b", &"x".repeat(MAX_PATTERN + 1), "(a{1000}){1000}"] {
            let found = with(&Constraints { pattern: Some(pattern.to_owned()), ..free() }, Type::Text, None);
            assert_eq!(found.first().map(|(path, _)| path.as_str()), Some("pattern"), "{pattern}");
        }
        assert!(with(&free(), Type::Date, Some(json!("2026-03-01"))).is_empty());
        assert_eq!(with(&free(), Type::Date, Some(json!("soon"))), at("default", "date"));
        assert_eq!(with(&free(), Type::User, Some(json!({ "email": "ada@example.com" }))), at("default", "type"));
    }
}
