//! The schema against the catalogue of records: nothing is shown, filtered or ordered by without a policy.

use std::collections::BTreeSet;

use apollo_compiler::Schema;
use apollo_compiler::schema::ExtendedType;
use predicate::{Catalogue, Policy, RecordType};
use tests::installation::each_engine;
use ticket::custom_field::CustomFieldType;

use crate::shapes;

/// The object types that show a record, and the record's name in the catalogue.
const RECORDS: &[(&str, &str)] = &[
    ("Incident", "incident"),
    ("Task", "task"),
    ("Problem", "problem"),
    ("Ticket", "ticket"),
    ("User", "actor"),
    ("ServiceAccount", "actor"),
    ("System", "actor"),
    ("Actor", "actor"),
    ("Team", "team"),
    ("Role", "role"),
    ("Category", "category"),
    ("Comment", "comment"),
    ("TicketMerge", "ticketMerge"),
    ("CannedResponse", "cannedResponse"),
    ("Upload", "upload"),
    ("Attachment", "attachment"),
    ("PriorityRule", "priorityRule"),
    ("ExternalRef", "externalRef"),
    ("Service", "service"),
    ("ConfigurationItem", "configurationItem"),
    ("TicketConfigurationItem", "ticketConfigurationItem"),
    ("Approval", "approval"),
    ("ApprovalStep", "approvalStep"),
    ("ApprovalVote", "approvalVote"),
    ("Delegation", "delegation"),
    ("SavedFilter", "savedFilter"),
    ("CustomField", "customField"),
    ("Calendar", "calendar"),
    ("SlaPolicy", "slaPolicy"),
    ("SlaClock", "slaClock"),
    ("Alert", "alert"),
    ("AlertRule", "alertRule"),
    ("StatusUpdate", "statusUpdate"),
    ("TimelineNote", "timelineNote"),
    ("MajorIncidentReview", "majorIncidentReview"),
    ("MajorIncidentAction", "majorIncidentAction"),
    ("MajorIncidentSettings", "majorIncidentSettings"),
    ("MajorIncident", "incident"),
    ("ProblemDetectionRule", "problemDetectionRule"),
    ("ServiceAgreement", "serviceAgreement"),
    ("ServiceLevelRequirement", "serviceLevelRequirement"),
    ("ServiceReview", "serviceReview"),
    ("ServiceImprovement", "serviceImprovement"),
    ("LabourRate", "labourRate"),
    ("TimeEntry", "timeEntry"),
    ("Operation", "operation"),
    ("TicketBulkItem", "operationItem"),
    ("TicketTemplate", "ticketTemplate"),
    ("RecurringTicket", "recurringTicket"),
    ("RecurringTicketRun", "recurringTicketRun"),
];

