//! What is known of a segment, on the side of the model and on the side of the kernel, and how the two are
//! compared: ids by the order in which they were given out, pids as roles, times as steps.

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use sysv_shm::SegmentStat;

use crate::step::Role;

/// A segment's name on both sides: the first that the program made is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name(pub(crate) usize);

/// A process's name on both sides: a role, and which process this is that plays it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Who {
    /// What it plays.
    pub(crate) role: Role,
    /// The first that plays it is 1.
    pub(crate) life: usize,
}

/// When something last happened, in steps of the program.
pub(crate) type When = Option<usize>;

/// What the model knows of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    /// 0 when it has none.
    pub(crate) key: i32,
    /// Bytes, as asked for.
    pub(crate) size: usize,
    /// The nine bits.
    pub(crate) mode: u32,
    /// `SHM_DEST`
    pub(crate) removed: bool,
    /// The owner.
    pub(crate) uid: u32,
    /// The owner's group.
    pub(crate) gid: u32,
    /// The creator.
    pub(crate) cuid: u32,
    /// The creator's group.
    pub(crate) cgid: u32,
    /// The process that made it.
    pub(crate) creator: Who,
    /// The process that last attached or detached.
    pub(crate) last: Option<Who>,
    /// Mappings.
    pub(crate) attached: u64,
    /// The last attach.
    pub(crate) attached_at: When,
    /// The last detach.
    pub(crate) detached_at: When,
    /// Creation or the last `IPC_SET`.
    pub(crate) changed_at: When,
}

/// What the kernel says of a segment: the same in its own numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// 0 when it has none.
    pub(crate) key: i32,
    /// Bytes.
    pub(crate) size: usize,
    /// The nine bits, with 01000 for removed and 02000 for locked.
    pub(crate) mode: u32,
    /// The owner.
    pub(crate) uid: u32,
    /// The owner's group.
    pub(crate) gid: u32,
    /// The creator.
    pub(crate) cuid: u32,
    /// The creator's group.
    pub(crate) cgid: u32,
    /// The process that made it.
    pub(crate) cpid: u32,
    /// The process that last attached or detached, 0 for none.
    pub(crate) lpid: u32,
    /// Mappings.
    pub(crate) attached: u64,
    /// Seconds, 0 for never.
    pub(crate) attached_at: u64,
    /// Seconds, 0 for never.
    pub(crate) detached_at: u64,
    /// Seconds.
    pub(crate) changed_at: u64,
}

/// What the model says that a step gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The id of this segment.
    Got(Name),
    /// Nothing but success.
    Done,
    /// `IPC_STAT`'s answer.
    Stat(Facts),
    /// An errno.
    Refused(Errno),
}

/// What the kernel said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// An id, or a pid.
    Got(i32),
    /// Nothing but success.
    Done,
    /// `IPC_STAT`'s answer.
    Stat(Seen),
    /// An errno.
    Refused(i32),
}

/// What translates the kernel's numbers.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// Every process of the program, also those that have ended.
    pub(crate) people: BTreeMap<u32, Who>,
    /// The kernel's clock before each step, in seconds.
    pub(crate) clock: Vec<u64>,
}

impl Seen {
    /// A line of `/proc/sysvipc/shm`, with its id.
    pub(crate) fn from_line(line: &str) -> (i32, Self) {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| columns[at].parse::<u64>().expect("a number");
        let small = |at: usize| u32::try_from(number(at)).expect("a small number");
        let seen = Self {
            key: columns[0].parse().expect("a key"),
            size: usize::try_from(number(3)).expect("a size"),
            mode: u32::from_str_radix(columns[2], 8).expect("mode bits"),
            cpid: small(4),
            lpid: small(5),
            attached: number(6),
            uid: small(7),
            gid: small(8),
            cuid: small(9),
            cgid: small(10),
            attached_at: number(11),
            detached_at: number(12),
            changed_at: number(13),
        };
        (columns[1].parse().expect("an id"), seen)
    }

