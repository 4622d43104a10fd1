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
        all[number - 1] = State { opens, lingering: world.driver().lingering() };
    };
    // Whoever compares finds out that it panics.
    drop(catch_unwind(AssertUnwindSafe(|| Run::new(script, world_like(kernel)).play(look))));
    all
}

impl Stage<'_> {
    /// Waits until the driver has done what a step leaves it to do.
    pub(super) fn await_driver(&mut self) {
        let (begin, mut was_done) = (Instant::now(), false);
        loop {
            let is = opens(&self.pids);
            let Some(expected) = self.expected.get(self.now - 1) else { return };
            let count = expected.opens.len() + expected.lingering;
            let is_done = is == expected.opens && count_opens() == self.before + count;
            // Whoever was woken by the last of it has run in between.
            if is_done && was_done {
                return;
            }
            was_done = is_done;
            if begin.elapsed() > PATIENCE {
                let text = format!("the driver has {is:?}, and not {expected:?}");
                self.seen[(self.now - 1).min(self.script.steps.len() - 1)].push(text);
                // The two have parted: there is nothing to wait for any more.
                return self.expected.clear();
            }
            // A thread that is still in a call holds the device open until it is back.
            self.settle();
        }
    }
}
