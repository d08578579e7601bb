//! The data set: what it consists of, as arithmetic that the loader, the load generator and pgbench share.
//!
//! A ticket's place in time, its id, its number and its team follow from its index alone, so that pgbench can draw the same
//! keys as our own load generator without asking anybody.

pub mod build;
mod bulk;
pub mod company;
mod tickets;

use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result};
use kernel::{Id, Uuid, id};
use serde::{Deserialize, Serialize};

use crate::random::{Random, Zipf};

/// Decides everything that is drawn.
pub const SEED: u64 = 42;
/// People of the company, agents and leads included.
pub const USERS: usize = 1_000;
/// Those of them who work on tickets: the first ones; each tenth leads.
pub const AGENTS: usize = 100;
/// Teams; ticket volume falls by Zipf's law from the first to the last.
pub const TEAMS: usize = 50;
/// Categories.
pub const CATEGORIES: usize = 20;
/// Comments, for each ticket, on average.
pub const COMMENTS_PER_TICKET: u64 = 5;
/// The slug of the tenant.
pub const TENANT: &str = "bench";
/// The first ticket was opened at the beginning of 2024.
pub const START_MS: u64 = 1_704_067_200_000;
/// The tickets are spread evenly over two years.
const SPAN_MS: u64 = 730 * 24 * 60 * 60 * 1_000;
/// Tickets come in cycles of so many, in which each team has its share.
pub const CYCLE: u64 = 1_000;
/// Scatters a team's places over the cycle; has no divisor in common with it.
pub const SCATTER: u64 = 617;
/// The version and variant bits of a UUIDv7, with the random bits between them zero.
pub const ID_MIDDLE: &str = "70008000";
/// Flattens the head of the distribution of comments over tickets (Zipf and Mandelbrot).
const COMMENT_OFFSET: f64 = 200.0;
/// Scatters ranks over tickets; prime and larger than any scale.
const RANK_SCATTER: u64 = 2_147_483_647;

/// How large, and what follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// How many tickets; a multiple of [`CYCLE`].
    pub tickets: u64,
}

impl Scale {
    /// A scale of so many tickets.
    ///
    /// # Errors
    /// When they are not whole cycles.
    pub fn new(tickets: u64) -> Result<Self> {
        anyhow::ensure!(
            tickets > 0 && tickets.is_multiple_of(CYCLE),
            "a scale is a multiple of {CYCLE} tickets, not {tickets}"
        );
        Ok(Self { tickets })
    }

    /// Milliseconds between two tickets.
    pub const fn step_ms(self) -> u64 {
        SPAN_MS / self.tickets
    }

    /// When a ticket was opened, in milliseconds since 1970.
    pub const fn opened_ms(self, index: u64) -> u64 {
        START_MS + index * self.step_ms()
    }

    /// A ticket's id: a UUIDv7 of its time, with its index in place of random bits.
    pub fn ticket_uuid(self, index: u64) -> Uuid {
        uuid_v7(self.opened_ms(index), index)
    }

    /// A ticket's id as clients see it.
    pub fn ticket_id(self, index: u64) -> String {
        Id::new(id::prefix::INCIDENT, self.ticket_uuid(index)).to_string()
    }

    /// How many comments each ticket has.
    pub fn comment_counts(self) -> Vec<u32> {
        let total = (self.tickets * COMMENTS_PER_TICKET) as f64;
        let weight = |rank: u64| 1.0 / (rank as f64 + COMMENT_OFFSET);
        let sum: f64 = (0..self.tickets).map(weight).sum();
        // What rounding takes from one ticket the next one gets.
        let mut owed = 0.0;
        (0..self.tickets)
            .map(|index| {
                let rank = index * RANK_SCATTER % self.tickets;
                owed += total * weight(rank) / sum;
                let count = owed as u32;
                owed -= f64::from(count);
                count
            })
            .collect()
    }
}

/// A ticket's number.
pub fn number(index: u64) -> String {
    format!("INC-{}", index + 1)
}

/// A UUIDv7 of this time with these 48 bits at its end.
pub fn uuid_v7(milliseconds: u64, last: u64) -> Uuid {
    let value = (u128::from(milliseconds) << 80) | (0x7_u128 << 76) | (0x8_u128 << 60) | u128::from(last);
    Uuid::from_u128(value)
}

/// Each team's places in a cycle, the largest team first.
#[derive(Clone, Debug)]
pub struct Teams {
    places: Vec<Range<u64>>,
    by_place: Vec<usize>,
}

