// graphql-eslint: every rule it has for schemas and for operations, over the SDL and the example
// operations. A rule that is off or narrowed says why.

import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import plugin from "@graphql-eslint/eslint-plugin";
import { ESLint } from "eslint";

import { CHECKOUT, OPERATIONS } from "../lib/scratch.mjs";
import { schemaText } from "../lib/schema.mjs";

export const name = "graphql-eslint";

const SCHEMA_RULES = rules(["schema-recommended", "schema-relay", "schema-all"], {
  // Fields stand in the order in which people look for them.
  alphabetize: "off",
  // A portal reads and writes through the same endpoint.
  "no-root-type": "off",
  // Payloads are never null: what went wrong is inside, in `userErrors`.
  "require-nullable-result-in-root": "off",
  // A payload shows what the mutation did; the rest of the world is another query.
  "require-field-of-type-query-in-mutation-result": "off",
  // Short closed lists are plain lists; whatever can grow is a connection.
  "relay-edge-types": ["error", { listTypeCanWrapOnlyEdgeType: false }],
  // One direction is what Relay asks for: what a search finds is read from the best on.
  "relay-arguments": ["error", { includeBoth: false }],
  // Whatever is described at all is described to the last argument.
  "require-description": ["error", {
    types: true,
    rootField: true,
    DirectiveDefinition: true,
    EnumValueDefinition: true,
    FieldDefinition: true,
    InputValueDefinition: true,
  }],
  // Records have an id. What is a part of one, or an answer, has none.
  "strict-id-in-types": ["error", {
    exceptions: {
      suffixes: ["Connection", "Edge", "Error", "Payload"],
      types: [
        "Approver",
        "AvailableTransition",
        "ChildResolution",
        "ChildrenSummary",
        "CommentRevision",
        "ConfigurationItemRelation",
        "CustomFieldOption",
        "CustomFieldValue",
        "DayHours",
        "DurationStats",
        "ExternalRef",
        "FieldChange",
        "Holiday",
        "PageInfo",
        "Permission",
        "PermissionGrant",
        "PriorityOverride",
        "PriorityRule",
        "MajorIncident",
        "MajorIncidentSettings",
        "ProblemDetectionCandidate",
        "ProblemDetectionSimulation",
        "ProblemLinkResult",
        "QueueChange",
        "ResolutionCode",
        "Role",
        "RoleAssignment",
        "ServerInfo",
        "ServerLimits",
        "AlertIngestResult",
        "AlertLabel",
        "AlertMatcher",
        "AlertReceived",
        "AlertSeverity",
        "ServiceLevelCheck",
        "ServiceLevelCheckPart",
        "SearchFragment",
        "SearchHighlight",
        "ServiceReviewFigure",
        "SimilarIncident",
        "SkippedHoliday",
        "SlaAction",
        "SlaAttainment",
        "SlaAttainmentGroup",
        "SlaAttainmentKey",
        "SlaClockChange",
        "SlaEscalation",
        "SlaFigure",
        "SlaFired",
        "SlaOverrun",
        "SlaPauses",
        "SlaPolicyApplication",
        "SlaPolicyMetric",
        "SlaSegment",
        "SlaSimulation",
        "SlaTarget",
        "SuggestedKnownError",
        "SuggestionReason",
        "TimelineEntry",
        "TicketBulkResult",
        "TicketBulkSummary",
        "TicketTemplateTask",
        "TicketTemplateValues",
        "RecurringRunPreview",
        "TicketConfigurationItem",
        "TicketConfigurationItemChange",
        "TicketDiff",
        "TicketDifference",
        "TicketEventMessage",
        "TicketExport",
        "TicketImport",
        "TicketLink",
        "TicketState",
        "Money",
        "TicketCost",
        "TimeEntryState",
        "IncidentRecurrence",
        "IncidentRecurrenceGroup",
        "TicketStats",
        "TicketStatsGroup",
        "TicketStatsKey",
        "Viewer",
        "Workflow",
        "WorkflowApprovalStep",
        "WorkflowApprover",
        "WorkflowCreateTasks",
        "WorkflowDifference",
        "WorkflowEffect",
        "WorkflowGuard",
        "WorkflowStartApproval",
        "WorkflowState",
        "WorkflowTask",
        "WorkflowTransition",
        "WorkflowVersion",
        "WorkingInterval",
      ],
    },
  }],
});

const OPERATION_RULES = rules(["operations-recommended", "operations-all"], {
  // Examples select in the order in which one reads the answer.
  alphabetize: "off",
  // Examples name a record by what people call it; whoever has a normalising cache adds `id`.
  "require-selections": "off",
  // An example is one file that works when it is pasted.
  "require-import-fragment": "off",
  "match-document-filename": ["error", { query: "kebab-case", mutation: "kebab-case", subscription: "kebab-case" }],
});

/** What GraphQL itself defines is printed with the SDL; its wording is not ours. */
const NOT_OURS = /^Description is required for input value "\w+" in directive "(include|skip|specifiedBy)"$/;

/** Every ticket has `tasks`; a task is a ticket. */
const OF_THE_INTERFACE = 'Field "tasks" starts with the name of the parent type "Task"';

