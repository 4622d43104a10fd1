//! What the driver does by itself after a close: a release, or a flush, awaited by what can be seen of it.
//!
//! What is to be seen in the end is what the simulated driver says: whose number, mapping or message is the last
//! that holds an open, nobody outside a driver can know. A simulated driver that is wrong about it is waited for in
//! vain, and that is a difference like any other.

use super::Stage;
use crate::guest::world_like;
use crate::settle::{Open, count_opens, opens};
use binder_sim::script::{Run, Script};
use binder_sim::world::World;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// How long the machine may take for what it does by itself: not waited for when all goes well.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// What the driver has, when it has nothing left to do.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct State {
    /// The opens.
    opens: Vec<Open>,
    /// How many released ones are still counted: whoever waits to freeze one holds what is left of it.
    lingering: usize,
    /// How many threads of actors wait in a call: a flush that wakes one is to be seen of nothing else.
    waiting: usize,
}

/// What the driver has after each step, and at the end, when all actors have ended.
pub(super) fn expected(script: &Script, kernel: &str) -> Vec<State> {
    let mut all = vec![State::default(); script.steps.len() + 1];
    let look = |number: usize, world: &mut World| {
        let open = |(pid, threads): (u32, Vec<(u32, bool)>)| {
            // The actors are the first processes of the world.
            let actor = script
                .actors
                .iter()
                .position(|actor| world.pid(&actor.name).is_some_and(|p| p.raw() == pid))?;
            let told = threads.iter().filter(|(_, told)| *told).count();
            Some(Open { actor: script.actors[actor].name.clone(), threads: threads.len(), told })
        };
        let mut opens: Vec<Open> = world.driver().opens().filter_map(open).collect();
        opens.sort();
        all[number - 1] = State { opens, lingering: world.driver().lingering(), waiting: 0 };
    };
    // Whoever compares finds out that it panics.
    let seen = catch_unwind(AssertUnwindSafe(|| Run::new(script, world_like(kernel)).play(look)));
    let ends: Vec<usize> =
        seen.unwrap_or_default().iter().enumerate().map(|(n, lines)| end(n + 1, lines)).collect();
    for (now, state) in (1..=script.steps.len()).zip(&mut all) {
        state.waiting = ends.iter().take(now).filter(|&&end| end > now).count();
    }
    all
}

/// After which step the step `number` was over, which saw this.
fn end(number: usize, lines: &[String]) -> usize {
    match lines.first() {
        Some(line) if line == "waits" => usize::MAX,
        Some(line) => line
            .strip_prefix("after ")
            .and_then(|rest| rest.split_once(':')?.0.parse().ok())
            .unwrap_or(number),
        None => number,
    }
}

impl Stage<'_> {
    /// How many threads have not answered.
    fn waiting(&self) -> usize {
        self.processes
            .iter()
            .flat_map(|process| &process.threads)
            .filter(|thread| thread.step.is_some())
            .count()
    }

    /// Waits until the driver has done what a step leaves it to do.
    pub(super) fn await_driver(&mut self) {
        let (begin, mut was_done) = (Instant::now(), false);
        loop {
            let is = opens(&self.pids);
            let Some(expected) = self.expected.get(self.now - 1) else { return };
            let count = expected.opens.len() + expected.lingering;
            let is_done = is == expected.opens
                && count_opens() == self.before + count
                && self.waiting() == expected.waiting;
            // Whoever was woken by the last of it has run in between.
            if is_done && was_done {
                return;
            }
            was_done = is_done;
            if begin.elapsed() > PATIENCE {
                let text = format!("the driver has {is:?} and {} wait, and not {expected:?}", self.waiting());
                self.seen[(self.now - 1).min(self.script.steps.len() - 1)].push(text);
                // The two have parted: there is nothing to wait for any more.
                return self.expected.clear();
            }
            // A thread that is still in a call holds the device open until it is back.
            self.settle();
        }
    }
}
