"""What Schemathesis cannot know of Deskwire: how its scalars look, and what makes an answer right.

Loaded through the environment variable SCHEMATHESIS_HOOKS.
"""

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from urllib.request import urlopen
from zlib import crc32

import schemathesis
from graphql import (
    FieldNode,
    FragmentSpreadNode,
    GraphQLEnumType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    OperationDefinitionNode,
    Visitor,
    build_schema,
    is_abstract_type,
    parse,
    print_ast,
    visit,
)
from graphql.type import SchemaMetaFieldDef, TypeMetaFieldDef
from hypothesis import strategies as st
from schemathesis.graphql import nodes

URL = os.environ["DESKWIRE_CONFORMANCE_URL"]
ERRORS = Path(__file__).parents[3] / "schema" / "errors"
CODES = {page.stem for page in ERRORS.glob("*.md")} - {"README"}
# Codes that say that the server could not do what it should.
FAULTS = {"INTERNAL", "UNAVAILABLE", "DEADLINE_EXCEEDED", "UNAUTHENTICATED", "RATE_LIMITED"}
# Signing in with what was made up is refused, and slowed down when it goes on.
SIGN_IN = {"sessionCreate", "sessionRefresh"}

with urlopen(f"{URL}/schema.graphql") as response:
    SCHEMA = build_schema(response.read().decode())

# Scalars: what fits, what nearly fits, and what does not.
TEXTS = st.text(max_size=40)
INSTANTS = st.datetimes().map(lambda instant: f"{instant.isoformat()}Z")
DURATIONS = st.sampled_from(["P1D", "-P14D", "PT1H30M", "-PT0.5S", "P1Y", "P", "-P99999999D"])


def strings(*strategies):
    """Literals of these texts, and now and then of any text."""
    return st.one_of(*strategies, TEXTS).map(nodes.String)


SCALARS = {
    "Cursor": strings(st.sampled_from(["", "AQAA", "AQJZ2HqefsXPBUu97VqSceQ4CmjMCVxFcAIlutg8hSc8ZFpNvoOTs821O4HgnQ"])),
    "DateTime": strings(INSTANTS),
    "Decimal": strings(st.sampled_from(["0", "42.50", "-1.0001", "1e3", "999999999999.9999", "1.00000"])),
    "EmailAddress": strings(st.sampled_from(["agent@demo.example", "nobody@demo.example"]), st.emails()),
    "JSON": st.one_of(TEXTS.map(nodes.String), st.integers(-(2**40), 2**40).map(nodes.Int), st.just(nodes.Object(fields=()))),
    "JSONSchema": st.just(nodes.Object(fields=())),
    "Markdown": strings(st.just("# Title\n\n<script>")),
    "Duration": strings(DURATIONS),
    "TimePoint": strings(INSTANTS, DURATIONS),
    "TimeZone": strings(st.sampled_from(["Europe/Vienna", "UTC", "Mars/Olympus"])),
    "URL": strings(st.just("https://example.com/a.png")),
}
for name, strategy in SCALARS.items():
    schemathesis.graphql.scalar(name, strategy)


@schemathesis.hook
def map_body(ctx, body):
    """Lets most lists be read: made-up cursors never hold, and `first` and `last` exclude one another."""
    return visit(body, Pages())


class Pages(Visitor):
    """Takes cursors and `last` away, seven times of eight."""

    def enter_field(self, node, *_):
        if crc32(print_ast(node).encode()) % 8:
            return replace(node, arguments=tuple(one for one in node.arguments if one.name.value not in PAGING))
        return None


