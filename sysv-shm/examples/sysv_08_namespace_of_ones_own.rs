//! One key in two IPC namespaces: two segments that know nothing of each other.
//!
//! Run it: `cargo run --example sysv_08_namespace_of_ones_own`
//!
//! What to look for: the process that goes into a namespace of its own loses the key and the id, and keeps
//! the memory, for a mapping needs neither. Under the same key it can make another segment, and when the
//! process ends, so does the namespace, and that segment with it.

use std::env;
use std::error::Error;
use std::fs;
use std::process::{self, Command, ExitCode};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use sysv_shm::{Key, Segment};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const KEY: Key = Key::new(0x5348_4d08);

/// The exit code that says: this machine cannot show it.
const NOT_SHOWN: u8 = 77;

// ANCHOR: outside
/// Makes a segment, lets another process attach it and go away with it, and looks again.
fn outside() -> Result<ExitCode> {
    let segment = Segment::create_new(KEY, 4096)?.remove_on_drop();
    let word = segment.attach::<AtomicU32>()?;
    word.store(1, Ordering::Relaxed);
    println!("outside  pid {}: made a segment under {KEY}, wrote 1", process::id());

    let status = Command::new(env::current_exe()?).arg("inside").status()?;
    match status.code() {
        Some(0) => {}
        Some(code) if code == i32::from(NOT_SHOWN) => return Ok(ExitCode::from(NOT_SHOWN)),
        _ => return Err(format!("inside ended with {status}").into()),
    }
    println!("outside  pid {}: reads {}, written inside", process::id(), word.load(Ordering::Relaxed));
    println!("           segments under the key: {}, our own", listed()?);
    println!(
        "           mappings of it: {}, for the other's end has been counted here",
        segment.stat()?.attached
    );
    segment.remove()?;
    Ok(ExitCode::SUCCESS)
}
// ANCHOR_END: outside

// ANCHOR: inside
/// Attaches the segment, and leaves the namespace in which it has a key and an id.
fn inside() -> Result<ExitCode> {
    let segment = Segment::open(KEY, 0)?;
    let word = segment.attach::<AtomicU32>()?;
    if let Err(error) = leave() {
        println!("not shown here: unshare(CLONE_NEWIPC), and with CLONE_NEWUSER: {error}");
        return Ok(ExitCode::from(NOT_SHOWN));
    }
    println!("inside   pid {}: attached it, and went into a namespace of its own", process::id());
    println!("           segments under the key: {}", listed()?);
    println!("           looked up by its key: {}", outcome(&Segment::open(KEY, 0)));
    println!("           looked up by its id:  {}", outcome(&segment.stat()));
    let other = Segment::create_new(KEY, 4096)?.attach::<AtomicU32>()?;
    other.store(2, Ordering::Relaxed);
    println!("           made a segment under {KEY}, wrote 2; segments under the key: {}", listed()?);
    println!(
        "           the other one is mapped still, and holds {}: writes 3",
        word.swap(3, Ordering::Relaxed)
    );
    println!("           ends without removing anything");
    Ok(ExitCode::SUCCESS)
}

/// Root can do this alone; others need to be root of a user namespace first.
fn leave() -> nix::Result<()> {
    match unshare(CloneFlags::CLONE_NEWIPC) {
        Err(Errno::EPERM) => unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWIPC),
        other => other,
    }
}
// ANCHOR_END: inside

/// `found`, or the errno.
fn outcome<T>(result: &sysv_shm::Result<T>) -> String {
    let errno = result.as_ref().err().and_then(sysv_shm::Error::raw_os_error).map(Errno::from_raw);
    errno.map_or_else(|| "found".into(), |errno| format!("{errno:?}"))
}

/// How many segments of our namespace have the key, which is the first column of the kernel's list.
fn listed() -> Result<usize> {
    let list = fs::read_to_string("/proc/sysvipc/shm")?;
    let key = KEY.number().to_string();
    Ok(list.lines().filter(|line| line.split_whitespace().next() == Some(&key)).count())
}

fn main() -> Result<ExitCode> {
    match env::args().nth(1).as_deref() {
        None => outside(),
        Some("inside") => inside(),
        Some(other) => Err(format!("no role {other}: the program starts the other one itself").into()),
    }
}
