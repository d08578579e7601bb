//! A ticket's life told event by event, and the clocks that come of it.

use std::sync::Arc;

use calendar::{Calendar, CalendarDocument, Weekday, WorkingInterval};
use chrono::{DateTime, Duration};
use kernel::{Timestamp, Uuid};
use predicate::Predicate;
use sla::clock::{Clock, Moment, Summary, What, advance, summary};
use sla::policy::{MetricRule, Pauses, Policy, Target, WorkingTime};
use sla::{ClockState, Metric, PolicyKind};
use ticket::model::{Priority, StateCategory, WaitingReason};

/// An instant of the week of Monday, the 2nd of March 2026, in UTC: `at("Mon 09:00")`.
pub fn at(text: &str) -> Timestamp {
    let (day, time) = text.split_once(' ').expect("a day and a time");
    let number = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].iter().position(|name| *name == day).expect("a day");
    instant(&format!("2026-03-{:02}T{time}:00Z", number + 2))
}

pub fn instant(text: &str) -> Timestamp {
    DateTime::parse_from_rfc3339(text).expect("an instant").to_utc()
}

pub fn hours(count: i64) -> Duration {
    Duration::hours(count)
}

/// Monday to Friday, from 9 to 17.
pub fn office(zone: &str) -> WorkingTime {
    let week = Weekday::ALL[..5].iter();
    week_of(zone, week.map(|day| WorkingInterval { day: *day, from: "09:00".into(), to: "17:00".into() }).collect(), 1)
}

pub fn round_the_clock() -> WorkingTime {
    let week = Weekday::ALL.iter();
    week_of("UTC", week.map(|day| WorkingInterval { day: *day, from: "00:00".into(), to: "24:00".into() }).collect(), 2)
}

fn week_of(zone: &str, week: Vec<WorkingInterval>, id: u128) -> WorkingTime {
    let document = CalendarDocument { time_zone: zone.into(), week, holidays: Vec::new() };
    let calendar = Arc::new(Calendar::compile(&document).expect("a calendar"));
    WorkingTime { id: Uuid::from_u128(id), version: 1, calendar }
}

/// A policy of one metric: so many hours for each of these priorities, at any time of the week.
pub fn policy(kind: PolicyKind, metric: Metric, time: &WorkingTime, targets: &[(&[Priority], i64)]) -> Policy {
    let targets = targets.iter().map(|(priorities, count)| Target {
        priorities: priorities.to_vec(),
        condition: Predicate::always(),
        length: hours(*count),
        time: time.clone(),
    });
    let rule = MetricRule { metric, targets: targets.collect(), pauses: Pauses::default(), escalations: Vec::new() };
    Policy {
        id: Uuid::from_u128(100),
        key: "policy".into(),
        kind,
        version: 1,
        condition: Predicate::always(),
        metrics: vec![rule],
    }
}

/// Eight hours for everybody, round the clock, and time stands still while the requester is awaited.
pub fn resolution(count: i64) -> Policy {
    pausing(policy(PolicyKind::Sla, Metric::Resolution, &round_the_clock(), &[(&[], count)]))
}

/// Has time stand still while the requester is awaited.
pub fn pausing(mut policy: Policy) -> Policy {
    policy.metrics[0].pauses.waiting_reasons.push(WaitingReason::Requester);
    policy
}

/// Has the policy hold only while the story says so.
pub fn conditional(mut policy: Policy) -> Policy {
    policy.condition = Predicate::eq("tags", "vip");
    policy
}

pub struct Story {
    policies: Vec<Arc<Policy>>,
    pub clocks: Vec<Clock>,
    category: StateCategory,
    reason: Option<WaitingReason>,
    pausable: bool,
    priority: Priority,
    team: Option<Uuid>,
    answered: bool,
    holds: bool,
}

impl Story {
    /// Nothing has happened yet.
    pub fn under(policies: impl IntoIterator<Item = Policy>) -> Self {
        Self {
            policies: policies.into_iter().map(Arc::new).collect(),
            clocks: Vec::new(),
            category: StateCategory::New,
            reason: None,
            pausable: true,
            priority: Priority::P3,
            team: None,
            answered: false,
            holds: true,
        }
    }

