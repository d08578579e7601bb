//! A clock is a function of what happened: the events of a ticket, folded one by one under a policy.
//!
//! Nothing here reads a database or the present time. What is stored of a clock is where the fold stands after the last event;
//! folding all events from the first again gives the same, and a command compares the two. What depends on the present (how much
//! has gone by, what remains, whether it is late) is computed from it when somebody asks.
//!
//! Rules that the events of one ticket meet, in the order in which they are looked at:
//! 1. An open clock that was due before the event is late from its due time on.
//! 2. What ends a clock ends it, also when the policy's condition ceases to hold by the same event.
//! 3. A clock whose condition no longer holds, or which has no target any more, is canceled.
//! 4. Another target holds from the event on; what has gone by stays.
//! 5. Time stops or goes on.
//! 6. What starts a clock starts it, when the condition holds. What a merge had ended goes on once the merge is undone.

use chrono::Duration;
use kernel::{Timestamp, Uuid};
use predicate::Predicate;
use ticket::model::{Priority, StateCategory, WaitingReason};

use crate::model::{Cause, ClockState, Metric, Phase, PolicyKind};
use crate::policy::{MetricRule, Policy, Target};
use crate::segments::{Segment, Segments, Terms};

/// How many clocks one ticket may have; what would start a further one starts none.
pub const MAX_CLOCKS: usize = 200;

/// What happened to a ticket, as far as clocks are concerned.
pub struct Moment<'a> {
    /// When.
    pub at: Timestamp,
    /// What it was.
    pub what: What,
    /// The category of the ticket's state after it.
    pub category: StateCategory,
    /// What the ticket waits for after it.
    pub reason: Option<WaitingReason>,
    /// Whether clocks of the ticket may pause at all; those of contracts count what a vendor takes in any case.
    pub pausable: bool,
    /// The ticket's priority after it.
    pub priority: Priority,
    /// The ticket's team after it.
    pub team: Option<Uuid>,
    /// Whether an agent has ever answered in public.
    pub answered: bool,
    /// Whether a condition holds on the ticket after it.
    pub holds: &'a dyn Fn(&Predicate) -> bool,
}

/// The kinds of happenings that clocks tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The ticket was opened.
    Created,
    /// Something of it changed, or nothing that matters here.
    Changed,
    /// An agent commented in public.
    AgentReplied,
    /// The requester commented in public.
    RequesterAsked,
    /// A step of this approval was opened.
    StepOpened(Uuid),
    /// This approval is over: decided.
    ApprovalDecided(Uuid),
    /// This approval is over: it fell or was called off.
    ApprovalWithdrawn(Uuid),
    /// The ticket was merged into another.
    Merged,
    /// A merge was undone: of the ticket that had ended by it, or of one into the ticket.
    MergeUndone,
}

/// One metric of one policy on one ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clock {
    /// The policy.
    pub policy: Uuid,
    /// The policy's version.
    pub policy_version: i32,
    /// Between whom the policy stands.
    pub kind: PolicyKind,
    /// What is measured.
    pub metric: Metric,
    /// Which of the ticket's clocks for this policy and metric, from 1.
    pub ordinal: i32,
    /// The team of an operational level agreement's clock; the approval of an approval's clock.
    pub about: Option<Uuid>,
    /// Whether time counts.
    pub phase: Phase,
    /// Whether it is, or ended, late by the target in force.
    pub late: bool,
    /// When it started.
    pub started_at: Timestamp,
    /// When it will be over time, or would have been when it stopped; absent while time does not count.
    pub due_at: Option<Timestamp>,
    /// When it stopped or was canceled.
    pub stopped_at: Option<Timestamp>,
    /// When it was late for the first time; stays, whatever the target does later.
    pub breached_at: Option<Timestamp>,
    /// The target in force.
    pub target: Duration,
    /// The calendar in force and its version.
    pub calendar: (Uuid, i32),
    /// What had gone by when the last segment began, or at the end.
    pub elapsed: Duration,
    /// Its history.
    pub segments: Segments,
    /// Why it ended.
    pub ended: Option<Cause>,
}

impl Clock {
    /// Where it stands at an instant that is not before its last event.
    pub fn state(&self, now: Timestamp) -> ClockState {
        let late = self.late || (self.phase == Phase::Running && self.due_at.is_some_and(|due| due < now));
        match self.phase {
            Phase::Canceled => ClockState::Canceled,
            _ if late => ClockState::Breached,
            Phase::Running => ClockState::Running,
            Phase::Paused => ClockState::Paused,
            Phase::Stopped => ClockState::Met,
        }
    }

