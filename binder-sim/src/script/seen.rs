//! What a step came to, in words that mean the same in every run and on every machine.
//!
//! What differs from run to run by nature is told by name, and nothing else is left out:
//!
//! | what | told as | because |
//! | --- | --- | --- |
//! | addresses in a mapping | distance from its start | the kernel chooses where it maps |
//! | an address that is in no mapping of the reader's | `outside the mapping` | it is nobody's to look at |
//! | pids | the actor's name | the kernel chooses them |
//! | open files | the name in the script | inode numbers are the kernel's to give |
//! | transaction numbers of extended errors | not at all | one counter for the machine, since it was booted |
//! | when a waiting step ends | the number of the step that ended it | there is no clock in a script |

use super::payload::Hex;
use crate::protocol::{Answer, Delivered, Object, Payload, Placed, Return};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// What a step came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    /// In short: how a test or a page says it.
    pub brief: String,
    /// All of it, line by line: what is compared with a real driver.
    pub lines: Vec<String>,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.brief)
    }
}

/// An open file as one process has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSeen {
    /// Its number.
    pub fd: u32,
    /// Which file it is.
    pub name: String,
    /// `FD_CLOEXEC`.
    pub cloexec: bool,
}

impl fmt::Display for FileSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}{}", self.fd, self.name, if self.cloexec { " cloexec" } else { "" })
    }
}

/// What the numbers that a process sees are called: an address is told from the start of its mapping, a pid
/// by the name of the actor, a descriptor by its file.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// The start of the mapping of the process that looks.
    pub base: u64,
    /// The processes, by pid.
    pub pids: Vec<(u32, String)>,
    /// What the process that looks has open, as far as it matters.
    pub files: Vec<FileSeen>,
}

impl Seen {
    /// A word or two.
    pub fn new(brief: impl Into<String>) -> Seen {
        let brief = brief.into();
        Seen { lines: alloc::vec![brief.clone()], brief }
    }

    /// What `ioctl(BINDER_WRITE_READ)` came to: its errno, how much of `written` bytes was taken, what was
    /// read.
    pub fn write_read(
        errno: Option<String>,
        consumed: usize,
        written: usize,
        returns: &[Return],
        names: &Names,
    ) -> Seen {
        let brief = match &errno {
            Some(errno) => errno.clone(),
            None if returns.is_empty() => "ok".into(),
            None => join(returns.iter().map(ToString::to_string), "; "),
        };
        let mut lines: Vec<String> = Vec::new();
        lines.extend(errno);
        if consumed != written {
            lines.push(format!("took {consumed} of {written} bytes"));
        }
        let mut row = Vec::new();
        for answer in returns {
            row.push(names.answer(answer));
            if answer.delivered().is_some() {
                lines.push(join(row.drain(..), ", "));
            }
        }
        lines.extend((!row.is_empty()).then(|| join(row.drain(..), ", ")));
        if lines.is_empty() {
            lines.push("ok".into());
        }
        Seen { brief, lines }
    }

    /// What another ioctl answered.
    pub fn answer(answer: &Answer, names: &Names) -> Seen {
        Seen::new(match answer {
            Answer::Done => "ok".into(),
            Answer::Version(version) => format!("version {version}"),
            Answer::NodeDebugInfo(info) => {
                let held = |has: bool, kind| if has { kind } else { "" };
                let (strong, weak) = (held(info.has_strong_ref, " strong"), held(info.has_weak_ref, " weak"));
                format!("node {:#x} cookie {:#x}{strong}{weak}", info.ptr, info.cookie)
            }
            Answer::NodeInfoForRef(info) => {
                format!("handle {}: strong {}, weak {}", info.handle, info.strong_count, info.weak_count)
            }
            Answer::FrozenInfo(info) => {
                format!(
                    "{}: sync_recv {}, async_recv {}",
                    names.pid(info.pid),
                    info.sync_recv,
                    info.async_recv
                )
            }
            Answer::ExtendedError(error) => error.to_string(),
            Answer::Readable(readable) => if *readable { "readable" } else { "nothing to read" }.into(),
        })
    }

    /// A look at a table.
    pub fn table(files: &[FileSeen]) -> Seen {
        let text = join(files.iter().map(ToString::to_string), ", ");
        Seen::new(if text.is_empty() { "nothing open".into() } else { text })
    }
}

/// The texts, with `between` between them.
fn join(texts: impl IntoIterator<Item = String>, between: &str) -> String {
    texts.into_iter().collect::<Vec<_>>().join(between)
}

impl Names {
    /// The actor with this pid.
    fn pid(&self, pid: u32) -> String {
        let known = self.pids.iter().find(|(known, _)| *known == pid);
        match known {
            Some((_, name)) => name.clone(),
            None if pid == 0 => "nobody".into(),
            None => "a stranger".into(),
        }
    }

    /// An address, from the start of the mapping.
    fn address(&self, address: u64) -> String {
        match address.checked_sub(self.base) {
            Some(offset) if offset <= 4 << 20 => format!("{offset:#x}"),
            _ => "outside the mapping".into(),
        }
    }

    /// A descriptor and its file.
    fn descriptor(&self, fd: u32) -> String {
        let found = self.files.iter().find(|file| file.fd == fd);
        found.map_or_else(|| format!("{fd} = nothing"), ToString::to_string)
    }

