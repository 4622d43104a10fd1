//! What the driver does by itself after a close: a release, or a flush, awaited by what can be seen of it.

use super::Stage;
use crate::settle::{need_return, opens};
use binder_sim::script::{Action, Step};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long the machine may take for what it does by itself: not waited for when all goes well.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// What an actor has open of the device.
#[derive(Debug, Default)]
pub(super) struct Open {
    /// Its numbers.
    pub(super) fds: BTreeSet<u32>,
    /// Whether it is mapped.
    pub(super) mapped: bool,
}

impl Stage<'_> {
    /// Waits until the driver has released what nobody has open any more.
    pub(super) fn await_opens(&mut self) {
        let kept = |open: &&Open| !open.fds.is_empty() || open.mapped;
        let held: usize =
            self.processes.iter().map(|process| process.opens.iter().filter(kept).count()).sum();
        let expected = held + self.dead_to_be_frozen();
        let begin = Instant::now();
        while opens() > expected {
            // A thread that is still in a call holds the device open until it is back.
            self.settle();
            if begin.elapsed() > PATIENCE {
                return self.seen[self.now - 1].push("the release never came".into());
            }
        }
    }

    /// How many dead actors somebody still waits to freeze: he holds what the driver has of them.
    fn dead_to_be_frozen(&self) -> usize {
        let steps =
            self.processes.iter().flat_map(|process| &process.threads).filter_map(|thread| thread.step);
        let targets: BTreeSet<&String> = steps
            .filter_map(|step| match &self.script.steps[step - 1].action {
                Action::Freeze { actor, .. } => Some(actor),
                _ => None,
            })
            .collect();
        let is_dead = |name: &&String| {
            let place = self.script.actors.iter().position(|actor| actor.name == **name);
            place.is_some_and(|place| self.processes[place].pid.is_none())
        };
        targets.into_iter().filter(is_dead).count()
    }

    /// After a close: waits for what the driver does of it by itself.
    pub(super) fn await_release(&mut self, step: &Step) {
        let succeeded =
            self.seen[self.now - 1].first().is_some_and(|seen| seen == "ok" || seen.starts_with("fd "));
        if !succeeded {
            return;
        }
        let opens = &mut self.processes[step.actor].opens;
        let place = |opens: &[Open]| match step.device {
            Some(fd) => opens.iter().position(|open| open.fds.contains(&fd)),
            None => opens.iter().position(|open| !open.fds.is_empty() || open.mapped),
        };
        let fd = || self.seen[self.now - 1][0].trim_start_matches("fd ").parse().expect("a number");
        match &step.action {
            Action::OpenDevice(_) => opens.push(Open { fds: BTreeSet::from([fd()]), mapped: false }),
            Action::Dup(from) => {
                let fd = fd();
                if let Some(open) = opens.iter_mut().find(|open| open.fds.contains(from)) {
                    open.fds.insert(fd);
                }
            }
            Action::Mmap { .. } => {
                if let Some(place) = place(opens) {
                    opens[place].mapped = true;
                }
            }
            Action::Munmap => {
                if let Some(place) = place(opens) {
                    opens[place].mapped = false;
                    self.await_opens();
                }
            }
            Action::Close(fd) => {
                if let Some(open) = opens.iter_mut().find(|open| open.fds.contains(fd)) {
                    open.fds.remove(fd);
                    if open.fds.is_empty() && !open.mapped {
                        self.await_opens();
                    } else {
                        self.await_flush(step.actor);
                    }
                }
            }
            _ => {}
        }
    }

    /// Waits until the driver has told every thread of a process to come back once.
    fn await_flush(&mut self, actor: usize) {
        let pid = self.processes[actor].pid.expect("alive").as_raw();
        let mut back: BTreeSet<i32> = BTreeSet::new();
        let begin = Instant::now();
        loop {
            let waiting = |stage: &Self| -> BTreeSet<i32> {
                let threads = stage.processes[actor].threads.iter();
                threads.filter(|thread| thread.step.is_some()).map(|thread| thread.tid).collect()
            };
            let before = waiting(self);
            let told = need_return(pid);
            self.settle();
            back.extend(before.difference(&waiting(self)));
            if told.iter().all(|(tid, told)| *told || back.contains(tid)) {
                return;
            }
            if begin.elapsed() > PATIENCE {
                return self.seen[self.now - 1].push("the flush never came".into());
            }
        }
    }
}