    /// When the current segment began.
    pub fn since(&self) -> Timestamp {
        self.segments.since().unwrap_or(self.started_at)
    }

    /// What has gone by at an instant, with the calendar in force.
    pub fn elapsed_at(&self, now: Timestamp, calendar: &calendar::Calendar) -> Duration {
        match self.phase {
            Phase::Running => self.elapsed + calendar.working_between(self.since(), now),
            _ => self.elapsed,
        }
    }

    /// The instant at which so much will have gone by, if nothing happens; `None` while time does not count, and beyond what
    /// calendars know.
    pub fn instant_of(&self, elapsed: Duration, calendar: &calendar::Calendar) -> Option<Timestamp> {
        if self.phase != Phase::Running {
            return None;
        }
        calendar.add_working(self.since(), (elapsed - self.elapsed).max(Duration::zero())).ok()
    }

    /// Notes that the due time has passed.
    pub fn tick(&mut self, now: Timestamp) {
        if self.phase == Phase::Running
            && !self.late
            && let Some(due) = self.due_at.filter(|due| *due < now)
        {
            self.late = true;
            self.breached_at.get_or_insert(due);
        }
    }

    /// Counts what has gone by until `at` in the current segment.
    fn settle(&mut self, at: Timestamp, target: &Target) {
        if self.phase == Phase::Running {
            self.elapsed += target.time.calendar.working_between(self.since(), at);
        }
    }

    fn begin_segment(&mut self, at: Timestamp, running: bool, cause: Cause, moment: &Moment<'_>) {
        self.segments.push(Segment {
            from: at,
            running,
            cause,
            reason: moment.reason.filter(|_| moment.category == StateCategory::Waiting),
            terms: Terms { priority: moment.priority, target: self.target.num_seconds(), calendar: self.calendar.0 },
            elapsed: self.elapsed.num_microseconds().unwrap_or(i64::MAX),
        });
    }

    /// Whether it is late by the target in force is looked at anew: after it has changed.
    fn judge(&mut self, at: Timestamp) {
        self.late = self.elapsed > self.target;
        if self.late {
            self.breached_at.get_or_insert(at);
        }
    }

    /// The due time of a segment that begins at `at`.
    fn expect(&mut self, at: Timestamp, target: &Target) {
        self.due_at = match self.phase {
            Phase::Running if self.late => self.breached_at,
            Phase::Running => target.time.calendar.add_working(at, self.target - self.elapsed).ok(),
            _ => None,
        };
    }

    /// Has time count, or not, from `at` on, under this target.
    fn go_on(&mut self, at: Timestamp, running: bool, cause: Cause, target: &Target, moment: &Moment<'_>) {
        let retargeted = self.target != target.length || self.calendar != calendar_of(target);
        self.phase = if running { Phase::Running } else { Phase::Paused };
        if retargeted {
            self.target = target.length;
            self.calendar = calendar_of(target);
            self.judge(at);
        }
        self.begin_segment(at, running, cause, moment);
        self.expect(at, target);
    }

    fn end(&mut self, at: Timestamp, phase: Phase, cause: Cause) {
        self.phase = phase;
        self.stopped_at = Some(at);
        self.ended = Some(cause);
        if phase == Phase::Canceled {
            self.due_at = None;
        }
    }
}

fn calendar_of(target: &Target) -> (Uuid, i32) {
    (target.time.id, target.time.version)
}

/// What has become of a ticket's clocks after something happened to it.
///
/// `clocks` are all clocks of the ticket, in the order in which they started; those of policies that are not given stay as they
/// are.
pub fn advance(policies: &[impl AsRef<Policy>], clocks: &mut Vec<Clock>, moment: &Moment<'_>) {
    for policy in policies.iter().map(AsRef::as_ref) {
        let holds = policy.condition.is_always() || (moment.holds)(&policy.condition);
        for rule in &policy.metrics {
            let target = if holds { rule.target(moment.priority, moment.holds) } else { None };
            for clock in clocks.iter_mut().filter(|clock| of(clock, policy, rule) && clock.phase.is_open()) {
                continue_clock(policy, rule, clock, target, moment);
            }
            if let Some(target) = target {
                start_clock(policy, rule, clocks, target, moment);
            }
        }
    }
}

fn of(clock: &Clock, policy: &Policy, rule: &MetricRule) -> bool {
    clock.policy == policy.id && clock.metric == rule.metric
}

