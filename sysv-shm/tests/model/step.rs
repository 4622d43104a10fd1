//! What a random program is made of: who does what.

use std::fmt;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};

/// A process of the program. The parent is the test itself, so it neither forks nor ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Role {
    /// The test.
    Parent,
    /// A helper that runs as the same user.
    Ann,
    /// A helper that runs as somebody else when it is started, and as its parent when it is forked.
    Bob,
}

/// A variable of the program that holds an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Variable(pub(crate) char);

/// A variable of one process that holds an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Slot(pub(crate) char);

/// Which pages of an attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Part {
    /// The first page.
    First,
    /// All but the first and the last; of two pages, the second.
    Middle,
    /// The last page.
    Last,
    /// All of them.
    Whole,
}

/// The arguments of `shmget`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Get {
    /// 0 is `IPC_PRIVATE`.
    pub(crate) key: i32,
    /// In bytes.
    pub(crate) size: usize,
    /// `IPC_CREAT`
    pub(crate) create: bool,
    /// `IPC_EXCL`
    pub(crate) exclusive: bool,
    /// `SHM_NORESERVE`
    pub(crate) no_reserve: bool,
    /// The nine bits: granted by a new segment, asked of an existing one.
    pub(crate) mode: u32,
}

/// What can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// `variable = shmget(..)`
    Get(Variable, Get),
    /// `slot = shmat(variable, NULL, SHM_RDONLY or 0)`
    Attach(Slot, Variable, bool),
    /// `mprotect(part of slot, PROT_READ)`
    Protect(Slot, Part),
    /// `munmap(part of slot)`
    Unmap(Slot, Part),
    /// `shmdt(slot)`
    Detach(Slot),
    /// `shmctl(variable, IPC_RMID)`
    Remove(Variable),
    /// `shmctl(variable, IPC_SET)` with this mode, and the caller as owner.
    Set(Variable, u32),
    /// `shmctl(variable, IPC_STAT)`
    Stat(Variable),
    /// `fork()`, and the child is that role.
    Fork(Role),
    /// `execve()` of the helper's own program.
    Exec,
    /// `_exit(0)`
    Exit,
    /// `kill(pid of the role, SIGKILL)`
    Kill,
    /// `kernel.shm_rmid_forced = 0 or 1`, in this namespace, by the parent.
    Force(bool),
}

/// One line of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    /// Who does it, or whom it happens to; a helper that does not run is started first.
    pub(crate) role: Role,
    /// What.
    pub(crate) action: Action,
}

impl Action {
    /// What kind of step this is, in a word.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Get(..) => "shmget",
            Self::Attach(..) => "shmat",
            Self::Protect(..) => "mprotect",
            Self::Unmap(..) => "munmap",
            Self::Detach(_) => "shmdt",
            Self::Remove(_) => "IPC_RMID",
            Self::Set(..) => "IPC_SET",
            Self::Stat(_) => "IPC_STAT",
            Self::Fork(_) => "fork",
            Self::Exec => "execve",
            Self::Exit => "exit",
            Self::Kill => "kill",
            Self::Force(_) => "shm_rmid_forced",
        }
    }
}

impl Part {
    /// The pages of an attachment that has `pages`.
    pub(crate) fn of(self, pages: usize) -> std::ops::Range<usize> {
        match self {
            Self::First => 0..1,
            Self::Middle if pages > 2 => 1..pages - 1,
            Self::Middle | Self::Last => pages - 1..pages,
            Self::Whole => 0..pages,
        }
    }
}

/// Any step: few keys, variables and slots, so that steps meet; sizes round the ends of pages and limits.
pub(crate) fn any_step() -> impl Strategy<Value = Step> {
    let role = prop_oneof![2 => Just(Role::Parent), 3 => Just(Role::Ann), 3 => Just(Role::Bob)];
    (role, any_action()).prop_map(|(role, action)| match action {
        Action::Force(_) => Step { role: Role::Parent, action },
        _ => Step { role, action },
    })
}

