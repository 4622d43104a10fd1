//! One page at three addresses, in two processes: a memory file's, and a System V segment's.
//!
//! Run it: `cargo run --example one_page`
//!
//! What to look for: the two halves are the same but for how the other process came to it. A store through any
//! of the three mappings is a load through the others, at once and without a call. And three mappings of a page
//! take the memory of one.

use std::error::Error;
use std::fs;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process;
use std::sync::atomic::{AtomicU8, Ordering};

use fd_shm::{Region, scm_rights};
use rustix::param::page_size;
use sysv_shm::{Segment, SegmentId};

#[path = "../../fd-shm/examples/support/other.rs"]
#[allow(dead_code)] // one file for several examples: the other is asked here, not given turns
mod other;
use other::{Other, role, start};

#[path = "support/memory.rs"]
#[allow(dead_code)] // one file for several examples, each of which uses its part
mod memory;
use memory::Memory;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

// ANCHOR: other
/// The other process: maps what it is sent, or attaches what it is told, and answers.
fn other_process(id: Option<&str>) -> Result<()> {
    let mut socket = other::socket()?;
    if let Some(id) = id {
        let segment = Segment::from_id(SegmentId::new(id.parse()?))?;
        let byte = segment.attach::<AtomicU8>()?;
        answer(&mut socket, &byte)
    } else {
        let [descriptor] = scm_rights::receive(&socket, &mut [0], 1)?.into_exactly()?;
        let byte = Region::from_fd(descriptor)?.map::<AtomicU8>()?;
        answer(&mut socket, &byte)
    }
}

/// Stores what it is told to, if anything, and says what it sees; until nobody asks any more.
fn answer(socket: &mut UnixStream, byte: &AtomicU8) -> Result<()> {
    let mut told = [0];
    while socket.read(&mut told)? == 1 {
        if told[0] != 0 {
            byte.store(told[0], Ordering::Release);
        }
        socket.write_all(&[byte.load(Ordering::Acquire)])?;
    }
    Ok(())
}
// ANCHOR_END: other

/// Has the other store a value, or none when it is 0, and returns what it sees.
fn ask(other: &mut Other, value: u8) -> Result<u8> {
    let mut seen = [0];
    other.socket.write_all(&[value])?;
    other.socket.read_exact(&mut seen)?;
    Ok(seen[0])
}

// ANCHOR: show
/// Maps the memory twice here, and stores from three sides.
fn show(memory: &Memory, other: &mut Other) -> Result<()> {
    let (one, two) = (memory.map()?, memory.map()?);
    ask(other, 0)?; // it has mapped the memory when it answers
    let inode = memory.inode()?;
    let mut found = 0;
    for (who, pid) in [("this process", process::id()), ("the other", other.pid())] {
        for line in lines(pid, inode)? {
            println!("  {who:14}{line}");
            found += 1;
        }
    }
    println!("  mappings of one inode: {found}");

    println!("\n  what happens          one  two  the other's");
    let (one, two) = (one.first(), two.first());
    let mut row = |what: &str, from_the_other: u8| -> Result<()> {
        let seen = ask(other, from_the_other)?;
        let [one, two] = [one, two].map(|byte| byte.load(Ordering::Acquire));
        println!("  {what:22}{one:3}  {two:3}  {seen:11}");
        Ok(())
    };
    one.store(1, Ordering::Release);
    row("one stores 1", 0)?;
    two.store(2, Ordering::Release);
    row("two stores 2", 0)?;
    row("the other stores 3", 3)?;
    println!("\n  pages of memory for all three: {}", memory.pages()?);
    Ok(())
}
// ANCHOR_END: show

/// The lines of a process's maps for a file with this inode. A segment's can be 0, and what is no file has that as well.
fn lines(pid: u32, inode: u64) -> Result<Vec<String>> {
    let (maps, inode) = (fs::read_to_string(format!("/proc/{pid}/maps"))?, inode.to_string());
    let fields = |line: &str| line.split_whitespace().map(ToOwned::to_owned).collect::<Vec<_>>();
    let ours = |fields: &Vec<String>| fields.len() > 5 && fields[4] == inode && fields[5].starts_with('/');
    Ok(maps.lines().map(fields).filter(ours).map(|fields| fields.join(" ")).collect())
}

fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("sent") => return other_process(None),
        Some(id) => return other_process(Some(id)),
        None => {}
    }
    println!("A memory file, mapped twice, and a third time by a process that was sent the descriptor:");
    let memory = Memory::file(page_size())?;
    let mut other = start(role("sent"))?;
    if let Memory::File(region) = &memory {
        scm_rights::send(&other.socket, &[0], &[region.as_fd()])?;
    }
    show(&memory, &mut other)?;
    other.end()?;

    println!("\nA segment, attached twice, and a third time by a process that was told the id:");
    let memory = Memory::segment(page_size())?;
    let mut other = start(role(&memory.inode()?.to_string()))?;
    show(&memory, &mut other)?;
    other.end()?;
    Ok(())
}
