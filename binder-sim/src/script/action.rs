//! What a process of a script does in one step.

use super::lexer::{Lexer, ParseError};
use super::say::{Buffer, Number, Say};
use crate::driver::{Device, Read};
use crate::protocol::{Command, ObjectFlags};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// What an open file of a script is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The writing end of a pipe: who has the reading end sees when nobody holds the file any more.
    Pipe,
    /// A memory file.
    Memfd,
    /// A file opened with `O_PATH`: a number, and nothing that can be sent.
    Path,
}

impl Kind {
    /// Takes a kind, or gives [`Kind::Pipe`].
    pub(super) fn parse(lexer: &mut Lexer<'_>) -> Kind {
        if lexer.eat("memfd") {
            return Kind::Memfd;
        }
        if lexer.eat("o_path") {
            return Kind::Path;
        }
        lexer.eat("pipe");
        Kind::Pipe
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Pipe => "pipe",
            Kind::Memfd => "memfd",
            Kind::Path => "o_path",
        })
    }
}

/// What a process does in one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// `open binder`: `open("/dev/binder", O_RDWR | O_CLOEXEC)`.
    OpenDevice(Device),
    /// `mmap SIZE`: the mapping of the device, read-only; `mmap SIZE writable` asks for one that can be
    /// written.
    Mmap {
        /// Its size in bytes.
        size: usize,
        /// Whether to ask for `PROT_WRITE`.
        writable: bool,
    },
    /// `munmap`: of the whole mapping; `munmap behind 4096`: of what lies behind so many bytes.
    Munmap(usize),
    /// `COMMAND; COMMAND; read`: `ioctl(BINDER_WRITE_READ)`. `read` waits, `read now` does not, `read 80`
    /// has room for 80 bytes, `read writable 40` can write 40 bytes of what it has room for, `read consumed 8`
    /// says that it has read 8 bytes already; `nothing` neither writes nor reads.
    WriteRead {
        /// The commands.
        write: Vec<Say>,
        /// The read part.
        read: Read,
    },
    /// `set_context_mgr`: the old ioctl, whose node never accepts descriptors.
    SetContextMgr,
    /// `set_context_mgr_ext FLAGS`.
    SetContextMgrExt(ObjectFlags),
    /// `set_max_threads N`.
    SetMaxThreads(u32),
    /// `thread_exit`.
    ThreadExit,
    /// `version`.
    Version,
    /// `get_node_debug_info PTR`: the caller's first node behind `PTR`.
    GetNodeDebugInfo(u64),
    /// `get_node_info_for_ref HANDLE`.
    GetNodeInfoForRef(Number),
    /// `freeze ACTOR`, `thaw ACTOR`: without waiting; `timeout MS` waits for what is under way.
    Freeze {
        /// Whom.
        actor: String,
        /// Whether to freeze.
        enable: bool,
        /// How long to wait.
        timeout_ms: u32,
    },
    /// `get_frozen_info ACTOR`.
    GetFrozenInfo(String),
    /// `enable_oneway_spam_detection 1`.
    EnableOnewaySpamDetection(u32),
    /// `get_extended_error`.
    GetExtendedError,
    /// `ioctl 0x6201`: a number that is no ioctl of the device, or one that it does not implement.
    Ioctl(u32),
    /// `poll`: whether there is something to read.
    Poll,
    /// `open pipe NAME`, `open memfd NAME`, `open o_path NAME`: a new file under the lowest free number.
    Open(Kind, String),
    /// `close FD`.
    Close(u32),
    /// `dup FD`: the lowest free number for the same open file.
    Dup(u32),
    /// `limit N`: `setrlimit(RLIMIT_NOFILE, N)`.
    SetLimit(u32),
    /// `seteuid N`: the process has another effective uid from now on. Who may do that is no question of the driver's:
    /// from 0 to another and back is permitted everywhere.
    SetEuid(u32),
    /// `table`: looks at all numbers and what they name.
    Table,
    /// `held NAME`: whether anybody, the driver too, still has that pipe.
    Held(String),
    /// `await NAME`: waits until nobody has that pipe any more.
    Await(String),
    /// `exit`: the process is killed.
    Exit,
    /// `signal`: a signal that does nothing but end the call in which the thread waits, if it does.
    Signal,
}

