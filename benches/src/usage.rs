//! What an operation costs besides time: CPU time, context switches, page faults.

use std::ops::{Add, AddAssign, Sub};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde::{Deserialize, Serialize};

use crate::Failure;

/// What a process has used up, or the difference between two such looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// CPU time in nanoseconds, in user space and in the kernel.
    pub cpu: i64,
    /// Context switches, wanted (it slept) and unwanted (somebody else's turn).
    pub switches: i64,
    /// Page faults for which nothing had to be read from a disk.
    pub faults: i64,
}

impl Usage {
    /// `getrusage` of this process and of the children that it has waited for.
    pub(crate) fn now() -> Result<Self, Failure> {
        Ok(Self::of(UsageWho::RUSAGE_SELF)? + Self::of(UsageWho::RUSAGE_CHILDREN)?)
    }

    fn of(who: UsageWho) -> Result<Self, Failure> {
        let usage = getrusage(who).map_err(|e| Failure::call(format!("getrusage({who:?})"), &e.into()))?;
        Ok(Self {
            cpu: (usage.user_time() + usage.system_time()).num_nanoseconds(),
            switches: usage.voluntary_context_switches() + usage.involuntary_context_switches(),
            faults: usage.minor_page_faults(),
        })
    }
}

impl Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            cpu: self.cpu + other.cpu,
            switches: self.switches + other.switches,
            faults: self.faults + other.faults,
        }
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Usage {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            cpu: self.cpu - other.cpu,
            switches: self.switches - other.switches,
            faults: self.faults - other.faults,
        }
    }
}
