//! Queries of custom fields.

use async_graphql::{Context, Object, Result};
use store::query::OrderTerm;
use ticket::custom_field::fields::CUSTOM_FIELD;
use ticket::queries::ListRequest;

use crate::connection::{connection, page};
use crate::context::{platform, viewer};
use crate::custom_fields::CustomField;
use crate::custom_fields::filters::CustomFieldsFilter;
use crate::scalars::Cursor;
use crate::tickets::queries::log_cursor;

connection! {
    /// A page of custom fields.
    CustomFieldConnection, CustomFieldEdge, CustomField
}

/// Queries of custom fields.
#[derive(Default)]
pub struct CustomFieldQueries;

#[Object]
impl CustomFieldQueries {
    /// The tenant's custom fields, retired ones included: by position, those without one last, then by key.
    #[allow(clippy::too_many_arguments)]
    async fn custom_fields(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which custom fields.")] filter: Option<CustomFieldsFilter>,
        #[graphql(desc = "How many from the front, at most 100; 20 when neither `first` nor `last` is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only those behind this cursor.")] after: Option<Cursor>,
        #[graphql(desc = "How many from the back, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<Cursor>,
    ) -> Result<CustomFieldConnection> {
        let viewer = viewer(ctx)?;
        let filter = filter.unwrap_or_default().predicate();
        let by = |field: &str| OrderTerm { field: field.into(), descending: false, nulls_first: false };
        let page = page(first, after, last, before)?;
        let log_cursor = log_cursor(ctx, &viewer).await?;
        let order = vec![by("position"), by("key")];
        let request = ListRequest { record: &CUSTOM_FIELD, filter: filter.clone(), order, page, relations: vec![] };
        let slice = platform(ctx).tickets.list(&viewer, request).await?;
        Ok(CustomFieldConnection::new(slice, Some((&CUSTOM_FIELD, filter)), log_cursor))
    }

    /// A custom field by its key. Null when there is none.
    async fn custom_field(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The field's key, such as `costCenter`.")] key: String,
    ) -> Option<Result<CustomField>> {
        let found = async {
            let (viewer, tickets) = (viewer(ctx)?, &platform(ctx).tickets);
            let definitions = tickets.custom_fields(&tickets.store().read("customField.find"), &viewer).await?;
            Ok(definitions.get(&key).map(|field| CustomField::from_row(field.row.clone())))
        };
        found.await.transpose()
    }
}
