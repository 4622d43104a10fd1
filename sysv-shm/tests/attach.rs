//! Where and with what rights a segment is attached: at an address, over a reservation, to be executed.

mod support;

use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use support::namespace::private;
use sysv_shm::{AttachOptions, Error, Key, Reservation, Segment, SegmentOptions};

const PAGE: usize = 4096;
/// Addresses far from where the kernel puts anything by itself, on x86 and ARM, with 64 bits and with 32.
const FAR: usize = if cfg!(target_pointer_width = "64") { 1 << 45 } else { 1 << 29 };

fn head(attachment: &AtomicU32) -> usize {
    ptr::from_ref(attachment).addr()
}

/// The permissions of the mapping of this process that begins at `address`.
fn permissions(address: usize) -> Option<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mut lines = maps.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines.find(|line| line[0].starts_with(&format!("{address:x}-"))).map(|line| line[1].to_owned())
}

/// Asserts what a refused attachment says, and that the segment is attached as often as before.
#[track_caller]
fn refused<T: std::fmt::Debug>(
    segment: &Segment,
    result: Result<T, Error>,
    attached: u64,
    text: &str,
) -> Error {
    let error = result.unwrap_err();
    assert_eq!(error.to_string(), text);
    assert_eq!(segment.stat().unwrap().attached, attached);
    error
}

#[test]
fn at_an_address_exactly_or_rounded_or_not_at_all() {
    private(|| {
        let segment = Segment::create(Key::PRIVATE, 2 * PAGE).unwrap().remove_on_drop();
        let id = segment.id();
        let exact = AttachOptions::new().at(FAR).attach::<AtomicU32>(&segment).unwrap();
        assert_eq!(head(&exact), FAR);
        let behind = FAR + 2 * PAGE;
        let rounded =
            AttachOptions::new().at_rounded(behind + 123).attach_read_only::<AtomicU32>(&segment).unwrap();
        exact.store(7, Ordering::Relaxed);
        assert_eq!(rounded.load(Ordering::Relaxed), 7);
        assert_eq!(permissions(behind).as_deref(), Some("r--s"));

        let error = refused(
            &segment,
            AttachOptions::new().at(FAR + 123).attach::<()>(&segment),
            2,
            &format!(
                "shmat({id}, {:#x}, 0): EINVAL, the address is no multiple of the page size, 4096",
                FAR + 123
            ),
        );
        assert!(error.is_invalid_input());
        for at in [FAR, FAR - PAGE] {
            // The second one would begin in a free page.
            refused(
                &segment,
                AttachOptions::new().at(at).attach::<()>(&segment),
                2,
                &format!(
                    "shmat({id}, {at:#x}, 0): EINVAL, something is mapped at the address already, or \
                     in the 8192 bytes from there"
                ),
            );
        }
        assert_eq!(exact.load(Ordering::Relaxed), 7, "what is there stays");

        // 0 means anywhere, and for root the first page is an address like others.
        for (options, call) in [
            (AttachOptions::new().at(0), format!("shmat({id}, NULL, 0)")),
            (AttachOptions::new().at_rounded(PAGE - 1), format!("shmat({id}, 0xfff, SHM_RND)")),
        ] {
            let text = format!("{call}: refused, nothing can be attached in the first page");
            assert!(refused(&segment, options.attach::<()>(&segment), 2, &text).is_invalid_input());
        }
        let removed = Segment::create(Key::PRIVATE, 1).unwrap();
        removed.remove().unwrap();
        let gone = AttachOptions::new().at(2 * FAR).attach::<()>(&removed).unwrap_err();
        assert!(gone.is_removed(), "{gone}");
    });
}

/// Where the main thread's stack begins now: its lowest address, from which it grows on.
fn stack() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let line = maps.lines().find(|line| line.ends_with("[stack]")).expect("a process has a stack");
    usize::from_str_radix(line.split('-').next().unwrap(), 16).unwrap()
}

#[test]
fn not_where_the_stack_would_grow_into_it() {
    private(|| {
        let segment = Segment::create(Key::PRIVATE, 2 * PAGE - 1).unwrap().remove_on_drop();
        let (id, attach) = (segment.id(), AttachOptions::new());
        // In the kernel's eyes there is nothing, down to the last byte under the stack.
        for pages in [0, 1, 255] {
            let at = stack() - (2 + pages) * PAGE;
            let text = format!(
                "shmat({id}, {at:#x}, 0): refused, it would end right under the main thread's stack (or \
                 /proc/self/maps cannot be read, which tells): the stack would grow into it"
            );
            assert!(refused(&segment, attach.at(at).attach::<()>(&segment), 0, &text).is_invalid_input());
        }
        let rounded = attach.at_rounded(stack() - PAGE - 1).attach_read_only::<()>(&segment).unwrap_err();
        assert!(rounded.to_string().contains("SHM_RDONLY | SHM_RND): refused, it would end"), "{rounded}");
        // Further down no stack comes near it: the kernel keeps the 256 pages between them free.
        drop(attach.at(stack() - (2 + 256) * PAGE).attach::<()>(&segment).unwrap());
        let inside = attach.at(stack()).attach::<()>(&segment).unwrap_err();
        assert!(inside.to_string().contains("something is mapped at the address"), "{inside}");
    });
}

