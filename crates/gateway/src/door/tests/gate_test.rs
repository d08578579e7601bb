//! The gate: documents that must be refused, and those that must pass.

use apollo_compiler::response::{JsonMap, JsonValue};
use async_graphql::{Executor, Value};

use super::toy::{Counts, schema};
use crate::door::gate::{Checked, Gate, Parameters};
use crate::door::{Contract, Limits};
use crate::error::code_of;
use kernel::ErrorCode;

fn gate(limits: Limits) -> Gate {
    Gate::new(&Contract::new(schema(Counts::default()).sdl()).unwrap(), limits)
}

fn parameters(query: &str, variables: serde_json::Value) -> Parameters {
    let variables = serde_json::from_value::<JsonMap>(variables).unwrap();
    Parameters { query: query.into(), variables: Some(variables), ..Parameters::default() }
}

fn check(query: &str, variables: serde_json::Value) -> Result<Checked, (ErrorCode, String)> {
    gate(Limits::default()).check(&parameters(query, variables)).map_err(|errors| {
        assert!(errors.len() <= 5);
        (code_of(&errors[0]).unwrap(), errors[0].message.clone())
    })
}

fn refused(query: &str) -> (ErrorCode, String) {
    check(query, serde_json::json!({})).unwrap_err()
}

#[test]
fn bombs_are_refused() {
    let mut doubling = "query { ...f0 }".to_owned();
    for level in 0..24 {
        doubling += &format!("fragment f{level} on Query {{ ...f{0} ...f{0} }}", level + 1);
    }
    doubling += "fragment f24 on Query { hello }";
    assert_eq!(refused(&doubling).0, ErrorCode::CostExceeded);

    let aliases: String = (0..10_000).map(|index| format!("a{index}: hello ")).collect();
    assert_eq!(refused(&format!("{{ {aliases} }}")).0, ErrorCode::CostExceeded);

    for deep in [
        "{ item ".repeat(100_000) + &"}".repeat(100_000),
        "{ item ".repeat(6_000),
        format!("{{ echo(text: {}{}) }}", "[".repeat(30_000), "]".repeat(30_000)),
        format!("{{ patch(input: {}1{}) }}", "{nested: ".repeat(5_000), "}".repeat(5_000)),
        format!("query ($a: {}Int{}) {{ hello }}", "[".repeat(20_000), "]".repeat(20_000)),
        format!("{{ {} hello {} }}", "... on Query { ".repeat(2_000), "}".repeat(2_000)),
        format!("{{ {} }}", "item { items { nodes { ".repeat(6) + "name" + &" } } }".repeat(6)),
    ] {
        let (code, message) = refused(&deep);
        assert_eq!(code, ErrorCode::CostExceeded, "{message} for {}…", &deep[..40]);
    }
    let tokens = "{".to_owned() + &"hello ".repeat(10_900) + "}";
    assert_eq!(refused(&tokens).0, ErrorCode::CostExceeded);
    let bytes = format!("{{ hello }} # {}", "x".repeat(65_536));
    assert!(refused(&bytes).1.contains("bytes"));
}

#[test]
fn the_worst_that_passes_the_measure_can_be_validated() {
    // The worst that the limits let through: conflicts, repetition, long chains, all in one.
    let same = "{".to_owned() + &"hello ".repeat(2_000) + "}";
    assert!(check(&same, serde_json::json!({})).is_ok());
    let mut chain = "query { ...f0 }".to_owned();
    for level in 0..90 {
        chain += &format!("fragment f{level} on Query {{ hello ...f{} }}", level + 1);
    }
    chain += "fragment f90 on Query { hello }";
    assert!(check(&chain, serde_json::json!({})).is_ok());
    let nested = "item { items { nodes { ".repeat(4);
    let conflicts: String = (0..40)
        .map(|index| format!("{nested} size: name {} ", " } } }".repeat(4)).replace("size", &format!("x{}", index % 3)))
        .collect();
    assert!(check(&format!("{{ {conflicts} }}"), serde_json::json!({})).is_err());
    let cycle = "query { ...a } fragment a on Query { hello ...b } fragment b on Query { ...a }";
    assert_eq!(refused(cycle).0, ErrorCode::GraphqlValidationFailed);
}