/// Fields that no catalogue field stands behind, each with what decides who may read it. The list can only shrink.
const COMPUTED: &[(&str, &str)] = &[
    ("Ticket.comments", "rows of `comment`, by its row rule"),
    ("Comment.bodyHtml", "the field `body`, for whoever sees the comment"),
    ("Comment.revisions", "rows of `commentRevision`, by its row rule"),
    ("Comment.mentions", "rows of `commentMention`, by its row rule"),
    ("Comment.attachments", "rows of `attachment`, by its row rule"),
    ("Ticket.attachments", "rows of `attachment`, by its row rule"),
    ("Attachment.downloadUrl", "computed from the row; while it waits for a scanner, `attachment.scan`"),
    ("Upload.url", "computed from the row, for whoever sees the upload"),
    ("Upload.urlExpiresAt", "computed from the row, for whoever sees the upload"),
    ("CannedResponse.filled", "the field `body`, and of the ticket what the viewer may read"),
    ("Ticket.watchers", "rows of `watcher`, by its row rule"),
    ("Ticket.tasks", "rows of `task`, by its row rule"),
    ("Task.dependsOn", "rows of `taskDependency`, by its row rule"),
    ("Ticket.links", "rows of `ticketLink`, by its row rule"),
    ("Ticket.merges", "rows of `ticketMerge`, by its row rule"),
    ("Ticket.childrenSummary", "rows of `ticketLink`, by its row rule"),
    ("Ticket.configurationItems", "rows of `ticketConfigurationItem`, by its row rule"),
    ("ConfigurationItem.relations", "rows of `configurationItemRelation`, by its row rule"),
    ("Ticket.approvals", "rows of `approval`, by its row rule"),
    ("Approval.steps", "rows of `approvalStep`, by its row rule"),
    ("ApprovalStep.approvers", "the approval's `policy`, for whoever sees the approval"),
    ("ApprovalStep.vetoHolders", "the approval's `policy`, for whoever sees the approval"),
    ("ApprovalStep.votes", "rows of `approvalVote`, by its row rule"),
    ("SavedFilter.count", "tickets, by their row rule; the filter's fields by their masks"),
    ("SavedFilter.countIsExact", "tickets, by their row rule; the filter's fields by their masks"),
    ("Ticket.history", "rows of `event`, by its row rule; changes by the fields' masks"),
    ("Ticket.externalRefs", "rows of `externalRef`, by its row rule"),
    ("Ticket.availableTransitions", "the viewer's own rights"),
    ("Ticket.viewerCan", "the viewer's own rights"),
    ("Ticket.workflow", "a published version, which is for everybody"),
    ("Ticket.priorityOverride", "the fields `priorityOverride…`, masked one by one"),
    ("User.teams", "memberships are readable within the tenant"),
    ("User.roles", "`user.read`, or oneself"),
    ("ServiceAccount.teams", "memberships are readable within the tenant"),
    ("ServiceAccount.roles", "`user.read`, or oneself"),
    ("Team.members", "memberships are readable within the tenant"),
    ("CustomField.minimum", "part of `constraints`, which is for everybody"),
    ("CustomField.maximum", "part of `constraints`, which is for everybody"),
    ("CustomField.maxLength", "part of `constraints`, which is for everybody"),
    ("CustomField.pattern", "part of `constraints`, which is for everybody"),
    ("Ticket.slaClocks", "rows of `slaClock`, by its row rule"),
    ("Calendar.timeZone", "the version that the row names, for whoever sees the calendar"),
    ("Calendar.week", "the version that the row names, for whoever sees the calendar"),
    ("Calendar.holidays", "the version that the row names, for whoever sees the calendar"),
    ("Calendar.isOpen", "the version that the row names, for whoever sees the calendar"),
    ("Calendar.nextOpening", "the version that the row names, for whoever sees the calendar"),
    ("Calendar.workingTime", "the version that the row names, for whoever sees the calendar"),
    ("Calendar.deadline", "the version that the row names, for whoever sees the calendar"),
    ("SlaPolicy.condition", "the version that the row names, for whoever sees the policy"),
    ("SlaPolicy.calendar", "the version that the row names, for whoever sees the policy"),
    ("SlaPolicy.metrics", "the version that the row names, for whoever sees the policy"),
    ("SlaClock.remaining", "computed from the row, for whoever sees the clock"),
    ("SlaClock.percent", "computed from the row, for whoever sees the clock"),
    ("SlaClock.explain", "computed from the row, for whoever sees the clock"),
    ("SlaClock.fired", "`configuration.read`"),
    ("SlaClock.endedBy", "the field `ended`, for whoever sees the clock"),
    ("AlertRule.matchers", "the field `document`, for whoever sees the rule"),
    ("AlertRule.groupBy", "the field `document`, for whoever sees the rule"),
    ("AlertRule.window", "the field `document`, for whoever sees the rule"),
    ("AlertRule.flapWindow", "the field `document`, for whoever sees the rule"),
    ("AlertRule.resolutionCode", "the field `document`, for whoever sees the rule"),
    ("AlertRule.severities", "the field `document`, for whoever sees the rule"),
    ("AlertRule.requester", "the field `document`, for whoever sees the rule"),
    ("AlertRule.team", "the field `document`, for whoever sees the rule"),
    ("AlertRule.service", "the field `document`, for whoever sees the rule"),
    ("AlertRule.category", "the field `document`, for whoever sees the rule"),
    ("Incident.majorIncident", "the fields of major incidents, masked one by one"),
    ("MajorIncident.state", "the field `majorIncidentState`, for whoever sees the incident"),
    ("MajorIncident.reason", "the field `majorReason`, masked"),
    ("MajorIncident.decidedAt", "the field `majorDecidedAt`, for whoever sees the incident"),
    ("MajorIncident.statusUpdates", "rows of `statusUpdate`, by its row rule"),
    ("MajorIncident.timeline", "rows of `event` and `timelineNote`, by their row rules"),
    ("MajorIncident.review", "rows of `majorIncidentReview`, by its row rule"),
    ("MajorIncident.actions", "rows of `majorIncidentAction`, by its row rule"),
    ("ServiceAgreement.inForce", "computed from the row, for whoever sees the agreement"),
    ("ServiceAgreement.checks", "`agreement.read`: the whole, whoever looks"),
    ("ServiceLevelRequirement.checks", "`agreement.read`: the whole, whoever looks"),
    ("ServiceReview.met", "computed from the row, for whoever sees the review"),
    ("ServiceReview.breached", "computed from the row, for whoever sees the review"),
    ("ServiceReview.attainment", "computed from the row, for whoever sees the review"),
    ("ServiceReview.actions", "rows of `serviceReviewAction`, by its row rule"),
    ("Problem.incidents", "rows of `ticketLink`, by its row rule"),
    ("Problem.affectedUserCount", "rows of `ticketLink`, by its row rule"),
    ("Ticket.timeEntries", "rows of `timeEntry`, by its row rule"),
    ("Problem.incidentTimeSpent", "rows of `ticketLink`, by its row rule, and the mask of `timeSpent` on both ends"),
    ("Problem.incidentCost", "rows of `ticketLink`, by its row rule, and the masks of the costs on both ends"),
    ("Problem.totalCost", "rows of `ticketLink`, by its row rule, and the masks of the costs on both ends"),
    ("ProblemDetectionRule.same", "the field `document`, for whoever sees the rule"),
    ("ProblemDetectionRule.threshold", "the field `document`, for whoever sees the rule"),
    ("ProblemDetectionRule.window", "the field `document`, for whoever sees the rule"),
    ("ProblemDetectionRule.condition", "the field `document`, for whoever sees the rule"),
    ("ProblemDetectionRule.impact", "the field `document`, for whoever sees the rule"),
    ("ProblemDetectionRule.urgency", "the field `document`, for whoever sees the rule"),
    ("ProblemDetectionRule.requester", "the field `document`, for whoever sees the rule"),
    ("ProblemDetectionRule.team", "the field `document`, for whoever sees the rule"),
    ("Incident.problems", "rows of `ticketLink`, by its row rule"),
    ("Incident.suggestedKnownErrors", "rows of `problem`, by its row rule; what is compared by the fields' masks"),
    ("Incident.similarIncidents", "rows of `incident`, by its row rule; what is compared by the fields' masks"),
    ("Operation.progress", "computed from the row, for whoever sees the operation"),
    ("Operation.results", "rows of `operationItem`, by its row rule"),
    ("TicketBulkItem.ticket", "rows of tickets, by their row rule"),
    ("TicketTemplate.values", "the field `document`, for whoever sees the template"),
    ("TicketTemplate.tasks", "the field `document`, for whoever sees the template"),
    ("RecurringTicket.upcoming", "computed from the row, for whoever sees the recurring ticket"),
    ("RecurringTicket.runs", "rows of `recurringTicketRun`, by its row rule"),
];

