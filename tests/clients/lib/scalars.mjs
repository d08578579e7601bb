// What the scalars of the schema take, for a reference that knows them by name alone.

import assert from "node:assert/strict";
import { GraphQLError, Kind, isScalarType, isSpecifiedScalarType, valueFromASTUntyped } from "graphql";

const INSTANT = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/;
/** Days have 24 hours; months and years have no length. */
const DURATION = /^[+-]?P(?=.)(\d+W)?(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?$/;

/** A day that the calendar has. */
const date = (value) => text(value) && /^\d{4}-\d{2}-\d{2}$/.test(value) && isDay(value);
const isDay = (value) => {
  const time = Date.parse(`${value}T00:00:00Z`);
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(value);
};
const text = (value) => typeof value === "string";
const instant = (value) => text(value) && INSTANT.test(value) && !Number.isNaN(Date.parse(value.replace(" ", "T")));
const duration = (value) => text(value) && DURATION.test(value);

/** Whether a value is one of the scalar's, by the scalar's name. */
const TAKES = {
  Cursor: text,
  Date: date,
  DateTime: instant,
  Decimal: (value) => text(value) && /^-?\d{1,12}(\.\d{1,4})?$/.test(value),
  Duration: duration,
  EmailAddress: text,
  JSON: () => true,
  JSONSchema: () => true,
  Markdown: text,
  TimePoint: (value) => instant(value) || duration(value),
  TimeZone: text,
  URL: text,
};

/** The scalars that take any value. */
const ANYTHING = new Set(["JSON", "JSONSchema"]);

/** The schema, whose scalars take what they take on the server. */
export function withScalars(schema) {
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isScalarType(type) || isSpecifiedScalarType(type)) continue;
    const takes = TAKES[type.name];
    assert.ok(takes, `lib/scalars.mjs does not know the scalar ${type.name}`);
    type.parseValue = (value) => {
      if (!takes(value)) throw new GraphQLError(`${type.name} does not take ${JSON.stringify(value)}`);
      return value;
    };
    type.parseLiteral = (node, variables) => {
      // A word without quotes is a value of an enum, which only those scalars take that take anything.
      if (node.kind === Kind.ENUM && !ANYTHING.has(type.name)) throw new GraphQLError(`${type.name} takes no word`);
      return type.parseValue(valueFromASTUntyped(node, variables));
    };
  }
  return schema;
}
