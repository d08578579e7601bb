//! The rules of clocks, each by its name, and what went wrong in other products.

use kernel::Uuid;
use sla::clock::What;
use sla::model::{Cause, Phase};
use sla::{ClockState, Metric, PolicyKind};
use ticket::model::{Priority, StateCategory, WaitingReason};

use crate::story::{Story, at, conditional, hours, instant, office, pausing, policy, resolution, round_the_clock};

use ClockState::{Breached, Canceled, Met, Paused, Running};

const P1_OR_P3: &[(&[Priority], i64)] = &[(&[Priority::P1], 2), (&[Priority::P3], 8)];

fn by_priority() -> sla::policy::Policy {
    pausing(policy(PolicyKind::Sla, Metric::Resolution, &round_the_clock(), P1_OR_P3))
}

// 1. Calendars

#[test]
fn an_hour_that_does_not_exist_is_not_worked_and_one_that_happens_twice_is_worked_twice() {
    // On 2026-03-29 clocks in Vienna go from 2 to 3; on 2026-10-25 from 3 back to 2.
    let always_in_vienna = office("Europe/Vienna");
    for (opened, due) in [
        ("2026-03-27T16:00:00Z", "2026-03-30T14:00:00Z"), // Friday's opening ended 16:00 UTC; Monday opens at 7:00 UTC
        ("2026-10-23T15:00:00Z", "2026-10-26T15:00:00Z"), // Friday ended 15:00 UTC; Monday opens at 8:00 UTC
    ] {
        let mut story = Story::under([policy(PolicyKind::Sla, Metric::Resolution, &always_in_vienna, &[(&[], 7)])]);
        story.opened_at(instant(opened));
        assert_eq!(story.clock().due_at, Some(instant(due)), "{opened}");
    }
}

// 2. A ticket opened outside hours starts at the next opening

#[test]
fn a_ticket_opened_outside_hours_starts_at_the_next_opening() {
    let mut story = Story::under([policy(PolicyKind::Sla, Metric::Resolution, &office("UTC"), &[(&[], 4)])]);
    story.opened("Fri 18:30");
    assert_eq!(story.clock().due_at, Some(instant("2026-03-09T13:00:00Z")), "four hours of Monday");
    assert_eq!(story.clock().elapsed_at(at("Sun 12:00"), &office("UTC").calendar), hours(0));
}

// A merge, and undoing it

#[test]
fn a_merge_ends_a_clock_and_undoing_it_has_the_same_go_on() {
    let mut story = Story::under([resolution(8)]);
    story.opened("Mon 08:00");
    story.ends_as_duplicate("Mon 10:00", StateCategory::Closed);
    let clock = story.clock();
    assert_eq!((clock.phase, clock.ended, clock.elapsed), (Phase::Canceled, Some(Cause::Merged), hours(2)));
    assert_eq!(story.states("Fri 23:00"), [Canceled], "also where the ticket is closed, nothing was met");
    story.comes_back("Wed 10:00", StateCategory::Active);
    let clock = story.clock();
    assert_eq!((clock.due_at, clock.ended, clock.stopped_at), (Some(at("Wed 16:00")), None, None));
    assert_eq!(clock.segments.list().last().map(|segment| segment.cause), Some(Cause::MergeUndone));
    story.resolved("Wed 12:00");
    assert_eq!(story.states("Wed 12:00"), [Met]);
}

#[test]
fn what_had_ended_before_a_merge_stays_as_it_ended() {
    let mut story = Story::under([resolution(8)]);
    story.opened("Mon 08:00").resolved("Mon 10:00");
    story.ends_as_duplicate("Mon 11:00", StateCategory::Closed).comes_back("Mon 12:00", StateCategory::Resolved);
    assert_eq!((story.clock().ended, story.states("Mon 12:00")), (Some(Cause::Resolved), vec![Met]));
    story.works("Mon 13:00");
    assert_eq!(story.clock().due_at, Some(at("Mon 19:00")), "reopened later, it goes on");
}

// 3. Pauses

#[test]
fn a_pause_holds_the_due_time_open() {
    let mut story = Story::under([resolution(8)]);
    story.opened("Mon 08:00").waits("Mon 10:00", WaitingReason::Requester);
    let clock = story.clock();
    assert_eq!((clock.due_at, clock.elapsed), (None, hours(2)), "six hours remain, whenever it goes on");
    assert_eq!(story.states("Fri 23:00"), [Paused], "not even a week makes it late");
    story.works("Wed 10:00");
    assert_eq!(story.clock().due_at, Some(at("Wed 16:00")));
}

