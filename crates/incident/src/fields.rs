//! The record type of incidents: the shared fields of tickets, and these.

use predicate::{Field, FieldType, Policy, RecordType};
use ticket::fields::{OWN, READ, TEAM, TICKET, fact};

use crate::model::IncidentOrigin;

/// An incident.
pub static INCIDENT: RecordType = RecordType {
    name: "incident",
    table: "incident",
    base: Some(&TICKET),
    fields: &[
        fact("origin", "origin", FieldType::Enum(IncidentOrigin::NAMES)),
        Field { nullable: true, ..fact("resolutionCode", "resolution_code", FieldType::Text) },
        Field {
            nullable: true,
            order: Policy::Never,
            event: Policy::Never,
            ..fact("resolutionNotes", "resolution_notes", FieldType::Text)
        },
    ],
    relations: &[],
    row: READ,
    own: OWN,
    team: TEAM,
};