/// Filter fields that name no field: they combine, or are relative to the viewer.
const CONNECTIVES: &[&str] = &["and", "or", "not", "isNull", "isViewer", "hasViewer"];

/// Root fields that answer without credentials.
const PUBLIC: &[&str] = &["serverInfo", "sessionCreate", "sessionRefresh"];

fn fields(schema: &Schema, name: &str) -> Vec<(String, bool)> {
    match schema.types.get(name) {
        Some(ExtendedType::Object(found)) => {
            found.fields.iter().map(|(name, field)| (name.to_string(), field.ty.is_non_null())).collect()
        }
        Some(ExtendedType::Interface(found)) => {
            found.fields.iter().map(|(name, field)| (name.to_string(), field.ty.is_non_null())).collect()
        }
        other => panic!("{name} is no object: {other:?}"),
    }
}

fn record(catalogue: &Catalogue, name: &str) -> &'static RecordType {
    catalogue.get(name).unwrap_or_else(|| panic!("no record `{name}`"))
}

#[test]
fn every_field_of_a_record_has_a_policy() {
    let (schema, catalogue) = (shapes::schema(), gateway::platform::catalogue().expect("the catalogue is sound"));
    let mut used = BTreeSet::new();
    for (object, name) in RECORDS {
        let record = record(&catalogue, name);
        for (field, non_null) in fields(&schema, object) {
            let computed = COMPUTED.iter().find(|(known, _)| {
                *known == format!("{object}.{field}")
                    || (["Incident", "Task", "Problem"].contains(object) && *known == format!("Ticket.{field}"))
            });
            if let Some((known, _)) = computed {
                used.insert(*known);
                continue;
            }
            let Some(declared) = record.field(&field) else {
                panic!("{object}.{field} has no policy: declare it in the catalogue, or say in COMPUTED what decides")
            };
            assert!(
                declared.read == Policy::Always || !non_null,
                "{object}.{field} may not be readable by all who see the record: it must be nullable"
            );
        }
    }
    let unused: Vec<_> = COMPUTED.iter().filter(|(known, _)| !used.contains(known)).collect();
    assert!(unused.is_empty(), "no longer needed: {unused:?}");
}