#[test]
fn pausing_never_takes_a_breach_back() {
    let mut story = Story::under([resolution(2)]);
    story.opened("Mon 08:00").waits("Mon 11:00", WaitingReason::Requester);
    assert_eq!(story.states("Mon 12:00"), [Breached]);
    assert_eq!(story.clock().breached_at, Some(at("Mon 10:00")), "when it was due, not when somebody looked");
    story.works("Mon 12:00").resolved("Mon 12:30");
    assert_eq!(story.states("Mon 12:30"), [Breached]);
}

#[test]
fn a_pause_that_resolving_ends_is_a_pause_like_any_other() {
    let mut story = Story::under([resolution(8)]);
    story.opened("Mon 08:00").waits("Mon 10:00", WaitingReason::Requester).resolved("Thu 10:00");
    assert_eq!((story.clock().elapsed, story.states("Thu 10:00")), (hours(2), vec![Met]));
}

#[test]
fn only_what_the_policy_names_pauses() {
    let mut story = Story::under([resolution(8)]);
    story.opened("Mon 08:00").waits("Mon 10:00", WaitingReason::Vendor);
    assert_eq!(story.clock().due_at, Some(at("Mon 16:00")), "the vendor is our own business");
    let mut of_category = resolution(8);
    of_category.metrics[0].pauses.state_categories.push(StateCategory::New);
    let mut story = Story::under([of_category]);
    story.opened("Mon 08:00").works("Mon 09:00");
    assert_eq!(story.clock().due_at, Some(at("Mon 17:00")), "while it was new, time stood still");
}

// 4. A change of priority

#[test]
fn a_change_of_priority_keeps_what_has_gone_by_and_applies_the_new_target() {
    let mut story = Story::under([by_priority()]);
    story.opened("Mon 08:00").prioritised("Mon 09:00", Priority::P1);
    let clock = story.clock();
    assert_eq!((clock.started_at, clock.target), (at("Mon 08:00"), hours(2)));
    assert_eq!(clock.due_at, Some(at("Mon 10:00")), "an hour had gone by");
    assert_eq!(clock.segments.list().last().unwrap().cause, Cause::Retargeted);
}

#[test]
fn raising_the_priority_past_its_target_breaches_at_that_instant_and_not_earlier() {
    let mut story = Story::under([by_priority()]);
    story.opened("Mon 08:00").prioritised("Mon 13:00", Priority::P1);
    assert_eq!(story.clock().breached_at, Some(at("Mon 13:00")), "not at 10:00, when nobody had promised that");
    assert_eq!(story.states("Mon 13:00"), [Breached]);
}

#[test]
fn a_longer_target_returns_a_clock_to_running_and_the_breach_stays_on_record() {
    let mut story = Story::under([by_priority()]).of_priority(Priority::P1);
    story.opened("Mon 08:00").prioritised("Mon 11:00", Priority::P3);
    let clock = story.clock();
    assert_eq!((clock.due_at, clock.breached_at), (Some(at("Mon 16:00")), Some(at("Mon 10:00"))));
    assert_eq!(story.states("Mon 11:00"), [Running]);
    story.resolved("Mon 12:00");
    assert_eq!(story.states("Mon 12:00"), [Met], "attainment counts the target in force at the stop");
    assert_eq!(story.clock().breached_at, Some(at("Mon 10:00")));
}

#[test]
fn a_change_of_priority_while_paused_changes_the_target_and_starts_nothing() {
    let mut story = Story::under([by_priority()]);
    story.opened("Mon 08:00").waits("Mon 09:00", WaitingReason::Requester);
    story.prioritised("Mon 20:00", Priority::P1);
    let clock = story.clock();
    assert_eq!((clock.phase, clock.target, clock.elapsed), (Phase::Paused, hours(2), hours(1)));
    story.works("Tue 08:00");
    assert_eq!(story.clock().due_at, Some(at("Tue 09:00")));
}

