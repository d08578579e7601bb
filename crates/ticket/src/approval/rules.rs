//! What an approval step comes to: pure decisions over the votes so far.
//!
//! A step is approved when as many of its voters approved as its rule needs and no veto holder refused. It decides as soon
//! as no completion of the outstanding votes can change that, in either direction.

use serde::{Deserialize, Serialize};

use kernel::Uuid;

/// How many of a step's voters must approve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StepRule {
    /// One.
    Any,
    /// Each of them.
    All,
    /// More than half.
    Majority,
    /// This many.
    Quorum(u32),
    /// This part of a hundred, rounded up.
    Percent(u32),
}

impl StepRule {
    /// The names of the rules.
    pub const NAMES: &'static [&'static str] = &["ANY", "ALL", "MAJORITY", "QUORUM", "PERCENT"];

    /// The name that is stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            StepRule::Any => "ANY",
            StepRule::All => "ALL",
            StepRule::Majority => "MAJORITY",
            StepRule::Quorum(_) => "QUORUM",
            StepRule::Percent(_) => "PERCENT",
        }
    }

    /// The number that the rule has, if it has one.
    pub const fn value(self) -> Option<u32> {
        match self {
            StepRule::Quorum(value) | StepRule::Percent(value) => Some(value),
            _ => None,
        }
    }

    /// A rule by its name and number; `None` for what is no rule.
    pub fn of(name: &str, value: Option<u32>) -> Option<Self> {
        match (name, value) {
            ("ANY", None) => Some(StepRule::Any),
            ("ALL", None) => Some(StepRule::All),
            ("MAJORITY", None) => Some(StepRule::Majority),
            ("QUORUM", Some(value @ 1..)) => Some(StepRule::Quorum(value)),
            ("PERCENT", Some(value @ 1..=100)) => Some(StepRule::Percent(value)),
            _ => None,
        }
    }

    /// How many of so many voters must approve; at least one.
    pub fn needed(self, voters: u32) -> u32 {
        let needed = match self {
            StepRule::Any => 1,
            StepRule::All => voters,
            StepRule::Majority => voters / 2 + 1,
            StepRule::Quorum(count) => count,
            // `u64`, so that no number of voters overflows.
            StepRule::Percent(part) => {
                u32::try_from((u64::from(voters) * u64::from(part)).div_ceil(100)).unwrap_or(u32::MAX)
            }
        };
        needed.max(1)
    }
}

/// Somebody's vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vote {
    /// Not given yet.
    Pending,
    /// For it.
    Approved,
    /// Against it.
    Refused,
}

/// Somebody whom a step asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    /// Whether the rule counts this vote.
    pub counts: bool,
    /// Whether this refusal alone refuses the step.
    pub veto: bool,
    /// The vote.
    pub vote: Vote,
}

/// What a step has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Approved, whatever else is said.
    Approved,
    /// Refused, whatever else is said.
    Refused,
    /// It depends on the votes to come.
    Open,
}

/// What the votes so far come to.
pub fn decide(rule: StepRule, seats: &[Seat]) -> Decision {
    let count = |wanted: fn(&Seat) -> bool| {
        let found = seats.iter().filter(|seat| seat.counts && wanted(seat)).count();
        u32::try_from(found).unwrap_or(u32::MAX)
    };
    let needed = rule.needed(count(|_| true));
    let approved = count(|seat| seat.vote == Vote::Approved);
    let pending = count(|seat| seat.vote == Vote::Pending);
    let vetoed = seats.iter().any(|seat| seat.veto && seat.vote == Vote::Refused);
    let may_be_vetoed = seats.iter().any(|seat| seat.veto && seat.vote == Vote::Pending);
    if vetoed || approved.saturating_add(pending) < needed {
        Decision::Refused
    } else if approved >= needed && !may_be_vetoed {
        Decision::Approved
    } else {
        Decision::Open
    }
}

/// A person whom a step asks, before anybody voted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Who.
    pub person: Uuid,
    /// Whether the rule counts this person's vote.
    pub counts: bool,
    /// Whether this person's refusal alone refuses the step.
    pub veto: bool,
}

