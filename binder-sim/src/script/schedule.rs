//! Which of the things that can happen next happens.

use super::run::Run;
use super::{Script, Transcript};
use crate::world::World;
use alloc::string::String;
use alloc::vec::Vec;

/// Which of the things that can happen next happens: a woken thread goes on, or an actor does its next step.
/// Steps of one actor keep their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schedule {
    /// The steps in the script's order; whoever is woken by one runs before the next.
    Fifo,
    /// Each time one of all, chosen by a generator with this seed.
    Seeded(u64),
}

impl Run<'_> {
    /// Runs all steps; `after` looks at the world after each thing that happened.
    pub fn go(mut self, schedule: Schedule, mut after: impl FnMut(&mut World)) -> (World, Transcript) {
        match schedule {
            Schedule::Fifo => {
                self.is_patient = true;
                for number in 0..self.script.steps.len() {
                    self.step(number);
                    self.settle(&mut after);
                }
            }
            Schedule::Seeded(seed) => {
                let mut state = seed | 1;
                // xorshift64: small, and the same everywhere.
                self.choose(&mut after, |choices| {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    usize::try_from(state % choices as u64).unwrap_or(0)
                });
            }
        }
        self.end()
    }

    /// Runs all steps in the script's order, and then ends all actors; gives what every step saw, and of
    /// the last one also which files somebody still holds when nobody is left: none, if the driver makes no
    /// mistake. `after` looks at the world after each thing that happened in a step, with the number of the
    /// step from 1; at the end with the number behind the last.
    pub fn play(mut self, mut after: impl FnMut(usize, &mut World)) -> Vec<Vec<String>> {
        self.is_patient = true;
        for number in 0..self.script.steps.len() {
            self.step(number);
            self.settle(&mut |world: &mut World| after(number + 1, world));
        }
        let leaked = self.leave();
        after(self.script.steps.len() + 1, &mut self.world);
        let (_, transcript) = self.end();
        let mut seen = transcript.seen();
        if let Some(last) = seen.last_mut() {
            last.extend(leaked.into_iter().map(|name| alloc::format!("{name} is leaked")));
        }
        seen
    }

    /// Whoever is woken runs, until nobody is.
    fn settle(&mut self, after: &mut impl FnMut(&mut World)) {
        after(&mut self.world);
        while self.world.ready() > 0 {
            self.wake(0);
            after(&mut self.world);
        }
    }

    /// Does one of all that can happen, as `choice` says, until nothing can.
    fn choose(&mut self, after: &mut impl FnMut(&mut World), mut choice: impl FnMut(usize) -> usize) {
        let mut left: Vec<usize> = (0..self.script.steps.len()).collect();
        loop {
            let next = self.next_steps(&left);
            let woken = self.world.ready();
            if woken + next.len() == 0 {
                return;
            }
            let chosen = choice(woken + next.len());
            match chosen.checked_sub(woken) {
                None => self.wake(chosen),
                Some(at) => {
                    left.retain(|&step| step != next[at]);
                    self.step(next[at]);
                }
            }
            after(&mut self.world);
        }
    }
}

/// Every order in which a script can happen, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Explored {
    /// How many different orders there were.
    pub orders: usize,
    /// How many things happened in all of them.
    pub events: usize,
}

impl Script {
    /// Runs the script in every order that is possible, each in a world of its own from `world`; `after`
    /// looks at it after each thing that happened, `end` at what came of the order.
    ///
    /// An order is a list of choices. The next one differs in the last choice that had another possibility,
    /// so that each is run once; nothing is remembered but the list.
    pub fn explore(
        &self,
        world: impl Fn() -> World,
        mut after: impl FnMut(&mut World),
        mut end: impl FnMut(World, Transcript),
    ) -> Explored {
        let mut explored = Explored::default();
        // Each choice made, and how many there were to choose from.
        let mut path: Vec<(usize, usize)> = Vec::new();
        loop {
            let mut depth = 0;
            let mut run = Run::new(self, world());
            run.choose(&mut after, |choices| {
                if depth == path.len() {
                    path.push((0, choices));
                }
                depth += 1;
                path[depth - 1].0
            });
            explored.orders += 1;
            explored.events += depth;
            let (world, transcript) = run.end();
            end(world, transcript);
            while path.pop_if(|(chosen, choices)| *chosen + 1 == *choices).is_some() {}
            match path.last_mut() {
                Some((chosen, _)) => *chosen += 1,
                None => return explored,
            }
        }
    }
}