    /// A return.
    fn answer(&self, answer: &Return) -> String {
        let name = answer.name().trim_start_matches("BR_");
        match answer {
            Return::Transaction(call) => {
                let cookie = if call.cookie == call.ptr {
                    String::new()
                } else {
                    format!(" cookie {:#x}", call.cookie)
                };
                let context = call.security_context.as_ref().map(|context| {
                    format!(" context `{}` at {}", context.text, self.address(context.address))
                });
                let context = context.unwrap_or_default();
                format!("{name} to {:#x}{cookie}{context}{}", call.ptr, self.delivered(call))
            }
            Return::Reply(reply) => format!("{name}{}", self.delivered(reply)),
            Return::IncRefs { ptr, cookie }
            | Return::Acquire { ptr, cookie }
            | Return::Release { ptr, cookie }
            | Return::DecRefs { ptr, cookie }
                if ptr == cookie =>
            {
                format!("{name} {ptr:#x}")
            }
            Return::IncRefs { ptr, cookie }
            | Return::Acquire { ptr, cookie }
            | Return::Release { ptr, cookie }
            | Return::DecRefs { ptr, cookie } => format!("{name} {ptr:#x} cookie {cookie:#x}"),
            other => other.to_string().trim_start_matches("BR_").to_string(),
        }
    }

    /// What is common to a call and a reply.
    fn delivered(&self, d: &Delivered) -> String {
        let from = match (d.sender_pid, d.sender_euid) {
            (0, 0) => String::new(),
            (pid, uid) => format!(" from {} uid {uid}", self.pid(pid)),
        };
        let buffer = self.address(d.buffer);
        let payload = self.payload(&d.payload);
        let flags = if d.flags.0 == 0 { String::new() } else { format!(" flags {}", d.flags) };
        format!(" code {}{flags}{from}, buffer {buffer}, {} bytes {{{payload}}}", d.code, d.payload.data_size)
    }

    /// Data and objects, piece by piece.
    fn payload(&self, payload: &Payload) -> String {
        let payload = self.relative(payload);
        let mut order: Vec<&Placed> = payload.objects.iter().collect();
        order.sort_by_key(|placed| placed.offset);
        let (mut pieces, mut at) = (Vec::new(), 0);
        let end = payload.bytes.len();
        for Placed { offset, object } in order {
            let offset = usize::try_from(*offset).unwrap_or(end).min(end);
            pieces.extend((at < offset).then(|| Hex(&payload.bytes[at..offset]).to_string()));
            pieces.push(self.object(object));
            at = (offset + object.wire_size()).min(end);
        }
        pieces.extend((at < end).then(|| Hex(&payload.bytes[at..]).to_string()));
        join(pieces, ", ")
    }

    /// An object.
    fn object(&self, object: &Object) -> String {
        let option =
            |word: &str, value: u64| if value == 0 { String::new() } else { format!(" {word} {value:#x}") };
        match object {
            Object::Binder { ptr, cookie, flags, strong } => {
                let weak = if *strong { "" } else { "weak_" };
                let cookie = if cookie == ptr { String::new() } else { format!(" cookie {cookie:#x}") };
                format!("{weak}binder {ptr:#x}{cookie}{}", option("flags", flags.0.into()))
            }
            Object::Handle { handle, flags, strong } => {
                let weak = if *strong { "" } else { "weak_" };
                format!("{weak}handle {handle}{}", option("flags", flags.0.into()))
            }
            Object::Fd { fd, cookie, pad_flags } => {
                let (cookie, pad) = (option("cookie", *cookie), option("pad", (*pad_flags).into()));
                format!("fd {}{cookie}{pad}", self.descriptor(*fd))
            }
            Object::Ptr { flags, buffer, parent, parent_offset, data, length, .. } => {
                let parent = match flags & Object::HAS_PARENT {
                    0 => String::new(),
                    _ => format!(" parent {parent} at {parent_offset}"),
                };
                let length =
                    if *length == data.len() as u64 { String::new() } else { format!(" length {length}") };
                format!("ptr {} at {}{length}{parent}", Hex(data), self.address(*buffer))
            }
            Object::FdArray { num_fds, parent, parent_offset, fds, .. } => {
                let fds = join(fds.iter().map(|&fd| self.descriptor(fd)), ", ");
                format!("fda {num_fds} parent {parent} at {parent_offset} [{fds}]")
            }
            Object::Unknown { kind } => format!("type {kind:#x}"),
        }
    }

    /// The same with the pointers inside buffers told from the start of the mapping.
    fn relative(&self, payload: &Payload) -> Payload {
        let mut payload = payload.clone();
        for n in 0..payload.objects.len() {
            let Object::Ptr { flags, parent, parent_offset, .. } = payload.objects[n].object else {
                continue;
            };
            if flags & Object::HAS_PARENT == 0 {
                continue;
            }
            let parent = usize::try_from(parent).ok().and_then(|at| payload.objects.get_mut(at));
            let Some(Placed { object: Object::Ptr { data, .. }, .. }) = parent else { continue };
            let place =
                usize::try_from(parent_offset).ok().and_then(|at| data.get_mut(at..)?.first_chunk_mut::<8>());
            if let Some(place) = place {
                *place = u64::from_le_bytes(*place).wrapping_sub(self.base).to_le_bytes();
            }
        }
        payload
    }
}
