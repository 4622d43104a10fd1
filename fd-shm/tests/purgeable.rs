//! Regions that keep their pins: a story between two processes, what they refuse, and
//! where they differ from the driver.

#![allow(unsafe_code)]

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::{Command, Stdio};
use std::{env, io};

use fd_shm::ashmem::{Errno, Pin, PinStatus, Pinning, Prot, Unpinned};
use fd_shm::{Expected, FixedFd, Memfd, Region, Seals};
use rustix::fs::{Mode, fchmod};

#[path = "support/alone.rs"]
mod alone;

const PAGE: usize = 4096;

/// Set in a second process.
const ROLE: &str = "PURGEABLE_ROLE";

fn purgeable(pages: usize) -> Region {
    Region::create_with("purgeable", pages * PAGE, Pinning::Kept).expect("a region")
}

/// Another handle of the same region, as one that received it has.
fn received(region: &Region) -> Region {
    Region::from_fd(region.as_fd().try_clone_to_owned().expect("dup")).expect("a region")
}

/// The byte at the beginning of a page.
fn byte(region: &Region, page: usize) -> u8 {
    let mut byte = [0; 1];
    region.map_read_only::<()>().expect("mapped").copy_out(page * PAGE, &mut byte).expect("inside");
    byte[0]
}

/// What is unpinned, as first page, page after the last, flag.
fn ranges(region: &Region) -> Vec<(u32, u32, bool)> {
    let ranges = region.unpinned().expect("the pins");
    ranges.iter().map(|range: &Unpinned| (range.first, range.end, range.purged)).collect()
}

#[test]
fn a_cache_is_lent_in_one_process_and_purged_in_another() {
    let name = "a_cache_is_lent_in_one_process_and_purged_in_another";
    if env::var_os(ROLE).is_some() {
        let descriptor = io::stdin().as_fd().try_clone_to_owned().expect("the region, as standard input");
        let region = Region::from_fd(descriptor).expect("a region");
        assert_eq!((region.pinning(), region.len()), (Pinning::Kept, 4 * PAGE));
        assert_eq!(ranges(&region), [(1, 3, false)], "what the other side has unpinned");
        assert_eq!(region.purge_all().expect("memory is short"), 2);
        return region.unpin(0, PAGE).expect("pins belong to the region, not to a process");
    }
    alone::alone(name, || {
        let region = purgeable(4);
        region.map::<()>().expect("mapped").copy_in(0, &[7; 4 * PAGE]).expect("it fits");
        region.unpin(PAGE, 2 * PAGE).expect("the middle");

        let descriptor: OwnedFd = region.as_fd().try_clone_to_owned().expect("dup");
        let mut other = Command::new(env::current_exe().expect("this program has a path"));
        other.args([name, "--exact", "--nocapture"]).env(ROLE, "purges");
        let done = other.stdin(descriptor).stdout(Stdio::null()).status().expect("a process");
        assert!(done.success());

        assert_eq!(ranges(&region), [(0, 1, false), (1, 3, true)], "touching ranges are not merged");
        assert_eq!([0, 1, 2, 3].map(|page| byte(&region, page)), [7, 0, 0, 7], "zeros, and no fault");
        assert_eq!(region.pin(PAGE, PAGE).expect("one page of it"), Pin::WasPurged);
        assert_eq!(region.pin(PAGE, PAGE).expect("again"), Pin::NotPurged, "told once");
        assert_eq!(region.pin_status(0, 0).expect("all"), PinStatus::Unpinned);
        assert_eq!(region.pin(0, 0).expect("all"), Pin::WasPurged, "the other page of it");
        assert_eq!(region.pin_status(0, 0).expect("all"), PinStatus::Pinned);
    });
}

#[test]
fn handles_of_one_region_see_one_state() {
    let region = purgeable(8);
    let (one, other) = (received(&region), received(&region));
    for (page, handle) in [&region, &one, &other, &region, &other].into_iter().enumerate() {
        handle.unpin(page * PAGE, PAGE).expect("a page");
    }
    for handle in [&other, &one, &region] {
        assert_eq!(ranges(handle), (0..5).map(|page| (page, page + 1, false)).collect::<Vec<_>>());
    }
    let oldest = one.evict_one().expect("purged").expect("the first");
    assert_eq!((oldest.first, oldest.end, oldest.purged), (0, 1, true));
    assert_eq!(other.oldest().expect("the pins").map(|range| range.first), Some(1));
    assert!(region.pin(0, 0).expect("all").was_purged());
    assert_eq!(other.purge_all().expect("nothing is left"), 0);
    assert_eq!(other.evict_one().expect("nothing is left"), None);
}

