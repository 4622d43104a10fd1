//! The kernel's side of a program: a fresh namespace, the test's own process, and the helpers.

use std::collections::BTreeMap;
use std::fs;

use nix::sched::{CloneFlags, unshare};
use rustix::time::{ClockId, clock_gettime};

use crate::calls::{self, Attachments, Call};
use crate::facts::{Answer, Name, Names, Seen, Who};
use crate::helper::{Helper, NOBODY, Place};
use crate::rights::{Limits, User};
use crate::step::{Action, Role, Step, Variable};
use crate::support::namespace::segments;

/// An id that nobody has: an index far beyond what a program uses.
const NOBODYS_ID: i32 = 32_767;

/// What is the same for all programs of a test.
#[derive(Debug)]
pub(crate) struct World {
    /// The test that a helper is started as.
    pub(crate) test: &'static str,
    /// Where forked helpers report.
    place: Place,
    /// Whom the parent and Ann run as.
    pub(crate) user: User,
    /// Whom Bob runs as, when it can be somebody else.
    pub(crate) stranger: Option<User>,
    /// The limits of each namespace.
    pub(crate) limits: Limits,
    /// Whether each namespace has limits that a program reaches, and `kernel.shm_rmid_forced` can be switched.
    pub(crate) limited: bool,
}

/// One program's namespace and processes.
#[derive(Debug)]
pub(crate) struct Kernel<'w> {
    world: &'w World,
    helpers: BTreeMap<Role, Helper>,
    attachments: Attachments,
    variables: BTreeMap<Variable, i32>,
    ids: BTreeMap<i32, Name>,
    /// How the kernel's numbers are called.
    pub(crate) names: Names,
}

impl World {
    /// Looks what this machine allows; what it does not is named in the second value.
    pub(crate) fn new(test: &'static str) -> (Self, Vec<&'static str>) {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let user = User { uid, gid, admin: true };
        let mut missing = Vec::new();
        let stranger = can_be_nobody().then_some(User { uid: NOBODY, gid: NOBODY, admin: false });
        if stranger.is_none() {
            missing.push("Bob is the same user: this process cannot become another");
        }
        fresh_namespace();
        let limited = fs::write(sysctl("shm_rmid_forced"), "0").is_ok() && set_limits();
        if !limited {
            missing.push("limits and kernel.shm_rmid_forced stay: they cannot be set in this namespace");
        }
        let limit = |name| {
            let text = fs::read_to_string(sysctl(name)).expect("a limit");
            text.trim().parse::<usize>().expect("a number")
        };
        let limits = Limits { size: limit("shmmax"), segments: limit("shmmni"), pages: limit("shmall") };
        (Self { test, place: Place::new(), user, stranger, limits, limited }, missing)
    }
}

impl<'w> Kernel<'w> {
    /// A fresh namespace for the calling thread.
    pub(crate) fn new(world: &'w World, parent: Who) -> Self {
        fresh_namespace();
        if world.limited {
            set_limits();
        }
        let mut names = Names::default();
        names.people.insert(std::process::id(), parent);
        Self {
            world,
            helpers: BTreeMap::new(),
            attachments: Attachments::default(),
            variables: BTreeMap::new(),
            ids: BTreeMap::new(),
            names,
        }
    }

    /// Starts a helper.
    pub(crate) fn start(&mut self, who: Who, stranger: bool) {
        let helper = self.world.place.start(self.world.test, stranger);
        self.names.people.insert(helper.pid, who);
        self.helpers.insert(who.role, helper);
    }

    /// Looks at the clock that the kernel takes its times from.
    pub(crate) fn look_at_the_clock(&mut self) {
        let seconds = clock_gettime(ClockId::RealtimeCoarse).tv_sec;
        self.names.clock.push(u64::try_from(seconds).expect("after 1970"));
    }

