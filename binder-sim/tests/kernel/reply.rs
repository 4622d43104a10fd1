//! What an actor tells the stage, message by message.

use crate::files::Inode;
use nix::libc::off_t;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

/// An order: a script of one step, and a number that only the stage knows.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    /// The step, as text; all that earlier steps brought has been filled in.
    pub(crate) script: String,
    /// The pid of the actor that the step speaks of, or the place of the file that it opens.
    pub(crate) number: u32,
}

/// A thread has begun.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// Its tid.
    pub(crate) tid: i32,
}

/// A descriptor, as the kernel describes it to the process that has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Descriptor {
    /// The number.
    pub(crate) fd: u32,
    /// Device and inode.
    pub(crate) inode: Inode,
    /// `FD_CLOEXEC`.
    pub(crate) cloexec: bool,
    /// Where the open file stands, for one that can be sought.
    pub(crate) offset: Option<off_t>,
}

/// What a step came to.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// An errno.
    Failed(i32),
    /// Success.
    Done,
    /// A new number.
    Fd(u32),
    /// A text that needs no names.
    Text(String),
    /// `ioctl(BINDER_GET_FROZEN_INFO)`.
    Frozen(u32, u32, u32),
    /// `ioctl(BINDER_WRITE_READ)`.
    Exchange(Exchange),
    /// All that is open.
    Table(Vec<Descriptor>),
}

/// What `ioctl(BINDER_WRITE_READ)` came to.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Exchange {
    /// Its errno, or 0.
    pub(crate) errno: i32,
    /// The bytes that were written, and those that were taken.
    pub(crate) written: (usize, usize),
    /// What was read.
    pub(crate) read: Vec<u8>,
    /// The start of the mapping.
    pub(crate) base: u64,
    /// What stands in the mapping where the returns point.
    pub(crate) memory: Vec<(u64, Vec<u8>)>,
    /// The descriptors that came.
    pub(crate) descriptors: Vec<Descriptor>,
}

/// Sends a message.
pub(crate) fn send(stream: &mut UnixStream, message: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    let length = u32::try_from(text.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_le_bytes()[..], &text].concat())
}

/// Receives a message; an end of the stream is an error.
pub(crate) fn receive<M: DeserializeOwned>(stream: &mut UnixStream) -> io::Result<M> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut text = vec![0; u32::from_le_bytes(length) as usize];
    stream.read_exact(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}