#[test]
fn a_priority_that_nothing_is_promised_for_has_no_clock() {
    let mut story = Story::under([by_priority()]).of_priority(Priority::P5);
    story.opened("Mon 08:00");
    assert!(story.clocks.is_empty());
    story.prioritised("Mon 09:00", Priority::P3).prioritised("Mon 10:00", Priority::P5);
    assert_eq!(story.states("Mon 10:00"), [Canceled]);
    assert_eq!(story.clock().started_at, at("Mon 09:00"), "the condition came to hold with that event");
}

#[test]
fn a_row_of_targets_may_have_a_calendar_of_its_own() {
    let mut both = policy(PolicyKind::Sla, Metric::Resolution, &office("UTC"), P1_OR_P3);
    both.metrics[0].targets[0].time = round_the_clock();
    let mut story = Story::under([both]);
    story.opened("Mon 15:00").prioritised("Mon 16:00", Priority::P1);
    assert_eq!(story.clock().due_at, Some(at("Mon 17:00")), "an hour is left");
    let mut story = Story::under(story_policies());
    story.opened("Mon 15:00").prioritised("Mon 20:00", Priority::P1);
    assert_eq!(story.clock().elapsed, hours(2), "the office's hours until then");
    assert_eq!(story.states("Mon 20:01"), [Breached], "and the clock's from then on");
}

fn story_policies() -> [sla::policy::Policy; 1] {
    let mut both = policy(PolicyKind::Sla, Metric::Resolution, &office("UTC"), P1_OR_P3);
    both.metrics[0].targets[0].time = round_the_clock();
    [both]
}

// 5. Reopening

#[test]
fn reopening_resumes_the_clock_and_the_time_while_resolved_does_not_count() {
    let mut story = Story::under([resolution(8)]);
    story.opened("Mon 08:00").resolved("Mon 10:00").works("Thu 08:00");
    let clock = story.clock();
    assert_eq!((clock.phase, clock.elapsed, clock.ordinal), (Phase::Running, hours(2), 1));
    assert_eq!((clock.stopped_at, clock.due_at), (None, Some(at("Thu 14:00"))));
    assert_eq!(clock.segments.list().last().unwrap().cause, Cause::Reopened);
    story.resolved("Thu 09:00").state("Fri 09:00", StateCategory::Closed);
    assert_eq!(story.clock().stopped_at, Some(at("Thu 09:00")), "closing is no second stop");
}

#[test]
fn reopening_a_breached_ticket_leaves_it_breached() {
    let mut story = Story::under([resolution(1)]);
    story.opened("Mon 08:00").resolved("Mon 10:00").works("Mon 11:00").resolved("Mon 11:01");
    assert_eq!(story.states("Mon 12:00"), [Breached]);
    assert_eq!(story.clock().breached_at, Some(at("Mon 09:00")));
}

// 8. What starts and stops the metrics

#[test]
fn the_first_response_is_an_agents_first_public_comment() {
    let mut story = Story::under([policy(PolicyKind::Sla, Metric::FirstResponse, &round_the_clock(), &[(&[], 4)])]);
    story.opened("Mon 08:00").requester_asks("Mon 08:30").works("Mon 09:00").agent_replies("Mon 10:00");
    assert_eq!((story.clock().stopped_at, story.states("Mon 10:00")), (Some(at("Mon 10:00")), vec![Met]));
    story.resolved("Mon 11:00").works("Mon 12:00").agent_replies("Mon 13:00");
    assert_eq!(story.clocks.len(), 1, "there is one first response");
}

#[test]
fn a_ticket_that_is_resolved_without_a_word_has_had_its_response() {
    let mut story = Story::under([policy(PolicyKind::Sla, Metric::FirstResponse, &round_the_clock(), &[(&[], 4)])]);
    story.opened("Mon 08:00").resolved("Mon 09:00");
    assert_eq!((story.states("Mon 09:00"), story.clock().ended), (vec![Met], Some(Cause::Resolved)));
}

#[test]
fn the_next_response_answers_the_first_unanswered_comment() {
    let mut story = Story::under([policy(PolicyKind::Sla, Metric::NextResponse, &round_the_clock(), &[(&[], 4)])]);
    story.opened("Mon 08:00");
    assert!(story.clocks.is_empty(), "nobody has asked");
    story.requester_asks("Mon 09:00").requester_asks("Mon 10:00").agent_replies("Mon 14:00");
    assert_eq!(story.states("Mon 14:00"), [Breached], "the clock is that of the comment at 9");
    story.requester_asks("Mon 15:00").agent_replies("Mon 15:30").agent_replies("Mon 16:00");
    assert_eq!(story.states("Mon 16:00"), [Breached, Met]);
    assert_eq!(story.clocks[1].ordinal, 2);
}