fn continue_clock(policy: &Policy, rule: &MetricRule, clock: &mut Clock, target: Option<&Target>, moment: &Moment<'_>) {
    // The log's order is the order of what happened; where clocks of machines differ, time stands still rather than go back.
    let at = moment.at.max(clock.since());
    clock.tick(at);
    let in_force = rule.targets.iter().find(|target| calendar_of(target) == clock.calendar);
    if let Some(in_force) = in_force.filter(|_| is_turn(policy, rule, clock, target, moment)) {
        clock.settle(at, in_force);
    }
    if let Some((phase, cause)) = ending(policy, rule, clock, moment) {
        clock.end(at, phase, cause);
        return;
    }
    let Some(target) = target else {
        clock.end(at, Phase::Canceled, Cause::ConditionLost);
        return;
    };
    let running = counts(policy, rule, moment);
    let was_running = clock.phase == Phase::Running;
    let cause = match (was_running, running) {
        (true, false) => Cause::Paused,
        (false, true) => Cause::Resumed,
        _ if clock.target != target.length || clock.calendar != calendar_of(target) => Cause::Retargeted,
        _ => return,
    };
    clock.go_on(at, running, cause, target, moment);
}

/// Whether anything about the clock changes at this moment: only then what has gone by is counted.
fn is_turn(policy: &Policy, rule: &MetricRule, clock: &Clock, target: Option<&Target>, moment: &Moment<'_>) -> bool {
    let Some(target) = target else { return true };
    ending(policy, rule, clock, moment).is_some()
        || clock.target != target.length
        || clock.calendar != calendar_of(target)
        || (clock.phase == Phase::Running) != counts(policy, rule, moment)
}

/// What ends this clock, if this does.
fn ending(policy: &Policy, rule: &MetricRule, clock: &Clock, moment: &Moment<'_>) -> Option<(Phase, Cause)> {
    let done = matches!(moment.category, StateCategory::Resolved | StateCategory::Closed);
    match (rule.metric, moment.what) {
        (Metric::FirstResponse | Metric::NextResponse, What::AgentReplied) => {
            return Some((Phase::Stopped, Cause::Answered));
        }
        (Metric::Approval, What::StepOpened(approval) | What::ApprovalDecided(approval))
            if clock.about == Some(approval) =>
        {
            return Some((Phase::Stopped, Cause::Decided));
        }
        (Metric::Approval, What::ApprovalWithdrawn(approval)) if clock.about == Some(approval) => {
            return Some((Phase::Canceled, Cause::Withdrawn));
        }
        _ => {}
    }
    if moment.what == What::Merged {
        return Some((Phase::Canceled, Cause::Merged));
    }
    if moment.category == StateCategory::Canceled {
        return Some((Phase::Canceled, Cause::TicketCanceled));
    }
    if done && rule.metric != Metric::Approval {
        return Some((Phase::Stopped, Cause::Resolved));
    }
    (policy.kind == PolicyKind::Ola && clock.about != moment.team).then_some((Phase::Stopped, Cause::HandedOver))
}

/// Whether time counts after this.
fn counts(policy: &Policy, rule: &MetricRule, moment: &Moment<'_>) -> bool {
    match policy.kind {
        PolicyKind::UnderpinningContract => awaits_vendor(moment),
        PolicyKind::Sla | PolicyKind::Ola => !moment.pausable || !rule.pauses.hold(moment.category, moment.reason),
    }
}

fn awaits_vendor(moment: &Moment<'_>) -> bool {
    moment.category == StateCategory::Waiting && moment.reason == Some(WaitingReason::Vendor)
}

