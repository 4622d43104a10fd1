//! A purge gives memory back: the file's blocks, and the system's count of shared memory. Alone in its
//! program, and so alone in its process: other tests have memory files as well.

use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::MetadataExt;

use fd_shm::Region;
use fd_shm::ashmem::Pinning;

const MIB: usize = 1 << 20;

/// `Shmem` of `/proc/meminfo`, in KiB.
fn shmem() -> usize {
    let meminfo = fs::read_to_string("/proc/meminfo").expect("/proc");
    let line = meminfo.lines().find(|line| line.starts_with("Shmem:")).expect("its line");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("its number")
}

/// `st_blocks` of the region's file, in KiB.
fn blocks(region: &Region) -> u64 {
    let path = format!("/proc/self/fd/{}", region.as_fd().as_raw_fd());
    File::open(path).and_then(|file| file.metadata()).expect("its file").blocks() / 2
}

#[test]
fn a_purge_of_64_mib_frees_64_mib() {
    let region = Region::create_with("large", 80 * MIB, Pinning::Kept).expect("a region");
    let mapping = region.map::<()>().expect("mapped");
    let mebibyte = vec![7; MIB];
    for number in 0..80 {
        mapping.copy_in(number * MIB, &mebibyte).expect("it fits");
    }
    region.unpin(8 * MIB, 64 * MIB).expect("all but a seam on each side");

    let before = (blocks(&region), shmem());
    assert_eq!(region.purge_all().expect("purged"), 64 * MIB / 4096, "in pages, as the driver says it");
    let after = (blocks(&region), shmem());
    assert_eq!(before.0 - after.0, 64 * 1024, "the file's blocks, in KiB");
    // The system's count is everybody's, and somebody else may take some meanwhile.
    let freed = before.1.saturating_sub(after.1);
    assert!(freed >= 48 * 1024, "Shmem fell by {freed} KiB");
    println!("64 MiB purged: the file's blocks fell by {} KiB, Shmem by {freed} KiB", before.0 - after.0);

    let mut seen = [1; 3];
    for (place, at) in [8 * MIB - 1, 8 * MIB, 72 * MIB].into_iter().enumerate() {
        mapping.copy_out(at, &mut seen[place..=place]).expect("inside");
    }
    assert_eq!(seen, [7, 0, 7], "what is pinned stays");
    assert!(region.pin(0, 0).expect("all").was_purged());
}
