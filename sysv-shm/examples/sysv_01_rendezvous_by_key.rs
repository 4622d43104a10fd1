//! Two processes that never run at the same time, and were given nothing, meet under a number.
//!
//! Run it: `cargo run --example sysv_01_rendezvous_by_key`, or each part by hand: `-- first`, later `--
//! second`. (Nothing is removed then: `ipcrm -M 0x53484d01` does it.)
//!
//! What to look for: both run the same line, and whoever comes first makes the segment. The first has ended
//! before the second starts, and what it wrote is there.

use std::env;
use std::error::Error;
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};

use sysv_shm::{Key, Segment, shareable};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

// ANCHOR: agreed
/// All that the two have in common. Anybody else who says this number meets them here.
const KEY: Key = Key::new(0x5348_4d01);

/// What lies in the segment; new memory is all zeros.
#[repr(C)]
struct Place {
    /// How many have come here before.
    visitors: AtomicU32,
}
shareable!(Place { visitors: AtomicU32 });
// ANCHOR_END: agreed

// ANCHOR: visit
/// Comes to the place, says what is found there, and leaves a text for whoever comes next.
fn visit(role: &str) -> Result<()> {
    let segment = Segment::create(KEY, 4096)?; // the one that has the key, or a new one
    let place = segment.attach::<Place>()?;
    println!("{role:<7} pid {}: the key {KEY} leads to id {}", process::id(), segment.id());
    match place.visitors.fetch_add(1, Ordering::Relaxed) {
        0 => println!("        nobody was here: the memory is new, and zero"),
        before => {
            let mut text = [0; 26];
            place.copy_out(0, &mut text)?;
            println!("        visitors before me: {before}; somebody wrote \"{}\"", text.escape_ascii());
            println!("        the memory was made by pid {}, which has ended", segment.stat()?.creator_pid);
        }
    }
    place.copy_in(0, b"left under a number, by me")?;
    println!("        mappings of it now: {}, which is mine", segment.stat()?.attached);
    Ok(())
}
// ANCHOR_END: visit

/// One after the other; nothing goes from one to the other, and none is there while the other is.
fn both() -> Result<()> {
    for role in ["first", "second"] {
        let status = Command::new(env::current_exe()?).arg(role).status()?;
        if !status.success() {
            return Err(format!("the {role} ended with {status}").into());
        }
        println!("        has ended\n");
    }
    println!("Nobody runs who used it, and it is still there: no exit removes a segment.");
    Ok(())
}

fn main() -> Result<()> {
    if let Some(role) = env::args().nth(1) {
        return visit(&role);
    }
    if let Ok(found) = Segment::open(KEY, 0) {
        return Err(format!("somebody is at {KEY} already; `ipcrm -m {}` would remove it", found.id()).into());
    }
    let outcome = both();
    if let Ok(left) = Segment::open(KEY, 0) {
        println!("Mappings of it: {}. It is removed now, by its key.", left.stat()?.attached);
        left.remove()?;
    }
    outcome
}