#[test]
fn executing_takes_an_x_bit() {
    private(|| {
        let plain = Segment::create(Key::PRIVATE, PAGE).unwrap().remove_on_drop();
        let with_x = SegmentOptions::new().mode(0o700).create(Key::PRIVATE, PAGE).unwrap().remove_on_drop();
        let mut sets = capabilities(None).unwrap();
        sets.effective.remove(CapabilitySet::IPC_OWNER);
        set_capabilities(None, sets).unwrap();

        let attachment = AttachOptions::new().executable().attach::<AtomicU32>(&with_x).unwrap();
        assert_eq!(permissions(head(&attachment)).as_deref(), Some("rwxs"));
        let (id, uid) = (plain.id(), rustix::process::geteuid().as_raw());
        let what = format!("to this process: id {id} has mode 0600 and belongs to uid {uid}");
        let error = refused(
            &plain,
            AttachOptions::new().executable().attach::<()>(&plain),
            0,
            &format!(
                "shmat({id}, NULL, SHM_EXEC): EACCES, reading, writing and executing is not granted {what}"
            ),
        );
        assert!(error.is_permission_denied());
        refused(
            &plain,
            AttachOptions::new().executable().attach_read_only::<()>(&plain),
            0,
            &format!(
                "shmat({id}, NULL, SHM_RDONLY | SHM_EXEC): EACCES, reading and \
                 executing is not granted {what}"
            ),
        );
    });
}

#[test]
fn a_reservation_is_replaced_by_one_segment_at_a_time_and_never_left_open() {
    private(|| {
        let small = Segment::create(Key::PRIVATE, 100).unwrap().remove_on_drop();
        let large = Segment::create(Key::PRIVATE, 3 * PAGE).unwrap().remove_on_drop();
        let longer = Segment::create(Key::PRIVATE, 3 * PAGE + 1).unwrap().remove_on_drop();
        let place = Reservation::new(2 * PAGE + 1).unwrap();
        let at = place.address();
        assert_eq!((place.len(), permissions(at).as_deref()), (3 * PAGE, Some("---p")));

        for segment in [&*small, &*large] {
            let attachment = place.attach::<AtomicU32>(segment).unwrap();
            assert_eq!((head(&attachment), attachment.len()), (at, segment.size().unwrap()));
            assert_eq!(segment.stat().unwrap().attached, 1, "the first of two is gone");
            attachment.store(7, Ordering::Relaxed);

            let error = place.attach::<()>(segment).unwrap_err();
            let text = format!(
                "shmat({}, {at:#x}, SHM_REMAP): refused, the reservation is in use, or was \
                 lost in an earlier failure",
                segment.id()
            );
            assert_eq!((error.to_string(), error.is_invalid_input()), (text, true));
            assert_eq!(segment.stat().unwrap().attached, 1);
            assert_eq!(attachment.load(Ordering::Relaxed), 7);

            drop(attachment);
            assert_eq!(segment.stat().unwrap().attached, 0, "what is covered is detached");
            // The kernel may join it to what lies before it, but the addresses are taken.
            let taken = AttachOptions::new().at(at).attach::<()>(segment).unwrap_err();
            assert!(taken.to_string().contains("something is mapped"), "{taken}");
            let again = place.attach_read_only::<AtomicU32>(segment).unwrap();
            assert_eq!((again.load(Ordering::Relaxed), permissions(at).as_deref()), (7, Some("r--s")));
        }

        let text = format!(
            "shmat({}, {at:#x}, SHM_REMAP): refused, the segment has {} bytes, and the \
             reservation has room for {}",
            longer.id(),
            3 * PAGE + 1,
            3 * PAGE
        );
        assert!(refused(&longer, place.attach::<()>(&longer), 0, &text).is_too_small());

        // An attachment keeps the range that it lies in.
        let survivor = place.attach::<AtomicU32>(&large).unwrap();
        drop(place);
        assert_eq!((survivor.load(Ordering::Relaxed), head(&survivor)), (7, at));
        drop(survivor);
        assert_eq!(large.stat().unwrap().attached, 0);
    });
}

#[test]
fn a_reservation_that_cannot_be() {
    for len in [0, usize::MAX] {
        let error = Reservation::new(len).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("mmap(NULL, {len}, PROT_NONE): refused, a reservation has at least one byte, and an end")
        );
        assert!(error.is_invalid_input());
    }
    let len = usize::MAX - (1 << 20);
    let error = Reservation::new(len).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("mmap(NULL, {len}, PROT_NONE): ENOMEM, no such room in this process's address space")
    );
    assert!(error.is_limit());
}

/// With 32 bits there is room for more than half of the addresses, which is more than a pointer may go through.
#[test]
#[cfg(target_pointer_width = "32")]
fn no_attachment_has_more_than_half_of_the_addresses() {
    private(|| {
        let size = (1_usize << 31) + 1;
        let segment = SegmentOptions::new().no_reserve().create(Key::PRIVATE, size).unwrap().remove_on_drop();
        let error = segment.attach::<()>().unwrap_err();
        assert!(error.is_limit(), "{error}");
        assert_eq!(segment.stat().unwrap().attached, 0);
    });
}

/// With 32 bits a segment can have more than half of all addresses, and no object of Rust's can.
#[test]
#[cfg(target_pointer_width = "32")]
fn what_no_pointer_of_rusts_reaches_across_is_not_attached() {
    private(|| {
        let segment = Segment::create(Key::PRIVATE, (1 << 31) + 4096).unwrap().remove_on_drop();
        let error = segment.attach::<()>().unwrap_err();
        assert!(error.is_limit(), "{error}");
        assert_eq!(segment.stat().unwrap().attached, 0, "and nothing of it is left");
    });
}
