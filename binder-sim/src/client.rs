//! A real `/dev/binder`, by plain ioctls: where a program that uses the driver starts from.
//!
//! A process opens the device once, maps it once, and from then on says everything with
//! `ioctl(BINDER_WRITE_READ)`. What it writes is copied out of its memory; what it receives the driver puts
//! into the mapping, which the process can only read, and which it gives back buffer by buffer.
//!
//! # References
//! `linux/android/binder.h`; the kernel's `drivers/android/binder.c` (`binder_ioctl`, `binder_mmap`).

#![allow(unsafe_code)]

mod calls;
mod mapping;

pub use calls::WriteRead;
pub use mapping::Mapping;

use crate::protocol::{Command, FrozenInfo, NodeDebugInfo, NodeInfoForRef, ObjectFlags, Return};
use crate::wire;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use calls::*;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

/// A call of the device that failed: `call(operands): ERRNO, what it means here`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{call}: {errno:?}, {meaning}")]
pub struct Error {
    /// The call and its operands.
    call: String,
    /// What went wrong, as a number.
    errno: Errno,
    /// What the number means for this call.
    meaning: &'static str,
}

impl Error {
    /// The error number.
    pub fn errno(&self) -> Errno {
        self.errno
    }
}

/// An open device.
///
/// # Examples
/// ```no_run
/// use binder_sim::client::Client;
/// use binder_sim::protocol::{Command, Payload, TransactionData};
///
/// let client = Client::open("/dev/binder".as_ref())?;
/// let mapping = client.mmap(128 << 10)?;
/// let ping = Command::Transaction(TransactionData::new(0, 0x5f50_4e47, Payload::new()));
/// let answer = client.write_read(&[ping], 256, &mapping)?;
/// println!("{:?}", answer.returns);
/// # Ok::<(), binder_sim::client::Error>(())
/// ```
#[derive(Debug)]
pub struct Client {
    /// The device.
    device: OwnedFd,
}

/// What `ioctl(BINDER_WRITE_READ)` left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Consumed {
    /// The bytes of commands that were taken: fewer than written when one was refused.
    pub write: usize,
    /// The bytes of returns that were read.
    pub read: usize,
}

/// What came of commands and a read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The bytes of commands that were taken.
    pub write_consumed: usize,
    /// What was read.
    pub returns: Vec<Return>,
}

impl Client {
    /// `open(path, O_RDWR | O_CLOEXEC)`.
    ///
    /// # Errors
    /// `ENOENT`: there is no such device. `EACCES`: not for this uid.
    pub fn open(path: &Path) -> Result<Client, Error> {
        let opened = open(path, OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty());
        let failed = |errno| Error {
            call: format!("open({})", path.display()),
            errno,
            meaning: "the kernel has no such device, or keeps it from this user",
        };
        opened.map(Client::from).map_err(failed)
    }

    /// `mmap(NULL, size, PROT_READ, MAP_PRIVATE, device, 0)`: room to receive.
    ///
    /// # Errors
    /// `EBUSY`: it is mapped already. `EINVAL`: in a forked child, or no size.
    pub fn mmap(&self, size: usize) -> Result<Mapping, Error> {
        let call = || format!("mmap(binder {}, {size})", self.device.as_raw_fd());
        let meaning = "a device can be mapped once, by the process that opened it, and not to be written";
        Mapping::new(&self.device, size).map_err(|errno| Error { call: call(), errno, meaning })
    }

    /// Writes `commands`, then reads up to `room` bytes of returns; `room` 0 reads nothing. Waits for
    /// something to read, unless the device is `O_NONBLOCK`.
    ///
    /// # Errors
    /// `EAGAIN`: nothing to read, without waiting. `EINTR`: a signal came. `EINVAL`: a word that the driver
    /// refuses.
    pub fn write_read(
        &self,
        commands: &[Command],
        room: usize,
        mapping: &Mapping,
    ) -> Result<Exchange, Error> {
        let mut payloads = Payloads::default();
        let bytes = wire::encode(commands, &mut payloads);
        let mut read = vec![0; room];
        let (done, consumed) = self.write_read_bytes(&bytes, &mut read);
        done?;
        let returns = wire::decode_returns(&read[..consumed.read], mapping);
        Ok(Exchange { write_consumed: consumed.write, returns })
    }