#[test]
fn every_object_type_is_known() {
    // A new object type is either a record's, or built of nothing but what its parent gives.
    let schema = shapes::schema();
    let structural = [
        "Query",
        "Mutation",
        "Subscription",
        "PageInfo",
        "ServerInfo",
        "ServerLimits",
        "Viewer",
        "Tenant",
        "ApiToken",
        "CommentRevision",
        "PermissionGrant",
        "RoleAssignment",
        "TicketState",
        "PriorityOverride",
        "AvailableTransition",
        "Permission",
        "FieldChange",
        "ConfigurationItemRelation",
        "TicketLink",
        "ChildrenSummary",
        "ChildResolution",
        "TicketConfigurationItemChange",
        "TicketEventMessage",
        "TicketDiff",
        "TicketDifference",
        "QueueChange",
        "Approver",
        "Workflow",
        "WorkflowVersion",
        "WorkflowState",
        "WorkflowTransition",
        "WorkflowGuard",
        "WorkflowEffect",
        "WorkflowStartApproval",
        "WorkflowApprovalStep",
        "WorkflowApprover",
        "WorkflowCreateTasks",
        "WorkflowTask",
        "WorkflowDifference",
        "ResolutionCode",
        "IncidentRecurrence",
        "IncidentRecurrenceGroup",
        "TicketStats",
        "TicketStatsGroup",
        "TicketStatsKey",
        "DurationStats",
        "CustomFieldOption",
        "CustomFieldValue",
        "WorkingInterval",
        "DayHours",
        "Holiday",
        "SlaPolicyMetric",
        "SlaTarget",
        "SlaPauses",
        "SlaEscalation",
        "SlaAction",
        "SlaSegment",
        "SlaFired",
        "SlaSimulation",
        "SlaFigure",
        "SlaOverrun",
        "SlaPolicyApplication",
        "SlaClockChange",
        "SkippedHoliday",
        "SlaAttainment",
        "SlaAttainmentGroup",
        "SlaAttainmentKey",
        "AlertLabel",
        "AlertMatcher",
        "AlertSeverity",
        "AlertIngestResult",
        "AlertReceived",
        "TimelineEntry",
        "ProblemLinkResult",
        "ProblemDetectionCandidate",
        "ProblemDetectionSimulation",
        "ServiceLevelCheck",
        "ServiceLevelCheckPart",
        "ServiceReviewFigure",
        "SearchHighlight",
        "SearchFragment",
        "SuggestedKnownError",
        "SimilarIncident",
        "SuggestionReason",
        "Money",
        "TicketCost",
        "TimeEntryState",
        "TicketBulkResult",
        "TicketBulkSummary",
        "TicketExport",
        "TicketImport",
        "TicketTemplateValues",
        "TicketTemplateTask",
        "RecurringRunPreview",
    ];
    for (name, found) in &schema.types {
        let ExtendedType::Object(object) = found else { continue };
        let is_event = object.implements_interfaces.iter().any(|interface| interface.as_str() == "Event");
        let is_error = object.implements_interfaces.iter().any(|interface| interface.as_str() == "UserError");
        let wraps = ["Connection", "Edge", "Payload"].iter().any(|suffix| name.ends_with(suffix));
        let known = RECORDS.iter().any(|(object, _)| name == *object) || structural.contains(&name.as_str());
        assert!(
            known || is_event || is_error || wraps || found.is_built_in(),
            "{name} is new: add it to RECORDS, or to the types without data of their own"
        );
    }
}

