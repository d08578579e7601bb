//! Finding problems before anybody asks: what a rule says, and the fold that tells which candidates a course of incidents opens.

use std::collections::{BTreeMap, VecDeque};

use chrono::Duration;
use kernel::{Timestamp, Uuid, words};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use ticket::{Impact, Urgency};

/// How few incidents may make a problem.
pub const MIN_THRESHOLD: i32 = 2;
/// How many incidents a rule may wait for: as many as are linked with the candidate at once.
pub const MAX_THRESHOLD: i32 = crate::commands::MAX_LINKED_AT_ONCE as i32;
/// The shortest window, in seconds.
pub const MIN_WINDOW_SECONDS: i64 = 60;
/// The longest window, in seconds.
pub const MAX_WINDOW_SECONDS: i64 = 90 * 86_400;
/// How many rules a tenant may have that are not retired.
pub const MAX_DETECTION_RULES: usize = 50;
/// The longest range that a simulation looks at, in days.
pub const MAX_SIMULATED_DAYS: i64 = 366;
/// How many incidents, and how many configuration items on them, a simulation looks at.
pub const MAX_SIMULATED: usize = 10_000;
/// How many candidates a simulation shows: those with the most incidents.
pub const MAX_CANDIDATES: usize = 100;

words! {
    /// What incidents have in common.
    DetectionKey {
        /// They are about the same configuration item.
        ConfigurationItem = "CONFIGURATION_ITEM",
        /// They are about the same service, and of the same category.
        ServiceAndCategory = "SERVICE_AND_CATEGORY",
    }
}

/// What a rule says. Stored as JSON; the ids in it are those of records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DetectionDocument {
    /// What the incidents have in common.
    pub same: String,
    /// How many incidents make a problem.
    pub threshold: i32,
    /// Within how long, in seconds.
    pub window: i64,
    /// Among which incidents, as a filter document; among all, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<Json>,
    /// How many the candidate is said to affect.
    pub impact: Impact,
    /// How long the candidate can wait.
    pub urgency: Urgency,
    /// Who has the candidates, as their requester.
    pub requester: Uuid,
    /// The team that works on them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<Uuid>,
}

impl DetectionDocument {
    /// What the incidents have in common.
    pub fn same(&self) -> DetectionKey {
        DetectionKey::parse(&self.same).unwrap_or(DetectionKey::ServiceAndCategory)
    }

    /// Within how long.
    pub fn window(&self) -> Duration {
        Duration::seconds(self.window)
    }
}

/// What some incidents have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Common {
    /// This configuration item.
    Item(Uuid),
    /// This service and this category.
    ServiceAndCategory(Uuid, Uuid),
}

impl Common {
    /// The key of the candidate that a rule opens for it.
    pub fn key(self, rule: Uuid) -> String {
        match self {
            Common::Item(item) => format!("{rule}/{item}"),
            Common::ServiceAndCategory(service, category) => format!("{rule}/{service}/{category}"),
        }
    }
}

/// A candidate that a rule would have opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// What its incidents have in common.
    pub common: Common,
    /// When the rule was met.
    pub opened_at: Timestamp,
    /// When the first of its incidents was opened.
    pub first: Timestamp,
    /// When the last of them was.
    pub last: Timestamp,
    /// How many there are.
    pub incidents: usize,
}

/// What is known of one thing in common, on the way through the past.
#[derive(Default)]
struct Course {
    /// Incidents no older than the window that no candidate has.
    recent: VecDeque<Timestamp>,
    /// Where the candidate stands among those that were opened.
    open: Option<usize>,
}

/// The candidates that a rule would have opened for these incidents, which come in the order in which they were opened. A candidate takes
/// in what comes until a whole window has gone by without any: by then somebody will have closed it.
pub fn candidates(sightings: &[(Timestamp, Common)], threshold: usize, window: Duration) -> Vec<Candidate> {
    let mut courses: BTreeMap<Common, Course> = BTreeMap::new();
    let mut found: Vec<Candidate> = Vec::new();
    for (at, common) in sightings {
        let course = courses.entry(*common).or_default();
        if let Some(open) = course.open.and_then(|place| found.get_mut(place)) {
            if *at - open.last <= window {
                open.last = *at;
                open.incidents += 1;
                continue;
            }
            course.open = None;
        }
        course.recent.push_back(*at);
        while course.recent.front().is_some_and(|oldest| *at - *oldest > window) {
            course.recent.pop_front();
        }
        if course.recent.len() >= threshold {
            let first = course.recent.front().copied().unwrap_or(*at);
            let incidents = course.recent.len();
            found.push(Candidate { common: *common, opened_at: *at, first, last: *at, incidents });
            course.open = Some(found.len() - 1);
            course.recent.clear();
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + Duration::minutes(minute)
    }

    fn one(minutes: &[i64], threshold: usize) -> Vec<(i64, usize)> {
        let common = Common::Item(Uuid::from_u128(1));
        let sightings: Vec<_> = minutes.iter().map(|minute| (at(*minute), common)).collect();
        let found = candidates(&sightings, threshold, Duration::minutes(60));
        found.iter().map(|found| ((found.opened_at - at(0)).num_minutes(), found.incidents)).collect()
    }

    #[test]
    fn a_candidate_is_opened_when_enough_came_within_the_window() {
        assert_eq!(one(&[0, 30, 60], 3), [(60, 3)], "both ends of the window count");
        assert_eq!(one(&[0, 30, 61], 3), []);
        assert_eq!(one(&[0, 50, 100, 110], 3), [(110, 3)], "the first is too old by then");
        assert_eq!(one(&[0, 0, 0], 3), [(0, 3)]);
        assert_eq!(one(&[], 2), []);
    }

    #[test]
    fn it_takes_in_what_comes_until_a_window_goes_by() {
        assert_eq!(one(&[0, 1, 2, 50, 110], 3), [(2, 5)]);
        assert_eq!(one(&[0, 1, 2, 63, 64, 65], 3), [(2, 3), (65, 3)], "a window later it is another one");
    }

    #[test]
    fn what_has_nothing_in_common_is_counted_apart() {
        let (service, category) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let one = Common::ServiceAndCategory(service, category);
        let other = Common::ServiceAndCategory(service, Uuid::from_u128(3));
        let sightings = [(at(0), one), (at(1), other), (at(2), one), (at(3), other), (at(4), one)];
        let found = candidates(&sightings, 3, Duration::minutes(60));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].common, found[0].first, found[0].last), (one, at(0), at(4)));
        assert_ne!(one.key(service), other.key(service));
    }
}
