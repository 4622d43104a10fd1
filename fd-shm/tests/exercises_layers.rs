//! The exercises of the book's chapter on pages and descriptors: each test tells whether one is solved.
//!
//! `cargo test -p fd-shm --test exercises_layers NAME` judges what is in `exercises/NAME.rs`; with
//! `--features solutions`, the solutions. The kernel is asked for every answer.

#![allow(unsafe_code)] // mappings that reach behind their file, and private ones

#[path = "../../sysv-shm/tests/support/exercise.rs"]
mod exercise;

#[cfg_attr(feature = "solutions", path = "../exercises/solutions/own_offset.rs")]
#[cfg_attr(not(feature = "solutions"), path = "../exercises/own_offset.rs")]
mod own_offset;

#[cfg_attr(feature = "solutions", path = "../exercises/solutions/own_pages.rs")]
#[cfg_attr(not(feature = "solutions"), path = "../exercises/own_pages.rs")]
mod own_pages;

#[cfg_attr(feature = "solutions", path = "../exercises/solutions/where_it_ends.rs")]
#[cfg_attr(not(feature = "solutions"), path = "../exercises/where_it_ends.rs")]
mod where_it_ends;

use std::ffi::c_void;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::ptr;
use std::sync::atomic::{AtomicU8, Ordering};

use exercise::{Verdict, check, judge};
use fd_shm::{Memfd, Region};
use memmap2::{MmapOptions, MmapRaw};
use rustix::io::{Errno, FdFlags, fcntl_getfd};
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, mmap_anonymous, munmap};
use rustix::param::page_size;
use where_it_ends::Load;

/// The text of any error.
fn in_words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

#[test]
fn where_it_ends() {
    judge("where_it_ends", the_kernel_says_the_same());
}

fn the_kernel_says_the_same() -> Verdict {
    let page = page_size();
    for (mapped, len) in
        [(100, 100), (3 * page, 100), (3 * page, 2 * page), (page + 1, page + 1), (1, 3 * page)]
    {
        let file = Memfd::create("ends").map_err(in_words)?;
        file.set_len(len as u64).map_err(in_words)?;
        for offset in [0, 99, 100, page - 1, page, 2 * page - 1, 2 * page, 3 * page - 1, 3 * page] {
            let kernels = kernels_answer(&file, offset, mapped).map_err(in_words)?;
            let yours = where_it_ends::load(offset, mapped, len, page);
            let what = format!("byte {offset} of a file of {len} bytes, mapped for {mapped}");
            check(yours == kernels, format!("{what}: {kernels:?}, yours {yours:?}"))?;
        }
    }
    Ok(())
}

/// What a load would come to, without the signal: the kernel is asked to do all of it but the load.
fn kernels_answer(file: &Memfd, offset: usize, mapped: usize) -> rustix::io::Result<Load> {
    let (page, room) = (page_size(), 4 * page_size());
    // SAFETY: new addresses, of which nothing is done yet.
    let place = unsafe { mmap_anonymous(ptr::null_mut(), room, ProtFlags::empty(), MapFlags::PRIVATE) }?;
    let flags = MapFlags::SHARED | MapFlags::FIXED;
    // SAFETY: over addresses of our own.
    unsafe { mmap(place, mapped, ProtFlags::READ, flags, file.as_fd(), 0) }?;
    let address: *mut c_void = place.wrapping_byte_add(offset / page * page);
    // SAFETY: our own addresses; the advice brings the page in and changes no content.
    let advised = unsafe { madvise(address, page, Advice::LinuxPopulateRead) };
    // SAFETY: our own addresses, and nobody refers to them any more.
    unsafe { munmap(place, room) }?;
    match advised {
        Ok(()) => Ok(Load::Byte),
        Err(Errno::FAULT) => Ok(Load::Sigbus),
        // What is left of our addresses has no right to be read: the signal is that of an unmapped one.
        Err(Errno::INVAL | Errno::NOMEM) => Ok(Load::Sigsegv),
        Err(error) => Err(error),
    }
}

#[test]
fn own_offset() {
    judge("own_offset", an_offset_of_its_own());
}