/// The catalogue's path of each comparison that a filter offers.
fn comparisons(schema: &Schema, filter: &str) -> Vec<String> {
    let Some(ExtendedType::InputObject(found)) = schema.types.get(filter) else { panic!("{filter} is no input") };
    found.fields.keys().map(ToString::to_string).filter(|name| !CONNECTIVES.contains(&name.as_str())).collect()
}

#[test]
fn every_filter_and_every_order_has_a_policy() {
    let (schema, catalogue) = (shapes::schema(), gateway::platform::catalogue().expect("the catalogue is sound"));
    let check_filter = |name: &str, field: &str| {
        let found =
            record(&catalogue, name).field(field).unwrap_or_else(|| panic!("{name}.{field} is not in the catalogue"));
        assert!(found.filter != Policy::Never, "{name}.{field} cannot be filtered by");
    };
    let filters = [
        ("TicketFilter", "ticket"),
        ("IncidentFilter", "incident"),
        ("TaskFilter", "task"),
        ("ProblemFilter", "problem"),
        ("UserFilter", "actor"),
        ("TeamFilter", "team"),
        ("CategoriesFilter", "category"),
        ("CategoryFilter", "category"),
        ("ServiceFilter", "service"),
        ("ConfigurationItemFilter", "configurationItem"),
        ("CustomFieldsFilter", "customField"),
        ("CalendarFilter", "calendar"),
        ("SlaPolicyFilter", "slaPolicy"),
        ("SlaClockFilter", "slaClock"),
        ("AlertFilter", "alert"),
        ("AlertRuleFilter", "alertRule"),
        ("StatusUpdateFilter", "statusUpdate"),
        ("ProblemDetectionRuleFilter", "problemDetectionRule"),
        ("ServiceAgreementFilter", "serviceAgreement"),
        ("ServiceLevelRequirementFilter", "serviceLevelRequirement"),
        ("ServiceReviewFilter", "serviceReview"),
        ("ServiceImprovementFilter", "serviceImprovement"),
        ("LabourRateFilter", "labourRate"),
        ("TicketTemplateFilter", "ticketTemplate"),
        ("RecurringTicketFilter", "recurringTicket"),
    ];
    for (filter, name) in filters {
        for field in comparisons(&schema, filter) {
            match field.as_str() {
                "state"
                    if filter.starts_with("Ticket")
                        || ["IncidentFilter", "TaskFilter", "ProblemFilter"].contains(&filter) =>
                {
                    for inner in comparisons(&schema, "TicketStateFilter") {
                        let field = match inner.as_str() {
                            "key" => "state",
                            "category" => "stateCategory",
                            other => other,
                        };
                        check_filter(name, field);
                    }
                }
                // Who may read the document of the values may compare them.
                "customFields" => {
                    let types = CustomFieldType::ALL.iter().map(|kind| kind.input());
                    let expected: BTreeSet<_> = types.chain(["key"]).map(str::to_owned).collect();
                    let found: BTreeSet<_> = comparisons(&schema, "CustomFieldFilter").into_iter().collect();
                    assert_eq!(found, expected, "a comparison for each type");
                }
                field => check_filter(name, field),
            }
        }
    }
    let events = comparisons(&schema, "EventFilter");
    assert_eq!(events, ["kinds", "ticket", "actorIsViewer", "occurredAt"]);
    for field in ["kind", "subject", "actor", "occurredAt"] {
        check_filter("event", field);
    }
    // The reference itself, whose policy is checked with the filters that name it.
    assert_eq!(comparisons(&schema, "EscalatedToFilter"), ["id"]);
    check_filter("ticket", "escalatedTo");
    assert_eq!(comparisons(&schema, "CannedResponsesFilter"), ["team", "retired"]);
    for field in ["team", "retired"] {
        check_filter("cannedResponse", field);
    }
    // Every filter type is one of those above, or compares one value.
    for (name, found) in &schema.types {
        let ExtendedType::InputObject(input) = found else { continue };
        let compares = input.fields.keys().all(|field| {
            let operators = [
                "eq",
                "neq",
                "in",
                "notIn",
                "gt",
                "gte",
                "lt",
                "lte",
                "isNull",
                "contains",
                "startsWith",
                "has",
                "hasAny",
                "hasAll",
            ];
            operators.contains(&field.as_str())
        });
        let known = filters.iter().any(|(filter, _)| name == *filter)
            || [
                "EventFilter",
                "TicketStateFilter",
                "CustomFieldFilter",
                "CustomFieldUserFilter",
                "EscalatedToFilter",
                "CannedResponsesFilter",
            ]
            .contains(&name.as_str());
        assert!(!name.ends_with("Filter") || compares || known, "{name} is new: check it here");
    }
    for (order, name) in [
        ("TicketOrderField", "incident"),
        ("UserOrderField", "actor"),
        ("TeamOrderField", "team"),
        ("ServiceOrderField", "service"),
        ("ConfigurationItemOrderField", "configurationItem"),
        ("CalendarOrderField", "calendar"),
        ("SlaPolicyOrderField", "slaPolicy"),
        ("SlaClockOrderField", "slaClock"),
        ("AlertOrderField", "alert"),
        ("AlertRuleOrderField", "alertRule"),
        ("StatusUpdateOrderField", "statusUpdate"),
        ("ProblemDetectionRuleOrderField", "problemDetectionRule"),
        ("ServiceAgreementOrderField", "serviceAgreement"),
        ("ServiceLevelRequirementOrderField", "serviceLevelRequirement"),
        ("ServiceReviewOrderField", "serviceReview"),
        ("ServiceImprovementOrderField", "serviceImprovement"),
        ("LabourRateOrderField", "labourRate"),
        ("TicketTemplateOrderField", "ticketTemplate"),
        ("RecurringTicketOrderField", "recurringTicket"),
    ] {
        let Some(ExtendedType::Enum(found)) = schema.types.get(order) else { panic!("{order} is no enum") };
        // A custom field is ordered by as its document may be read.
        for value in found.values.keys().filter(|value| value.as_str() != "CUSTOM_FIELD") {
            let field = camel(value.as_str());
            let found = record(&catalogue, name).field(&field).unwrap_or_else(|| panic!("{name}.{field} is unknown"));
            assert!(found.order != Policy::Never, "{name}.{field} cannot be ordered by");
        }
    }
}