    /// Makes one step; `child` is who a fork makes.
    pub(crate) fn make(&mut self, step: &Step, child: Option<Who>) -> Answer {
        let id = |variable| self.variables.get(&variable).copied().unwrap_or(NOBODYS_ID);
        let call = match step.action {
            Action::Get(_, get) => Call::Get(get),
            Action::Attach(slot, variable, read_only) => Call::Attach(slot, id(variable), read_only),
            Action::Protect(slot, part) => Call::Protect(slot, part),
            Action::Unmap(slot, part) => Call::Unmap(slot, part),
            Action::Detach(slot) => Call::Detach(slot),
            Action::Remove(variable) => Call::Remove(id(variable)),
            Action::Set(variable, mode) => Call::Set(id(variable), mode),
            Action::Stat(variable) => Call::Stat(id(variable)),
            Action::Fork(_) | Action::Exec | Action::Exit | Action::Kill => {
                return self.begin_or_end(step, child);
            }
            Action::Force(on) => {
                fs::write(sysctl("shm_rmid_forced"), if on { "1" } else { "0" }).expect("a switch");
                return Answer::Done;
            }
        };
        let answer = match self.helpers.get_mut(&step.role) {
            Some(helper) => helper.call(call),
            None => self.attachments.call(call),
        };
        if let (Action::Get(variable, _), Answer::Got(id)) = (step.action, answer) {
            self.variables.insert(variable, id);
        }
        answer
    }

    fn begin_or_end(&mut self, step: &Step, child: Option<Who>) -> Answer {
        if let (Action::Fork(_), Some(child)) = (step.action, child) {
            let parent = self.helpers.get_mut(&step.role).expect("it runs");
            return match self.world.place.fork(parent) {
                Ok(helper) => {
                    self.names.people.insert(helper.pid, child);
                    self.helpers.insert(child.role, helper);
                    Answer::Done
                }
                Err(refusal) => refusal,
            };
        }
        if step.action == Action::Exec {
            self.helpers.get_mut(&step.role).expect("it runs").exec();
            return Answer::Done;
        }
        let helper = self.helpers.remove(&step.role).expect("it runs");
        if step.action == Action::Exit {
            helper.exit()
        } else {
            helper.kill()
        }
        Answer::Done
    }

    /// The segment that an id names; one that was never seen is the next.
    pub(crate) fn name(&mut self, id: i32) -> Name {
        let next = Name(self.ids.len() + 1);
        *self.ids.entry(id).or_insert(next)
    }

    /// The same as the crate sees it.
    pub(crate) fn listed(&mut self) -> BTreeMap<Name, Seen> {
        let listed = sysv_shm::segments().expect("a kernel that lists");
        listed.iter().map(|stat| (self.name(stat.id.number()), Seen::from_stat(stat))).collect()
    }

    /// Every segment of the namespace, as /proc has it.
    pub(crate) fn segments(&mut self) -> BTreeMap<Name, Seen> {
        let seen: Vec<_> = segments().iter().map(|line| Seen::from_line(line)).collect();
        seen.into_iter().map(|(id, seen)| (self.name(id), seen)).collect()
    }
}

/// Gives the calling thread a namespace without segments.
pub(crate) fn fresh_namespace() {
    unshare(CloneFlags::CLONE_NEWIPC).expect("unshare(CLONE_NEWIPC)");
}

/// Limits that a random program reaches.
fn set_limits() -> bool {
    let page = calls::page();
    [("shmmax", 4 * page), ("shmmni", 5), ("shmall", 12)]
        .iter()
        .all(|(name, value)| fs::write(sysctl(name), value.to_string()).is_ok())
}

/// The file of a setting of the opener's namespace.
fn sysctl(name: &str) -> String {
    format!("/proc/sys/kernel/{name}")
}

/// Whether this process may become the user `nobody`: root, with that uid mapped.
fn can_be_nobody() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let mapped = map.lines().any(|line| {
        let columns: Vec<u64> = line.split_whitespace().filter_map(|it| it.parse().ok()).collect();
        matches!(columns[..], [first, _, many] if (first..first + many).contains(&u64::from(NOBODY)))
    });
    rustix::process::geteuid().is_root() && mapped
}