    pub fn of_priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    pub fn without_condition(mut self) -> Self {
        self.holds = false;
        self
    }

    fn tell(&mut self, at: Timestamp, what: What) -> &mut Self {
        let holds = self.holds;
        let moment = Moment {
            at,
            what,
            category: self.category,
            reason: self.reason,
            pausable: self.pausable,
            priority: self.priority,
            team: self.team,
            answered: self.answered,
            holds: &|_| holds,
        };
        advance(&self.policies, &mut self.clocks, &moment);
        self
    }

    pub fn opened(&mut self, when: &str) -> &mut Self {
        self.tell(at(when), What::Created)
    }

    pub fn opened_at(&mut self, when: Timestamp) -> &mut Self {
        self.tell(when, What::Created)
    }

    /// Comes into a state at an instant.
    pub fn at(&mut self, when: Timestamp, category: StateCategory, reason: Option<WaitingReason>) -> &mut Self {
        (self.category, self.reason) = (category, reason);
        self.tell(when, What::Changed)
    }

    pub fn prioritised_at(&mut self, when: Timestamp, priority: Priority) -> &mut Self {
        self.priority = priority;
        self.tell(when, What::Changed)
    }

    pub fn state(&mut self, when: &str, category: StateCategory) -> &mut Self {
        (self.category, self.reason) = (category, None);
        self.tell(at(when), What::Changed)
    }

    pub fn waits(&mut self, when: &str, reason: WaitingReason) -> &mut Self {
        (self.category, self.reason) = (StateCategory::Waiting, Some(reason));
        self.tell(at(when), What::Changed)
    }

    pub fn works(&mut self, when: &str) -> &mut Self {
        self.state(when, StateCategory::Active)
    }

    pub fn resolved(&mut self, when: &str) -> &mut Self {
        self.state(when, StateCategory::Resolved)
    }

    /// The event that resolves it has the condition cease to hold as well.
    pub fn resolved_without_condition(&mut self, when: &str) -> &mut Self {
        self.holds = false;
        self.resolved(when)
    }

    /// Is merged into another ticket.
    pub fn ends_as_duplicate(&mut self, when: &str, category: StateCategory) -> &mut Self {
        (self.category, self.reason) = (category, None);
        self.tell(at(when), What::Merged)
    }

    /// The merge is undone.
    pub fn comes_back(&mut self, when: &str, category: StateCategory) -> &mut Self {
        self.category = category;
        self.tell(at(when), What::MergeUndone)
    }

    pub fn prioritised(&mut self, when: &str, priority: Priority) -> &mut Self {
        self.priority = priority;
        self.tell(at(when), What::Changed)
    }

    pub fn assigned(&mut self, when: &str, team: u128) -> &mut Self {
        self.team = Some(Uuid::from_u128(team));
        self.tell(at(when), What::Changed)
    }

    pub fn condition(&mut self, when: &str, holds: bool) -> &mut Self {
        self.holds = holds;
        self.tell(at(when), What::Changed)
    }

    pub fn agent_replies(&mut self, when: &str) -> &mut Self {
        self.answered = true;
        self.tell(at(when), What::AgentReplied)
    }

    pub fn requester_asks(&mut self, when: &str) -> &mut Self {
        self.tell(at(when), What::RequesterAsked)
    }

    pub fn happens(&mut self, when: &str, what: What) -> &mut Self {
        self.tell(at(when), what)
    }

    /// The only clock.
    pub fn clock(&self) -> &Clock {
        assert_eq!(self.clocks.len(), 1, "{:#?}", self.clocks);
        &self.clocks[0]
    }

    pub fn states(&self, when: &str) -> Vec<ClockState> {
        self.clocks.iter().map(|clock| clock.state(at(when))).collect()
    }

    pub fn summary(&self, when: &str) -> Summary {
        summary(&self.clocks, at(when))
    }
}
