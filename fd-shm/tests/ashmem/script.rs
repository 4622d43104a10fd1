//! Scripts as text: one call a line, `ACTOR CALL OPERANDS`, and what each call answered behind an arrow.
//!
//! ```text
//! # Each pin reports what it pins, and forgets only that.
//! A create r "notes" 16p        actor A's descriptor r: open, SET_NAME, SET_SIZE
//! A mmap m r 16p rw- shared     actor A's mapping m
//! A unpin r 0 2p                from page 0, two pages
//! ```
//!
//! Actors are processes and have a letter each: `A` is there from the start, and so is whoever is sent
//! something before anybody forks it. Numbers are bytes, or pages with a `p`. A name that an actor does not
//! have is answered as such, so that every list of lines is a script.

use std::fmt;
use std::str::FromStr;

use fd_shm::ashmem::{PAGE, Prot};

/// A process, by its letter.
pub(crate) type Actor = char;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) actor: Actor,
    pub(crate) call: Call,
}

/// What an actor does. A descriptor is `fd`, a mapping is `map`: names that are the actor's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Call {
    /// `open("/dev/ashmem")`.
    Open { fd: String },
    /// What libcutils' `ashmem_create_region` does: open, SET_NAME, SET_SIZE.
    Create { fd: String, name: String, size: u64 },
    /// `ASHMEM_SET_NAME`.
    SetName { fd: String, name: NameOperand },
    /// `ASHMEM_SET_SIZE`.
    SetSize { fd: String, size: u64 },
    /// `ASHMEM_SET_PROT_MASK`.
    SetMask { fd: String, mask: Prot },
    /// `ASHMEM_PIN`, `ASHMEM_UNPIN`, `ASHMEM_GET_PIN_STATUS`, with a pointer to nowhere where there is no
    /// range.
    Pin { call: PinCall, fd: String, range: Option<(u32, u32)> },
    /// What has no operand but the descriptor.
    Ask { ask: Ask, fd: String },
    /// `mmap`.
    Mmap { map: String, fd: String, len: u64, prot: Prot, shared: bool, at: u64 },
    /// `mprotect` of all of a mapping.
    Mprotect { map: String, prot: Prot },
    /// `munmap` of all of a mapping.
    Munmap { map: String },
    /// Reads the byte at an offset of a mapping.
    Load { map: String, at: u64 },
    /// Writes the byte at an offset of a mapping.
    Store { map: String, at: u64, value: u8 },
    /// The mapping's line in `/proc/self/maps`.
    Line { map: String },
    /// `read`.
    Read { fd: String, len: u64 },
    /// `lseek`.
    Seek { fd: String, whence: Whence, offset: i64 },
    /// `dup`.
    Dup { to: String, fd: String },
    /// `open("/proc/self/fd/N")`.
    Reopen { to: String, fd: String },
    /// Hands a descriptor to another process, over a socket.
    Send { fd: String, to: Actor, name: String },
    /// `fork`.
    Fork { child: Actor },
    /// `setresuid`.
    Become { uid: u32 },
    /// `personality(READ_IMPLIES_EXEC)`.
    ReadImpliesExec,
    /// `kill -9`, from outside.
    Die,
}

/// The operand of `ASHMEM_SET_NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NameOperand {
    Text(String),
    /// So many bytes of `x`, and no zero byte in the driver's 256.
    Long(u32),
    /// A pointer to nowhere.
    Nowhere,
}

/// One variant a word: the words of a kind of operand or call.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum $name { $($variant),+ }

        impl $name {
            pub(crate) const ALL: &[Self] = &[$(Self::$variant),+];

            pub(crate) const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|it| it.word() == word)
            }
        }
    };
}

words! {
    /// What is done to a range of pages.
    PinCall { Pin = "pin", Unpin = "unpin", Status = "pin_status" }
}

words! {
    /// Calls with a descriptor and nothing else.
    Ask {
        GetName = "get_name",
        GetSize = "get_size",
        GetMask = "get_mask",
        Purge = "purge_all",
        FileId = "get_file_id",
        Unknown = "unknown_ioctl",
        Write = "write",
        WriteAt = "pwrite",
        Truncate = "ftruncate",
        Allocate = "fallocate",
        Stat = "fstat",
        Link = "readlink",
        Close = "close",
    }
}