impl Action {
    /// `open("/dev/binder")`.
    pub fn open_device() -> Action {
        Action::OpenDevice(Device::Binder)
    }

    /// `mmap` of the device with this size.
    pub fn mmap(size: usize) -> Action {
        Action::Mmap { size, writable: false }
    }

    /// Opens a new file with this name.
    pub fn open(name: &str) -> Action {
        Action::Open(Kind::Pipe, name.into())
    }

    /// Writes these commands and reads nothing.
    pub fn write(commands: impl IntoIterator<Item = Command>) -> Action {
        let write = commands.into_iter().map(Say::from).collect();
        Action::WriteRead { write, read: Read::NONE }
    }

    /// Reads what there is, without waiting.
    pub fn read() -> Action {
        Action::WriteRead { write: Vec::new(), read: Read::NOW }
    }

    /// Writes these commands, then waits for something to read.
    pub fn call(commands: impl IntoIterator<Item = Command>) -> Action {
        let write = commands.into_iter().map(Say::from).collect();
        Action::WriteRead { write, read: Read::WAIT }
    }

    /// Gives the last received buffer back, then writes these commands.
    pub fn free_and_write(commands: impl IntoIterator<Item = Command>) -> Action {
        let mut write = alloc::vec![Say::FreeBuffer(Buffer::Last)];
        write.extend(commands.into_iter().map(Say::from));
        Action::WriteRead { write, read: Read::NONE }
    }

    /// Reads an action.
    pub(super) fn parse(lexer: &mut Lexer<'_>) -> Result<Action, ParseError> {
        let word = lexer.peek().ok_or_else(|| lexer.error("ends where an action should stand"))?;
        if word == "read" || Say::begins(word) {
            return Action::parse_write_read(lexer);
        }
        lexer.next("an action")?;
        match word {
            "nothing" => Ok(Action::write([])),
            "open" => Action::parse_open(lexer),
            "mmap" => Ok(Action::Mmap { size: lexer.number("a size")?, writable: lexer.eat("writable") }),
            "munmap" => lexer.option("behind", 0).map(Action::Munmap),
            "close" => lexer.number("a descriptor").map(Action::Close),
            "dup" => lexer.number("a descriptor").map(Action::Dup),
            "limit" => lexer.number("a limit").map(Action::SetLimit),
            "seteuid" => lexer.number("a uid").map(Action::SetEuid),
            "table" => Ok(Action::Table),
            "held" => lexer.name("a file").map(Action::Held),
            "await" => lexer.name("a file").map(Action::Await),
            "exit" => Ok(Action::Exit),
            "signal" => Ok(Action::Signal),
            "poll" => Ok(Action::Poll),
            other => Action::parse_ioctl(other, lexer),
        }
    }

    /// Reads one of the ioctls other than `BINDER_WRITE_READ`.
    fn parse_ioctl(word: &str, lexer: &mut Lexer<'_>) -> Result<Action, ParseError> {
        match word {
            "set_context_mgr" => Ok(Action::SetContextMgr),
            "set_context_mgr_ext" => Ok(Action::SetContextMgrExt(ObjectFlags(lexer.number("flags")?))),
            "set_max_threads" => lexer.number("how many").map(Action::SetMaxThreads),
            "thread_exit" => Ok(Action::ThreadExit),
            "version" => Ok(Action::Version),
            "get_node_debug_info" => lexer.number("a node").map(Action::GetNodeDebugInfo),
            "get_node_info_for_ref" => Number::parse(lexer, "a handle").map(Action::GetNodeInfoForRef),
            "freeze" | "thaw" => Ok(Action::Freeze {
                actor: lexer.name("an actor")?,
                enable: word == "freeze",
                timeout_ms: lexer.option("timeout", 0)?,
            }),
            "get_frozen_info" => lexer.name("an actor").map(Action::GetFrozenInfo),
            "enable_oneway_spam_detection" => lexer.number("0 or 1").map(Action::EnableOnewaySpamDetection),
            "get_extended_error" => Ok(Action::GetExtendedError),
            "ioctl" => lexer.number("a number").map(Action::Ioctl),
            other => Err(lexer.error(format!("`{other}` is nothing that an actor does"))),
        }
    }