#[test]
fn inputs_nest_as_deep_as_the_limit_and_no_deeper() {
    let limit = usize::try_from(Limits::default().input_depth).unwrap();
    for (objects, passes) in [(limit, true), (limit + 1, false)] {
        let inside = objects - 1;
        let literal = format!("{}{{title: \"\"}}{}", "{title: \"\", nested: ".repeat(inside), "}".repeat(inside));
        let variable = literal.replace("title", "\"title\"").replace("nested", "\"nested\"");
        let variables = format!("{{\"input\": {variable}}}");
        for (query, variables) in [
            (format!("{{ patch(input: {literal}) }}"), serde_json::json!({})),
            (
                "query ($input: PatchInput!) { patch(input: $input) }".to_owned(),
                serde_json::from_str(&variables).unwrap(),
            ),
        ] {
            let checked = check(&query, variables);
            assert_eq!(checked.is_ok(), passes, "{objects}");
            if let Err((code, message)) = checked {
                assert_eq!(code, ErrorCode::CostExceeded, "{message}");
            }
        }
    }
}

#[test]
fn documents_that_are_wrong() {
    assert_eq!(refused("{ hello").0, ErrorCode::GraphqlParseFailed);
    assert_eq!(refused("").0, ErrorCode::GraphqlParseFailed);
    assert_eq!(refused("fragment f on Query { hello }").0, ErrorCode::GraphqlValidationFailed);
    assert_eq!(refused("type A { b: Int } query { hello }").0, ErrorCode::GraphqlValidationFailed);
    for invalid in [
        "{ hellp }",
        "{ item }",
        "{ hello { x } }",
        "{ echo }",
        "{ echo(text: 1) }",
        "{ echo(text: \"a\", text: \"b\") }",
        "{ size(number: 2147483648) }",
        "query ($a: String) { echo(text: $a) }",
        "query ($a: String!) { hello }",
        "{ x: hello x: requestId }",
        "{ ...missing }",
        "query a { hello } query a { hello }",
        "{ hello } query a { hello }",
        "subscription { count(to: 1, everyMs: 1) explode }",
        "{ hello @nothing }",
        "{ hello @defer }",
        "{ hello @skip }",
        "{ ... @defer { hello } }",
    ] {
        assert_eq!(refused(invalid).0, ErrorCode::GraphqlValidationFailed, "{invalid}");
    }
}

#[test]
fn variables_must_coerce() {
    let echo = "query ($text: String!) { echo(text: $text) }";
    for variables in [r#"{}"#, r#"{"text": null}"#, r#"{"text": 7}"#, r#"{"text": ["a"]}"#] {
        let (code, _) = check(echo, serde_json::from_str(variables).unwrap()).unwrap_err();
        assert_eq!(code, ErrorCode::GraphqlValidationFailed, "{variables}");
    }
    assert!(check(echo, serde_json::json!({"text": "a", "more": 1})).is_ok());
    let patch = "query ($input: PatchInput!) { patch(input: $input) }";
    for variables in [
        r#"{"input": {}}"#,
        r#"{"input": {"title": "a", "x": 1}}"#,
        r#"{"input": {"title": "a", "priority": 99999999999}}"#,
    ] {
        assert!(check(patch, serde_json::from_str(variables).unwrap()).is_err(), "{variables}");
    }
}

