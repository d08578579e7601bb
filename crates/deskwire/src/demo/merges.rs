//! Two of the demo's incidents that tell of the same: one was merged into the other.

use anyhow::Result;
use gateway::platform::Platform;
use kernel::Ctx;
use ticket::TicketRef;
use ticket::merge::MergeTickets;

/// The one that ended.
const DUPLICATE: &str = "INC-1012";
/// The one that goes on.
const INTO: &str = "INC-1026";

pub(super) async fn load(platform: &Platform, lead: &Ctx) -> Result<()> {
    let command = MergeTickets {
        duplicate: TicketRef::Number(DUPLICATE.to_owned()),
        into: TicketRef::Number(INTO.to_owned()),
        comment: Some("Others have the same trouble: we go on in one ticket for all of you.".to_owned()),
        expected_version: None,
    };
    platform.tickets.merge(lead, command).await?;
    Ok(())
}
