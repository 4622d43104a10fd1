//! Two processes that share one memory file, looked at in all four layers: descriptors, open files, mappings,
//! pages.
//!
//! Run it: `cargo run --example fd_40_four_layers`
//!
//! What to look for: three numbers lead to one open file, and the client's other one to an open file of its
//! own, although there is only one file. 5 is one thing in the server and another in the client. And of four
//! pages two have memory: each mapping has entries for those that were touched through it, and no others.

#![allow(unsafe_code)] // a private mapping, which the library does not make

use std::error::Error;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::process::{self, ExitCode};
use std::sync::atomic::{AtomicU8, Ordering};

use fd_shm::{FixedFd, Region, same_open_file, scm_rights};
use memmap2::{MmapOptions, MmapRaw};
use rustix::fs::{SeekFrom, fstat};
use rustix::param::page_size;

#[path = "support/other.rs"]
#[allow(dead_code)] // one file for several examples: nothing is told of the client
mod other;
use other::{go, role, start, wait};

#[path = "support/layers.rs"]
#[allow(dead_code)] // one file for several examples, each of which uses its part
mod layers;
use layers::{descriptor, entries, mappings};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const PAGES: usize = 4;

// ANCHOR: client
/// Gets the file, opens it once more, and maps it twice.
fn client() -> Result<()> {
    let socket = other::socket()?;
    let [received] = scm_rights::receive(&socket, &mut [0], 1)?.into_exactly()?;
    let again = File::open(format!("/proc/self/fd/{}", received.as_raw_fd()))?;
    // SAFETY: the region cannot shrink, and what it maps is reached as the two atomics below alone.
    let private = MmapRaw::from(unsafe { MmapOptions::new().map_copy(&received) }?);
    let shared = FixedFd::new(again.try_clone()?.into())?.map_read_only::<()>()?;
    let mut byte = [0];
    for page in 0..2 {
        shared.copy_out(page * page_size(), &mut byte)?; // a page that nobody has made is left alone
    }
    // SAFETY: in the mapping, which is kept until the end.
    let first = unsafe { AtomicU8::from_ptr(private.as_mut_ptr()) };
    // SAFETY: the same, a page later.
    let second = unsafe { AtomicU8::from_ptr(private.as_mut_ptr().wrapping_add(page_size())) };
    second.store(first.load(Ordering::Relaxed) + 8, Ordering::Relaxed);
    go(&socket)?;
    Ok(wait(&socket)?) // everything is held until the server has looked
}
// ANCHOR_END: client

// ANCHOR: server
/// Makes the file, has it twice, hands it over, and looks at all there is.
fn server() -> Result<()> {
    let region = Region::create("frames", PAGES * page_size())?;
    let client = start(role("client"))?;
    let _again = rustix::io::dup(&region)?; // dup(2) sets no mark
    let mapping = region.map::<()>()?;
    for page in 0..2 {
        mapping.copy_in(page * page_size(), &[1])?;
    }
    rustix::fs::seek(&region, SeekFrom::Start(5))?;
    scm_rights::send(&client.socket, &[0], &[region.as_fd()])?;
    wait(&client.socket)?;
    look(&[("server", process::id()), ("client", client.pid())], &region)?;
    go(&client.socket)?;
    client.end()?;
    Ok(())
}
// ANCHOR_END: server

/// Prints the layers, from the numbers down to the memory.
fn look(processes: &[(&str, u32)], region: &Region) -> Result<()> {
    let file = fstat(region)?;
    println!("Descriptors: a number, and whether exec closes it. Each process has its own table.");
    let mut open_files: Vec<(u32, RawFd)> = Vec::new();
    for (name, pid) in processes {
        for number in numbers(*pid)? {
            let one = place(&mut open_files, (*pid, number))?;
            let mark = if descriptor(*pid, number)?.close_on_exec { "close-on-exec" } else { "" };
            println!("  {}", format!("{name}  {number}  to {}  {mark}", letter(one)).trim_end());
        }
    }
    println!("\nOpen files: an offset, the right to read and write, status flags.");
    for (one, (pid, number)) in open_files.into_iter().enumerate() {
        let open = descriptor(pid, number)?;
        let mode = if open.writable { "O_RDWR" } else { "O_RDONLY" };
        println!("  {}  offset {}  {mode}", letter(one), open.offset);
    }
    println!("\nMappings: addresses of one process, and what its page table has for each page.");
    let mut own = 0;
    for (name, pid) in processes {
        for mapped in mappings(*pid, file.st_ino)? {
            let entries = entries(*pid, mapped.address, PAGES)?;
            own += entries.iter().filter(|entry| **entry == layers::Entry::Own).count();
            let pages: String = entries.iter().map(|entry| format!("{entry:6}")).collect();
            println!("  {name}  {}  {pages}at {:#x}", mapped.access, mapped.address);
        }
    }
    let blocks = usize::try_from(file.st_blocks)? * 512 / page_size();
    println!("\nPages: the file has {PAGES}, and memory for {blocks}; copies of one process's own: {own}");
    Ok(())
}

/// The descriptors of a process that lead to the file.
fn numbers(pid: u32) -> Result<Vec<RawFd>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        let entry = entry?;
        let link = fs::read_link(entry.path()).unwrap_or_default(); // the listing's own is gone by now
        if link.to_str() == Some("/memfd:frames (deleted)") {
            found.push(entry.file_name().to_str().ok_or("a name of digits")?.parse()?);
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Which of the open files this one is; a new one comes behind the others.
fn place(open_files: &mut Vec<(u32, RawFd)>, this: (u32, RawFd)) -> Result<usize> {
    for (n, known) in open_files.iter().enumerate() {
        if same_open_file(*known, this)? {
            return Ok(n);
        }
    }
    open_files.push(this);
    Ok(open_files.len() - 1)
}

fn letter(n: usize) -> char {
    ('A'..='Z').nth(n).unwrap_or('?')
}

fn main() -> Result<ExitCode> {
    if std::env::args().nth(1).as_deref() == Some("client") {
        client()?;
        return Ok(ExitCode::SUCCESS);
    }
    let ourselves = (process::id(), io::stdin().as_fd().as_raw_fd());
    if let Err(refused) = same_open_file(ourselves, ourselves) {
        println!("not shown here: {refused}"); // a filter in the way of kcmp
        return Ok(ExitCode::from(77));
    }
    server()?;
    Ok(ExitCode::SUCCESS)
}