PAGING = {"after", "before", "last"}
INSTANT = re.compile(r"\d{4,}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
LEAVES = {
    "Boolean": lambda value: isinstance(value, bool),
    "Int": lambda value: isinstance(value, int) and not isinstance(value, bool) and -(2**31) <= value < 2**31,
    "Float": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "DateTime": lambda value: isinstance(value, str) and INSTANT.fullmatch(value),
    "JSON": lambda value: True,
    "JSONSchema": lambda value: isinstance(value, (dict, bool)),
}


@schemathesis.check
def deskwire_answer(ctx, response, case):
    """The answer is no fault, is what GraphQL over HTTP wants, and has the shape of document and schema."""
    text = response.content.decode()
    assert response.status_code in (200, 400), f"HTTP {response.status_code}: {text}"
    assert "json" in response.headers["content-type"][0], response.headers["content-type"]
    assert response.headers.get("x-request-id"), "an answer without a request id"
    answer = json.loads(text)
    errors = answer.get("errors", [])
    assert "errors" not in answer or errors, "an empty list of errors"
    for error in errors:
        code = error["extensions"]["code"]
        assert error["message"] and isinstance(error["extensions"]["retryable"], bool), error
        assert code in CODES, f"{code} is not in the catalogue"
        if not SIGN_IN.intersection(error.get("path", [])):
            assert code not in FAULTS, f"{code}: {error['message']}"
    if "data" not in answer:
        assert errors, "neither data nor errors"
        return
    body = json.loads(response.request.body)
    found = list(mistakes(body["query"], answer["data"], errors))
    assert not found, "; ".join(found[:5])


def mistakes(document, data, errors):
    """Where the data is not what document and schema promise."""
    tree = parse(document)
    fragments = {node.name.value: node for node in tree.definitions if hasattr(node, "type_condition")}
    (operation,) = [node for node in tree.definitions if isinstance(node, OperationDefinitionNode)]
    if data is None:
        if not errors:
            yield "data is null without an error"
        return
    root = SCHEMA.get_root_type(operation.operation)
    yield from of_object(root, [operation.selection_set], data, (), fragments)


def of_object(kind, sets, value, path, fragments):
    if not isinstance(value, dict):
        yield f"{path}: not an object"
        return
    expected = {}
    for selection_set in sets:
        collect(kind, selection_set, fragments, expected)
    if list(value) != list(expected):
        yield f"{path}: the keys {list(value)}, not {list(expected)}"
        return
    for key, fields in expected.items():
        name = fields[0].name.value
        if name == "__typename":
            if value[key] != kind.name:
                yield f"{path}: {value[key]} is no {kind.name}"
            continue
        meta = {"__schema": SchemaMetaFieldDef, "__type": TypeMetaFieldDef}.get(name)
        definition = meta or kind.fields[name]
        sets_below = [field.selection_set for field in fields if field.selection_set]
        yield from of_type(definition.type, sets_below, value[key], (*path, key), fragments)


def of_type(kind, sets, value, path, fragments):
    if isinstance(kind, GraphQLNonNull):
        if value is None:
            yield f"{path}: null"
            return
        kind = kind.of_type
    if value is None:
        return
    if isinstance(kind, GraphQLList):
        if not isinstance(value, list):
            yield f"{path}: not a list"
            return
        for index, item in enumerate(value):
            yield from of_type(kind.of_type, sets, item, (*path, index), fragments)
    elif isinstance(kind, GraphQLEnumType):
        if value not in kind.values:
            yield f"{path}: {value!r} is no {kind.name}"
    elif isinstance(kind, GraphQLScalarType):
        if not LEAVES.get(kind.name, lambda value: isinstance(value, str))(value):
            yield f"{path}: {value!r} is no {kind.name}"
    elif is_abstract_type(kind):
        # Without `__typename` in the document, one of the possible types must fit.
        outcomes = [
            list(of_object(possible, sets, value, path, fragments)) for possible in SCHEMA.get_possible_types(kind)
        ]
        if all(outcomes):
            yield from min(outcomes, key=len)
    else:
        yield from of_object(kind, sets, value, path, fragments)


def collect(kind, selection_set, fragments, expected):
    """The fields that a type answers, by response key, in order."""
    for selection in selection_set.selections:
        if isinstance(selection, FieldNode):
            key = selection.alias.value if selection.alias else selection.name.value
            expected.setdefault(key, []).append(selection)
            continue
        fragment = fragments[selection.name.value] if isinstance(selection, FragmentSpreadNode) else selection
        condition = fragment.type_condition and SCHEMA.type_map[fragment.type_condition.name.value]
        if condition is None or condition is kind or (
            is_abstract_type(condition) and SCHEMA.is_sub_type(condition, kind)
        ):
            collect(kind, fragment.selection_set, fragments, expected)