    /// Reads what stands after `open`.
    fn parse_open(lexer: &mut Lexer<'_>) -> Result<Action, ParseError> {
        for device in Device::ALL {
            if lexer.eat(device_name(device)) {
                return Ok(Action::OpenDevice(device));
            }
        }
        Ok(Action::Open(Kind::parse(lexer), lexer.name("a file")?))
    }

    /// Reads commands and a read.
    fn parse_write_read(lexer: &mut Lexer<'_>) -> Result<Action, ParseError> {
        let mut write = Vec::new();
        while lexer.peek().is_some_and(Say::begins) {
            write.push(Say::parse(lexer)?);
            if !lexer.eat(";") {
                return Ok(Action::WriteRead { write, read: Read::NONE });
            }
        }
        lexer.expect("read")?;
        let size = if lexer.is_number() { lexer.number("a size")? } else { Read::WAIT.size };
        let nonblock = lexer.eat("now");
        let consumed = lexer.option("consumed", 0)?;
        let writable = lexer.option("writable", usize::MAX)?;
        Ok(Action::WriteRead { write, read: Read { size, nonblock, consumed, writable } })
    }
}

/// The name of a device under `/dev`.
pub fn device_name(device: Device) -> &'static str {
    device.path().trim_start_matches("/dev/")
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::OpenDevice(device) => write!(f, "open {}", device_name(*device)),
            Action::Mmap { size, writable } => {
                write!(f, "mmap {size}{}", if *writable { " writable" } else { "" })
            }
            Action::Munmap(0) => f.write_str("munmap"),
            Action::Munmap(behind) => write!(f, "munmap behind {behind}"),
            Action::WriteRead { write, read } => print_write_read(write, *read, f),
            Action::SetContextMgr => f.write_str("set_context_mgr"),
            Action::SetContextMgrExt(flags) => write!(f, "set_context_mgr_ext {:#x}", flags.0),
            Action::SetMaxThreads(most) => write!(f, "set_max_threads {most}"),
            Action::ThreadExit => f.write_str("thread_exit"),
            Action::Version => f.write_str("version"),
            Action::GetNodeDebugInfo(ptr) => write!(f, "get_node_debug_info {ptr:#x}"),
            Action::GetNodeInfoForRef(handle) => write!(f, "get_node_info_for_ref {handle}"),
            Action::Freeze { actor, enable, timeout_ms } => {
                write!(f, "{} {actor}", if *enable { "freeze" } else { "thaw" })?;
                if *timeout_ms > 0 { write!(f, " timeout {timeout_ms}") } else { Ok(()) }
            }
            Action::GetFrozenInfo(actor) => write!(f, "get_frozen_info {actor}"),
            Action::EnableOnewaySpamDetection(on) => write!(f, "enable_oneway_spam_detection {on}"),
            Action::GetExtendedError => f.write_str("get_extended_error"),
            Action::Ioctl(number) => write!(f, "ioctl {number:#x}"),
            Action::Poll => f.write_str("poll"),
            Action::Open(kind, name) => write!(f, "open {kind} {name}"),
            Action::Close(fd) => write!(f, "close {fd}"),
            Action::Dup(fd) => write!(f, "dup {fd}"),
            Action::SetLimit(limit) => write!(f, "limit {limit}"),
            Action::SetEuid(euid) => write!(f, "seteuid {euid}"),
            Action::Table => f.write_str("table"),
            Action::Held(name) => write!(f, "held {name}"),
            Action::Await(name) => write!(f, "await {name}"),
            Action::Exit => f.write_str("exit"),
            Action::Signal => f.write_str("signal"),
        }
    }
}

/// Commands and a read, as [`Action::parse_write_read`] reads them.
fn print_write_read(write: &[Say], read: Read, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (n, say) in write.iter().enumerate() {
        write!(f, "{}{say}", if n == 0 { "" } else { "; " })?;
    }
    if read.size == 0 && read.nonblock {
        return f.write_str(if write.is_empty() { "nothing" } else { "" });
    }
    f.write_str(if write.is_empty() { "read" } else { "; read" })?;
    if read.size != Read::WAIT.size {
        write!(f, " {}", read.size)?;
    }
    f.write_str(if read.nonblock { " now" } else { "" })?;
    if read.consumed > 0 {
        write!(f, " consumed {}", read.consumed)?;
    }
    if read.writable < usize::MAX { write!(f, " writable {}", read.writable) } else { Ok(()) }
}
