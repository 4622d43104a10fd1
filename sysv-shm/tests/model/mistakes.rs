//! Models that are wrong in one rule each: the comparison is worth something only if it catches them.

use nix::errno::Errno;

use crate::calls::page;
use crate::facts::Outcome;
use crate::state::Model;
use crate::step::{Action, Step};

/// How a wrong model spoils a step: the model before, the model after, the step, and what it should give.
type Spoil = fn(&Model, &mut Model, &Step, &mut Outcome);

/// One wrong rule.
#[derive(Debug)]
pub(crate) struct Mistake {
    /// What somebody might believe.
    pub(crate) belief: &'static str,
    /// Words that the story of its disproof must have.
    pub(crate) disproof: &'static [&'static str],
    spoil: Spoil,
}

impl Mistake {
    /// Spoils one step.
    pub(crate) fn make(&self, before: &Model, after: &mut Model, step: &Step, outcome: &mut Outcome) {
        (self.spoil)(before, after, step, outcome);
    }
}

/// What people believe of System V.
pub(crate) const MISTAKES: [Mistake; 10] = [
    Mistake {
        belief: "nattch counts calls of shmat: an mprotect of one page changes nothing",
        disproof: &["mprotect", "nattch: kernel 2, model 1"],
        spoil: |before, after, step, _| {
            if let Action::Protect(..) = step.action {
                after.segments.clone_from(&before.segments);
            }
        },
    },
    Mistake {
        belief: "a fork attaches nothing",
        disproof: &["fork", "nattch: kernel 2, model 1"],
        spoil: |before, after, step, _| {
            if let Action::Fork(_) = step.action {
                after.segments.clone_from(&before.segments);
            }
        },
    },
    Mistake {
        belief: "what a fork attaches, the child attaches",
        disproof: &["fork", "lpid: kernel"],
        spoil: |before, after, step, _| {
            if let Action::Fork(child) = step.action {
                let child = after.who(child);
                for (name, segment) in &mut after.segments {
                    if before.segments[name] != *segment {
                        segment.facts.last = Some(child);
                    }
                }
            }
        },
    },
    Mistake {
        belief: "a removed segment keeps its key until the last detach",
        disproof: &["IPC_RMID", "key: kernel 0x0, model 0x4d0"],
        spoil: |before, after, step, _| {
            if let Action::Remove(_) = step.action {
                for (name, segment) in &mut after.segments {
                    segment.facts.key = before.segments[name].facts.key;
                }
            }
        },
    },
    Mistake {
        belief: "a killed process stays attached",
        disproof: &["is killed with SIGKILL", "nattch: kernel 0, model 1"],
        spoil: |before, after, step, _| {
            if step.action == Action::Kill {
                for (name, segment) in &mut after.segments {
                    segment.facts.attached = before.segments[name].facts.attached;
                }
            }
        },
    },
    Mistake {
        belief: "what is attached survives an execve, as an open file does",
        disproof: &["execve", "nattch: kernel 0, model 1"],
        spoil: |before, after, step, _| {
            if step.action == Action::Exec {
                for (name, segment) in &mut after.segments {
                    segment.facts.attached = before.segments[name].facts.attached;
                }
            }
        },
    },
    Mistake {
        belief: "a segment has room for all that fits into its last page",
        disproof: &["the kernel says EINVAL, the model segment 1"],
        spoil: |before, _, step, outcome| {
            if let Action::Get(_, get) = step.action
                && *outcome == Outcome::Refused(Errno::EINVAL)
            {
                let there = before.segments.iter().find(|(_, it)| get.key != 0 && it.facts.key == get.key);
                let pages = get.size.div_ceil(page());
                if let Some((&name, _)) = there.filter(|(_, it)| pages <= it.pages(page())) {
                    *outcome = Outcome::Got(name);
                }
            }
        },
    },
    Mistake {
        belief: "IPC_EXCL alone is heeded",
        disproof: &["the kernel says segment 1, the model EEXIST"],
        spoil: |before, _, step, outcome| {
            if let (Action::Get(_, get), Outcome::Got(name)) = (step.action, *outcome)
                && get.exclusive
                && before.segments.contains_key(&name)
            {
                *outcome = Outcome::Refused(Errno::EEXIST);
            }
        },
    },
    Mistake {
        belief: "a detach leaves no time",
        disproof: &["dtime: kernel some time, model never"],
        spoil: |_, after, _, _| {
            after.segments.values_mut().for_each(|it| it.facts.detached_at = None);
        },
    },
    Mistake {
        belief: "kernel.shm_rmid_forced removes whatever nobody has attached",
        disproof: &["shm_rmid_forced = 1", "the kernel has it, the model has none"],
        spoil: |_, after, step, _| {
            if step.action == Action::Force(true) {
                after.segments.retain(|_, it| it.facts.attached > 0);
            }
        },
    },
];
