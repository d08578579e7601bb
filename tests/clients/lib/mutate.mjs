// Breaks valid documents at random, the way people do: a pure function of document, variables and
// random numbers.

import { Kind, parse, print, visit } from "graphql";

/** A generator of numbers in [0, 1) that a seed decides (mulberry32). */
export function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const name = (value) => ({ kind: Kind.NAME, value });
const field = (value) => ({ kind: Kind.FIELD, name: name(value) });
const VALUES = [
  { kind: Kind.INT, value: "1" },
  { kind: Kind.INT, value: "99999999999" },
  { kind: Kind.FLOAT, value: "1.5" },
  { kind: Kind.STRING, value: "text" },
  { kind: Kind.BOOLEAN, value: true },
  { kind: Kind.NULL },
  { kind: Kind.ENUM, value: "P1" },
  { kind: Kind.LIST, values: [] },
  { kind: Kind.OBJECT, fields: [] },
  { kind: Kind.VARIABLE, name: name("input") },
];
const JSON_VALUES = [1, 1.5, "text", true, null, [], {}, [null], { id: "x" }];

/** Each changes one node of its kind, or returns null where it does not apply. */
const MUTATIONS = [
  [Kind.FIELD, (node, random, names) => ({ ...node, name: name(pick(names, random)) })],
  [Kind.FIELD, (node, random, names) => ({ ...node, alias: name(pick(names, random)) })],
  [Kind.FIELD, (node) => node.selectionSet && { ...node, selectionSet: undefined }],
  [Kind.FIELD, (node) => !node.selectionSet && { ...node, selectionSet: selections([field("id")]) }],
  [Kind.FIELD, (node, random) => node.arguments.length > 0 && { ...node, arguments: without(node.arguments, random) }],
  [Kind.FIELD, (node) => node.arguments.length > 0 && { ...node, arguments: [...node.arguments, node.arguments[0]] }],
  [Kind.FIELD, (node) => ({ ...node, directives: [directive("skip", "if")] })],
  [Kind.FIELD, (node) => ({ ...node, directives: [directive("stream", "if")] })],
  [Kind.SELECTION_SET, (node, random) => selections(without(node.selections, random))],
  [Kind.SELECTION_SET, (node, random) => selections([...node.selections, pick(node.selections, random)])],
  [Kind.SELECTION_SET, (node, random, names) => selections([...node.selections, field(pick(names, random))])],
  [Kind.SELECTION_SET, (node) => selections([...node.selections, { kind: Kind.FRAGMENT_SPREAD, name: name("F") }])],
  [Kind.ARGUMENT, (node, random) => ({ ...node, value: pick(VALUES, random) })],
  [Kind.ARGUMENT, (node, random, names) => ({ ...node, name: name(pick(names, random)) })],
  [Kind.OBJECT_FIELD, (node, random) => ({ ...node, value: pick(VALUES, random) })],
  [Kind.OBJECT_FIELD, (node, random, names) => ({ ...node, name: name(pick(names, random)) })],
  [Kind.INLINE_FRAGMENT, (node, random) => ({ ...node, typeCondition: type(random) })],
  [Kind.VARIABLE, (node, random, names) => ({ ...node, name: name(pick(names, random)) })],
  [Kind.VARIABLE_DEFINITION, (node) => ({ ...node, type: { kind: Kind.LIST_TYPE, type: node.type } })],
  [Kind.VARIABLE_DEFINITION, (node) => ({ ...node, type: node.type.type ?? { kind: Kind.NON_NULL_TYPE, type: node.type } })],
  [Kind.VARIABLE_DEFINITION, (node, random) => ({ ...node, type: type(random) })],
  [Kind.VARIABLE_DEFINITION, (node, random) => ({ ...node, defaultValue: pick(VALUES.slice(0, -1), random) })],
  [Kind.OPERATION_DEFINITION, (node, random) => ({ ...node, operation: pick(["query", "mutation"], random) })],
  [Kind.OPERATION_DEFINITION, (node, random) =>
    node.variableDefinitions.length > 0 && { ...node, variableDefinitions: without(node.variableDefinitions, random) }],
];

/** A document like this one, but for one change; and its variables, maybe changed instead. */
export function mutate({ document, variables = {} }, random) {
  if (Object.keys(variables).length > 0 && random() < 0.2) {
    const variable = pick(Object.keys(variables), random);
    return { document, variables: { ...variables, [variable]: changed(variables[variable], random) } };
  }
  let tree;
  try {
    tree = parse(document, { noLocation: true });
  } catch {
    // Broken beyond reading already.
    return { document, variables };
  }
  const names = [];
  visit(tree, { Field: (node) => void names.push(node.name.value), Variable: (node) => void names.push(node.name.value) });
  names.push("id", "name", "title", "nodes", "first", "filter");
  for (;;) {
    const [kind, change] = pick(MUTATIONS, random);
    const count = countOf(tree, kind);
    if (count === 0) continue;
    const target = Math.floor(random() * count);
    let index = -1;
    let applied = false;
    const result = visit(tree, {
      [kind]: (node) => {
        index += 1;
        if (index !== target) return undefined;
        const replacement = change(node, random, names);
        applied = Boolean(replacement);
        // `false` ends the walk below this node.
        return replacement || false;
      },
    });
    if (applied) return { document: print(result), variables };
  }
}

/** The variables with one value, at any depth, changed. */
function changed(value, random) {
  if (value && typeof value === "object" && Object.keys(value).length > 0 && random() < 0.8) {
    const key = pick(Object.keys(value), random);
    const copy = structuredClone(value);
    if (random() < 0.2 && !Array.isArray(copy)) delete copy[key];
    else copy[key] = changed(value[key], random);
    return copy;
  }
  return pick(JSON_VALUES, random);
}

function countOf(tree, kind) {
  let count = 0;
  visit(tree, { [kind]: () => void (count += 1) });
  return count;
}

function pick(list, random) {
  return list[Math.floor(random() * list.length)];
}

function without(list, random) {
  const index = Math.floor(random() * list.length);
  return list.filter((_, position) => position !== index);
}

function selections(list) {
  return { kind: Kind.SELECTION_SET, selections: list };
}

function directive(directiveName, argument) {
  const value = { kind: Kind.BOOLEAN, value: false };
  return { kind: Kind.DIRECTIVE, name: name(directiveName), arguments: [{ kind: Kind.ARGUMENT, name: name(argument), value }] };
}

function type(random) {
  const names = ["Int", "String", "ID", "Boolean", "Ticket", "Incident", "User", "Team", "TicketFilter", "Priority", "Nothing"];
  return { kind: Kind.NAMED_TYPE, name: name(pick(names, random)) };
}
