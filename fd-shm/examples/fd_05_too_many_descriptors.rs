//! Eight descriptors for a receiver with room for three: the kernel delivers three and drops the rest.
//!
//! Run it: `cargo run --example fd_05_too_many_descriptors`
//!
//! What to look for: the plain call succeeds. A flag is all that says that five descriptors are gone, the
//! sender is told nothing, and which number is which is anybody's guess. The library makes it an error, and
//! closes what did arrive, so that nothing half-received is ever used.

use std::collections::BTreeSet;
use std::error::Error;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;

use fd_shm::{Region, scm_rights};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[path = "support/other.rs"]
mod other;
use other::{Other, go, role, start, tell, wait};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How many are sent, and for how many there is room.
const SENT: usize = 8;
const ROOM: usize = 3;

/// The numbers of the descriptors that this process has open.
fn open() -> Result<BTreeSet<u64>> {
    let listed: Vec<_> = std::fs::read_dir("/proc/self/fd")?.flatten().map(|entry| entry.path()).collect();
    // The listing's own is closed by now.
    let still = listed.iter().filter(|path| path.symlink_metadata().is_ok());
    Ok(still.filter_map(|path| path.file_name()?.to_str()?.parse().ok()).collect())
}

/// Leaves room for so many more: RLIMIT_NOFILE is one more than the highest number that may be given out.
fn leave_room(room: usize) -> Result<()> {
    let open = open()?;
    let current = (0..).filter(|number| !open.contains(number)).nth(room);
    Ok(setrlimit(Resource::Nofile, Rlimit { current, maximum: getrlimit(Resource::Nofile).maximum })?)
}

// ANCHOR: plain
/// Receives with the plain call, and counts.
fn plain_receiver() -> Result<()> {
    let socket = other::socket()?;
    leave_room(ROOM)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SENT))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let got = recvmsg(&socket, &mut [IoSliceMut::new(&mut [0])], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut came = 0;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            came += descriptors.count();
        }
    }
    tell("receiver", format!("recvmsg: done, {} byte, {came} descriptors of {SENT}", got.bytes));
    let flag = got.flags.contains(ReturnFlags::CTRUNC);
    tell("receiver", format!("msg_flags has MSG_CTRUNC: {}", if flag { "yes" } else { "no" }));
    Ok(())
}
// ANCHOR_END: plain

// ANCHOR: checked
/// Receives with the library: too full a table, too small an expectation, and then as agreed.
fn checked_receiver() -> Result<()> {
    let socket = other::socket()?;
    leave_room(ROOM)?;
    let before = open()?;
    let refused = scm_rights::receive(&socket, &mut [0], SENT).err().ok_or("received in part")?;
    tell("receiver", format!("{refused}; is_truncated: {}", refused.is_truncated()));
    let same = open()? == before;
    tell("receiver", format!("has the same descriptors open as before: {}", if same { "yes" } else { "no" }));
    leave_room(SENT)?;
    go(&socket)?;
    let refused = scm_rights::receive(&socket, &mut [0], 1).err().ok_or("more than asked for")?;
    tell("receiver", format!("{refused}; is_descriptor_count: {}", refused.is_descriptor_count()));
    go(&socket)?;
    let message = scm_rights::receive(&socket, &mut [0], SENT)?;
    tell("receiver", format!("received all {}", message.descriptors.len()));
    go(&socket)?;
    Ok(())
}
// ANCHOR_END: checked

/// Sends the same region eight times over, in one message.
fn send(other: &Other, region: &Region) -> Result<()> {
    tell("sender", format!("sends {SENT} descriptors"));
    Ok(scm_rights::send(&other.socket, &[0], &[region.as_fd(); SENT])?)
}

fn sender() -> Result<()> {
    println!(
        "A receiver has room for {ROOM} more descriptors (RLIMIT_NOFILE), and is sent {SENT} in one message."
    );
    let region = Region::create("many", 4096)?;

    println!("\nWith plain calls:");
    let receiver = start(role("plain"))?;
    send(&receiver, &region)?;
    tell("receiver", receiver.end()?);

    println!("\nWith the library:");
    let receiver = start(role("checked"))?;
    for _ in 0..3 {
        send(&receiver, &region)?;
        wait(&receiver.socket)?;
    }
    tell("receiver", receiver.end()?);
    Ok(())
}

fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        None => sender(),
        Some("plain") => plain_receiver(),
        Some("checked") => checked_receiver(),
        Some(role) => Err(format!("no role {role}: plain, checked, or nothing for both").into()),
    }
}
