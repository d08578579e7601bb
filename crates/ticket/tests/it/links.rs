//! Links: their rules, circles, duplicates, and two at once.

use access::{RoleInput, UserCreate};
use incident::INCIDENT;
use kernel::ErrorCode;
use store::query::{Row, insert_all_in};
use ticket::fields::LINK;
use ticket::{LinkTickets, LinkType, MAX_CAUSED, MAX_LINKS, Outcome};

use crate::setup::{World, by_id, in_each_world, inputs_of, kinds, lacks, new, refusal, transition, user};

fn link(source: &Row, kind: LinkType, target: &Row) -> LinkTickets {
    LinkTickets { source: by_id(source), kind, target: by_id(target) }
}

impl World {
    async fn link(&self, who: &str, source: &Row, kind: LinkType, target: &Row) -> kernel::Result<Outcome> {
        self.tickets.link(&self.ctx(who), link(source, kind, target)).await
    }
}

fn told<T: std::fmt::Debug>(result: kernel::Result<T>) -> (ErrorCode, String) {
    let error = refusal(result);
    (error.code, error.path.join("."))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_told_on_both_and_stands_once() {
    in_each_world(|world| async move {
        let (one, two) = (world.open_for_network("one").await, world.open_for_network("two").await);
        let done = world.link("ada", &one, LinkType::CausedBy, &two).await.unwrap();
        assert_eq!(kinds(&done.events), ["TicketLinked", "TicketLinked"]);
        let told_of = |at: usize| (done.events[at].subject, done.events[at].payload["direction"].clone());
        assert_eq!(told_of(0), (one.id(), "OUTWARD".into()));
        assert_eq!(told_of(1), (two.id(), "INWARD".into()));
        assert_eq!(done.row.unwrap().int("version"), one.int("version"), "links leave the version alone");
        assert!(world.link("ada", &one, LinkType::CausedBy, &two).await.unwrap().events.is_empty());
        world.link("ada", &one, LinkType::RelatesTo, &two).await.unwrap();
        let turned = world.link("ada", &two, LinkType::RelatesTo, &one).await.unwrap();
        assert!(turned.events.is_empty(), "what relates to each other does so both ways");
        world.link("ada", &two, LinkType::CausedBy, &one).await.unwrap();
        let (leaving, arriving) = world.tickets.links_of(&world.ctx("ada"), &[one.id()]).await.unwrap();
        assert_eq!((leaving.len(), arriving.len()), (2, 1));
        let gone = world.tickets.unlink(&world.ctx("ada"), link(&one, LinkType::CausedBy, &two)).await.unwrap();
        assert_eq!(kinds(&gone.events), ["TicketUnlinked", "TicketUnlinked"]);
        let again = world.tickets.unlink(&world.ctx("ada"), link(&one, LinkType::CausedBy, &two)).await.unwrap();
        assert!(again.events.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hidden_tickets_look_absent() {
    in_each_world(|world| async move {
        let ours = world.open_for_network("ours").await;
        let theirs = world
            .create(
                &world.ctx("amy"),
                incident::CreateIncident { team: Some(crate::setup::team("desktop")), ..new("theirs") },
            )
            .await;
        assert_eq!(
            told(world.link("ada", &ours, LinkType::RelatesTo, &theirs).await),
            (ErrorCode::NotFound, "target".into())
        );
        assert_eq!(
            told(world.link("ada", &theirs, LinkType::RelatesTo, &ours).await),
            (ErrorCode::NotFound, "id".into())
        );
        world.link("amy", &ours, LinkType::RelatesTo, &theirs).await.unwrap();
        for (who, seen) in [("ada", 0), ("dana", 0), ("lee", 1), ("rita", 0)] {
            let (leaving, arriving) = world.tickets.links_of(&world.ctx(who), &[ours.id(), theirs.id()]).await.unwrap();
            assert_eq!((leaving.len(), arriving.len()), (seen, seen), "{who}");
        }
        let own = world.open("rita's").await;
        assert_eq!(lacks(world.link("rita", &own, LinkType::RelatesTo, &ours).await), "ticket.update");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_circle_and_one_parent() {
    in_each_world(|world| async move {
        let mut tickets = Vec::new();
        for number in 0..4 {
            tickets.push(world.open_for_network(&format!("t{number}")).await);
        }
        let itself = world.link("ada", &tickets[0], LinkType::RelatesTo, &tickets[0]).await;
        assert_eq!(told(itself), (ErrorCode::Validation, "target".into()));
        for kind in [LinkType::ParentOf, LinkType::Blocks] {
            for (one, other) in [(0, 1), (1, 2), (2, 3)] {
                world.link("ada", &tickets[one], kind, &tickets[other]).await.unwrap();
            }
            for (one, other) in [(3, 0), (2, 0), (1, 0)] {
                // Into the first: it has no parent, so the circle is what is wrong.
                let error = refusal(world.link("ada", &tickets[one], kind, &tickets[other]).await);
                assert!(error.message.contains("a chain of"), "{}", error.message);
            }
        }
        let second = world.link("ada", &tickets[0], LinkType::ParentOf, &tickets[3]).await;
        assert_eq!(told(second), (ErrorCode::Conflict, "target".into()));
        // What causes may go in circles.
        for (one, other) in [(0, 1), (1, 0)] {
            world.link("ada", &tickets[one], LinkType::CausedBy, &tickets[other]).await.unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_links_at_once_close_no_circle() {
    in_each_world(|world| async move {
        for round in 0..8 {
            let mut tickets = Vec::new();
            for number in 0..4 {
                tickets.push(world.open_for_network(&format!("{round}-{number}")).await);
            }
            // 0 -> 1 and 2 -> 3 are there; 1 -> 2 and 3 -> 0 share no end and would close the circle together.
            world.link("ada", &tickets[0], LinkType::Blocks, &tickets[1]).await.unwrap();
            world.link("ada", &tickets[2], LinkType::Blocks, &tickets[3]).await.unwrap();
            let (left, right) = tokio::join!(
                world.link("ada", &tickets[1], LinkType::Blocks, &tickets[2]),
                world.link("abe", &tickets[3], LinkType::Blocks, &tickets[0]),
            );
            assert!(left.is_ok() != right.is_ok(), "one is done, the other refused: {left:?} {right:?}");
            let error = refusal(if left.is_err() { left } else { right });
            assert!(error.message.contains("a chain of"), "{}", error.message);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_parents_at_once_are_one() {
    in_each_world(|world| async move {
        for round in 0..6 {
            let child = world.open_for_network(&format!("child {round}")).await;
            let (one, two) = (world.open_for_network("one").await, world.open_for_network("two").await);
            let (left, right) = tokio::join!(
                world.link("ada", &one, LinkType::ParentOf, &child),
                world.link("abe", &two, LinkType::ParentOf, &child),
            );
            assert!(left.is_ok() != right.is_ok(), "{left:?} {right:?}");
            assert_eq!(told(if left.is_err() { left } else { right }), (ErrorCode::Conflict, "target".into()));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_has_so_many_links() {
    in_each_world(|world| async move {
        let hub = world.open_for_network("hub").await;
        for number in 0..=MAX_LINKS {
            let other = world.open_for_network(&format!("t{number}")).await;
            let linked = world.link("ada", &hub, LinkType::RelatesTo, &other).await;
            match number {
                MAX_LINKS => assert_eq!(told(linked), (ErrorCode::Limit, "id".into())),
                _ => _ = linked.unwrap(),
            }
        }
    })
    .await;
}

/// Links of many tickets with their cause, as writes before have left them.
async fn caused(world: &World, cause: &Row, count: usize) {
    let (first, tenant) = (world.open_for_network("an effect").await, world.root.tenant);
    let like = world.see(&first).await;
    let (mut tickets, mut links) = (Vec::new(), Vec::new());
    for number in 0..count {
        let mut ticket = like.clone();
        ticket.set("id", world.root.new_id().into());
        ticket.set("number", format!("INC-{}", 500_000 + number).into());
        let ends = [("source", ticket.id().into()), ("target", cause.id().into())];
        let kind = [("id", world.root.new_id().into()), ("type", LinkType::CausedBy.as_str().into())];
        let values = ends.into_iter().chain(kind).chain([("createdAt", world.now().into())]);
        links.push(Row::new(&LINK, values.collect()));
        tickets.push(ticket);
    }
    let written = world.store.write(&world.root, "test.caused", move |tx| {
        let (tickets, links) = (tickets.clone(), links.clone());
        Box::pin(async move {
            insert_all_in(tx, tenant, &INCIDENT, &tickets).await?;
            insert_all_in(tx, tenant, &LINK, &links).await
        })
    });
    written.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_the_cause_of_many_beside_its_links() {
    in_each_world(|world| async move {
        let cause = world.open_for_network("cause").await;
        caused(&world, &cause, MAX_CAUSED - 1).await;
        let (last, more) = (world.open_for_network("last").await, world.open_for_network("more").await);
        world.link("ada", &last, LinkType::CausedBy, &cause).await.unwrap();
        let refused = world.link("ada", &more, LinkType::CausedBy, &cause).await;
        assert_eq!(told(refused), (ErrorCode::Limit, "target".into()));
        // They take no room from its other links.
        world.link("ada", &cause, LinkType::RelatesTo, &more).await.unwrap();
        world.link("ada", &more, LinkType::Blocks, &cause).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_is_closed_onto_the_original() {
    in_each_world(|world| async move {
        let (copy, original) = (world.open_for_network("copy").await, world.open_for_network("original").await);
        world.tickets.watch(&world.ctx("abe"), crate::setup::watch(&copy, None)).await.unwrap();
        world.tickets.watch(&world.ctx("ada"), crate::setup::watch(&original, None)).await.unwrap();
        world.tickets.watch(&world.ctx("ada"), crate::setup::watch(&copy, None)).await.unwrap();
        let done = world.link("ada", &copy, LinkType::Duplicates, &original).await.unwrap();
        let expected = ["TicketLinked", "TicketLinked", "TicketWatched", "TicketWatched", "IncidentResolved"];
        assert_eq!(kinds(&done.events), expected, "rita and abe follow the original; ada does already");
        let row = world.see(&copy).await;
        assert_eq!((row.text("state"), row.text("resolutionCode")), ("resolved".into(), "DUPLICATE".into()));
        assert_eq!(row.text("resolutionNotes"), format!("Duplicate of {}.", original.text("number")));
        let watchers = world.tickets.watchers_of(&world.ctx("ada"), &[original.id()]).await.unwrap();
        let mut names: Vec<_> = watchers.iter().map(|row| row.relation("actor").unwrap().text("name")).collect();
        names.sort();
        assert_eq!(names, ["abe", "ada", "rita"]);
        let back = refusal(world.link("ada", &original, LinkType::Duplicates, &copy).await);
        assert!(back.message.contains("a chain of"), "{}", back.message);
        // One that is done already is only linked.
        let closed = world.open_for_network("closed").await;
        world.bring_to(&closed, "canceled").await;
        let done = world.link("ada", &closed, LinkType::Duplicates, &original).await.unwrap();
        assert_eq!(kinds(&done.events), ["TicketLinked", "TicketLinked"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn children_are_resolved_along_as_far_as_they_may_be() {
    in_each_world(|world| async move {
        let parent = world.open_for_network("parent").await;
        let (child, done) = (world.open_for_network("child").await, world.open_for_network("done").await);
        // Seen by ada, who opened it, but of a team that she is no member of: she may not resolve it.
        let command = UserCreate {
            email: "zoe@acme.example".into(),
            name: "zoe".into(),
            roles: vec![RoleInput { role: "requester".into(), team: None }],
            ..UserCreate::default()
        };
        world.access.user_create(&world.root, command).await.unwrap();
        let there = incident::CreateIncident { requester: Some(user("zoe")), ..new("there") };
        let there = world.create(&world.ctx("ada"), there).await;
        world
            .assign("amy", &there, (kernel::Patch::Set(crate::setup::team("desktop")), kernel::Patch::Keep))
            .await
            .unwrap();
        let hidden = world
            .create(
                &world.ctx("amy"),
                incident::CreateIncident { team: Some(crate::setup::team("desktop")), ..new("hidden") },
            )
            .await;
        world.bring_to(&done, "canceled").await;
        for of in [&child, &done, &there, &hidden] {
            world.link("amy", &parent, LinkType::ParentOf, of).await.unwrap();
        }
        let command =
            |key: &str| ticket::TransitionTicket { resolve_children: true, ..transition(&parent, key, inputs_of(key)) };
        let error = refusal(world.tickets.transition(&world.ctx("ada"), command("start")).await);
        assert_eq!(error.path, ["resolveChildren"]);
        let resolved = world.tickets.transition(&world.ctx("ada"), command("resolve")).await.unwrap();
        assert_eq!(kinds(&resolved.events), ["IncidentResolved", "IncidentResolved", "TicketChildrenResolved"]);
        let children = resolved.events[2].payload["children"].as_array().unwrap().clone();
        assert_eq!(children.len(), 2, "what is done or hidden is not touched: {children:?}");
        let reasons = |row: &Row| {
            let id = incident::Incidents::public_id(row).to_string();
            children.iter().find(|child| child["ticket"] == id).unwrap()["reasons"].as_array().unwrap().len()
        };
        assert_eq!((reasons(&child), reasons(&there)), (0, 1));
        assert_eq!(world.see(&child).await.text("state"), "resolved");
        assert_eq!(world.see(&there).await.text("state"), "assigned");
        assert_eq!(world.see(&hidden).await.text("state"), "assigned");
    })
    .await;
}