fn any_action() -> impl Strategy<Value = Action> {
    let variable = || prop::sample::select(vec!['a', 'b']).prop_map(Variable);
    let slot = || prop::sample::select(vec!['x', 'y', 'z']).prop_map(Slot);
    let part = || prop::sample::select(vec![Part::First, Part::Middle, Part::Last, Part::Whole]);
    let mode =
        || prop::sample::select(vec![0o600, 0o666, 0o606, 0o600, 0o666, 0o400, 0o200, 0o006, 0o060, 0]);
    let sizes = vec![4096, 8192, 1, 5000, 12288, 8193, 4096, 12288, 0, 16384, 16385, usize::MAX];
    let size = prop::sample::select(sizes);
    let flags = (prop::bool::weighted(0.8), prop::bool::weighted(0.3), prop::bool::weighted(0.1));
    let get = (prop::sample::select(vec![0x4d01, 0x4d02, 0]), size, flags, mode()).prop_map(
        |(key, size, (create, exclusive, no_reserve), mode)| Get {
            key,
            size,
            create,
            exclusive,
            no_reserve,
            mode,
        },
    );
    let helper = prop::sample::select(vec![Role::Ann, Role::Bob]);
    prop_oneof![
        20 => (variable(), get).prop_map(|(variable, get)| Action::Get(variable, get)),
        28 => (slot(), variable(), any::<bool>()).prop_map(|(slot, variable, read_only)| {
            Action::Attach(slot, variable, read_only)
        }),
        8 => (slot(), part()).prop_map(|(slot, part)| Action::Protect(slot, part)),
        6 => (slot(), part()).prop_map(|(slot, part)| Action::Unmap(slot, part)),
        7 => slot().prop_map(Action::Detach),
        6 => variable().prop_map(Action::Remove),
        5 => (variable(), mode()).prop_map(|(variable, mode)| Action::Set(variable, mode)),
        6 => variable().prop_map(Action::Stat),
        12 => helper.prop_map(Action::Fork),
        2 => Just(Action::Exec),
        2 => Just(Action::Exit),
        2 => Just(Action::Kill),
        2 => prop::bool::weighted(0.3).prop_map(Action::Force),
    ]
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Parent => "parent",
            Self::Ann => "ann",
            Self::Bob => "bob",
        })
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::First => "first page",
            Self::Middle => "middle",
            Self::Last => "last page",
            Self::Whole => "all",
        })
    }
}

impl fmt::Display for Get {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = if self.key == 0 { "IPC_PRIVATE".to_owned() } else { format!("{:#x}", self.key) };
        write!(f, "shmget({key}, {}, ", self.size)?;
        for (set, name) in [
            (self.create, "IPC_CREAT | "),
            (self.exclusive, "IPC_EXCL | "),
            (self.no_reserve, "SHM_NORESERVE | "),
        ] {
            f.write_str(if set { name } else { "" })?;
        }
        write!(f, "0{:03o})", self.mode)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Get(Variable(name), get) => write!(f, "{name} = {get}"),
            Self::Attach(Slot(slot), Variable(name), read_only) => {
                let flags = if *read_only { "SHM_RDONLY" } else { "0" };
                write!(f, "{slot} = shmat({name}, NULL, {flags})")
            }
            Self::Protect(Slot(slot), part) => write!(f, "mprotect({part} of {slot}, PROT_READ)"),
            Self::Unmap(Slot(slot), part) => write!(f, "munmap({part} of {slot})"),
            Self::Detach(Slot(slot)) => write!(f, "shmdt({slot})"),
            Self::Remove(Variable(name)) => write!(f, "shmctl({name}, IPC_RMID)"),
            Self::Set(Variable(name), mode) => {
                write!(f, "shmctl({name}, IPC_SET, own uid and gid, 0{mode:03o})")
            }
            Self::Stat(Variable(name)) => write!(f, "shmctl({name}, IPC_STAT)"),
            Self::Fork(child) => write!(f, "fork() makes {child}"),
            Self::Exec => f.write_str("execve(itself)"),
            Self::Exit => f.write_str("_exit(0)"),
            Self::Kill => f.write_str("is killed with SIGKILL"),
            Self::Force(on) => write!(f, "kernel.shm_rmid_forced = {}", u8::from(*on)),
        }
    }
}
