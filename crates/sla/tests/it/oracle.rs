//! Clocks beside a walk over every minute: random lives, one resolution clock, an office's hours and the whole week.

use chrono::Duration;
use kernel::Timestamp;
use proptest::prelude::*;
use sla::policy::WorkingTime;
use sla::{ClockState, Metric, PolicyKind};
use ticket::model::{Priority, StateCategory, WaitingReason};

use crate::story::{Story, instant, office, pausing, policy, round_the_clock};

/// What may happen to a ticket, between the minutes.
#[derive(Clone, Copy, Debug)]
enum Step {
    Wait,
    Work,
    Resolve,
    Prioritise(Priority),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Wait),
        Just(Step::Work),
        Just(Step::Resolve),
        prop_oneof![Just(Priority::P1), Just(Priority::P2), Just(Priority::P3)].prop_map(Step::Prioritise),
    ]
}

/// Targets in hours, by priority.
const TARGETS: &[(&[Priority], i64)] = &[(&[Priority::P1], 3), (&[Priority::P2], 9), (&[Priority::P3], 30)];

fn target(priority: Priority) -> i64 {
    TARGETS.iter().find(|(priorities, _)| priorities.contains(&priority)).map_or(0, |(_, hours)| hours * 60)
}

/// The same clock, kept by counting minutes.
struct Walk<'a> {
    time: &'a WorkingTime,
    minute: i64,
    begin: Timestamp,
    priority: Priority,
    waiting: bool,
    resolved: bool,
    counted: i64,
    late: bool,
    breached: bool,
    /// The minute at which the count reached the target, while time counts.
    reached: Option<i64>,
}

impl Walk<'_> {
    fn counts(&self) -> bool {
        !self.waiting && !self.resolved
    }

    fn to(&mut self, minute: i64) {
        while self.minute < minute {
            if self.counts() && self.time.calendar.is_open(self.begin + Duration::minutes(self.minute)) {
                self.counted += 1;
                if self.counted == target(self.priority) {
                    self.reached = Some(self.minute + 1);
                }
            }
            self.minute += 1;
            self.look();
        }
    }

    /// What was reached before this minute, while time counted, is late.
    fn look(&mut self) {
        if self.counts() && self.reached.is_some_and(|reached| reached < self.minute) {
            self.late = true;
            self.breached = true;
        }
    }

    fn take(&mut self, step: Step) {
        let counted_before = self.counts();
        match step {
            Step::Wait => (self.waiting, self.resolved) = (true, false),
            Step::Work => (self.waiting, self.resolved) = (false, false),
            // What waits and is resolved does not wait any more.
            Step::Resolve => (self.waiting, self.resolved) = (false, true),
            // Nothing is promised anew for what is done.
            Step::Prioritise(priority) => {
                let other = target(priority) != target(self.priority);
                self.priority = priority;
                if other && !self.resolved {
                    self.judge();
                }
                return;
            }
        }
        // Work goes on: what was prioritised while it was resolved holds now, and what was just reached is due at once.
        if self.counts() && !counted_before || self.waiting {
            self.settle();
        }
    }

    fn judge(&mut self) {
        self.late = self.counted > target(self.priority);
        self.breached |= self.late;
        self.reached = (self.counted == target(self.priority)).then_some(self.minute);
    }

    fn settle(&mut self) {
        if !self.late && self.counted == target(self.priority) {
            self.reached = Some(self.minute);
        }
    }

    fn state(&self) -> ClockState {
        match (self.late, self.resolved, self.waiting) {
            (true, ..) => ClockState::Breached,
            (_, true, _) => ClockState::Met,
            (_, _, true) => ClockState::Paused,
            _ => ClockState::Running,
        }
    }
}

fn compare(time: &WorkingTime, begin: Timestamp, steps: &[(i64, Step)]) -> Result<(), TestCaseError> {
    let rule = pausing(policy(PolicyKind::Sla, Metric::Resolution, time, TARGETS));
    let mut story = Story::under([rule]);
    story.opened_at(begin);
    let mut walk = Walk {
        time,
        minute: 0,
        begin,
        priority: Priority::P3,
        waiting: false,
        resolved: false,
        counted: 0,
        late: false,
        breached: false,
        reached: None,
    };
    // The target that holds for a resolved ticket is that of its resolution, until it is reopened.
    let mut held = walk.priority;
    let mut minute = 0;
    for (pause, step) in steps {
        minute += pause;
        walk.to(minute);
        let at = begin + Duration::minutes(minute);
        match *step {
            Step::Wait => story.at(at, StateCategory::Waiting, Some(WaitingReason::Requester)),
            Step::Work => story.at(at, StateCategory::Active, None),
            Step::Resolve => story.at(at, StateCategory::Resolved, None),
            Step::Prioritise(priority) => story.prioritised_at(at, priority),
        };
        match *step {
            Step::Prioritise(priority) if walk.resolved => held = priority,
            Step::Prioritise(priority) => {
                held = priority;
                walk.take(*step);
            }
            Step::Resolve => walk.take(*step),
            Step::Wait | Step::Work => {
                let reopened = walk.resolved;
                walk.take(*step);
                if reopened && target(held) != target(walk.priority) {
                    walk.priority = held;
                    walk.judge();
                }
            }
        }
    }
    // Some time goes by, and nobody looks.
    minute += 90;
    walk.to(minute);
    let now = begin + Duration::minutes(minute);
    let clock = story.clock();
    prop_assert_eq!(clock.elapsed_at(now, &time.calendar), Duration::minutes(walk.counted), "{:#?}", clock);
    prop_assert_eq!(clock.state(now), walk.state(), "{:#?}", clock);
    let mut looked = clock.clone();
    looked.tick(now);
    prop_assert_eq!(looked.breached_at.is_some(), walk.breached, "{:#?}", clock);
    prop_assert!(clock.segments.list().is_sorted_by_key(|segment| (segment.from, segment.elapsed)));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_clock_is_what_counting_minutes_gives(
        start in 0_i64..14 * 24 * 60,
        always in any::<bool>(),
        steps in prop::collection::vec((0_i64..900, step()), 0..14),
    ) {
        // Around a change of clocks in Vienna.
        let begin = instant("2026-03-20T00:00:00Z") + Duration::minutes(start);
        let time = if always { round_the_clock() } else { office("Europe/Vienna") };
        compare(&time, begin, &steps)?;
    }
}