fn start_clock(policy: &Policy, rule: &MetricRule, clocks: &mut Vec<Clock>, target: &Target, moment: &Moment<'_>) {
    let done = moment.category.is_done();
    let ended_by_merge = |clock: &Clock| of(clock, policy, rule) && clock.ended == Some(Cause::Merged);
    if moment.what == What::MergeUndone
        && !done
        && rule.metric != Metric::Approval
        && let Some(clock) = clocks.iter_mut().rfind(|clock| ended_by_merge(clock))
    {
        go_on_again(policy, rule, clock, target, moment, Cause::MergeUndone);
        return;
    }
    let count = clocks.iter().filter(|clock| of(clock, policy, rule)).count();
    let last = clocks.iter_mut().rfind(|clock| of(clock, policy, rule));
    let last_phase = last.as_ref().map(|clock| clock.phase);
    let first_cause = if moment.what == What::Created { Cause::Opened } else { Cause::ConditionHeld };
    let none_counts = !matches!(last_phase, Some(Phase::Running | Phase::Paused | Phase::Stopped));
    let (cause, about) = match (policy.kind, rule.metric) {
        (_, Metric::Approval) => match moment.what {
            What::StepOpened(approval) => (Cause::StepOpened, Some(approval)),
            _ => return,
        },
        _ if done => return,
        (_, Metric::FirstResponse) if none_counts && !moment.answered => (first_cause, None),
        (_, Metric::NextResponse) if moment.what == What::RequesterAsked && !last_phase.is_some_and(Phase::is_open) => {
            (Cause::Asked, None)
        }
        (_, Metric::FirstResponse | Metric::NextResponse) => return,
        (PolicyKind::Ola, _) => {
            let Some(team) = moment.team else { return };
            match last {
                Some(clock) if clock.phase.is_open() => return,
                Some(clock) if clock.about == Some(team) && clock.ended == Some(Cause::Resolved) => {
                    reopen(policy, rule, clock, target, moment);
                    return;
                }
                _ => (Cause::Assigned, Some(team)),
            }
        }
        (PolicyKind::UnderpinningContract, _) => match last {
            Some(clock) if clock.phase == Phase::Stopped => {
                reopen(policy, rule, clock, target, moment);
                return;
            }
            _ if none_counts && awaits_vendor(moment) => (Cause::VendorAwaited, None),
            _ => return,
        },
        (PolicyKind::Sla, _) => match last {
            Some(clock) if clock.phase == Phase::Stopped => {
                reopen(policy, rule, clock, target, moment);
                return;
            }
            _ if none_counts => (first_cause, None),
            _ => return,
        },
    };
    if clocks.len() >= MAX_CLOCKS {
        return;
    }
    let mut clock = Clock {
        policy: policy.id,
        policy_version: policy.version,
        kind: policy.kind,
        metric: rule.metric,
        ordinal: i32::try_from(count).unwrap_or(i32::MAX).saturating_add(1),
        about,
        phase: Phase::Running,
        late: false,
        started_at: moment.at,
        due_at: None,
        stopped_at: None,
        breached_at: None,
        target: target.length,
        calendar: calendar_of(target),
        elapsed: Duration::zero(),
        segments: Segments::default(),
        ended: None,
    };
    clock.go_on(moment.at, counts(policy, rule, moment), cause, target, moment);
    clocks.push(clock);
}

/// A ticket came back from Resolved: the clock goes on with what had gone by. The time between does not count.
fn reopen(policy: &Policy, rule: &MetricRule, clock: &mut Clock, target: &Target, moment: &Moment<'_>) {
    go_on_again(policy, rule, clock, target, moment, Cause::Reopened);
}

/// A clock that had ended goes on.
fn go_on_again(
    policy: &Policy,
    rule: &MetricRule,
    clock: &mut Clock,
    target: &Target,
    moment: &Moment<'_>,
    cause: Cause,
) {
    let at = moment.at.max(clock.stopped_at.unwrap_or(moment.at));
    clock.stopped_at = None;
    clock.ended = None;
    clock.go_on(at, counts(policy, rule, moment), cause, target, moment);
}

/// What a ticket tells of its clocks in one line: the state and the due time of the one that is due next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The state of the agreement's clock that is due next; of those that do not run, or have ended, the worst.
    pub state: Option<ClockState>,
    /// When it is due; absent while no clock runs.
    pub due_at: Option<Timestamp>,
}

/// The summary of a ticket's clocks at an instant: of agreements with those who use the service alone.
pub fn summary(clocks: &[Clock], now: Timestamp) -> Summary {
    let own = || clocks.iter().filter(|clock| clock.kind == PolicyKind::Sla);
    let next = own().filter(|clock| clock.phase == Phase::Running && clock.due_at.is_some());
    if let Some(next) = next.min_by_key(|clock| clock.due_at) {
        return Summary { state: Some(next.state(now)), due_at: next.due_at };
    }
    let worst = |wanted: &dyn Fn(&Clock) -> bool| {
        let order = |state: &ClockState| match state {
            ClockState::Breached => 0,
            ClockState::Running => 1,
            ClockState::Paused => 2,
            ClockState::Met => 3,
            ClockState::Canceled => 4,
        };
        own().filter(|clock| wanted(clock)).map(|clock| clock.state(now)).min_by_key(order)
    };
    let state = worst(&|clock| clock.phase.is_open()).or_else(|| worst(&|_| true));
    Summary { state, due_at: None }
}
