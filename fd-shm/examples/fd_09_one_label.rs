//! Two memory files with one label: it tells people what they look at, and leads to nothing.
//!
//! Run it: `cargo run --example fd_09_one_label`
//!
//! What to look for: one text, two inodes, two contents. Nothing can be asked for by a label, so nothing can
//! be taken, guessed or collided with.

use std::error::Error;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicU32, Ordering};

use fd_shm::Region;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let regions = [Region::create("frames", 4096)?, Region::create("frames", 4096)?];
    for (region, value) in regions.iter().zip(1..) {
        region.map::<AtomicU32>()?.store(value, Ordering::Relaxed);
    }

    println!("Two memory files, made with one label:\n");
    let mut inodes = Vec::new();
    for (region, which) in regions.iter().zip(["first", "second"]) {
        let file = File::from(region.as_fd().try_clone_to_owned()?);
        let (label, inode) = (region.name()?, file.metadata()?.ino());
        let value = region.map_read_only::<AtomicU32>()?.load(Ordering::Relaxed);
        println!("  {which:8} label \"{}\", holds {value}, inode {inode}", label.display());
        inodes.push(inode);
    }
    println!("\nOne file: {}", if inodes[0] == inodes[1] { "yes" } else { "no" });
    match File::open("/memfd:frames") {
        Ok(_) => println!("Somebody has made a real file with this name."),
        Err(error) => println!("Opening what /proc calls it, \"/memfd:frames\": {:?}", error.kind()),
    }
    Ok(())
}
