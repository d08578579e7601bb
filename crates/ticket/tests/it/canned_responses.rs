//! Canned responses: how many there may be.

use kernel::{ErrorCode, Patch};
use ticket::canned_response::{CreateCannedResponse, MAX_CANNED_RESPONSES, UpdateCannedResponse};

use crate::setup::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_has_a_limited_number_of_canned_responses() {
    in_each_world(|world| async move {
        let amy = world.ctx("amy");
        let create = |number: usize| CreateCannedResponse {
            key: format!("answer-{number}"),
            title: "Answer".into(),
            body: "Yes.".into(),
            team: None,
        };
        let retire = |retired| UpdateCannedResponse {
            key: "answer-0".into(),
            title: None,
            body: None,
            team: Patch::Keep,
            retired: Some(retired),
            expected_version: None,
        };
        for number in 0..MAX_CANNED_RESPONSES {
            world.tickets.create_canned_response(&amy, create(number)).await.unwrap();
        }
        let one_more = world.tickets.create_canned_response(&amy, create(MAX_CANNED_RESPONSES)).await;
        assert_eq!(one_more.unwrap_err().code(), ErrorCode::Limit);
        world.tickets.update_canned_response(&amy, retire(true)).await.unwrap();
        world.tickets.create_canned_response(&amy, create(MAX_CANNED_RESPONSES)).await.unwrap();
        let back = world.tickets.update_canned_response(&amy, retire(false)).await;
        assert_eq!(back.unwrap_err().code(), ErrorCode::Limit, "one that is offered again counts");
    })
    .await;
}