#[test]
fn an_operational_level_starts_a_clock_at_each_assignment() {
    let mut story = Story::under([policy(PolicyKind::Ola, Metric::Resolution, &round_the_clock(), &[(&[], 2)])]);
    story.opened("Mon 08:00").assigned("Mon 09:00", 1).assigned("Mon 10:00", 2).assigned("Mon 14:00", 1);
    assert_eq!(story.states("Mon 14:00"), [Met, Breached, Running]);
    assert_eq!(story.clocks[1].ended, Some(Cause::HandedOver));
    story.resolved("Mon 15:00").works("Mon 18:00");
    assert_eq!(story.clocks.len(), 3, "the same team goes on");
    assert_eq!(story.clocks[2].due_at, Some(at("Mon 19:00")));
}

#[test]
fn an_underpinning_contract_runs_while_the_vendor_is_awaited() {
    let kind = PolicyKind::UnderpinningContract;
    let mut story = Story::under([policy(kind, Metric::Resolution, &round_the_clock(), &[(&[], 5)])]);
    story.opened("Mon 08:00").works("Mon 09:00");
    assert!(story.clocks.is_empty());
    story.waits("Mon 10:00", WaitingReason::Vendor).works("Mon 12:00");
    assert_eq!((story.clock().phase, story.clock().elapsed), (Phase::Paused, hours(2)));
    story.waits("Tue 10:00", WaitingReason::Vendor);
    assert_eq!(story.clock().due_at, Some(at("Tue 13:00")), "what it took before counts");
    story.waits("Tue 11:00", WaitingReason::Requester).resolved("Wed 09:00");
    assert_eq!((story.clock().elapsed, story.states("Wed 09:00")), (hours(3), vec![Met]));
}

#[test]
fn an_approval_is_measured_step_by_step() {
    let mut story = Story::under([policy(PolicyKind::Sla, Metric::Approval, &round_the_clock(), &[(&[], 2)])]);
    let (one, other) = (Uuid::from_u128(7), Uuid::from_u128(8));
    story.opened("Mon 08:00").happens("Mon 09:00", What::StepOpened(one)).happens("Mon 10:00", What::StepOpened(other));
    story.happens("Mon 10:30", What::StepOpened(one)).happens("Mon 13:00", What::ApprovalDecided(one));
    story.happens("Mon 13:00", What::ApprovalWithdrawn(other));
    assert_eq!(story.states("Mon 13:00"), [Met, Canceled, Breached]);
}

#[test]
fn a_condition_that_ceases_to_hold_cancels_and_one_that_holds_again_starts_anew() {
    let mut story = Story::under([conditional(resolution(8))]).without_condition();
    story.opened("Mon 08:00");
    assert!(story.clocks.is_empty());
    story.condition("Mon 09:00", true).condition("Mon 10:00", false).condition("Mon 11:00", true);
    assert_eq!(story.states("Mon 11:00"), [Canceled, Running]);
    assert_eq!(story.clocks[1].due_at, Some(at("Mon 19:00")), "from that event on");
}

#[test]
fn canceling_a_ticket_cancels_its_clocks() {
    let mut story = Story::under([resolution(8)]);
    story.opened("Mon 08:00").state("Mon 09:00", StateCategory::Canceled);
    assert_eq!((story.states("Tue 09:00"), story.clock().ended), (vec![Canceled], Some(Cause::TicketCanceled)));
}

#[test]
fn what_resolves_a_ticket_stops_its_clock_even_when_the_condition_ceases_to_hold_with_it() {
    // The condition speaks of what resolving changes.
    let mut story = Story::under([conditional(resolution(8))]);
    story.opened("Mon 08:00").resolved_without_condition("Mon 10:00");
    assert_eq!(story.states("Mon 10:00"), [Met]);
}

#[test]
fn the_due_instant_itself_is_in_time() {
    let mut story = Story::under([resolution(2)]);
    story.opened("Mon 08:00");
    assert_eq!(story.states("Mon 10:00"), [Running]);
    assert_eq!(story.clock().state(at("Mon 10:00") + chrono::Duration::microseconds(1)), Breached);
    story.resolved("Mon 10:00");
    assert_eq!(story.states("Mon 11:00"), [Met]);
}