#[test]
fn operands_are_checked_as_the_driver_does() {
    let (region, all) = (purgeable(3), 3 * PAGE);
    let rows = [(0, 0), (0, all), (all, 0), (PAGE, 2 * PAGE)];
    for (offset, len) in rows {
        assert_eq!(region.pin_status(offset, len).expect("in the region"), PinStatus::Pinned);
    }
    let beyond = (u32::MAX as usize).saturating_add(1);
    let rows = [
        (1, 0),
        (0, 1),
        (PAGE, all),
        (all, PAGE),
        (all + PAGE, 0),
        (beyond, 0),
        (0, beyond),
        (usize::MAX, 1),
    ];
    for (offset, len) in rows {
        let refused = [
            region.pin(offset, len).map(drop_pin).expect_err("not in the region"),
            region.unpin(offset, len).expect_err("not in the region"),
            region.pin_status(offset, len).map(drop).expect_err("not in the region"),
        ];
        for refused in refused {
            assert!(
                refused.is_invalid_input() && refused.raw_os_error() == Some(Errno::EINVAL as i32),
                "{refused}"
            );
        }
    }
    let text = region.unpin(1, 2).expect_err("no page").to_string();
    assert!(text.starts_with("Region::unpin(1, 2): EINVAL, offset and length are whole pages"), "{text}");
}

fn drop_pin(_: Pin) {}

#[test]
#[cfg(target_pointer_width = "64")]
fn to_the_end_of_more_than_32_bits_is_nothing_and_leaves_the_pins_whole() {
    const PAGES: usize = 1 << 20; // 4 GiB
    for more in [0, 2] {
        let region = purgeable(PAGES + more);
        let others = received(&region);
        // The driver's 32 bits: from here, "to the end" is no page at all.
        region.unpin(more * PAGE, 0).expect("an empty range");
        let empty = u32::try_from(more).expect("small");
        let expected = if more == 0 { vec![] } else { vec![(empty, empty, false)] };
        assert_eq!((ranges(&region), ranges(&others)), (expected.clone(), expected));
        others.unpin(0, PAGE).expect("the others go on");
        assert!(ranges(&region).contains(&(0, 1, false)));
    }
}

#[test]
fn a_region_that_keeps_no_pins_answers_as_androids_does() {
    let region = Region::create("plain", 2 * PAGE).expect("a region");
    assert_eq!(region.pinning(), Pinning::Ignored);
    region.map::<()>().expect("mapped").copy_in(0, &[7]).expect("it fits");
    region.unpin(0, 0).expect("as if");
    assert_eq!(region.pin_status(0, 0).expect("as if"), PinStatus::Pinned);
    assert_eq!((region.purge_all().expect("as if"), region.evict_one().expect("as if")), (0, None));
    assert_eq!(region.pin(1, 1).expect("as if"), Pin::NotPurged, "not even the operands are looked at");
    assert_eq!((byte(&region, 0), ranges(&region)), (7, Vec::new()));

    // So does one that somebody else made.
    let foreign = Memfd::create("foreign").expect("a memory file");
    foreign.set_len(10_000).expect("sized");
    foreign.add_seals(Seals::SHRINK).expect("sealed");
    let foreign = Region::from_fd(foreign.into()).expect("a region");
    assert_eq!((foreign.pinning(), foreign.len()), (Pinning::Ignored, 10_000));
    assert_eq!(foreign.pin(0, 0).expect("as if"), Pin::NotPurged);
}

#[test]
fn who_receives_it_sees_the_data_and_its_length_alone() {
    for len in [1, 4095, 4096, 4097, 10_000, 1 << 20, (1 << 20) + 1] {
        let region = Region::create_with("length", len, Pinning::Kept).expect("a region");
        assert_eq!((region.len(), region.name().expect("a name").to_str()), (len, Some("length")));
        assert_eq!((region.map::<()>().expect("mapped").len()), len);
        let agreed = Expected::new().exactly(len).sealed(Seals::GROW);
        let fixed = agreed.check(region.as_fd().try_clone_to_owned().expect("dup")).expect("as agreed");
        assert_eq!(fixed.len(), len);
        let again = Region::from(fixed);
        again.unpin(0, 0).expect("all of it");
        assert_eq!(region.pin_status(0, 0).expect("all of it"), PinStatus::Unpinned);
    }
    let refused = Region::create_with("vast", usize::MAX / 2, Pinning::Kept).expect_err("no file is so long");
    assert!(refused.is_invalid_input(), "{refused}");
    let refused = Region::create_with("none", 0, Pinning::Kept).expect_err("no size");
    assert!(refused.is_invalid_input(), "{refused}");
}

#[test]
fn a_file_of_another_shape_or_with_a_size_that_can_change_keeps_no_pins() {
    for (len, seals) in
        [(PAGE, Seals::GROW), (5 * PAGE, Seals::GROW), (2 * PAGE, Seals::NONE), (3, Seals::GROW)]
    {
        let memfd = Memfd::create("marked").expect("a memory file");
        fchmod(&memfd, Mode::from_raw_mode(0o1666)).expect("the mark");
        memfd.set_len(len as u64).expect("sized");
        memfd.add_seals(Seals::SHRINK | seals).expect("sealed");
        let region = Region::from_fd(memfd.into()).expect("a region");
        // Two pages and a mark are one page of data; but only if the size is sealed both ways.
        let kept = len == 5 * PAGE;
        assert_eq!(region.pinning(), if kept { Pinning::Kept } else { Pinning::Ignored }, "{len}");
        assert_eq!(region.len(), if kept { 4 * PAGE } else { len });
    }
}

