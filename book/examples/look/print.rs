//! A region in words: what it is, who has it, and what it waits for.

use std::fmt;
use std::time::SystemTime;

use rustix::process::geteuid;
use sysv_shm::{Key, SegmentStat};

use super::maps::quoted;
use super::process::Process;
use super::regions::{Identity, Kind, Region};

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SystemV => "System V",
            Self::Memfd => "memfd",
            Self::Ashmem => "ashmem",
            Self::Anonymous => "anonymous, shared",
            Self::Posix => "POSIX",
            Self::Unlinked => "file on a tmpfs, unlinked",
            Self::File => "file",
        })
    }
}

// ANCHOR: region
impl fmt::Display for Region<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, {}", self.identity.kind, self.label())?;
        let number = if self.identity.kind == Kind::SystemV { "id" } else { "inode" };
        let Identity { inode, device, .. } = self.identity;
        writeln!(f, "    {}; {number} {inode}, on device {device}", self.size())?;
        if let Some(seals) = self.facts.seals {
            writeln!(f, "    seals {seals}")?;
        }
        if let Some(segment) = &self.facts.segment {
            write_segment(f, segment)?;
        }
        for mapped in &self.mapped {
            let mapping = mapped.mapping;
            let private = if mapping.is_shared() { "" } else { ", private" };
            let from = if mapping.offset == 0 { String::new() } else { format!(" from {}", mapping.offset) };
            let [rss, pss] = [mapping.rss >> 10, mapping.pss >> 10];
            let text = format!("{} bytes{from}, rss {rss} kB, pss {pss} kB{private}", mapping.len());
            writeln!(f, "    mapped  {}  {text:45}  {}", mapping.permissions, who(mapped.by))?;
        }
        for open in &self.open {
            let file = open.file.map_or_else(|| "unknown".into(), letter);
            let text =
                format!("open file {file}, {}, at {}", open.descriptor.access, open.descriptor.position);
            writeln!(f, "    open    {:<4}  {text:45}  {}", open.descriptor.number, who(open.by))?;
        }
        writeln!(f, "    {}", self.stays())
    }
}
// ANCHOR_END: region

/// Whose it is. The pid comes last, because the book's output has a word in its place.
fn who(process: &Process) -> String {
    format!("{}, pid {}", process.command, process.pid)
}

/// A, B, ... Z, 26, 27, ...
fn letter(number: usize) -> String {
    let letter = u8::try_from(number).ok().filter(|number| *number < 26);
    letter.map_or_else(|| number.to_string(), |number| char::from(b'A' + number).to_string())
}

fn write_segment(f: &mut fmt::Formatter<'_>, segment: &SegmentStat) -> fmt::Result {
    let SegmentStat { mode, uid, creator_uid, creator_pid, .. } = *segment;
    let owner = |uid| if uid == geteuid().as_raw() { "you".into() } else { format!("uid {uid}") };
    let made = match creator_pid {
        0 => "a process of a pid namespace that cannot be seen from here".into(),
        pid if std::fs::exists(format!("/proc/{pid}")).unwrap_or(true) => format!("pid {pid}"),
        pid => format!("pid {pid}, who has ended"),
    };
    writeln!(f, "    mode {mode:04o}, owner {}", owner(uid))?;
    writeln!(f, "    made by {}, {made}", owner(creator_uid))?;
    let last = segment.last_pid.map(|pid| format!("; last attached or detached by pid {pid}"));
    match segment.attached_at {
        Some(time) => writeln!(f, "    last attached {}{}", age(time), last.unwrap_or_default()),
        None => writeln!(f, "    never attached"),
    }
}

/// How long ago, as one would say it.
fn age(time: SystemTime) -> String {
    let seconds = time.elapsed().unwrap_or_default().as_secs();
    match seconds {
        0..60 => "just now".into(),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..172_800 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

impl Region<'_> {
    /// Its name without what the kernel puts round it.
    pub(crate) fn label(&self) -> String {
        let name = self.name;
        let bare = |prefix: &str| name.strip_prefix(prefix.as_bytes()).unwrap_or(name);
        // A name that has gone ends so, and so may one that is there: the number of names decides.
        let unlinked = |name: &[u8]| name.strip_suffix(b" (deleted)").map(<[u8]>::to_vec);
        let deleted = self.facts.links == Some(0);
        match self.identity.kind {
            Kind::SystemV => {
                let digits = bare("/SYSV").get(..8).and_then(|digits| str::from_utf8(digits).ok());
                let key = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
                match key.map(u32::cast_signed) {
                    None => quoted(name),
                    Some(0) => "without a key".into(),
                    Some(key) => format!("made under the key {}", Key::new(key)),
                }
            }
            Kind::Memfd => quoted(&unlinked(bare("/memfd:")).unwrap_or_else(|| bare("/memfd:").to_vec())),
            Kind::Ashmem => quoted(&unlinked(bare("/dev/ashmem/")).unwrap_or_else(|| name.to_vec())),
            Kind::Anonymous => "without a name".into(),
            Kind::Posix if deleted => {
                let gone = unlinked(bare("/dev/shm"));
                format!("{}, unlinked", quoted(&gone.unwrap_or_else(|| bare("/dev/shm").to_vec())))
            }
            Kind::Posix => quoted(bare("/dev/shm")),
            Kind::Unlinked => quoted(&unlinked(name).unwrap_or_else(|| name.to_vec())),
            Kind::File => quoted(name),
        }
    }

    fn size(&self) -> String {
        let mapped =
            self.mapped.iter().map(|mapped| mapped.mapping.offset.saturating_add(mapped.mapping.len())).max();
        match (self.facts.size, self.facts.resident) {
            (Some(size), Some(resident)) => format!("{size} bytes, {} kB in memory", resident >> 10),
            (Some(size), None) => format!("{size} bytes"),
            // Whoever has a file mapped is no proof of its size.
            (None, _) => format!("{} bytes are mapped, its size is not told", mapped.unwrap_or(0)),
        }
    }

    // ANCHOR: stays
    /// Why it is still there, and what would end it.
    fn stays(&self) -> String {
        let several = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        let seen = self.mapped.len();
        let holders = match (seen, self.open.len()) {
            (0, open) => format!("{}; nobody has it mapped", several(open, "descriptor")),
            (mapped, 0) if self.identity.kind == Kind::Ashmem => {
                format!("{}; its descriptors are not told from others", several(mapped, "mapping"))
            }
            (mapped, 0) => format!("{}; there is no descriptor", several(mapped, "mapping")),
            (mapped, open) => format!("{} and {}", several(mapped, "mapping"), several(open, "descriptor")),
        };
        match (self.identity.kind, &self.facts.segment) {
            (Kind::SystemV, Some(segment)) => {
                let mappings = several(usize::try_from(segment.attached).unwrap_or(seen), "mapping");
                let unseen = segment.attached.saturating_sub(seen as u64);
                let unseen = if unseen == 0 { "all seen".into() } else { format!("{unseen} of them unseen") };
                match segment.removed {
                    true => format!("removed, and goes with its last holder: {mappings}, {unseen}"),
                    false => format!("stays until it is removed, whoever goes: {mappings}, {unseen}"),
                }
            }
            (Kind::SystemV, None) => {
                "in the table of another IPC namespace, which cannot be read from here".into()
            }
            (Kind::Posix | Kind::File, _) if self.facts.links != Some(0) => {
                format!("stays as long as it has a name: {holders}")
            }
            _ => format!("goes with its last holder: {holders}"),
        }
    }
    // ANCHOR_END: stays
}
