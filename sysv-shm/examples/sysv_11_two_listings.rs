//! One segment in both listings of the kernel: the text of `/proc/sysvipc/shm`, and the calls of
//! `shmctl`.
//!
//! Run it: `cargo run --example sysv_11_two_listings`
//!
//! What to look for: the two say the same, in other spellings, and the text has one thing more. Neither
//! asks the mode bits, which refuse the third. Two attachments and no more processes than one: nothing
//! here says who.

use std::error::Error;
use std::fs;

use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use sysv_shm::{Key, SegmentOptions, SegmentStat, segments};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const KEY: Key = Key::new(0x5348_4d0b);

// ANCHOR: text
/// The line of a segment as the names of the columns, from the first line, with what stands under each.
fn line(id: i32) -> Result<Vec<(String, String)>> {
    let text = fs::read_to_string("/proc/sysvipc/shm")?;
    let mut lines = text.lines().map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    let names = lines.next().ok_or("no first line")?;
    let line = lines.find(|line| line.get(1) == Some(&id.to_string())).ok_or("it is not listed")?;
    Ok(names.into_iter().zip(line).collect())
}
// ANCHOR_END: text

// ANCHOR: calls
/// What `SHM_STAT_ANY` tells of the same column.
fn told(segment: &SegmentStat, column: &str) -> String {
    match column {
        "key" => segment.key.to_string(),
        "shmid" => segment.id.to_string(),
        "perms" => format!("mode {:04o}{}", segment.mode, if segment.removed { ", removed" } else { "" }),
        "size" => format!("{} bytes", segment.size),
        "cpid" => segment.creator_pid.to_string(),
        "lpid" => segment.last_pid.map_or_else(|| "nobody".into(), |pid| pid.to_string()),
        "nattch" => format!("{} mappings", segment.attached),
        "atime" => if segment.attached_at.is_some() { "a time" } else { "never" }.into(),
        "dtime" => if segment.detached_at.is_some() { "a time" } else { "never" }.into(),
        "ctime" => "a time".into(),
        "uid" => segment.uid.to_string(),
        "gid" => segment.gid.to_string(),
        "cuid" => segment.creator_uid.to_string(),
        "cgid" => segment.creator_gid.to_string(),
        _ => "-".into(),
    }
}
// ANCHOR_END: calls

fn compare(what: &str, id: i32) -> Result<()> {
    let segment =
        segments()?.into_iter().find(|segment| segment.id.number() == id).ok_or("it is not there")?;
    let us = std::process::id().to_string();
    println!("{what}:\n");
    println!("  column   /proc/sysvipc/shm   shmctl, SHM_STAT_ANY");
    for (name, value) in line(id)? {
        let told = told(&segment, &name);
        // What differs from run to run is said in words.
        let words = match name.as_str() {
            "atime" | "dtime" | "ctime" if value != "0" => Some(["seconds", told.as_str()]),
            "cpid" | "lpid" if value == us => Some(["our pid", "the same"]),
            "shmid" | "uid" | "gid" | "cuid" | "cgid" if value == told => Some(["a number", "the same"]),
            _ => None,
        };
        let [value, told] = words.unwrap_or([value.as_str(), told.as_str()]);
        println!("  {name:8} {value:19} {told}");
    }
    Ok(())
}

fn main() -> Result<()> {
    let segment = SegmentOptions::new().mode(0).create_new(KEY, 5000)?.remove_on_drop();
    compare("A segment with mode 0000, made and not used", segment.id().number())?;

    // Root's capability would open it in spite of its mode.
    let mut ours = capabilities(None)?;
    ours.effective.remove(CapabilitySet::IPC_OWNER);
    set_capabilities(None, ours)?;
    println!("\nIts owner asks for it by its id, with IPC_STAT:\n");
    match segment.stat() {
        Ok(_) => return Err("mode 0000 lets its owner in".into()),
        Err(refused) => println!("  is_permission_denied: {}", refused.is_permission_denied()),
    }

    let shared = SegmentOptions::new().mode(0o600).create_new(Key::PRIVATE, 8192)?.remove_on_drop();
    let id = shared.id().number();
    let attached = shared.attach::<()>()?;
    let _again = shared.attach_read_only::<()>()?;
    shared.remove()?;
    attached.copy_in(0, &[1])?;
    println!();
    compare("A segment attached twice by one process, and removed", id)
}