    /// The crate's view of `IPC_STAT`.
    pub(crate) fn from_stat(stat: &SegmentStat) -> Self {
        let seconds =
            |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
        Self {
            key: stat.key.number(),
            size: stat.size,
            mode: stat.mode | if stat.removed { 0o1000 } else { 0 } | if stat.locked { 0o2000 } else { 0 },
            uid: stat.uid,
            gid: stat.gid,
            cuid: stat.creator_uid,
            cgid: stat.creator_gid,
            cpid: stat.creator_pid,
            lpid: stat.last_pid.unwrap_or(0),
            attached: stat.attached,
            attached_at: stat.attached_at.map_or(0, seconds),
            detached_at: stat.detached_at.map_or(0, seconds),
            changed_at: seconds(stat.changed_at),
        }
    }
}

impl Names {
    /// Every field in which the two differ, a line each.
    pub(crate) fn differences(&self, model: &Facts, kernel: &Seen) -> Vec<String> {
        let mode = model.mode | if model.removed { 0o1000 } else { 0 };
        let who = |pid: u32| match (pid, self.people.get(&pid)) {
            (0, _) => "nobody".to_owned(),
            (_, Some(who)) => who.to_string(),
            (_, None) => format!("pid {pid}, which is not of this program"),
        };
        let last = model.last.map_or_else(|| "nobody".to_owned(), |who| who.to_string());
        let rows = [
            ("key", format!("{:#x}", kernel.key), format!("{:#x}", model.key)),
            ("size", kernel.size.to_string(), model.size.to_string()),
            ("mode", format!("{:04o}", kernel.mode), format!("{mode:04o}")),
            ("uid", kernel.uid.to_string(), model.uid.to_string()),
            ("gid", kernel.gid.to_string(), model.gid.to_string()),
            ("cuid", kernel.cuid.to_string(), model.cuid.to_string()),
            ("cgid", kernel.cgid.to_string(), model.cgid.to_string()),
            ("cpid", who(kernel.cpid), model.creator.to_string()),
            ("lpid", who(kernel.lpid), last),
            ("nattch", kernel.attached.to_string(), model.attached.to_string()),
            self.times("atime", kernel.attached_at, model.attached_at),
            self.times("dtime", kernel.detached_at, model.detached_at),
            self.times("ctime", kernel.changed_at, model.changed_at),
        ];
        let differs = rows.into_iter().filter(|(_, kernel, model)| kernel != model);
        differs.map(|(field, kernel, model)| format!("{field}: kernel {kernel}, model {model}")).collect()
    }

    /// A time of the kernel as the model would say it; the kernel's seconds are too coarse to say which step,
    /// so a time is right when it is not before the step.
    fn times(&self, field: &'static str, kernel: u64, model: When) -> (&'static str, String, String) {
        let says = |step: usize| format!("since step {step}");
        let model_says = model.map_or_else(|| "never".to_owned(), says);
        let kernel_says = match (kernel, model) {
            (0, _) => "never".to_owned(),
            (seconds, Some(step)) if seconds >= self.clock[step - 1] => says(step),
            (seconds, Some(step)) => format!("{} s before step {step}", self.clock[step - 1] - seconds),
            (_, None) => "some time".to_owned(),
        };
        (field, kernel_says, model_says)
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.life {
            1 => write!(f, "{}", self.role),
            life => write!(f, "{} (process {life})", self.role),
        }
    }
}

impl Outcome {
    /// What kind of outcome this is, in a word.
    pub(crate) fn kind(self) -> String {
        match self {
            Self::Got(_) | Self::Done | Self::Stat(_) => "done".to_owned(),
            Self::Refused(errno) => format!("{errno:?}"),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Got(Name(number)) => write!(f, "segment {number}"),
            Self::Done => f.write_str("done"),
            Self::Stat(_) => f.write_str("a stat"),
            Self::Refused(errno) => write!(f, "{errno:?}"),
        }
    }
}
