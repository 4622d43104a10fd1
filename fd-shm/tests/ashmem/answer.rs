//! What an actor is answered, as text: a value, an errno's name, or the signal that a touch would raise.

use fd_shm::ashmem::{Errno, Pin, PinStatus};

use crate::script::{Actor, bytes};

/// One answer, in words.
pub(crate) type Answer = String;

pub(crate) const OK: &str = "ok";
pub(crate) const SIGBUS: &str = "SIGBUS";
pub(crate) const SIGSEGV: &str = "SIGSEGV";
/// Behind the mapping: what lies there is nobody's to say.
pub(crate) const OUTSIDE: &str = "outside the mapping";
/// Whether memory that may be executed and nothing else can be read depends on the processor.
pub(crate) const EXECUTE_ONLY: &str = "not tried: execute only";

/// Something that the actor does not have under this name.
pub(crate) fn no(name: &str) -> Answer {
    format!("no {name}")
}

pub(crate) fn no_actor(actor: Actor) -> Answer {
    format!("no {actor}")
}

/// An answer that is a value in its own words, or an errno.
pub(crate) fn of<T: Value>(answer: Result<T, Errno>) -> Answer {
    match answer {
        Ok(value) => value.words(),
        Err(errno) => format!("{errno:?}"),
    }
}

/// What a call can answer.
pub(crate) trait Value {
    fn words(self) -> Answer;
}

impl Value for () {
    fn words(self) -> Answer {
        OK.to_owned()
    }
}

impl Value for Answer {
    fn words(self) -> Answer {
        self
    }
}

/// A number of bytes, or a place in a file.
impl Value for u64 {
    fn words(self) -> Answer {
        bytes(self)
    }
}

impl Value for Pin {
    fn words(self) -> Answer {
        if self.was_purged() { "WAS PURGED" } else { "not purged" }.to_owned()
    }
}

impl Value for PinStatus {
    fn words(self) -> Answer {
        match self {
            Self::Unpinned => "unpinned",
            Self::Pinned => "pinned",
        }
        .to_owned()
    }
}

/// What a `read` got: how much, and the bytes of it that are not 0, where they are in the file.
pub(crate) fn read(len: u64, set: &[(u64, u8)]) -> Answer {
    let mut words = format!("{} read", bytes(len));
    for (at, value) in set {
        words += &format!(", {value} at {}", bytes(*at));
    }
    words
}

/// A mapping's line in `/proc/<pid>/maps`, without what differs from run to run.
pub(crate) fn maps_line(prot: impl std::fmt::Display, shared: bool, at: u64, path: &str) -> Answer {
    format!("{prot}{} {at:08x} {path}", if shared { 's' } else { 'p' })
}

/// A region's name. A long one of one letter is counted.
pub(crate) fn name(name: &[u8]) -> Answer {
    if name.len() > 20 && name.iter().all(|byte| *byte == b'x') {
        return format!("{}*x", name.len());
    }
    format!("\"{}\"", String::from_utf8_lossy(name))
}

/// How many pages a purge took.
pub(crate) fn purged(pages: u64) -> Answer {
    format!("{pages} page{}", if pages == 1 { "" } else { "s" })
}
