//! The payloads of mutations that answer one record: the record, what was recorded, and what the user can mend.

/// Declares a payload whose record is made from the row that the domain answers.
macro_rules! payload {
    ($(#[$doc:meta])* $name:ident { $(#[$field_doc:meta])* $field:ident: $record:ty }) => {
        $(#[$doc])*
        #[derive(async_graphql::SimpleObject)]
        pub struct $name {
            $(#[$field_doc])*
            pub $field: Option<$record>,
            /// What was recorded.
            pub events: Vec<$crate::tickets::events::Event>,
            /// What the user can mend.
            pub user_errors: Vec<$crate::user_error::UserError>,
        }

        impl $name {
            fn of(
                ctx: &async_graphql::Context<'_>,
                viewer: &kernel::Ctx,
                result: kernel::Result<ticket::Outcome>,
            ) -> async_graphql::Result<Self> {
                let (done, user_errors) = $crate::user_error::part(result)?;
                let (row, events) = done.map_or((None, Vec::new()), |outcome| (outcome.row, outcome.events));
                let events = $crate::tickets::event_log::from_store(viewer, $crate::context::platform(ctx), events);
                Ok(Self { $field: row.map(<$record>::from_row), events, user_errors })
            }
        }
    };
}
pub(crate) use payload;

/// What a payload is made of, from a change of a record that is no ticket.
pub(crate) fn outcome(result: kernel::Result<access::Changed<store::query::Row>>) -> kernel::Result<ticket::Outcome> {
    result.map(|changed| ticket::Outcome { row: Some(changed.record), events: changed.events })
}
