//! A page has one place in memory, whoever maps it: root can read its number.

#![allow(unsafe_code)] // a private mapping

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU8, Ordering};

use fd_shm::Region;
use memmap2::{MmapOptions, MmapRaw};
use rustix::param::page_size;

/// The number of the page frame behind an address, which must have been touched; 0 for whoever may not know.
fn frame(address: *const u8) -> u64 {
    let mut word = [0; 8];
    let pagemap = File::open("/proc/self/pagemap").expect("pagemap");
    pagemap.read_exact_at(&mut word, (address.addr() / page_size() * 8) as u64).expect("mapped");
    u64::from_ne_bytes(word) & ((1 << 55) - 1)
}

#[test]
fn shared_mappings_have_one_frame_and_a_private_one_until_it_is_stored_to() {
    let region = Region::create("frame", page_size()).expect("a region");
    let (one, two) = (region.map::<AtomicU8>().expect("mapped"), region.map::<AtomicU8>().expect("mapped"));
    // SAFETY: the region cannot shrink, and what it maps is reached as the atomic below alone.
    let private = MmapRaw::from(unsafe { MmapOptions::new().map_copy(&region.as_fd()) }.expect("mapped"));
    // SAFETY: the first byte of the mapping, which outlives it.
    let byte = unsafe { AtomicU8::from_ptr(private.as_mut_ptr()) };
    one.store(1, Ordering::Relaxed);
    assert_eq!((two.load(Ordering::Relaxed), byte.load(Ordering::Relaxed)), (1, 1));

    let shared = frame(one.as_ptr());
    if shared == 0 {
        let skipped = b"skipped shared_mappings_have_one_frame: only CAP_SYS_ADMIN is told the number\n";
        return std::io::stderr().write_all(skipped).expect("standard error");
    }
    assert_eq!((frame(two.as_ptr()), frame(byte.as_ptr())), (shared, shared));
    byte.store(2, Ordering::Relaxed);
    assert_ne!(frame(byte.as_ptr()), shared, "stored to, and still the file's");
    assert_eq!((frame(one.as_ptr()), one.load(Ordering::Relaxed)), (shared, 1));
}