/// The distinct persons that a step asks: voters and veto holders, without those who may not decide (`barred`), each once,
/// by id. Somebody who is both counts and has a veto.
pub fn seated(voters: &[Uuid], veto_holders: &[Uuid], barred: &[Uuid]) -> Vec<Asked> {
    let mut persons: Vec<Uuid> = voters.iter().chain(veto_holders).copied().collect();
    persons.sort_unstable();
    persons.dedup();
    let asked = persons.into_iter().filter(|person| !barred.contains(person));
    asked
        .map(|person| Asked { person, counts: voters.contains(&person), veto: veto_holders.contains(&person) })
        .collect()
}

/// Who may vote for a person: the one they delegated to, unless that one may not decide at all or is the person.
pub fn stand_in(person: Uuid, delegate: Option<Uuid>, barred: &[Uuid]) -> Option<Uuid> {
    delegate.filter(|delegate| *delegate != person && !barred.contains(delegate))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a step with all its votes comes to, straight from the definition.
    fn outcome(rule: StepRule, seats: &[Seat]) -> Decision {
        let voters = seats.iter().filter(|seat| seat.counts).count();
        let approvals = seats.iter().filter(|seat| seat.counts && seat.vote == Vote::Approved).count();
        let enough = match rule {
            StepRule::Any => approvals >= 1,
            StepRule::All => voters > 0 && approvals == voters,
            StepRule::Majority => approvals * 2 > voters,
            StepRule::Quorum(count) => approvals >= count as usize,
            StepRule::Percent(part) => approvals > 0 && approvals * 100 >= voters * part as usize,
        };
        let vetoed = seats.iter().any(|seat| seat.veto && seat.vote == Vote::Refused);
        if enough && !vetoed { Decision::Approved } else { Decision::Refused }
    }

    /// What every completion of the outstanding votes comes to; open when they differ.
    fn oracle(rule: StepRule, seats: &[Seat]) -> Decision {
        let open: Vec<usize> = (0..seats.len()).filter(|index| seats[*index].vote == Vote::Pending).collect();
        let mut found: Option<Decision> = None;
        for completion in 0..1_u32 << open.len() {
            let mut complete = seats.to_vec();
            for (bit, index) in open.iter().enumerate() {
                complete[*index].vote = if completion >> bit & 1 == 1 { Vote::Approved } else { Vote::Refused };
            }
            let decision = outcome(rule, &complete);
            match found {
                Some(other) if other != decision => return Decision::Open,
                _ => found = Some(decision),
            }
        }
        found.unwrap_or(Decision::Open)
    }

    fn rules() -> impl Strategy<Value = StepRule> {
        prop_oneof![
            Just(StepRule::Any),
            Just(StepRule::All),
            Just(StepRule::Majority),
            (1_u32..12).prop_map(StepRule::Quorum),
            (1_u32..=100).prop_map(StepRule::Percent),
        ]
    }

    fn seats() -> impl Strategy<Value = Vec<Seat>> {
        let vote = prop_oneof![Just(Vote::Pending), Just(Vote::Approved), Just(Vote::Refused)];
        // A seat counts, has a veto, or both; one with neither is never asked.
        let kind = prop_oneof![3 => Just((true, false)), 1 => Just((false, true)), 1 => Just((true, true))];
        proptest::collection::vec((kind, vote).prop_map(|((counts, veto), vote)| Seat { counts, veto, vote }), 0..10)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn a_step_decides_exactly_when_nothing_can_change_it(rule in rules(), seats in seats()) {
            prop_assert_eq!(decide(rule, &seats), oracle(rule, &seats));
        }

        #[test]
        fn a_decision_stands_whatever_is_voted_later(rule in rules(), seats in seats(), later in any::<u32>()) {
            let before = decide(rule, &seats);
            let mut after = seats.clone();
            for (index, seat) in after.iter_mut().enumerate().filter(|(_, seat)| seat.vote == Vote::Pending) {
                seat.vote = if later >> index & 1 == 1 { Vote::Approved } else { Vote::Refused };
            }
            if before != Decision::Open {
                prop_assert_eq!(decide(rule, &after), before);
            }
            prop_assert_ne!(decide(rule, &after), Decision::Open, "with all votes given, a step is decided");
        }

        #[test]
        fn the_order_of_votes_does_not_matter(rule in rules(), seats in seats(), turn in 0_usize..10) {
            let mut turned = seats.clone();
            turned.rotate_left(if seats.is_empty() { 0 } else { turn % seats.len() });
            prop_assert_eq!(decide(rule, &seats), decide(rule, &turned));
        }

        #[test]
        fn persons_are_asked_once_and_nobody_who_is_barred(
            voters in proptest::collection::vec(0_u128..8, 0..12),
            vetoes in proptest::collection::vec(0_u128..8, 0..6),
            barred in proptest::collection::vec(0_u128..8, 0..4),
        ) {
            let ids = |list: &[u128]| list.iter().copied().map(Uuid::from_u128).collect::<Vec<_>>();
            let (voters, vetoes, barred) = (ids(&voters), ids(&vetoes), ids(&barred));
            let asked = seated(&voters, &vetoes, &barred);
            for id in 0..8 {
                let id = Uuid::from_u128(id);
                let found: Vec<_> = asked.iter().filter(|asked| asked.person == id).collect();
                let is_asked = (voters.contains(&id) || vetoes.contains(&id)) && !barred.contains(&id);
                prop_assert_eq!(found.len(), usize::from(is_asked));
                if let Some(found) = found.first() {
                    prop_assert_eq!((found.counts, found.veto), (voters.contains(&id), vetoes.contains(&id)));
                }
            }
        }

        #[test]
        fn a_rule_is_read_back_as_it_was_written(rule in rules()) {
            prop_assert_eq!(StepRule::of(rule.name(), rule.value()), Some(rule));
        }
    }

    #[test]
    fn fractions_are_rounded_up_and_a_majority_is_more_than_half() {
        for (rule, voters, needed) in [
            (StepRule::Majority, 4, 3),
            (StepRule::Majority, 5, 3),
            (StepRule::Majority, 1, 1),
            (StepRule::Percent(50), 3, 2),
            (StepRule::Percent(34), 3, 2),
            (StepRule::Percent(33), 3, 1),
            (StepRule::Percent(1), 5, 1),
            (StepRule::Percent(100), 7, 7),
            (StepRule::Quorum(2), 9, 2),
            (StepRule::All, 3, 3),
            (StepRule::Any, 3, 1),
        ] {
            assert_eq!(rule.needed(voters), needed, "{rule:?} of {voters}");
        }
    }

    #[test]
    fn a_quorum_that_cannot_be_reached_is_refused_before_anybody_votes() {
        let seat = Seat { counts: true, veto: false, vote: Vote::Pending };
        assert_eq!(decide(StepRule::Quorum(3), &[seat, seat]), Decision::Refused);
    }

    #[test]
    fn an_outstanding_veto_keeps_a_step_open() {
        let approved = Seat { counts: true, veto: false, vote: Vote::Approved };
        let veto = |vote| Seat { counts: false, veto: true, vote };
        assert_eq!(decide(StepRule::Any, &[approved, veto(Vote::Pending)]), Decision::Open);
        assert_eq!(decide(StepRule::Any, &[approved, veto(Vote::Approved)]), Decision::Approved);
        assert_eq!(decide(StepRule::Any, &[approved, veto(Vote::Refused)]), Decision::Refused);
    }

    #[test]
    fn what_is_no_rule_is_not_read() {
        for (name, value) in
            [("ANY", Some(1)), ("QUORUM", None), ("QUORUM", Some(0)), ("PERCENT", Some(101)), ("MOST", None)]
        {
            assert_eq!(StepRule::of(name, value), None, "{name} {value:?}");
        }
    }

    #[test]
    fn nobody_votes_for_somebody_and_against_the_ban() {
        let [person, delegate] = [1, 2].map(Uuid::from_u128);
        assert_eq!(stand_in(person, Some(delegate), &[]), Some(delegate));
        assert_eq!(stand_in(person, Some(delegate), &[delegate]), None);
        assert_eq!(stand_in(person, Some(person), &[]), None);
        assert_eq!(stand_in(person, None, &[]), None);
    }
}
