//! What a process of a script writes to the driver.

use super::lexer::{Lexer, ParseError};
use super::payload::{Item, parse_bytes};
use crate::protocol::TransactionFlags;
use alloc::format;
use alloc::vec::Vec;
use core::fmt;

/// A handle, or the step that brought it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// This number.
    Is(u32),
    /// `of 7`: that of the first handle in what step 7 received; 0xffffffff if it received none.
    Of(usize),
}

impl Number {
    /// Reads one.
    pub(super) fn parse(lexer: &mut Lexer<'_>, what: &str) -> Result<Number, ParseError> {
        if lexer.eat("of") {
            lexer.number("a step").map(Number::Of)
        } else {
            lexer.number(what).map(Number::Is)
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Is(number) => write!(f, "{number}"),
            Number::Of(step) => write!(f, "of {step}"),
        }
    }
}

impl From<u32> for Number {
    fn from(number: u32) -> Number {
        Number::Is(number)
    }
}

/// A buffer in the mapping of the process that speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Buffer {
    /// `last`: the one that came last and has not been freed; address 0 if there is none.
    Last,
    /// `of 7`: the one that step 7 received; address 0 if it received none.
    Of(usize),
    /// `+0x40`: so far from the start of the mapping.
    At(u64),
    /// `0x40`: this address.
    Address(u64),
}

impl Buffer {
    /// Reads one.
    fn parse(lexer: &mut Lexer<'_>) -> Result<Buffer, ParseError> {
        if lexer.eat("last") {
            return Ok(Buffer::Last);
        }
        if lexer.eat("of") {
            return lexer.number("a step").map(Buffer::Of);
        }
        if lexer.eat("at") {
            return lexer.number("an offset").map(Buffer::At);
        }
        lexer.number("a buffer").map(Buffer::Address)
    }
}

impl fmt::Display for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Buffer::Last => f.write_str("last"),
            Buffer::Of(step) => write!(f, "of {step}"),
            Buffer::At(offset) => write!(f, "at {offset:#x}"),
            Buffer::Address(address) => write!(f, "{address:#x}"),
        }
    }
}

/// The payload of a call or a reply, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sent {
    /// The method.
    pub code: u32,
    /// `TF_...`
    pub flags: TransactionFlags,
    /// The data.
    pub items: Vec<Item>,
    /// The offsets array, if it is not that of the objects among the items.
    pub offsets: Option<Vec<u64>>,
    /// The size that is claimed for the data.
    pub data_size: Option<u64>,
    /// The size that is claimed for the offsets array.
    pub offsets_size: Option<u64>,
    /// The data pointer leads nowhere.
    pub data_nowhere: bool,
    /// The offsets pointer leads nowhere.
    pub offsets_nowhere: bool,
    /// The room for the bytes of `ptr` objects: none without scatter-gather (`BC_TRANSACTION`, `BC_REPLY`).
    pub room: Option<u64>,
}

