//! The file systems that only the kernel can make files in.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;

use fd_shm::{HugePages, Memfd, MemfdOptions};

use super::maps::Device;

/// The devices of the file systems that are mounted nowhere: where memfds, segments, ashmem's regions
/// and shared anonymous memory are.
///
/// They tell what a name cannot. Anybody can have a file called `/memfd:x (deleted)` or `/SYSV00001234`
/// in a mount namespace of his own, and nobody can have it *there*. The numbers are not fixed, so we
/// make a file of our own on each and look.
#[derive(Debug)]
pub(crate) struct Devices(Vec<Device>);

// ANCHOR: devices
impl Devices {
    /// One tmpfs, and one file system for each size of huge pages.
    pub(crate) fn find() -> Result<Self, Box<dyn std::error::Error>> {
        let mut found = vec![device(Memfd::create("whose device is this?")?)?];
        for entry in std::fs::read_dir("/sys/kernel/mm/hugepages").into_iter().flatten().flatten() {
            let name = entry.file_name().into_string().unwrap_or_default();
            let kb = name.strip_prefix("hugepages-").and_then(|name| name.strip_suffix("kB"));
            let Some(kb) = kb.and_then(|kb| kb.parse::<usize>().ok()) else { continue };
            let size = HugePages::OfSize(kb << 10);
            // It needs no page, and so succeeds where the pool is empty.
            if let Ok(huge) = MemfdOptions::new().huge_pages(size).create("whose device is this?") {
                found.push(device(huge)?);
            }
        }
        Ok(Self(found))
    }

    /// Whether the device is one of them.
    pub(crate) fn are_of(&self, device: Device) -> bool {
        self.0.contains(&device)
    }
}
// ANCHOR_END: devices

fn device(memfd: Memfd) -> io::Result<Device> {
    Ok(Device::of(File::from(OwnedFd::from(memfd)).metadata()?.dev()))
}