#[test]
fn a_mask_without_write_seals_the_region_against_purging() {
    let region = purgeable(2);
    let (mapping, other) = (region.map::<()>().expect("mapped"), received(&region));
    region.unpin(0, PAGE).expect("a page");
    assert_eq!(region.prot_mask().expect("a mask"), Prot::ALL);
    let refused = region.set_prot_mask(Prot::from_bits(8)).expect_err("no such right");
    assert!(refused.is_invalid_input() && refused.raw_os_error() == Some(Errno::EINVAL as i32), "{refused}");
    region.set_prot_mask(Prot::ALL).expect("all of them");
    region.set_prot_mask(Prot::WRITE | Prot::READ).expect("a memory file cannot lose PROT_EXEC");
    assert_eq!(region.prot_mask().expect("a mask"), Prot::ALL);

    region.set_prot_mask(Prot::READ).expect("for good");
    assert_eq!(other.prot_mask().expect("a mask"), Prot::READ | Prot::EXEC, "it binds every holder");
    other.set_prot_mask(Prot::READ).expect("less is allowed");
    assert!(other.set_prot_mask(Prot::READ | Prot::WRITE).is_err_and(|refused| refused.is_invalid_input()));
    assert!(region.map::<()>().is_err_and(|refused| refused.is_sealed()));
    mapping.copy_in(0, &[7]).expect("what was mapped before keeps its right");
    assert_eq!(byte(&other, 0), 7);

    // One that had its pins open, and those that had not.
    let text = region.unpin(0, PAGE).expect_err("sealed").to_string();
    let meaning = "sealed against purging: no hole can be punched once writing is sealed";
    assert_eq!(text, format!("Region::unpin(0, 4096): {meaning}"));
    for handle in [&region, &other, &received(&region)] {
        let refused = [
            handle.pin(0, 0).map(drop_pin).expect_err("sealed"),
            handle.unpin(0, 0).expect_err("sealed"),
            handle.pin_status(0, 0).map(drop).expect_err("sealed"),
            handle.evict_one().map(drop).expect_err("sealed"),
            handle.purge_all().map(drop).expect_err("sealed"),
        ];
        for refused in refused {
            assert!(
                refused.is_sealed() && refused.to_string().contains("sealed against purging"),
                "{refused}"
            );
        }
    }
}

#[test]
fn a_descriptor_for_reading_keeps_its_holder_from_the_pins() {
    let region = purgeable(2);
    let path = format!("/proc/self/fd/{}", region.as_fd().as_raw_fd());
    let reader = Region::from_fd(File::open(path).expect("opened again").into()).expect("a region");
    let refused = reader.unpin(0, 0).expect_err("for reading only");
    assert_eq!(refused.raw_os_error(), Some(Errno::EACCES as i32), "{refused}");
}

#[test]
fn a_child_of_a_fork_has_a_party_of_its_own() {
    alone::alone("a_child_of_a_fork_has_a_party_of_its_own", || {
        let region = purgeable(4);
        region.unpin(0, PAGE).expect("a page");
        // SAFETY: no other thread of this process holds a lock that the child will need: it
        // runs one test in its main thread.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let well = region.unpin(PAGE, PAGE).is_ok() && ranges(&region).contains(&(1, 2, false));
            // SAFETY: ends the child without the harness.
            unsafe { libc::_exit(i32::from(!well)) };
        }
        region.unpin(2 * PAGE, PAGE).expect("meanwhile");
        let mut status = 0;
        // SAFETY: a child of ours, and room for its status.
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert_eq!(status, 0, "the child's operations");
        assert_eq!(ranges(&region).len(), 3);
    });
}

#[test]
fn where_there_is_no_driver_the_region_keeps_its_pins_itself() {
    let made = Region::create_purgeable("either", 3 * PAGE).expect("a region");
    match Region::create_with("driver", 3 * PAGE, Pinning::Driver) {
        Ok(_) => assert_eq!(made.pinning(), Pinning::Driver),
        Err(refused) => {
            assert!(refused.is_no_driver() || refused.is_permission_denied(), "{refused}");
            assert_eq!(made.pinning(), Pinning::Kept);
        }
    }
    // The same calls on either.
    assert_eq!((made.name().expect("a name").to_str(), made.len()), (Some("either"), 3 * PAGE));
    assert!(made.seals().expect("seals").contains(Seals::SHRINK | Seals::GROW));
    made.map::<()>().expect("mapped").copy_in(0, &[7]).expect("it fits");
    made.unpin(0, 2 * PAGE).expect("two pages");
    assert_eq!(made.pin_status(PAGE, PAGE).expect("one"), PinStatus::Unpinned);
    assert_eq!(made.pin(0, 0).expect("all"), Pin::NotPurged);
    let again = Region::from_fd(FixedFd::from(made).into()).expect("a region");
    assert_eq!((again.len(), byte(&again, 0)), (3 * PAGE, 7));
    again.set_prot_mask(Prot::READ).expect("less");
    assert!(again.map::<()>().is_err() && again.map_read_only::<()>().is_ok());
    assert!(again.seals().expect("seals").contains(Seals::FUTURE_WRITE));
}
