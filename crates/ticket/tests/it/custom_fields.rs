//! How many custom fields there may be.

use kernel::ErrorCode;
use ticket::custom_field::{CustomFieldType, MAX_FIELDS};

use crate::company::definition;
use crate::setup::{in_each_world, refused_at};

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_has_so_many_custom_fields_and_no_more() {
    in_each_world(|world| async move {
        let amy = world.ctx("amy");
        let define = async |number: usize| {
            let command = definition("customFields", &format!("field{number}"), CustomFieldType::Text);
            world.tickets.create_custom_field(&amy, command).await
        };
        for number in 0..MAX_FIELDS {
            define(number).await.unwrap();
        }
        assert_eq!(refused_at(define(MAX_FIELDS).await), (ErrorCode::Limit, String::new()));
    })
    .await;
}