    /// `ioctl(BINDER_WRITE_READ)`: bytes of commands, room for bytes of returns. Says how far it came also
    /// when it failed: commands before the one that was refused have been done.
    pub fn write_read_bytes(&self, write: &[u8], read: &mut [u8]) -> (Result<(), Error>, Consumed) {
        let (fd, room) = (self.device.as_raw_fd(), read.len());
        let call = || format!("ioctl(binder {fd}, BINDER_WRITE_READ, write {}, read {room})", write.len());
        let meaning = "nothing to read, a word that the driver refuses, or bytes that end too early";
        let failed = |errno, call: &dyn Fn() -> String| Err(Error { call: call(), errno, meaning });
        let mut argument = WriteRead {
            write_size: write.len() as u64,
            write_consumed: 0,
            write_buffer: write.as_ptr().addr() as u64,
            read_size: room as u64,
            read_consumed: 0,
            read_buffer: read.as_mut_ptr().expose_provenance() as u64,
        };
        // SAFETY: the bytes at `read_buffer` are those of `read`.
        let done = unsafe { self.write_read_raw(&mut argument) };
        let size = |consumed| usize::try_from(consumed).unwrap_or(usize::MAX);
        let consumed = Consumed {
            write: size(argument.write_consumed).min(write.len()),
            read: size(argument.read_consumed).min(room),
        };
        match done {
            Ok(()) => (Ok(()), consumed),
            Err(errno) => (failed(errno, &call), consumed),
        }
    }

    /// `ioctl(BINDER_WRITE_READ)` with an argument of one's own.
    ///
    /// # Errors
    /// The driver's; `EFAULT` for memory that it cannot read or write. `EINVAL`, without asking it, for room of one
    /// to three bytes, and for more that is said to be read than there is room: the driver compares without a
    /// sign, and would write a whole answer behind the end.
    ///
    /// # Safety
    /// What lies in the `read_size` bytes at `read_buffer` may be written over. Where nothing is mapped the driver
    /// notices; so it does for what it reads, wherever a command points.
    pub unsafe fn write_read_raw(&self, argument: &mut WriteRead) -> Result<(), Errno> {
        let WriteRead { read_size, read_consumed, .. } = *argument;
        if (1..4).contains(&read_size) || (read_size > 0 && read_consumed > read_size) {
            return Err(Errno::EINVAL);
        }
        // SAFETY: binder_ioctl writes nothing but the argument and, as the caller promises, `read_size` bytes at
        // `read_buffer`: there are at least 4 of them, see above, or none.
        unsafe { write_read(self.device.as_raw_fd(), &raw mut *argument) }.map(drop)
    }

    /// `ioctl(BINDER_VERSION)`: 8 is the protocol of 64-bit kernels.
    ///
    /// # Errors
    /// `EINVAL`: no binder device.
    pub fn version(&self) -> Result<u32, Error> {
        let mut version = 0_i32;
        // SAFETY: the driver writes one int, where one lies.
        self.done("BINDER_VERSION", unsafe { calls::version(self.device.as_raw_fd(), &raw mut version) })?;
        Ok(version.cast_unsigned())
    }

    /// `ioctl(BINDER_SET_MAX_THREADS)`: how many threads the driver may ask for.
    ///
    /// # Errors
    /// None that a device can have.
    pub fn set_max_threads(&self, most: u32) -> Result<(), Error> {
        // SAFETY: the driver reads one int, where one lies.
        self.done("BINDER_SET_MAX_THREADS", unsafe {
            set_max_threads(self.device.as_raw_fd(), &raw const most)
        })
    }

    /// `ioctl(BINDER_SET_CONTEXT_MGR)`: to be reached as handle 0; such a manager never receives a
    /// descriptor.
    ///
    /// # Errors
    /// `EBUSY`: there is a manager. `EPERM`: the first one had another uid.
    pub fn set_context_mgr(&self) -> Result<(), Error> {
        let unused = 0;
        // SAFETY: the driver does not look at the argument.
        self.done("BINDER_SET_CONTEXT_MGR", unsafe {
            set_context_mgr(self.device.as_raw_fd(), &raw const unused)
        })
    }

    /// `ioctl(BINDER_SET_CONTEXT_MGR_EXT)`: the same, with the flags of the node that handle 0 will name.
    ///
    /// # Errors
    /// As there.
    pub fn set_context_mgr_ext(&self, flags: ObjectFlags) -> Result<(), Error> {
        let object = Words { words: [0, flags.0, 0, 0, 0, 0] };
        // SAFETY: the driver reads one flat object, where one lies.
        let done = unsafe { set_context_mgr_ext(self.device.as_raw_fd(), &raw const object) };
        self.done("BINDER_SET_CONTEXT_MGR_EXT", done)
    }

    /// `ioctl(BINDER_THREAD_EXIT)`: the calling thread will not use the device any more.
    ///
    /// # Errors
    /// None that a device can have.
    pub fn thread_exit(&self) -> Result<(), Error> {
        let unused = 0;
        // SAFETY: the driver does not look at the argument.
        self.done("BINDER_THREAD_EXIT", unsafe { thread_exit(self.device.as_raw_fd(), &raw const unused) })
    }

    /// `ioctl(BINDER_GET_NODE_DEBUG_INFO)`: the caller's first node behind `ptr`; `ptr` 0 is the end.
    ///
    /// # Errors
    /// None that a device can have.
    pub fn get_node_debug_info(&self, ptr: u64) -> Result<NodeDebugInfo, Error> {
        let mut info = Wide { ptr, ..Wide::default() };
        // SAFETY: the driver reads and writes one such structure, where one lies.
        let done = unsafe { get_node_debug_info(self.device.as_raw_fd(), &raw mut info) };
        self.done("BINDER_GET_NODE_DEBUG_INFO", done)?;
        let Wide { ptr, cookie, strong, weak } = info;
        Ok(NodeDebugInfo { ptr, cookie, has_strong_ref: strong != 0, has_weak_ref: weak != 0 })
    }