words! {
    /// From where `lseek` counts.
    Whence { Set = "set", Current = "cur", End = "end", Data = "data", Hole = "hole" }
}

/// The three letters that `/proc/self/maps` has for a protection, or a number.
fn prot(word: &str) -> Option<Prot> {
    let known = (0..8).map(Prot::from_bits).find(|prot| prot.to_string() == word);
    known.or_else(|| Some(Prot::from_bits(number(word)?.try_into().ok()?)))
}

/// Bytes, or whole pages.
fn number(word: &str) -> Option<u64> {
    if let Some(hexadecimal) = word.strip_prefix("0x") {
        return u64::from_str_radix(hexadecimal, 16).ok();
    }
    match word.strip_suffix('p') {
        Some(pages) => pages.parse::<u64>().ok()?.checked_mul(PAGE as u64),
        None => word.parse().ok(),
    }
}

fn signed(word: &str) -> Option<i64> {
    match word.strip_prefix('-') {
        Some(rest) => Some(-i64::try_from(number(rest)?).ok()?),
        None => number(word)?.try_into().ok(),
    }
}

/// A number of bytes as people would write it here.
pub(crate) fn bytes(number: u64) -> String {
    match number {
        1.. if number.is_multiple_of(PAGE as u64) => format!("{}p", number / PAGE as u64),
        _ => number.to_string(),
    }
}

fn quoted(word: &str) -> Option<String> {
    let inner = word.strip_prefix('"')?.strip_suffix('"')?;
    (!inner.contains(['"', '\\'])).then(|| inner.to_owned())
}

fn actor(word: &str) -> Option<Actor> {
    let mut letters = word.chars();
    letters.next().filter(|letter| letter.is_ascii_uppercase() && letters.next().is_none())
}

impl FromStr for Step {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let words: Vec<_> = line.split_whitespace().collect();
        let step = match *words {
            [who, call, ref operands @ ..] => {
                actor(who).and_then(|actor| Some(Self { actor, call: parse_call(call, operands)? }))
            }
            _ => None,
        };
        step.ok_or_else(|| format!("no step: {line}"))
    }
}

fn parse_call(call: &str, operands: &[&str]) -> Option<Call> {
    let own = |name: &str| name.to_owned();
    Some(match (call, operands) {
        ("open", [fd]) => Call::Open { fd: own(fd) },
        ("create", [fd, name, size]) => {
            Call::Create { fd: own(fd), name: quoted(name)?, size: number(size)? }
        }
        ("set_name", [fd, name]) => Call::SetName { fd: own(fd), name: parse_name(name)? },
        ("set_size", [fd, size]) => Call::SetSize { fd: own(fd), size: number(size)? },
        ("set_mask", [fd, mask]) => Call::SetMask { fd: own(fd), mask: prot(mask)? },
        ("mmap", [map, fd, len, prot, sharing, rest @ ..]) => {
            let at = match rest {
                [] => 0,
                ["at", at] => number(at)?,
                _ => return None,
            };
            let shared = matches!(*sharing, "shared" | "private").then_some(*sharing == "shared")?;
            let (len, prot) = (number(len)?, self::prot(prot)?);
            Call::Mmap { map: own(map), fd: own(fd), len, prot, shared, at }
        }
        ("mprotect", [map, prot]) => Call::Mprotect { map: own(map), prot: self::prot(prot)? },
        ("munmap", [map]) => Call::Munmap { map: own(map) },
        ("load", [map, at]) => Call::Load { map: own(map), at: number(at)? },
        ("store", [map, at, value]) => {
            Call::Store { map: own(map), at: number(at)?, value: value.parse().ok()? }
        }
        ("maps_line", [map]) => Call::Line { map: own(map) },
        ("read", [fd, len]) => Call::Read { fd: own(fd), len: number(len)? },
        ("lseek", [fd, whence, offset]) => {
            Call::Seek { fd: own(fd), whence: Whence::parse(whence)?, offset: signed(offset)? }
        }
        ("dup", [to, fd]) => Call::Dup { to: own(to), fd: own(fd) },
        ("reopen", [to, fd]) => Call::Reopen { to: own(to), fd: own(fd) },
        ("send", [fd, to, name]) => Call::Send { fd: own(fd), to: actor(to)?, name: own(name) },
        ("fork", [child]) => Call::Fork { child: actor(child)? },
        ("setresuid", [uid]) => Call::Become { uid: uid.parse().ok()? },
        ("read_implies_exec", []) => Call::ReadImpliesExec,
        ("die", []) => Call::Die,
        (_, [fd]) if Ask::parse(call).is_some() => Call::Ask { ask: Ask::parse(call)?, fd: own(fd) },
        (_, [fd, rest @ ..]) => {
            let range = match rest {
                ["nowhere"] => None,
                [offset, len] => Some((number(offset)?.try_into().ok()?, number(len)?.try_into().ok()?)),
                _ => return None,
            };
            Call::Pin { call: PinCall::parse(call)?, fd: own(fd), range }
        }
        _ => return None,
    })
}

