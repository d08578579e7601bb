//! Counts the steps of the arithmetic in tests, so that its cost is asserted without a timer.

/// Notes one step of a search.
#[cfg(not(test))]
#[inline(always)]
pub fn step() {}

#[cfg(test)]
thread_local! {
    static STEPS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Notes one step of a search.
#[cfg(test)]
pub fn step() {
    STEPS.set(STEPS.get() + 1);
}

/// How many steps `work` took on this thread.
#[cfg(test)]
pub fn counted<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let before = STEPS.get();
    let answer = work();
    (answer, STEPS.get() - before)
}