/** What graphql-eslint must find in a schema. */
const WRONG = {
  "a field without a description": ['"A thing." type Thing { "Its id." id: ID! colour: String }', "require-description"],
  "a field in snake case": ['"A thing." type Thing { "Its id." id: ID! "Red." dark_red: String }', "naming-convention"],
  "an enum value in lower case": ['"Which." enum Which { "This." this }', "naming-convention"],
  "a type that nothing leads to": ['"A thing." type Thing { "Its id." id: ID! }', "no-unreachable-types"],
  "a record without an id": ['"A thing." type Thing { "Red." colour: String }', "strict-id-in-types"],
  "a field that repeats its type": ['"A thing." type Thing { "Its id." id: ID! "Red." thingColour: String }', "no-typename-prefix"],
  "a connection without its page information": ['"Things." type ThingConnection { "These." edges: [TicketEdge] }', "relay-connection-types"],
  "an edge without a cursor": ['"Thing." type ThingEdge { "It." node: Ticket } "Things." type ThingConnection { "These." edges: [ThingEdge] "Where." pageInfo: PageInfo! }', "relay-edge-types"],
  "a list without arguments to page it": ['extend type Query { "Things." things: TicketConnection! }', "relay-arguments"],
  "a deprecation that says nothing": ['extend type Query { "Things." things: Ticket @deprecated }', "require-deprecation-reason"],
  "a mutation that answers a scalar": ['extend type Mutation { "Do." thingDo: Boolean }', "no-scalar-result-type-on-mutation"],
};

/** And in an operation. */
const WRONG_OPERATIONS = {
  "an operation without a name": ["{ __typename }", "no-anonymous-operations"],
  "a variable that is not used": ["query Unused($id: ID) { __typename }", "no-unused-variables"],
  "a field that there is not": ["query Colour { viewer { colour } }", "fields-on-correct-type"],
};

export function cases(context) {
  return [
    { name: "the SDL", run: () => lintSchema(context) },
    { name: "the example operations", run: () => lintOperations(context) },
    ...Object.entries(WRONG).map(([what, [text, rule]]) => ({
      name: `finds ${what}`,
      run: () => finds(context, text, rule),
    })),
    ...Object.entries(WRONG_OPERATIONS).map(([what, [text, rule]]) => ({
      name: `finds ${what}`,
      run: () => findsInOperation(context, text, rule),
    })),
  ];
}

/** The rules of these configurations, with these changes. */
function rules(configurations, changes) {
  const all = Object.assign({}, ...configurations.map((name) => plugin.configs[`flat/${name}`].rules));
  for (const [rule, setting] of Object.entries(changes)) {
    const id = `@graphql-eslint/${rule}`;
    assert.ok(id in all, `${rule} is a rule of these configurations`);
    all[id] = setting;
  }
  return all;
}

function linter(schemaSdl, rules, documents) {
  return new ESLint({
    cwd: CHECKOUT,
    overrideConfigFile: true,
    overrideConfig: [{
      files: ["**/*.graphql"],
      languageOptions: { parser: plugin.parser, parserOptions: { graphQLConfig: { schema: schemaSdl, documents } } },
      linterOptions: { reportUnusedDisableDirectives: "error" },
      plugins: { "@graphql-eslint": plugin },
      rules,
    }],
  });
}

async function lint(eslint, text, filePath) {
  const { NODE_ENV } = process.env;
  // Else graphql-eslint keeps the first schema that it saw for all that follow.
  process.env.NODE_ENV = "test";
  const [{ messages }] = await eslint.lintText(text, { filePath }).finally(() => {
    if (NODE_ENV === undefined) delete process.env.NODE_ENV;
    else process.env.NODE_ENV = NODE_ENV;
  });
  return messages
    .filter(({ message }) => !NOT_OURS.test(message) && message !== OF_THE_INTERFACE)
    .map(({ ruleId, line, message }) => ({ rule: ruleId?.replace("@graphql-eslint/", ""), line, message }));
}

async function lintSchema(context) {
  const text = await schemaText(context);
  const found = await lint(linter(text, SCHEMA_RULES), text, "schema.graphql");
  assert.deepEqual(found, []);
}

async function lintOperations(context) {
  const files = (await readdir(OPERATIONS)).filter((file) => file.endsWith(".graphql"));
  assert.ok(files.length >= 40, `only ${files.length} examples`);
  const eslint = linter(await schemaText(context), OPERATION_RULES, join(OPERATIONS, "*.graphql"));
  const found = [];
  for (const file of files) {
    const messages = await lint(eslint, await readFile(join(OPERATIONS, file), "utf8"), join(OPERATIONS, file));
    found.push(...messages.map((message) => ({ file, ...message })));
  }
  assert.deepEqual(found, []);
}

async function finds(context, text, rule) {
  const sdl = `${await schemaText(context)}\n${text}\n`;
  const found = await lint(linter(sdl, SCHEMA_RULES), sdl, "schema.graphql");
  const first = sdl.split("\n").length - 1;
  assert.ok(found.some((one) => one.rule === rule && one.line >= first), JSON.stringify(found, null, 1));
}

async function findsInOperation(context, text, rule) {
  const eslint = linter(await schemaText(context), OPERATION_RULES, text);
  const found = await lint(eslint, text, join(OPERATIONS, "wrong.graphql"));
  assert.ok(found.some((one) => one.rule === rule), JSON.stringify(found, null, 1));
}