    /// `ioctl(BINDER_GET_NODE_INFO_FOR_REF)`: how a handle's node is held; for the manager alone.
    ///
    /// # Errors
    /// `EPERM`: not the manager. `EINVAL`: no such handle, or only a weak one.
    pub fn get_node_info_for_ref(&self, handle: u32) -> Result<NodeInfoForRef, Error> {
        let mut info = Words { words: [handle, 0, 0, 0, 0, 0] };
        // SAFETY: the driver reads and writes one such structure, where one lies.
        let done = unsafe { get_node_info_for_ref(self.device.as_raw_fd(), &raw mut info) };
        self.done("BINDER_GET_NODE_INFO_FOR_REF", done)?;
        let [handle, strong_count, weak_count, ..] = info.words;
        Ok(NodeInfoForRef { handle, strong_count, weak_count, reserved: [0; 3] })
    }

    /// `ioctl(BINDER_FREEZE)`: no more calls for process `pid`, or calls again; waits up to `timeout_ms`
    /// for what is under way.
    ///
    /// # Errors
    /// `EINVAL`: the process has no device open, or the kernel does not know the call. `EAGAIN`: still
    /// under way.
    pub fn freeze(&self, pid: u32, enable: bool, timeout_ms: u32) -> Result<(), Error> {
        let info = Three { words: [pid, u32::from(enable), timeout_ms] };
        // SAFETY: the driver reads one such structure, where one lies.
        self.done("BINDER_FREEZE", unsafe { freeze(self.device.as_raw_fd(), &raw const info) })
    }

    /// `ioctl(BINDER_GET_FROZEN_INFO)`: what came for process `pid` while it was frozen.
    ///
    /// # Errors
    /// `EINVAL`: the process has no device open, or the kernel does not know the call.
    pub fn get_frozen_info(&self, pid: u32) -> Result<FrozenInfo, Error> {
        let mut info = Three { words: [pid, 0, 0] };
        // SAFETY: the driver reads and writes one such structure, where one lies.
        let done = unsafe { get_frozen_info(self.device.as_raw_fd(), &raw mut info) };
        self.done("BINDER_GET_FROZEN_INFO", done)?;
        let [pid, sync_recv, async_recv] = info.words;
        Ok(FrozenInfo { pid, sync_recv, async_recv })
    }

    /// `ioctl(BINDER_ENABLE_ONEWAY_SPAM_DETECTION)`: be told when one's own one-way calls take too much room.
    ///
    /// # Errors
    /// `EINVAL`: the kernel does not know the call.
    pub fn enable_oneway_spam_detection(&self, on: u32) -> Result<(), Error> {
        // SAFETY: the driver reads one int, where one lies.
        let done = unsafe { enable_oneway_spam_detection(self.device.as_raw_fd(), &raw const on) };
        self.done("BINDER_ENABLE_ONEWAY_SPAM_DETECTION", done)
    }

    /// `ioctl(BINDER_GET_EXTENDED_ERROR)`: the number of the thread's last transaction, the return that it
    /// was refused with, and a negative errno or 0; clears all three.
    ///
    /// # Errors
    /// `EINVAL`: the kernel does not know the call (before 6.1).
    pub fn get_extended_error(&self) -> Result<(u32, u32, i32), Error> {
        let mut error = Three { words: [0; 3] };
        // SAFETY: the driver writes one such structure, where one lies.
        let done = unsafe { get_extended_error(self.device.as_raw_fd(), &raw mut error) };
        self.done("BINDER_GET_EXTENDED_ERROR", done)?;
        let [id, command, param] = error.words;
        Ok((id, command, param.cast_signed()))
    }

    /// What an ioctl came to.
    fn done(&self, name: &str, done: nix::Result<i32>) -> Result<(), Error> {
        let call = || format!("ioctl(binder {}, {name})", self.device.as_raw_fd());
        let meaning = "the kernel does not know the call, or not for this process";
        done.map(drop).map_err(|errno| Error { call: call(), errno, meaning })
    }
}

impl From<OwnedFd> for Client {
    fn from(device: OwnedFd) -> Client {
        Client { device }
    }
}

impl From<Client> for OwnedFd {
    fn from(client: Client) -> OwnedFd {
        client.device
    }
}

/// Payloads on their way: they stay where they are until the driver has copied them.
#[derive(Debug, Default)]
pub struct Payloads(Vec<Box<[u8]>>);

impl wire::Arena for Payloads {
    fn put(&mut self, bytes: &[u8]) -> u64 {
        let block: Box<[u8]> = bytes.into();
        let address = block.as_ptr().addr() as u64;
        self.0.push(block);
        address
    }
}