fn parse_name(word: &str) -> Option<NameOperand> {
    match word.strip_suffix("*x") {
        Some(times) => Some(NameOperand::Long(times.parse().ok()?)),
        None if word == "nowhere" => Some(NameOperand::Nowhere),
        None => Some(NameOperand::Text(quoted(word)?)),
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.actor, self.call)
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open { fd } => write!(f, "open {fd}"),
            Self::Create { fd, name, size } => write!(f, "create {fd} \"{name}\" {}", bytes(*size)),
            Self::SetName { fd, name: NameOperand::Text(name) } => write!(f, "set_name {fd} \"{name}\""),
            Self::SetName { fd, name: NameOperand::Long(times) } => write!(f, "set_name {fd} {times}*x"),
            Self::SetName { fd, name: NameOperand::Nowhere } => write!(f, "set_name {fd} nowhere"),
            Self::SetSize { fd, size } => write!(f, "set_size {fd} {}", bytes(*size)),
            Self::SetMask { fd, mask } => write!(f, "set_mask {fd} {}", mask),
            Self::Pin { call, fd, range: Some((offset, len)) } => {
                write!(f, "{} {fd} {} {}", call.word(), bytes((*offset).into()), bytes((*len).into()))
            }
            Self::Pin { call, fd, range: None } => write!(f, "{} {fd} nowhere", call.word()),
            Self::Ask { ask, fd } => write!(f, "{} {fd}", ask.word()),
            Self::Mmap { map, fd, len, prot, shared, at } => {
                let sharing = if *shared { "shared" } else { "private" };
                write!(f, "mmap {map} {fd} {} {} {sharing}", bytes(*len), prot)?;
                if *at > 0 { write!(f, " at {}", bytes(*at)) } else { Ok(()) }
            }
            Self::Mprotect { map, prot } => write!(f, "mprotect {map} {}", prot),
            Self::Munmap { map } => write!(f, "munmap {map}"),
            Self::Load { map, at } => write!(f, "load {map} {}", bytes(*at)),
            Self::Store { map, at, value } => write!(f, "store {map} {} {value}", bytes(*at)),
            Self::Line { map } => write!(f, "maps_line {map}"),
            Self::Read { fd, len } => write!(f, "read {fd} {}", bytes(*len)),
            Self::Seek { fd, whence, offset } => {
                let sign = if *offset < 0 { "-" } else { "" };
                write!(f, "lseek {fd} {} {sign}{}", whence.word(), bytes(offset.unsigned_abs()))
            }
            Self::Dup { to, fd } => write!(f, "dup {to} {fd}"),
            Self::Reopen { to, fd } => write!(f, "reopen {to} {fd}"),
            Self::Send { fd, to, name } => write!(f, "send {fd} {to} {name}"),
            Self::Fork { child } => write!(f, "fork {child}"),
            Self::Become { uid } => write!(f, "setresuid {uid}"),
            Self::ReadImpliesExec => write!(f, "read_implies_exec"),
            Self::Die => write!(f, "die"),
        }
    }
}

/// The steps of a script; comments and empty lines are for its readers.
pub(crate) fn parse(text: &str) -> Result<Vec<Step>, String> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).map(str::parse).collect()
}

/// Each step with its answer, the answers in one column.
pub(crate) fn transcript<'a>(played: impl Iterator<Item = (&'a Step, &'a str)> + Clone) -> String {
    let width = played.clone().map(|(step, _)| step.to_string().len()).max().unwrap_or(0);
    played.map(|(step, answer)| format!("{:width$} -> {answer}\n", step.to_string())).collect()
}
