//! One line of `/proc/PID/maps`, column by column. The file's name does its best to mislead.
//!
//! Run it: `cargo run --example maps_line`
//!
//! What to look for: what the line tells and what it does not. It has two of the file's three pages,
//! and nothing of the third. The name ends with "(deleted)" twice, and only one is the kernel's. The
//! line end in the name is written `\012` in maps, and as it is where the link of a descriptor leads.

use std::error::Error;
use std::fs::{self, File};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;

use fd_shm::Memfd;
use memmap2::MmapOptions;
use rustix::param::page_size;

#[path = "look/mod.rs"]
#[allow(dead_code)] // each example uses what it needs of it
mod look;
use look::maps::{Device, Mapping, quoted};

// ANCHOR: line
fn main() -> Result<(), Box<dyn Error>> {
    let memfd = Memfd::create("two\nwords (deleted)")?;
    memfd.set_len(3 * page_size() as u64)?;
    let file = File::from(OwnedFd::from(memfd));
    let mapped = MmapOptions::new().offset(page_size() as u64).len(2 * page_size()).map_raw(&file)?;

    let maps = fs::read("/proc/self/maps")?;
    let start = u64::try_from(mapped.as_ptr().addr())?;
    let is_it = |line: &&[u8]| Mapping::parse(line).is_some_and(|mapping| mapping.start == start);
    let line = maps.split(|byte| *byte == b'\n').find(is_it).ok_or("it is not mapped")?;
    println!("{}\n", String::from_utf8_lossy(line));

    let mapping = Mapping::parse(line).ok_or("it is no line of maps")?;
    let (pages, found) = (|bytes| bytes / page_size() as u64, file.metadata()?);
    let same = |same: bool| if same { "what stat says of the descriptor" } else { "something else" };
    println!("addresses     {} pages; the file has {}", pages(mapping.len()), pages(found.size()));
    println!("permissions   shared: {}", if mapping.is_shared() { "yes" } else { "no" });
    println!("offset        it begins at page {}", pages(mapping.offset));
    println!("device        {}", same(mapping.device == Device::of(found.dev())));
    println!("inode         {}", same(mapping.inode == found.ino()));
    println!("name          {}", quoted(&mapping.name));
    let link = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    println!("              {}, where the descriptor's link leads", quoted(link.as_os_str().as_bytes()));
    println!("(deleted)     the number of its names, st_nlink: {}", found.nlink());
    Ok(())
}
// ANCHOR_END: line
