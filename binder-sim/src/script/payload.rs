//! What a transaction of a script carries, well-formed or not.

use super::lexer::{Lexer, ParseError};
use super::say::Number;
use crate::protocol::ObjectFlags;
use alloc::vec::Vec;
use core::fmt;

/// A piece of a payload; pieces stand one after the other, from the start, with nothing between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// Plain bytes: `bytes 0102ff` or, where all are zero, `zeros 40`.
    Bytes(Vec<u8>),
    /// `binder 0x10`: a node of the sender.
    Binder {
        /// The owner's name for the node.
        ptr: u64,
        /// The owner's second word.
        cookie: u64,
        /// Flags.
        flags: ObjectFlags,
        /// Whether the reference is strong; `weak_binder` if not.
        strong: bool,
    },
    /// `handle 1`: a node of somebody else.
    Handle {
        /// The sender's number for it.
        handle: Number,
        /// Flags.
        flags: ObjectFlags,
        /// Whether the reference is strong; `weak_handle` if not.
        strong: bool,
    },
    /// `fd 5`: a descriptor of the sender.
    Fd {
        /// The number.
        fd: u32,
        /// `cookie`, which passes through.
        cookie: u64,
        /// `pad_flags`, which pass through.
        pad: u32,
    },
    /// `ptr bytes 0102`: bytes elsewhere in the sender's memory, copied into the extra area.
    Ptr {
        /// The bytes; none: the pointer leads nowhere (`ptr nowhere`).
        bytes: Option<Vec<u8>>,
        /// The length that the object claims, if it is not that of the bytes.
        length: Option<u64>,
        /// `parent N at OFFSET`: which earlier object (its place in the offsets array) holds a pointer to
        /// these bytes, and where in it.
        parent: Option<(u64, u64)>,
    },
    /// `fda 3 parent 0 at 8`: numbers of descriptors inside an earlier `ptr`.
    Fda {
        /// How many.
        count: u64,
        /// Which object holds them: its place in the offsets array.
        parent: u64,
        /// Where in it.
        at: u64,
    },
    /// `type 0x1234`: an object that no driver knows.
    Unknown(u32),
}

impl Item {
    /// The bytes that the piece takes.
    pub fn size(&self) -> usize {
        match self {
            Item::Bytes(bytes) => bytes.len(),
            Item::Ptr { .. } => 40,
            Item::Fda { .. } => 32,
            Item::Unknown(_) => 4,
            _ => 24,
        }
    }

    /// Reads a piece.
    pub(super) fn parse(lexer: &mut Lexer<'_>) -> Result<Item, ParseError> {
        let word = lexer.next("a piece of a payload")?;
        let strong = !word.starts_with("weak_");
        match word {
            "bytes" | "zeros" | "ints" => parse_bytes(word, lexer).map(Item::Bytes),
            "binder" | "weak_binder" => {
                let ptr = lexer.number("a node")?;
                let cookie = lexer.option("cookie", ptr)?;
                Ok(Item::Binder { ptr, cookie, flags: parse_flags(lexer)?, strong })
            }
            "handle" | "weak_handle" => {
                let handle = Number::parse(lexer, "a handle")?;
                Ok(Item::Handle { handle, flags: parse_flags(lexer)?, strong })
            }
            "fd" => Ok(Item::Fd {
                fd: lexer.number("a descriptor")?,
                cookie: lexer.option("cookie", 0)?,
                pad: lexer.option("pad", 0)?,
            }),
            "ptr" => parse_ptr(lexer),
            "fda" => {
                let count = lexer.number("how many")?;
                lexer.expect("parent")?;
                let parent = lexer.number("a place")?;
                lexer.expect("at")?;
                Ok(Item::Fda { count, parent, at: lexer.number("an offset")? })
            }
            "type" => Ok(Item::Unknown(lexer.number("a type")?)),
            other => Err(lexer.error(alloc::format!("`{other}` is no piece of a payload"))),
        }
    }
}

