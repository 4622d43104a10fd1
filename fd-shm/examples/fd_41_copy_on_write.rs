//! A private mapping follows the file, until it is written to: page by page, and what ends it.
//!
//! Run it: `cargo run --example fd_41_copy_on_write`
//!
//! What to look for: the last column. A page of the private mapping is a page of the file like any other, up to
//! the first store into it; from then on it is a copy, and its neighbours still are not. Give the copy back, and
//! the file is there again. And a copy of one's own does not outlive the file's page: when the file is cut,
//! it goes too.

#![allow(unsafe_code)] // private mappings, which the library does not make

use std::error::Error;
use std::os::fd::AsFd;
use std::process;
use std::sync::atomic::{AtomicU8, Ordering};

use fd_shm::{Mapping, Memfd, Region};
use memmap2::{MmapOptions, MmapRaw, UncheckedAdvice};
use rustix::fs::fstat;
use rustix::param::page_size;
use rustix::process::{Resource, Rlimit, setrlimit};

#[path = "support/other.rs"]
#[allow(dead_code)] // one file for several examples: the two here take no turns
mod other;
use other::{role, start, tell};

#[path = "support/layers.rs"]
#[allow(dead_code)] // one file for several examples, each of which uses its part
mod layers;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const PAGES: usize = 4;

// ANCHOR: both
/// One file, mapped shared and private.
struct Both {
    shared: Mapping,
    private: MmapRaw,
}

impl Both {
    fn new(region: &Region) -> Result<Self> {
        // SAFETY: the region cannot shrink, and `byte` reaches what it maps as atomics alone.
        let private = unsafe { MmapOptions::new().map_copy(&region.as_fd()) }?;
        Ok(Self { shared: region.map()?, private: private.into() })
    }

    /// The first byte of a page of the private mapping.
    fn byte(&self, page: usize) -> &AtomicU8 {
        assert!(page < PAGES);
        let byte = self.private.as_mut_ptr().wrapping_add(page * page_size());
        // SAFETY: in the mapping, which `self` keeps, and reached as this atomic alone.
        unsafe { AtomicU8::from_ptr(byte) }
    }

    /// One line: the first byte of each page through either, and what the private one's pages are.
    fn row(&self, what: &str) -> Result<()> {
        let (mut shared, mut private) = (String::new(), String::new());
        for page in 0..PAGES {
            let mut byte = [0];
            self.shared.copy_out(page * page_size(), &mut byte)?;
            shared.push_str(&format!("{:<2}", byte[0]));
            private.push_str(&format!("{:<2}", self.byte(page).load(Ordering::Relaxed)));
        }
        let entries = layers::entries(process::id(), self.private.as_ptr().addr(), PAGES)?;
        let kinds: String = entries.iter().map(|entry| format!("{entry:5}")).collect();
        println!("  {what:43}{shared}  {private}   {}", kinds.trim_end());
        Ok(())
    }
}

/// Stores, and looks after each.
fn story() -> Result<()> {
    let region = Region::create("copied", PAGES * page_size())?;
    let both = Both::new(&region)?;
    let share = |both: &Both, page: usize, value| both.shared.copy_in(page * page_size(), &[value]);
    let heading = "the first byte of each page of";
    println!("  {heading:43}shared    private    the private mapping's pages");
    (0..PAGES).try_for_each(|page| share(&both, page, 1))?;
    both.row("1 is stored through shared, everywhere")?;
    share(&both, 0, 2)?;
    both.row("2 is stored through shared in page 0")?;
    both.byte(0).store(3, Ordering::Relaxed);
    both.row("3 is stored through private in page 0")?;
    (0..PAGES).try_for_each(|page| share(&both, page, 4))?;
    both.row("4 is stored through shared, everywhere")?;
    both.byte(2).store(5, Ordering::Relaxed);
    both.row("5 is stored through private in page 2")?;
    // SAFETY: nothing but `byte` looks into the mapping, and finds the file's contents from now on.
    unsafe { both.private.unchecked_advise_range(UncheckedAdvice::DontNeed, 0, page_size()) }?;
    both.row("private gives page 0 back (MADV_DONTNEED)")
}
// ANCHOR_END: both

// ANCHOR: unmade
/// A private store into a page that nobody has made yet.
fn unmade() -> Result<()> {
    let region = Region::create("unmade", page_size())?;
    let both = Both::new(&region)?;
    let in_memory =
        || Ok::<_, Box<dyn Error>>(usize::try_from(fstat(&region)?.st_blocks)? * 512 / page_size());
    let before = in_memory()?;
    both.byte(0).store(1, Ordering::Relaxed);
    println!(
        "\nA private store into a page that nobody has made: the file has memory for {before} pages before,"
    );
    println!("and for {} after; it has a page that nobody has stored into, to be copied from.", in_memory()?);
    Ok(())
}
// ANCHOR_END: unmade

// ANCHOR: cut
/// Makes a page its own, and lets the file be cut in front of it.
fn cut() -> Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?; // it dies on purpose
    let file = Memfd::create("cut")?;
    file.set_len((2 * page_size()) as u64)?;
    // SAFETY: reached as the atomic below alone; that the file may be cut is what is shown.
    let private = MmapRaw::from(unsafe { MmapOptions::new().map_copy(&file.as_fd()) }?);
    // SAFETY: in the mapping, which is kept until the end.
    let own = unsafe { AtomicU8::from_ptr(private.as_mut_ptr().wrapping_add(page_size())) };
    own.store(6, Ordering::Relaxed);
    tell("owner", format!("has a copy of its own of page 1: {}", own.load(Ordering::Relaxed)));
    file.set_len(page_size() as u64)?;
    tell("", "the file is cut to one page");
    tell("", format!("looks again: {}", own.load(Ordering::Relaxed)));
    Ok(())
}
// ANCHOR_END: cut

fn main() -> Result<()> {
    if std::env::args().nth(1).as_deref() == Some("cut") {
        return cut();
    }
    story()?;
    unmade()?;
    println!("\nA copy of one's own, and the file is cut:");
    tell("owner", start(role("cut"))?.end()?);
    Ok(())
}