impl Teams {
    /// The shares of all teams, by Zipf's law.
    pub fn new() -> Self {
        let zipf = Zipf::new(TEAMS);
        let mut end = 0.0;
        let mut places: Vec<Range<u64>> = Vec::with_capacity(TEAMS);
        for team in 0..TEAMS {
            end += zipf.share(team) * CYCLE as f64;
            let start = places.last().map_or(0, |last| last.end);
            places.push(start..if team + 1 == TEAMS { CYCLE } else { end.round() as u64 });
        }
        let mut by_place = vec![0; CYCLE as usize];
        for (team, range) in places.iter().enumerate() {
            for place in range.clone() {
                by_place[(SCATTER * place % CYCLE) as usize] = team;
            }
        }
        Self { places, by_place }
    }

    /// The team of a ticket.
    pub fn of(&self, index: u64) -> usize {
        self.by_place[(index % CYCLE) as usize]
    }

    /// A team's places, before they are scattered.
    pub fn places(&self, team: usize) -> Range<u64> {
        self.places[team].clone()
    }

    /// One of a team's tickets.
    pub fn draw(&self, scale: Scale, team: usize, random: &mut Random) -> u64 {
        let places = self.places(team);
        let cycle = random.below(scale.tickets / CYCLE);
        let place = places.start + random.below(places.end - places.start);
        CYCLE * cycle + SCATTER * place % CYCLE
    }
}

impl Default for Teams {
    fn default() -> Self {
        Self::new()
    }
}

/// Someone who works on tickets, and how to act as them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Agent {
    /// Their API token.
    pub token: String,
    /// The team that they are a member of.
    pub team: usize,
    /// Whether they lead, and therefore see every ticket.
    pub lead: bool,
}

/// What a run needs to know of a data set beside its database.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// How many tickets.
    pub tickets: u64,
    /// How many of the tickets of each team are open.
    pub open: Vec<u64>,
    /// The administrator's API token.
    pub administrator: String,
    /// The agents and leads.
    pub agents: Vec<Agent>,
}

impl Manifest {
    /// Reads it from a file.
    ///
    /// # Errors
    /// When it is not there or is none.
    pub fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is no manifest", file.display()))
    }

    /// The scale of the data set.
    ///
    /// # Errors
    /// When it is no scale.
    pub fn scale(&self) -> Result<Scale> {
        Scale::new(self.tickets)
    }

    /// An agent, no lead, of a middling team whose queue fills a page.
    ///
    /// # Errors
    /// When there is none.
    pub fn agent(&self, page: u64) -> Result<&Agent> {
        let agents = self.agents.iter().filter(|agent| !agent.lead && self.open[agent.team] > page);
        agents.max_by_key(|agent| agent.team).context("no agent has a queue that fills a page")
    }

    /// Those who see every ticket.
    pub fn leads(&self) -> impl Iterator<Item = &Agent> {
        self.agents.iter().filter(|agent| agent.lead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_of_a_cycle_has_its_team() {
        let teams = Teams::new();
        assert_eq!(teams.places(TEAMS - 1).end, CYCLE);
        assert!((0..TEAMS).all(|team| !teams.places(team).is_empty()));
        let scale = Scale::new(10_000).unwrap();
        let mut random = Random::new(SEED);
        for team in 0..TEAMS {
            let index = teams.draw(scale, team, &mut random);
            assert!(index < scale.tickets);
            assert_eq!(teams.of(index), team);
        }
    }

    #[test]
    fn comments_add_up_and_are_uneven() {
        let scale = Scale::new(10_000).unwrap();
        let counts = scale.comment_counts();
        let total: u64 = counts.iter().map(|count| u64::from(*count)).sum();
        assert!(total.abs_diff(scale.tickets * COMMENTS_PER_TICKET) <= 1, "{total}");
        assert!(counts.iter().max() > Some(&50) && counts.contains(&1));
    }

    #[test]
    fn an_id_is_a_uuid_of_its_time() {
        let scale = Scale::new(1_000).unwrap();
        let id = scale.ticket_uuid(7);
        assert_eq!(id.get_version_num(), 7);
        assert_eq!(id.as_u128() >> 80, u128::from(scale.opened_ms(7)));
        assert!(id.to_string().replace('-', "").contains(ID_MIDDLE));
        assert!(scale.ticket_uuid(8) > id);
    }
}
