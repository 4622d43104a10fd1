//! One memory file, mapped three times: twice shared, once private. What /proc shows, and what is shared.
//!
//! Run it: `cargo run --example fd_07_maps_lines`
//!
//! What to look for: three lines with one name and one inode, and a single letter that tells them apart. `p`
//! is a copy of its own from the first write on, so a line with `rw-p` in it shows no sharing, whatever
//! its name.

#![allow(unsafe_code)] // a private mapping, which the library does not make

use std::error::Error;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU32, Ordering};

use fd_shm::Region;
use memmap2::MmapOptions;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

// ANCHOR: line
/// The line of `/proc/self/maps` for the mapping that begins at this word, and its inode.
fn line(word: &AtomicU32) -> Result<(String, String)> {
    let start = format!("{:x}-", std::ptr::from_ref(word).addr());
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let found = maps.lines().find(|line| line.trim_start_matches('0').starts_with(&start));
    let fields: Vec<_> = found.ok_or("not mapped")?.split_whitespace().collect();
    Ok((fields.join(" "), fields.get(4).ok_or("no inode")?.to_string()))
}
// ANCHOR_END: line

fn main() -> Result<()> {
    let region = Region::create("three", 4096)?;
    let (one, two) = (region.map::<AtomicU32>()?, region.map::<AtomicU32>()?);
    // SAFETY: the region cannot shrink, and nothing but the word below is ever reached through it.
    let mut pages = unsafe { MmapOptions::new().map_copy(&region.as_fd()) }?;
    // SAFETY: the first word of a page, aligned, and reached as this atomic alone for as long as `pages` is.
    let private = unsafe { AtomicU32::from_ptr(pages.as_mut_ptr().cast()) };

    println!("One memory file, mapped three times in one process:\n");
    let mappings: [(&str, &AtomicU32); 3] = [("one", &one), ("two", &two), ("private", private)];
    let mut inodes = Vec::new();
    for (name, word) in mappings {
        let (line, inode) = line(word)?;
        println!("  {name:8}  {line}");
        inodes.push(inode);
    }
    let same = inodes.iter().all(|inode| *inode == inodes[0]);
    println!("\nOne inode in all three: {}\n", if same { "yes" } else { "no" });

    println!("  what happens                  one  two  private");
    let show = |what: &str| {
        let [one, two, private] = mappings.map(|(_, word)| word.load(Ordering::Relaxed));
        println!("  {what:28}  {one:3}  {two:3}  {private:7}");
    };
    one.store(1, Ordering::Relaxed);
    show("1 is stored through one");
    private.store(2, Ordering::Relaxed);
    show("2 is stored through private");
    two.store(3, Ordering::Relaxed);
    show("3 is stored through two");
    Ok(())
}
