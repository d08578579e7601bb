//! Which incidents a problem causes, and which problems an incident has: as far as the viewer may see both ends.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{Ctx, Page, PageDirection, Result, Uuid};
use predicate::Predicate;
use store::query::{self, GroupBy, Query, Row, Slice, Statistics, fingerprint};
use ticket::fields::LINK;
use ticket::likeness::{Likeness, Suggestion};
use ticket::statistics::Work;
use ticket::{LinkType, MAX_CAUSED, MAX_LINKS, TicketKind};

use crate::fields::PROBLEM;
use crate::service::Problems;

/// Links that say of an incident that a problem is its cause.
pub fn caused_by_problem() -> Predicate {
    Predicate::all([
        Predicate::eq("type", LinkType::CausedBy.as_str()),
        Predicate::eq("kind", TicketKind::Incident.as_str()).through("source"),
        Predicate::eq("kind", TicketKind::Problem.as_str()).through("target"),
    ])
}

impl Problems {
    /// The links with the first or last incidents of each of these problems, by one statement, in the order in which they were linked.
    ///
    /// # Errors
    /// Database errors.
    pub async fn incidents_of(
        &self,
        ctx: &Ctx,
        problems: &[Uuid],
        direction: PageDirection,
        limit: u32,
    ) -> Result<Vec<Row>> {
        self.links_of(ctx, "target", problems, direction, limit, &[]).await
    }

    /// A page of the links with the incidents of a problem, in the order in which they were linked.
    ///
    /// # Errors
    /// `BAD_CURSOR`; database errors.
    pub async fn incidents_page(&self, ctx: &Ctx, problem: Uuid, page: Page) -> Result<Slice> {
        let access = self.tickets().access();
        let visible = access.visible(ctx);
        let filter = caused_by_problem().and(Predicate::eq("target", problem));
        let mark = fingerprint(ctx.actor.id, &LINK, &filter, &[]);
        // Ids are in the order of their making.
        let query = Query { record: &LINK, filter, order: Vec::new(), page, relations: Vec::new() };
        let reader = self.tickets().store().read("problem.incidents");
        query::list(&reader, &access.scoped(ctx, &visible), &query, access.store().cursors(), &mark).await
    }

    /// The links with the problems of each of these incidents, by one statement.
    ///
    /// # Errors
    /// Database errors.
    pub async fn problems_of(&self, ctx: &Ctx, incidents: &[Uuid]) -> Result<Vec<Row>> {
        self.links_of(ctx, "source", incidents, PageDirection::Forward, MAX_LINKS as u32, &[]).await
    }

    /// How many people requested the visible incidents of each of these problems, by one statement.
    ///
    /// # Errors
    /// Database errors.
    pub async fn affected_users(&self, ctx: &Ctx, problems: &[Uuid]) -> Result<BTreeMap<Uuid, usize>> {
        let most = MAX_CAUSED as u32;
        let links = self.links_of(ctx, "target", problems, PageDirection::Forward, most, &["source"]).await?;
        let mut users: BTreeMap<Uuid, BTreeSet<Uuid>> = BTreeMap::new();
        for link in &links {
            let requester = link.relation("source").and_then(|incident| incident.get("requester").as_id());
            if let (Some(problem), Some(requester)) = (link.get("target").as_id(), requester) {
                users.entry(problem).or_default().insert(requester);
            }
        }
        Ok(users.into_iter().map(|(problem, users)| (problem, users.len())).collect())
    }

    /// What the time that was worked on the incidents of each of these problems adds up to, as far as the viewer may see them, by one
    /// statement.
    ///
    /// # Errors
    /// Database errors.
    pub async fn incident_work(&self, ctx: &Ctx, problems: &[Uuid]) -> Result<BTreeMap<Uuid, Work>> {
        let access = self.tickets().access();
        let visible = access.visible(ctx);
        let reader = self.tickets().store().read("problem.incidentWork");
        let wanted = Statistics {
            record: &LINK,
            filter: caused_by_problem().and(Predicate::one_of("target", problems)),
            group_by: vec![GroupBy::Field("target".to_owned())],
            between: Vec::new(),
            matching: Vec::new(),
            sums: Work::THROUGH_SOURCE.to_vec(),
            limit: u32::try_from(problems.len()).unwrap_or(u32::MAX),
        };
        let groups = query::statistics(&reader, &access.scoped(ctx, &visible), &wanted).await?;
        let sums = groups.iter().filter_map(|group| Some((group.keys.first()?.as_id()?, Work::of(group))));
        Ok(sums.collect())
    }

    async fn links_of(
        &self,
        ctx: &Ctx,
        end: &'static str,
        tickets: &[Uuid],
        direction: PageDirection,
        limit: u32,
        relations: &[&'static str],
    ) -> Result<Vec<Row>> {
        let access = self.tickets().access();
        let visible = access.visible(ctx);
        let reader = self.tickets().store().read("problem.links");
        let scoped = access.scoped(ctx, &visible);
        query::by_parents(&reader, &scoped, &LINK, end, tickets, &caused_by_problem(), direction, limit, relations)
            .await
    }
}

impl Problems {
    /// The visible known errors that are most like this, best first: recognised by title, description and symptom.
    ///
    /// # Errors
    /// Database errors.
    pub async fn known_errors_like(&self, ctx: &Ctx, like: &Likeness, limit: usize) -> Result<Vec<Suggestion>> {
        let among = Predicate::eq("knownError", true);
        self.tickets().alike(ctx, &PROBLEM, among, &["description", "symptom"], like, limit).await
    }
}