fn an_offset_of_its_own() -> Verdict {
    let mut file = File::from(OwnedFd::from(Memfd::create("offset").map_err(in_words)?));
    file.write_all(b"some text").map_err(in_words)?;
    let yours = own_offset::own_offset(file.as_fd()).map_err(in_words)?;
    let mark = fcntl_getfd(&yours).map_err(in_words)?;
    check(mark.contains(FdFlags::CLOEXEC), "yours is not close-on-exec")?;
    let mut yours = File::from(yours);
    let mut text = String::new();
    yours.read_to_string(&mut text).map_err(in_words)?;
    check(text == "some text", format!("a read from its beginning gives {text:?}"))?;
    yours.seek(SeekFrom::Start(2)).map_err(in_words)?;
    let moved = file.stream_position().map_err(in_words)?;
    check(moved == 9, format!("yours was moved, and the first offset went from 9 to {moved}"))?;
    let inode = |file: &File| file.metadata().map(|found| found.ino()).map_err(in_words);
    check(inode(&file)? == inode(&yours)?, "yours is of another file")?;
    check(yours.write_at(b"S", 0).is_ok(), "yours cannot be written, and the first can")?;
    let reader = File::open(format!("/proc/self/fd/{}", file.as_raw_fd())).map_err(in_words)?;
    let yours = File::from(own_offset::own_offset(reader.as_fd()).map_err(in_words)?);
    check(yours.write_at(b"!", 0).is_err(), "yours can be written, and what it was made from cannot")
}

#[test]
fn own_pages() {
    judge("own_pages", real_entries().and_then(|()| entries_of_elsewhere()));
}

/// The words of a private mapping, of which some pages are stored into.
fn real_entries() -> Verdict {
    const PAGES: usize = 8;
    let region = Region::create("private", PAGES * page_size()).map_err(in_words)?;
    // SAFETY: the region cannot shrink, and what it maps is reached as the atomics below alone.
    let private = unsafe { MmapOptions::new().map_copy(&region.as_fd()) }.map_err(in_words)?;
    let private = MmapRaw::from(private);
    let byte = |page: usize| {
        // SAFETY: in the mapping, which outlives this.
        unsafe { AtomicU8::from_ptr(private.as_mut_ptr().wrapping_add(page * page_size())) }
    };
    let judged = |expected: usize, what: &str| {
        let yours = own_pages::own_pages(&words(private.as_ptr().addr(), PAGES)?);
        check(yours == expected, format!("{what}: {expected} pages are its own, yours {yours}"))
    };
    judged(0, "a mapping that nobody has touched")?;
    (0..4).for_each(|page| assert_eq!(byte(page).load(Ordering::Relaxed), 0));
    judged(0, "four pages were loaded from")?;
    [1, 5].into_iter().for_each(|page| byte(page).store(1, Ordering::Relaxed));
    judged(2, "and two were stored into, one of the four and one of the others")
}

/// The words of `/proc/self/pagemap` from an address on.
fn words(address: usize, pages: usize) -> Result<Vec<u64>, String> {
    let mut bytes = vec![0; pages * 8];
    let pagemap = File::open("/proc/self/pagemap").map_err(in_words)?;
    pagemap.read_exact_at(&mut bytes, (address / page_size() * 8) as u64).map_err(in_words)?;
    Ok(bytes.as_chunks().0.iter().map(|word| u64::from_ne_bytes(*word)).collect())
}

/// Words of a machine that swaps; the low bits tell root which page it is.
fn entries_of_elsewhere() -> Verdict {
    for (entry, expected, what) in [
        (1 << 63 | 1 << 61 | 0x1234, 0, "a page of the file"),
        (1 << 63 | 1 << 56 | 0x1234, 1, "a copy, mapped by nobody else"),
        (1 << 62 | 0x40, 1, "a copy that is swapped out"),
        (1 << 62 | 1 << 61, 0, "a page of shared memory on its way to the swap"),
        (0, 0, "nothing"),
    ] {
        let yours = own_pages::own_pages(&[entry]);
        check(yours == expected, format!("{what}, {entry:#x}: {expected}, yours {yours}"))?;
    }
    Ok(())
}