#[test]
fn exactly_one_of() {
    let text = "query ($by: Ref!) { by(by: $by) }";
    for (by, fits) in [
        (r#"{"id": "a"}"#, true),
        (r#"{"number": 1}"#, true),
        (r#"{}"#, false),
        (r#"{"id": null}"#, false),
        (r#"{"id": "a", "number": 1}"#, false),
        (r#"{"id": "a", "number": null}"#, false),
    ] {
        let by: serde_json::Value = serde_json::from_str(by).unwrap();
        assert_eq!(check(text, serde_json::json!({"by": by})).is_ok(), fits, "{by}");
    }
    assert!(check("{ by(by: { id: \"a\" }) }", serde_json::json!({})).is_ok());
    for literal in ["{}", "{ id: \"a\", number: 1 }", "{ id: null }"] {
        assert!(refused(&format!("{{ by(by: {literal}) }}")).1.contains("exactly one of id, number"), "{literal}");
    }
    let unused = "query ($by: Ref! = {}) { by(by: $by) }";
    assert!(check(unused, serde_json::json!({"by": {"id": "a"}})).is_err(), "a default is looked at, used or not");
    let missing = "query ($id: String) { by(by: { id: $id }) }";
    assert!(check(missing, serde_json::json!({})).is_err());
}

#[test]
fn scalars_have_their_form_before_anything_runs() {
    let gate = Gate::new(&Contract::new(crate::schema::sdl()).unwrap(), Limits::default());
    let outcome = |query: &str, variables: serde_json::Value| {
        gate.check(&parameters(query, variables)).map(|_| ()).map_err(|errors| errors[0].message.clone())
    };
    let since = |time: &str| format!("{{ tickets(filter: {{ createdAt: {{ gt: {time} }} }}) {{ totalCount }} }}");
    for fits in ["\"-P14D\"", "\"2026-03-01T09:00:00Z\"", "null"] {
        assert_eq!(outcome(&since(fits), serde_json::json!({})), Ok(()), "{fits}");
    }
    for wrong in ["\"yesterday\"", "5", "{}", "[]", "soon"] {
        assert!(outcome(&since(wrong), serde_json::json!({})).unwrap_err().contains("TimePoint"), "{wrong}");
    }
    let by_variable = "query ($time: TimePoint) { tickets(filter: { createdAt: { gt: $time } }) { totalCount } }";
    let by_filter = "query ($filter: TicketFilter) { tickets(filter: $filter) { totalCount } }";
    let filter = |time: &str| serde_json::json!({ "filter": { "and": [{ "createdAt": { "gt": time } }] } });
    for (time, fits) in [("-P14D", true), ("yesterday", false)] {
        assert_eq!(outcome(by_variable, serde_json::json!({ "time": time })).is_ok(), fits);
        assert_eq!(outcome(by_filter, filter(time)).is_ok(), fits);
    }
    assert!(outcome(by_filter, filter("yesterday")).unwrap_err().starts_with("`$filter.and.0.createdAt.gt`: "));
    let by_default = "query ($t: TimePoint = \"soon\") { tickets(filter: { createdAt: { gt: $t } }) { totalCount } }";
    assert!(outcome(by_default, serde_json::json!({})).is_err());
}

#[test]
fn variables_fit_their_place_inside_literals_too() {
    let patch = |variables: &str, fields: &str| format!("query ({variables}) {{ patch(input: {{ {fields} }}) }}");
    let fits = [
        patch("$a: String!", "title: $a"),
        patch("$a: String = \"x\"", "title: $a"),
        "query ($a: Boolean = true) { hello @skip(if: $a) }".to_owned(),
        patch("$a: Int", "title: \"x\", priority: $a"),
        patch("$a: PatchInput", "title: \"x\", nested: $a"),
        patch("$a: String!", "title: \"x\", nested: { title: $a }"),
        "query ($a: String!) { ...F } fragment F on Query { patch(input: { title: $a }) }".to_owned(),
    ];
    for document in fits {
        let given = serde_json::json!({"a": null});
        let outcome =
            check(&document, if document.contains("$a: String!") { serde_json::json!({"a": "x"}) } else { given });
        let message = outcome.map(|_| ()).err().map(|error| error.1).unwrap_or_default();
        assert!(!message.contains("used in position"), "{document}: {message}");
    }
    let fits_not = [
        patch("$a: String", "title: $a"),
        patch("$a: String = null", "title: $a"),
        patch("$a: [String!]!", "title: $a"),
        patch("$a: String", "title: \"x\", nested: { title: $a }"),
        "query ($a: String) { ...F } fragment F on Query { patch(input: { title: $a }) }".to_owned(),
        "query ($a: String) { ...F ...F } fragment F on Query { patch(input: { title: $a }) }".to_owned(),
        "query ($a: Boolean = null) { hello @skip(if: $a) }".to_owned(),
        "query ($a: Boolean = null) { ... @include(if: $a) { hello } }".to_owned(),
        "query ($a: Boolean = null) { ...F @skip(if: $a) } fragment F on Query { hello }".to_owned(),
    ];
    for document in fits_not {
        assert!(refused(&document).1.contains("used in position expecting"), "{document}");
    }
    assert!(refused("query ($a: String) { by(by: { id: $a }) }").1.contains("must not be null in a @oneOf input"));
    let twice = [
        patch("$a: Int", "title: \"x\", title: \"y\", priority: $a"),
        "query ($a: PatchInput = { title: \"x\", title: \"y\" }) { patch(input: { title: \"x\", nested: $a }) }"
            .to_owned(),
    ];
    for document in twice {
        assert!(refused(&document).1.contains("only one input field named \"title\""), "{document}");
    }
}

#[test]
fn operations_are_chosen_by_name() {
    let gate = gate(Limits::default());
    let both = "query a { hello } mutation b { touch }";
    let choose = |name: Option<&str>| {
        let parameters =
            Parameters { query: both.into(), operation_name: name.map(str::to_owned), ..Parameters::default() };
        gate.check(&parameters).map(|checked| checked.kind.as_str()).map_err(|errors| errors[0].message.clone())
    };
    assert_eq!((choose(Some("a")), choose(Some("b"))), (Ok("query"), Ok("mutation")));
    assert!(choose(None).unwrap_err().contains("operationName"));
    assert!(choose(Some("c")).unwrap_err().contains("`c`"));
}

#[test]
fn pages_multiply() {
    let cost = |query: &str, variables| check(query, variables).map(|checked| checked.cost).map_err(|error| error.0);
    let none = || serde_json::json!({});
    assert_eq!(cost("{ hello }", none()), Ok(1));
    assert_eq!(cost("{ items(first: 10) { nodes { name } totalCount } }", none()), Ok(1 + (1 + 10) + 1));
    assert_eq!(cost("{ items { nodes { name } } }", none()), Ok(1 + 1 + 20), "twenty by default");
    assert_eq!(
        cost("query ($n: Int) { items(last: $n) { edges { node { name } } } }", serde_json::json!({"n": 7})),
        Ok(1 + 1 + 7 * 2)
    );
    let fields = "a: name b: size c: name d: size e: name f: size g: name h: size i: name j: size";
    let inner = format!("items(first: 20) {{ nodes {{ {fields} }} }}");
    let page = format!("{{ items(first: 100) {{ nodes {{ {fields} {inner} }} }} }}");
    assert!(cost(&page, none()).is_ok_and(|cost| cost > 20_000), "a rich page fits");
    let cube =
        "{ items(first: 100) { nodes { items(first: 100) { nodes { items(first: 100) { nodes { name } } } } } } }";
    assert_eq!(cost(cube, none()), Err(ErrorCode::CostExceeded));
    for first in ["101", "2147483647"] {
        assert_eq!(cost(&format!("{{ items(first: {first}) {{ totalCount }} }}"), none()), Err(ErrorCode::Limit));
    }
    assert_eq!(
        cost("query ($n: Int) { items(first: $n) { totalCount } }", serde_json::json!({"n": 2147483647})),
        Err(ErrorCode::Limit)
    );
}

const INTROSPECTION: &str = include_str!("introspection.graphql");

#[test]
fn introspection_passes_and_its_bombs_do_not() {
    let checked = check(INTROSPECTION, serde_json::json!({})).unwrap();
    assert!(checked.cost > 100 && checked.cost < checked.cost_limit / 10, "{}", checked.cost);
    assert!(check("{ __typename }", serde_json::json!({})).is_ok());
    let small = Limits { depth: 3, ..Limits::default() };
    assert!(gate(small.clone()).check(&parameters(INTROSPECTION, serde_json::json!({}))).is_ok(), "exempt from depth");
    let mixed = INTROSPECTION.replace("__schema {", "hello __schema {");
    assert!(gate(small).check(&parameters(&mixed, serde_json::json!({}))).is_err());
    let nested =
        "{ __schema { types { ".to_owned() + &"fields { type { ".repeat(12) + "name" + &" } }".repeat(12) + " } } }";
    assert_eq!(refused(&nested).0, ErrorCode::CostExceeded);
}

/// What the executor answers to a document that went through the gate.
async fn run(query: &str, variables: serde_json::Value) -> serde_json::Value {
    let schema = schema(Counts::default());
    let checked = gate(Limits::default()).check(&parameters(query, variables)).unwrap();
    let response = Executor::execute(&schema, checked.into_request()).await;
    assert_eq!(response.errors, [], "{query}");
    response.data.into_json().unwrap()
}

#[tokio::test]
async fn the_executor_runs_what_was_checked() {
    let data = run(
        r#"query Q($text: String = "d", $yes: Boolean!) {
             a: echo(text: "\u00e9 \uD83D\uDE00 \"q\" \n")
             b: echo(text: """block "quoted" """)
             c: echo(text: $text)
             ...F @include(if: $yes)
             ... on Query @skip(if: $yes) { gone: hello }
             size(number: -5)
             item { ... { name } __typename }
           }
           fragment F on Query { f: hello ...G }
           fragment G on Query { g: hello }"#,
        serde_json::json!({"yes": true}),
    )
    .await;
    let expected = serde_json::json!({
        "a": "é 😀 \"q\" \n", "b": "block \"quoted\" ", "c": "d", "f": "world", "g": "world", "size": -5,
        "item": {"name": "one", "__typename": "Item"},
    });
    assert_eq!(data, expected);
    let keys: Vec<&String> = data.as_object().unwrap().keys().collect();
    assert_eq!(keys.len(), 7);
}

#[tokio::test]
async fn an_absent_variable_is_not_null() {
    let query = "query ($d: String, $t: String!) { patch(input: { title: $t, description: $d }) }";
    for (variables, expected) in [
        (serde_json::json!({"t": "a"}), "a left 3"),
        (serde_json::json!({"t": "a", "d": null}), "a cleared 3"),
        (serde_json::json!({"t": "a", "d": "x"}), "a x 3"),
    ] {
        assert_eq!(run(query, variables).await["patch"], expected);
    }
    let whole = "query ($input: PatchInput!) { patch(input: $input) }";
    let input = serde_json::json!({"input": {"title": "a", "nested": {"title": "b"}}});
    assert_eq!(run(whole, input).await["patch"], "a left 3 nested");
}

#[tokio::test]
async fn introspection_answers() {
    let data = run(INTROSPECTION, serde_json::json!({})).await;
    assert!(data["__schema"]["types"].as_array().unwrap().len() > 10);
}

#[test]
fn json_values_become_the_executors() {
    let json: JsonValue = serde_json::from_str(r#"{"a": [1, -2, 1.5, true, null, "x"]}"#).unwrap();
    let value = crate::door::convert::json_value(&json);
    assert_eq!(value, async_graphql::value!({"a": [1, -2, 1.5, true, Value::Null, "x"]}));
}