fn camel(word: &str) -> String {
    let mut parts = word.split('_').map(str::to_lowercase);
    let mut text = parts.next().unwrap_or_default();
    for part in parts {
        text.push_str(&part[..1].to_uppercase());
        text.push_str(&part[1..]);
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_root_field_is_public_or_asks_for_credentials() {
    let schema = shapes::schema();
    each_engine(async |installation, company| {
        let stranger = installation.stranger();
        let forged = installation.client(&format!("{}x", company.admin.token));
        for root in shapes::roots(&schema) {
            let (document, variables) = (root.document(), root.minimal(&schema));
            if root.operation == "subscription" {
                let mut socket = stranger.socket().await;
                socket.subscribe("one", &document, variables).await;
                let tests::socket::Frame::Message(message) = socket.frame().await else {
                    panic!("the socket stays open")
                };
                assert!(message.to_string().contains("UNAUTHENTICATED"), "{}: {message}", root.name);
                continue;
            }
            let answer = stranger.answer(&document, variables.clone()).await;
            let code = tests::client::code(&answer);
            if PUBLIC.contains(&root.name.as_str()) {
                assert!(!answer.to_string().contains("sign in first"), "{}: {answer}", root.name);
            } else {
                assert_eq!(code, Some("UNAUTHENTICATED"), "{}: {answer}", root.name);
                assert!(answer.get("data").is_none_or(|data| !data.to_string().contains("__typename")), "{answer}");
            }
            let code = forged.refused(&document, variables).await;
            assert_eq!(code, "UNAUTHENTICATED", "{}: wrong credentials are worse than none", root.name);
        }
        let introspection = stranger.ask("{ __schema { queryType { name } } }", serde_json::json!({})).await;
        assert_eq!(introspection["__schema"]["queryType"]["name"], "Query");
    })
    .await;
}
