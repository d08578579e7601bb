//! A major incident that goes on, with what is told and noted of it, and another one that is proposed.

use access::UserRef;
use anyhow::Result;
use gateway::platform::Platform;
use incident::commands::{AddTimelineNote, ChangeMajor, MajorDraft, PostStatusUpdate, WriteReview};
use incident::major::{Step, UpdateAudience};
use kernel::{Ctx, Patch};
use ticket::TicketRef;

/// The one that goes on.
const MAJOR: &str = "INC-1035";
/// The one that is proposed.
const PROPOSED: &str = "INC-1033";

pub(super) async fn load(platform: &Platform, lead: &Ctx) -> Result<()> {
    let incidents = &platform.incidents;
    let incident = || TicketRef::Number(MAJOR.to_owned());
    let change = |number: &str, step, draft| ChangeMajor {
        incident: TicketRef::Number(number.to_owned()),
        step,
        draft,
        expected_version: None,
    };
    let user = |email: &str| Patch::Set(UserRef::Email(email.to_owned()));
    let draft = MajorDraft {
        business_impact: Some("Nobody in the branch offices can take orders.".to_owned()),
        communications_lead: user("nina@demo.example"),
        scribe: user("walt@demo.example"),
        ..MajorDraft::default()
    };
    incidents.change_major(lead, "majorIncidentDeclare", change(MAJOR, Step::Declare, draft)).await?;
    let body = "We know of the outage and work on it. Orders can be taken by phone.".to_owned();
    let update = PostStatusUpdate { incident: incident(), body, audience: UpdateAudience::Public };
    incidents.post_status_update(lead, update).await?;
    let body = "The carrier confirms a cut cable.".to_owned();
    incidents.add_timeline_note(lead, AddTimelineNote { incident: incident(), body, at: None }).await?;
    let review = WriteReview {
        incident: incident(),
        what_happened: Patch::Set("An excavator cut the only cable to the branch offices.".to_owned()),
        five_whys: Some(vec!["There is only one cable.".to_owned(), "A second one was never ordered.".to_owned()]),
        lessons: Patch::Keep,
        expected_version: None,
    };
    incidents.write_major_review(lead, review).await?;
    let draft = MajorDraft { business_impact: Some("Invoices are late.".to_owned()), ..MajorDraft::default() };
    incidents.change_major(lead, "majorIncidentPropose", change(PROPOSED, Step::Propose, draft)).await?;
    Ok(())
}
