//! What the driver does by itself after a close: a release, or a flush, awaited by what can be seen of it.
//!
//! What is to be seen in the end is what the simulated driver says: whose number, mapping or message is the last
//! that holds an open, nobody outside a driver can know. A simulated driver that is wrong about it is waited for in
//! vain, and that is a difference like any other.

use super::Stage;
use crate::guest::world_like;
use crate::settle::{Open, count_opens, opens, told};
use binder_sim::client::Client;
use binder_sim::driver::Device;
use binder_sim::script::{Actor, Run, Script, device_name};
use binder_sim::world::{Pid, World};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// How long the machine may take for what it does by itself: not waited for when all goes well.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// What the driver has, when it has nothing left to do.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct State {
    /// The opens.
    opens: Vec<Open>,
    /// How many threads of each actor have to return from their next read: of those that have the device open.
    told: Vec<(String, usize)>,
    /// How many released ones are still counted: whoever waits to freeze one holds what is left of it.
    lingering: usize,
    /// How many threads of actors wait in a call: a flush that wakes one is to be seen of nothing else.
    waiting: usize,
}

/// What the driver has after each step, and at the end, when all actors have ended.
pub(super) fn expected(script: &Script, kernel: &str) -> Vec<State> {
    let mut all = vec![State::default(); script.steps.len() + 1];
    let look = |number: usize, world: &mut World| {
        let state = &mut all[number - 1];
        *state = State { lingering: world.driver().lingering(), ..State::default() };
        for Actor { name, .. } in &script.actors {
            let pid = world.pid(name).map(Pid::raw);
            let own = world.driver().opens().filter(|(opener, _)| Some(*opener) == pid);
            let own: Vec<Vec<(u32, bool)>> = own.map(|(_, threads)| threads).collect();
            if !own.is_empty() {
                let told = own.iter().flatten().filter(|(_, told)| *told).count();
                state.told.push((name.clone(), told));
            }
            state.opens.extend(own.iter().map(|open| Open { actor: name.clone(), threads: open.len() }));
        }
        state.opens.sort();
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
        let Some(expected) = self.expected.get(self.now - 1) else { return };
        let before = self.now.checked_sub(2).map(|step| self.expected[step].clone()).unwrap_or_default();
        let is_released = expected.opens != before.opens && expected.lingering > 0;
        self.await_state(&before);
        if is_released {
            // What is held by a freezer is counted all the time, and its release has only begun. The driver
            // makes one after the other, so that it is over when another one is.
            drop(Client::open(format!("/dev/{}", device_name(Device::Binder)).as_ref()).expect("a device"));
            self.await_state(&before);
        }
    }

    /// Waits until the driver has what it is to have behind this step, before which it had something else.
    fn await_state(&mut self, before: &State) {
        let (begin, mut was_done) = (Instant::now(), false);
        loop {
            let Some(expected) = self.expected.get(self.now - 1) else { return };
            let told = expected.told.iter().filter(|told| !before.told.contains(told));
            let count = expected.opens.len() + expected.lingering;
            let is = opens(&self.pids);
            let is_done = is == expected.opens
                && told.into_iter().all(|(name, count)| self.told(name) == *count)
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

    /// How many threads of an actor have to return from their next read.
    fn told(&self, actor: &str) -> usize {
        self.pids.iter().filter(|(_, name)| name == actor).map(|(pid, _)| told(*pid)).sum()
    }
}