impl Sent {
    /// Reads everything after the word, and for a call after its target.
    fn parse(lexer: &mut Lexer<'_>) -> Result<Sent, ParseError> {
        let mut sent = Sent {
            code: lexer.option("code", 0)?,
            flags: TransactionFlags(lexer.option("flags", 0)?),
            ..Sent::default()
        };
        if lexer.eat("{") {
            while !lexer.eat("}") {
                sent.items.push(Item::parse(lexer)?);
                if !lexer.eat(",") {
                    lexer.expect("}")?;
                    break;
                }
            }
        }
        if lexer.eat("offsets") {
            let mut offsets = Vec::new();
            if !lexer.eat("none") {
                while lexer.is_number() {
                    offsets.push(lexer.number("an offset")?);
                }
            }
            sent.offsets = Some(offsets);
        }
        let size = |lexer: &mut Lexer<'_>, word| {
            if lexer.eat(word) { lexer.number(word).map(Some) } else { Ok(None) }
        };
        sent.data_size = size(lexer, "data_size")?;
        sent.offsets_size = size(lexer, "offsets_size")?;
        sent.data_nowhere = lexer.eat("data_nowhere");
        sent.offsets_nowhere = lexer.eat("offsets_nowhere");
        sent.room = size(lexer, "room")?;
        Ok(sent)
    }

    /// The offset of each object among the items.
    pub fn places(&self) -> impl Iterator<Item = u64> {
        let mut at = 0;
        self.items.iter().filter_map(move |item| {
            let offset = at;
            at += item.size() as u64;
            (!matches!(item, Item::Bytes(_))).then_some(offset)
        })
    }
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.code != 0 {
            write!(f, " code {}", self.code)?;
        }
        if self.flags.0 != 0 {
            write!(f, " flags {}", self.flags)?;
        }
        for (n, item) in self.items.iter().enumerate() {
            write!(f, "{}{item}", if n == 0 { " {" } else { ", " })?;
        }
        f.write_str(if self.items.is_empty() { "" } else { "}" })?;
        if let Some(offsets) = &self.offsets {
            f.write_str(if offsets.is_empty() { " offsets none" } else { " offsets" })?;
            offsets.iter().try_for_each(|offset| write!(f, " {offset}"))?;
        }
        let size = |f: &mut fmt::Formatter<'_>, word: &str, size: Option<u64>| {
            size.map_or(Ok(()), |size| write!(f, " {word} {size}"))
        };
        size(f, "data_size", self.data_size)?;
        size(f, "offsets_size", self.offsets_size)?;
        f.write_str(if self.data_nowhere { " data_nowhere" } else { "" })?;
        f.write_str(if self.offsets_nowhere { " offsets_nowhere" } else { "" })?;
        size(f, "room", self.room)
    }
}

/// One command as a script says it: with the names of `linux/android/binder.h`, in small letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Say {
    /// `transaction HANDLE ...`; with `room`, `BC_TRANSACTION_SG`.
    Transaction(Number, Sent),
    /// `reply ...`; with `room`, `BC_REPLY_SG`.
    Reply(Sent),
    /// `free_buffer BUFFER`.
    FreeBuffer(Buffer),
    /// A word with a handle: `increfs`, `acquire`, `release`, `decrefs`.
    Count(Count, Number),
    /// A word with a handle and a cookie: `request_death`, `clear_death`, `request_freeze`, `clear_freeze`.
    Notice(Notice, Number, u64),
    /// A word with a node and its cookie: `increfs_done`, `acquire_done`.
    CountDone(Count, u64, u64),
    /// A word with a cookie: `dead_binder_done`, `freeze_done`.
    NoticeDone(Notice, u64),
    /// A word alone: `enter_looper`, `register_looper`, `exit_looper`.
    Looper(Looper),
    /// `consumed 8`: so many bytes of what is written are said to have been taken already (`write_consumed`).
    Consumed(usize),
    /// `raw 01020304`: these bytes, whatever they say. What comes after them is not a word of its own.
    Raw(Vec<u8>),
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident: $($(#[$each:meta])* $variant:ident = $word:literal,)*) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$each])* $variant,)*
        }

        impl $name {
            /// The one with this name.
            fn named(word: &str) -> Option<$name> {
                match word {
                    $($word => Some($name::$variant),)*
                    _ => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $($name::$variant => $word,)* })
            }
        }
    };
}

words! {
    /// A change of a reference's counts.
    Count:
    /// `BC_INCREFS`: weak, up.
    IncRefs = "increfs",
    /// `BC_ACQUIRE`: strong, up.
    Acquire = "acquire",
    /// `BC_RELEASE`: strong, down.
    Release = "release",
    /// `BC_DECREFS`: weak, down.
    DecRefs = "decrefs",
}

words! {
    /// A wish to be told, or to be told no more.
    Notice:
    /// `BC_REQUEST_DEATH_NOTIFICATION`.
    RequestDeath = "request_death",
    /// `BC_CLEAR_DEATH_NOTIFICATION`.
    ClearDeath = "clear_death",
    /// `BC_REQUEST_FREEZE_NOTIFICATION`.
    RequestFreeze = "request_freeze",
    /// `BC_CLEAR_FREEZE_NOTIFICATION`.
    ClearFreeze = "clear_freeze",
}