#[test]
fn several_policies_have_each_a_clock_of_their_own() {
    let other = sla::policy::Policy { id: Uuid::from_u128(101), ..resolution(2) };
    let mut story = Story::under([resolution(8), other]);
    story.opened("Mon 08:00");
    assert_eq!(
        story.clocks.iter().map(|clock| clock.due_at).collect::<Vec<_>>(),
        [Some(at("Mon 16:00")), Some(at("Mon 10:00"))]
    );
    assert_eq!(story.summary("Mon 09:00").due_at, Some(at("Mon 10:00")), "the ticket tells the one that is due next");
}

// What went wrong elsewhere

#[test]
fn pausing_and_resuming_many_times_loses_no_time() {
    let mut story = Story::under([resolution(100)]);
    story.opened("Mon 08:00");
    for hour in 9..20 {
        story.waits(&format!("Mon {hour:02}:15"), WaitingReason::Requester).works(&format!("Mon {hour:02}:45"));
    }
    story.resolved("Mon 20:00");
    assert_eq!(story.clock().elapsed, hours(12) - chrono::Duration::minutes(11 * 30));
}

#[test]
fn a_pause_over_a_weekend_does_not_count_the_weekend_twice() {
    let mut story = Story::under([pausing(policy(PolicyKind::Sla, Metric::Resolution, &office("UTC"), &[(&[], 8)]))]);
    story.opened("Fri 13:00").waits("Fri 15:00", WaitingReason::Requester).works("Sun 12:00");
    assert_eq!(story.clock().due_at, Some(instant("2026-03-09T15:00:00Z")), "two hours on Friday, six on Monday");
}

#[test]
fn an_event_that_changes_nothing_leaves_a_clock_as_it_is() {
    let mut story = Story::under([resolution(8)]);
    story.opened("Mon 08:00");
    let before = story.clocks.clone();
    story.assigned("Mon 09:00", 1).requester_asks("Mon 10:00").happens("Mon 11:00", What::Changed);
    assert_eq!(story.clocks, before);
}

#[test]
fn clocks_of_machines_that_differ_never_make_time_go_back() {
    let mut story = Story::under([resolution(8)]);
    story.opened("Mon 08:00").waits("Mon 09:00", WaitingReason::Requester).works("Mon 08:59");
    assert_eq!(story.clock().elapsed, hours(1));
    assert!(story.clock().segments.list().is_sorted_by_key(|segment| segment.from));
}

#[test]
fn reassigning_a_ticket_does_not_restart_the_agreement_with_the_customer() {
    let mut story = Story::under([resolution(8)]);
    story.opened("Mon 08:00").assigned("Mon 12:00", 1).assigned("Mon 15:00", 2);
    assert_eq!(story.clock().due_at, Some(at("Mon 16:00")));
}

// Limits

#[test]
fn a_clock_remembers_a_limited_number_of_stretches_and_loses_no_time() {
    let mut story = Story::under([resolution(1_000)]);
    let begin = at("Mon 00:00");
    story.opened_at(begin);
    let minutes = chrono::Duration::minutes;
    for number in 1..=400_i64 {
        let (category, reason) = match number % 2 {
            1 => (StateCategory::Waiting, Some(WaitingReason::Requester)),
            _ => (StateCategory::Active, None),
        };
        story.at(begin + minutes(number * 3), category, reason);
    }
    let clock = story.clock();
    assert_eq!(clock.segments.len(), sla::segments::MAX_SEGMENTS);
    assert_eq!((clock.segments.list()[0].cause, clock.segments.list()[1].cause), (Cause::Opened, Cause::Earlier));
    assert_eq!(clock.elapsed, minutes(600), "every other stretch of three minutes");
}

#[test]
fn a_ticket_has_a_limited_number_of_clocks() {
    let next = policy(PolicyKind::Sla, Metric::NextResponse, &round_the_clock(), &[(&[], 4)]);
    let mut story = Story::under([next]);
    story.opened("Mon 00:00");
    for _ in 0..sla::clock::MAX_CLOCKS + 5 {
        story.requester_asks("Mon 09:00").agent_replies("Mon 09:01");
    }
    assert_eq!(story.clocks.len(), sla::clock::MAX_CLOCKS);
}