/// Reads `flags F`, or none.
fn parse_flags(lexer: &mut Lexer<'_>) -> Result<ObjectFlags, ParseError> {
    lexer.option("flags", 0).map(ObjectFlags)
}

/// Reads what stands after `ptr`.
fn parse_ptr(lexer: &mut Lexer<'_>) -> Result<Item, ParseError> {
    let word = lexer.next("`bytes`, `zeros`, `ints` or `nowhere`")?;
    let bytes = if word == "nowhere" { None } else { Some(parse_bytes(word, lexer)?) };
    let length = if lexer.eat("length") { Some(lexer.number("a length")?) } else { None };
    let parent = if lexer.eat("parent") {
        let parent = lexer.number("a place")?;
        lexer.expect("at")?;
        Some((parent, lexer.number("an offset")?))
    } else {
        None
    };
    Ok(Item::Ptr { bytes, length, parent })
}

/// Reads bytes: two hexadecimal digits each; or how many zeros; or numbers of four bytes each.
pub(super) fn parse_bytes(word: &str, lexer: &mut Lexer<'_>) -> Result<Vec<u8>, ParseError> {
    match word {
        "zeros" => {
            let count: usize = lexer.number("how many")?;
            if count > MOST_BYTES {
                return Err(lexer.error("more bytes than any mapping takes"));
            }
            Ok(alloc::vec![0; count])
        }
        "ints" => {
            let mut bytes = Vec::new();
            while lexer.is_number() {
                bytes.extend_from_slice(&lexer.number::<u32>("a number")?.to_le_bytes());
            }
            Ok(bytes)
        }
        "bytes" => {
            let digits = lexer.next("hexadecimal digits")?;
            let bad = |lexer: &Lexer<'_>| {
                lexer.error(alloc::format!("`{digits}` is not pairs of hexadecimal digits"))
            };
            if !digits.is_ascii() || digits.len() % 2 != 0 {
                return Err(bad(lexer));
            }
            let pairs = (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16));
            pairs.collect::<Result<_, _>>().map_err(|_| bad(lexer))
        }
        other => Err(lexer.error(alloc::format!("`{other}` where bytes should stand"))),
    }
}

/// A payload may be larger than a mapping, to see that refused, and not much larger.
const MOST_BYTES: usize = 8 << 20;

/// Bytes as [`parse_bytes`] reads them.
pub(super) struct Hex<'a>(pub(super) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.iter().all(|&byte| byte == 0) {
            return write!(f, "zeros {}", self.0.len());
        }
        f.write_str("bytes ")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weak = |strong: &bool| if *strong { "" } else { "weak_" };
        let option = |f: &mut fmt::Formatter<'_>, word: &str, value: u64| {
            if value == 0 { Ok(()) } else { write!(f, " {word} {value:#x}") }
        };
        match self {
            Item::Bytes(bytes) => write!(f, "{}", Hex(bytes)),
            Item::Binder { ptr, cookie, flags, strong } => {
                write!(f, "{}binder {ptr:#x}", weak(strong))?;
                if cookie != ptr {
                    write!(f, " cookie {cookie:#x}")?;
                }
                option(f, "flags", flags.0.into())
            }
            Item::Handle { handle, flags, strong } => {
                write!(f, "{}handle {handle}", weak(strong))?;
                option(f, "flags", flags.0.into())
            }
            Item::Fd { fd, cookie, pad } => {
                write!(f, "fd {fd}")?;
                option(f, "cookie", *cookie)?;
                option(f, "pad", (*pad).into())
            }
            Item::Ptr { bytes, length, parent } => {
                f.write_str("ptr ")?;
                match bytes {
                    Some(bytes) => write!(f, "{}", Hex(bytes))?,
                    None => f.write_str("nowhere")?,
                }
                if let Some(length) = length {
                    write!(f, " length {length}")?;
                }
                parent.map_or(Ok(()), |(parent, at)| write!(f, " parent {parent} at {at}"))
            }
            Item::Fda { count, parent, at } => write!(f, "fda {count} parent {parent} at {at}"),
            Item::Unknown(kind) => write!(f, "type {kind:#x}"),
        }
    }
}
