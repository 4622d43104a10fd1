//! What a receiver may ask of a region: each expectation with one that meets it and one that does not.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use fd_shm::{Expected, FixedFd, HugePages, Memfd, MemfdOptions, Region, Seals};
use nix::errno::Errno;

#[path = "support/alone.rs"]
mod alone;

/// A memory file of `len` bytes that cannot shrink, with `more` seals.
fn region(len: u64, more: Seals) -> OwnedFd {
    let memfd = MemfdOptions::new().executable(true).create("expected").expect("a memory file");
    memfd.set_len(len).expect("sized");
    memfd.add_seals(Seals::SHRINK | more).expect("sealed");
    memfd.into()
}

/// The same, open for reading only.
fn read_only(len: u64) -> OwnedFd {
    let writable = region(len, Seals::NONE);
    File::open(format!("/proc/self/fd/{}", writable.as_raw_fd())).expect("opened again").into()
}

/// What is expected, what comes, and the refusal: nothing where it is taken.
type Row = (Expected, fn() -> OwnedFd, &'static str);

#[test]
fn each_expectation_is_met_or_named_in_the_refusal() {
    let any = Expected::new();
    let frozen = any.sealed(Seals::WRITE | Seals::GROW);
    let rows: &[Row] = &[
        (any, || region(1, Seals::NONE), ""),
        (any, || read_only(1), ""),
        (any.at_least(4096), || region(4096, Seals::NONE), ""),
        (any.at_least(4097), || region(4096, Seals::NONE), "at least 4097 bytes, it has 4096 bytes"),
        (any.at_most(4096), || region(4096, Seals::NONE), ""),
        (any.at_most(4095), || region(4096, Seals::NONE), "1 to 4095 bytes, it has 4096 bytes"),
        (any.exactly(10), || region(10, Seals::NONE), ""),
        (any.exactly(10), || region(11, Seals::NONE), "10 bytes, it has 11 bytes"),
        (any.exactly(10), || region(9, Seals::NONE), "10 bytes, it has 9 bytes"),
        (frozen, || region(1, Seals::WRITE | Seals::GROW), ""),
        (
            frozen,
            || region(1, Seals::WRITE),
            "at least 1 bytes, F_SEAL_GROW | F_SEAL_WRITE, its seals are F_SEAL_SHRINK | F_SEAL_WRITE",
        ),
        (frozen, || region(1, Seals::FUTURE_WRITE | Seals::GROW), "its seals are"),
        (any.writable(), || region(1, Seals::GROW), ""),
        (any.writable(), || region(1, Seals::WRITE), "writable, its seals are F_SEAL_SHRINK | F_SEAL_WRITE"),
        (any.writable(), || region(1, Seals::FUTURE_WRITE), "F_SEAL_FUTURE_WRITE"),
        (any.writable(), || read_only(1), "writable, the descriptor is open for reading only"),
    ];
    for (expected, make, refusal) in rows {
        match expected.check(make()) {
            Ok(fixed) => {
                assert_eq!(*refusal, "", "{expected}");
                fixed.map_read_only::<()>().expect("what was checked maps");
            }
            Err(refused) => {
                assert!(refused.is_unexpected(), "{expected}: {refused}");
                assert!(!refusal.is_empty() && refused.to_string().contains(refusal), "{refused}");
            }
        }
    }
}

#[test]
fn what_is_no_region_at_all_is_refused_as_such() {
    let pipe = || std::io::pipe().expect("a pipe").0;
    assert!(Expected::new().check(pipe().into()).is_err_and(|e| e.is_not_a_region()));
    let memfd = Memfd::create("unsealed").expect("a memory file");
    memfd.set_len(1).expect("sized");
    assert!(Expected::new().check(memfd.into()).is_err_and(|e| e.is_shrinkable()));
}

#[test]
fn a_refused_region_is_closed() {
    alone::alone("a_refused_region_is_closed", || {
        for expected in [Expected::new().exactly(1), Expected::new().sealed(Seals::SEAL)] {
            assert!(expected.check(region(2, Seals::NONE)).is_err_and(|e| e.is_unexpected()));
        }
    });
}

#[test]
fn what_was_checked_is_a_region_with_its_name() {
    let sent = Region::create("agreed", 100).expect("a region");
    let fixed = Expected::new().exactly(100).writable().check(sent.into()).expect("as agreed");
    let region = Region::from(fixed);
    assert_eq!(region.name().expect("a name"), "agreed");
    let number = region.as_fd().as_raw_fd();
    assert_eq!(FixedFd::from(region).as_fd().as_raw_fd(), number);
}

#[test]
fn huge_pages_are_asked_for_by_size_and_never_trusted() {
    let huge = |size| MemfdOptions::new().huge_pages(size).create("huge");
    assert!(huge(HugePages::OfSize(3 << 20)).is_err_and(|e| e.is_invalid_input()), "no power of two");
    assert!(huge(HugePages::OfSize(0)).is_err_and(|e| e.is_invalid_input()), "no size");
    let memfd = match huge(HugePages::OfDefaultSize) {
        Ok(memfd) => memfd,
        Err(refused) => {
            let reason = format!("skipped huge_pages_are_asked_for_by_size_and_never_trusted: {refused}\n");
            assert!(std::env::var_os("CI").is_none(), "in CI: {reason}");
            // Not eprintln!, which the test harness swallows.
            std::io::Write::write_all(&mut std::io::stderr(), reason.as_bytes()).expect("standard error");
            return;
        }
    };
    let unknown = huge(HugePages::OfSize(1 << 12)).expect_err("the small size is no huge one");
    assert_eq!(unknown.raw_os_error(), Some(Errno::ENODEV as i32), "{unknown}");
    let partial = memfd.set_len(4096).expect_err("no whole page");
    assert!(partial.to_string().ends_with("no multiple of a huge page"), "{partial}");
    memfd.add_seals(Seals::SHRINK | Seals::GROW).expect("huge pages can be sealed as well");
    assert!(FixedFd::new(memfd.into()).is_err_and(|refused| refused.is_not_a_region()));
}