words! {
    /// What a thread says of itself.
    Looper:
    /// `BC_REGISTER_LOOPER`.
    Register = "register_looper",
    /// `BC_ENTER_LOOPER`.
    Enter = "enter_looper",
    /// `BC_EXIT_LOOPER`.
    Exit = "exit_looper",
}

impl Say {
    /// Whether a word of a script begins a command.
    pub(super) fn begins(word: &str) -> bool {
        let others = ["transaction", "reply", "free_buffer", "increfs_done", "acquire_done"];
        let rest = ["dead_binder_done", "freeze_done", "consumed", "raw"];
        others.contains(&word)
            || rest.contains(&word)
            || Count::named(word).is_some()
            || Notice::named(word).is_some()
            || Looper::named(word).is_some()
    }

    /// Reads a command.
    pub(super) fn parse(lexer: &mut Lexer<'_>) -> Result<Say, ParseError> {
        let word = lexer.next("a command")?;
        let cookie = |lexer: &mut Lexer<'_>, default| lexer.option("cookie", default);
        if let Some(looper) = Looper::named(word) {
            return Ok(Say::Looper(looper));
        }
        if let Some(count) = Count::named(word) {
            return Ok(Say::Count(count, Number::parse(lexer, "a handle")?));
        }
        if let Some(notice) = Notice::named(word) {
            return Ok(Say::Notice(notice, Number::parse(lexer, "a handle")?, cookie(lexer, 0)?));
        }
        match word {
            "transaction" => Ok(Say::Transaction(Number::parse(lexer, "a handle")?, Sent::parse(lexer)?)),
            "reply" => Sent::parse(lexer).map(Say::Reply),
            "free_buffer" => Buffer::parse(lexer).map(Say::FreeBuffer),
            "increfs_done" | "acquire_done" => {
                let count = if word == "increfs_done" { Count::IncRefs } else { Count::Acquire };
                let ptr = lexer.number("a node")?;
                Ok(Say::CountDone(count, ptr, cookie(lexer, ptr)?))
            }
            "dead_binder_done" => Ok(Say::NoticeDone(Notice::RequestDeath, lexer.number("a cookie")?)),
            "freeze_done" => Ok(Say::NoticeDone(Notice::RequestFreeze, lexer.number("a cookie")?)),
            "consumed" => lexer.number("how many bytes").map(Say::Consumed),
            "raw" => parse_bytes("bytes", lexer).map(Say::Raw),
            other => Err(lexer.error(format!("`{other}` is no command"))),
        }
    }
}

impl fmt::Display for Say {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Say::Transaction(target, sent) => write!(f, "transaction {target}{sent}"),
            Say::Reply(sent) => write!(f, "reply{sent}"),
            Say::FreeBuffer(buffer) => write!(f, "free_buffer {buffer}"),
            Say::Count(count, handle) => write!(f, "{count} {handle}"),
            Say::Notice(notice, handle, 0) => write!(f, "{notice} {handle}"),
            Say::Notice(notice, handle, cookie) => write!(f, "{notice} {handle} cookie {cookie:#x}"),
            Say::CountDone(count, ptr, cookie) if ptr == cookie => write!(f, "{count}_done {ptr:#x}"),
            Say::CountDone(count, ptr, cookie) => write!(f, "{count}_done {ptr:#x} cookie {cookie:#x}"),
            Say::NoticeDone(Notice::RequestFreeze | Notice::ClearFreeze, cookie) => {
                write!(f, "freeze_done {cookie:#x}")
            }
            Say::NoticeDone(_, cookie) => write!(f, "dead_binder_done {cookie:#x}"),
            Say::Looper(looper) => write!(f, "{looper}"),
            Say::Consumed(bytes) => write!(f, "consumed {bytes}"),
            Say::Raw(bytes) => write!(f, "raw {}", Digits(bytes)),
        }
    }
}

/// Bytes as digits alone.
struct Digits<'a>(&'a [u8]);

impl fmt::Display for Digits<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
