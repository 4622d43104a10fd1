//! The kernel's rules for making, finding, attaching and removing segments, seen through this crate.

mod support;

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use support::namespace::{private, segments};
use sysv_shm::{Error, Key, Segment, SegmentId, SegmentOptions};

const KEY: Key = Key::new(0x0001_2345);
const OTHER: Key = Key::new(-2);

/// The ways to get a segment, so that a rule can be a row.
#[derive(Debug, Clone, Copy)]
enum Way {
    Create,
    CreateNew,
    Open,
}

fn get(way: Way, key: Key, size: usize) -> Result<Segment, Error> {
    match way {
        Way::Create => Segment::create(key, size),
        Way::CreateNew => Segment::create_new(key, size),
        Way::Open => Segment::open(key, size),
    }
}

#[test]
fn a_key_is_found_made_or_refused() {
    private(|| {
        use Way::{Create, CreateNew, Open};
        let there = Segment::create_new(KEY, 5000).unwrap().remove_on_drop();
        let id = there.id();
        let exists = |error: &Error| error.is_already_exists();
        let small = |error: &Error| error.is_too_small();
        let absent = |error: &Error| error.is_not_found();
        // The key of a segment of 5000 bytes; then a key that nobody has.
        type Rule = (Way, Key, usize, Result<usize, fn(&Error) -> bool>);
        let rules: [Rule; 12] = [
            (Open, KEY, 0, Ok(5000)),
            (Open, KEY, 1, Ok(5000)),
            (Open, KEY, 5000, Ok(5000)),
            (Open, KEY, 5001, Err(small)), // though the last page has room for it
            (Create, KEY, 0, Ok(5000)),
            (Create, KEY, 4096, Ok(5000)),
            (Create, KEY, 5001, Err(small)),
            (CreateNew, KEY, 1, Err(exists)),
            (CreateNew, KEY, 0, Err(exists)),
            (CreateNew, KEY, 9000, Err(exists)), // before the sizes are compared
            (Open, OTHER, 0, Err(absent)),
            (Open, OTHER, 4096, Err(absent)),
        ];
        for (way, key, size, expected) in rules {
            match (get(way, key, size), expected) {
                (Ok(segment), Ok(size)) => assert_eq!((segment.id(), segment.size()), (id, Ok(size))),
                (Err(error), Err(is_it)) => assert!(is_it(&error), "{way:?} {key} {size}: {error}"),
                (result, _) => panic!("{way:?} {key} {size}: {result:?}"),
            }
            assert_eq!(segments().len(), 1, "{way:?} {key} {size} made another");
        }
    });
}

#[test]
fn a_new_segment_is_as_it_was_asked_for() {
    private(|| {
        let segment = SegmentOptions::new().mode(0o640).create(KEY, 5000).unwrap().remove_on_drop();
        let stat = segment.stat().unwrap();
        assert_eq!((stat.id, stat.key, stat.size, stat.mode), (segment.id(), KEY, 5000, 0o640));
        assert_eq!((stat.removed, stat.locked, stat.attached), (false, false, 0));
        assert_eq!((stat.attached_at, stat.detached_at, stat.last_pid), (None, None, None));
        assert_eq!(stat.creator_pid, std::process::id());
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        assert_eq!((stat.uid, stat.gid, stat.creator_uid, stat.creator_gid), (uid, gid, uid, gid));

        // Creating over it changes nothing, not even the mode.
        let again = SegmentOptions::new().mode(0o600).create(KEY, 1).unwrap();
        assert_eq!(again.stat().unwrap().mode, 0o640);

        // It is zeros all through, and its last page is shared to the page's end only behind the API: the
        // tail ends at 5000.
        let attachment = segment.attach::<()>().unwrap();
        assert_eq!((attachment.len(), attachment.tail_len()), (5000, 5000));
        let mut bytes = vec![0xee; 5000];
        attachment.copy_out(0, &mut bytes).unwrap();
        assert!(bytes.iter().all(|&byte| byte == 0));
    });
}

#[test]
fn private_segments_are_always_new() {
    private(|| {
        let one = Segment::create(Key::PRIVATE, 4096).unwrap().remove_on_drop();
        let two = Segment::create_new(Key::new(0), 4096).unwrap().remove_on_drop();
        assert_ne!(one.id(), two.id());
        assert_eq!(one.stat().unwrap().key, Key::PRIVATE);
        let (a, b) = (one.attach::<AtomicU32>().unwrap(), two.attach::<AtomicU32>().unwrap());
        a.store(1, Ordering::Relaxed);
        assert_eq!(b.load(Ordering::Relaxed), 0, "two memories");
    });
}

#[test]
fn removal_takes_the_key_at_once_and_the_memory_with_the_last_attachment() {
    private(|| {
        let segment = Segment::create_new(KEY, 4096).unwrap();
        let first = segment.attach::<AtomicU32>().unwrap();
        segment.remove().unwrap();

        let stat = segment.stat().unwrap();
        assert_eq!((stat.removed, stat.key, stat.attached), (true, Key::PRIVATE, 1));
        assert!(Segment::open(KEY, 0).unwrap_err().is_not_found());

        // By its id it can still be attached (on Linux), and removed once more.
        let second = Segment::from_id(segment.id()).unwrap().attach::<AtomicU32>().unwrap();
        second.store(7, Ordering::Relaxed);
        assert_eq!((first.load(Ordering::Relaxed), segment.stat().unwrap().attached), (7, 2));
        segment.remove().unwrap();

        // The key is free for another segment, beside the old one.
        let successor = Segment::create_new(KEY, 4096).unwrap().remove_on_drop();
        assert_ne!(successor.id(), segment.id());
        assert_eq!(successor.attach::<AtomicU32>().unwrap().load(Ordering::Relaxed), 0);

        drop((first, second));
        assert!(segment.stat().unwrap_err().is_removed());
    });
}

#[test]
fn a_handle_owns_nothing_and_a_guard_removes() {
    private(|| {
        let handle = Segment::create_new(KEY, 4096).unwrap();
        let copy = handle;
        assert_eq!(Segment::open(KEY, 0).unwrap(), copy, "a handle that goes leaves the segment");

        drop(copy.remove_on_drop());
        assert!(handle.stat().unwrap_err().is_removed());

        let kept = Segment::create_new(KEY, 4096).unwrap().remove_on_drop().keep();
        kept.remove_on_drop().remove().unwrap();

        let guard = Segment::create_new(KEY, 4096).unwrap().remove_on_drop();
        Segment::from_id(guard.id()).unwrap().remove().unwrap(); // somebody else was faster
        assert!(guard.remove().unwrap_err().is_removed(), "removing says what dropping keeps to itself");

        let panicked = std::panic::catch_unwind(|| {
            let _guard = Segment::create_new(KEY, 4096).unwrap().remove_on_drop();
            std::panic::resume_unwind(Box::new("on purpose"));
        });
        assert!(panicked.is_err());
        assert_eq!(segments(), [""; 0]);
    });
}

#[test]
fn attachments_count_as_mappings_and_end_with_their_drop() {
    private(|| {
        let segment = Segment::create_new(KEY, 2 * 4096).unwrap().remove_on_drop();
        let attached = || segment.stat().unwrap().attached;
        let one = segment.attach::<AtomicU32>().unwrap();
        let two = segment.attach_read_only::<AtomicU32>().unwrap();
        assert_eq!(attached(), 2, "two mappings in one process");
        one.store(9, Ordering::Release);
        assert_eq!(two.load(Ordering::Acquire), 9);
        assert!(std::ptr::from_ref(&*one).addr() != std::ptr::from_ref(&*two).addr());
        drop(two);
        assert_eq!(attached(), 1);
        drop(one);
        let stat = segment.stat().unwrap();
        assert_eq!((stat.attached, stat.last_pid), (0, Some(std::process::id())));
        assert!(stat.detached_at >= stat.attached_at && stat.attached_at.is_some());
    });
}

#[test]
fn the_maps_file_shows_key_id_and_permissions() {
    private(|| {
        let segment = Segment::create_new(KEY, 5000).unwrap().remove_on_drop();
        let _writable = segment.attach::<()>().unwrap();
        let _read_only = segment.attach_read_only::<()>().unwrap();
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        // Other tests of this process have segments with the same id, each in a namespace of its own: by the
        // key's name.
        let mut seen: Vec<(String, String)> = Vec::new();
        for line in maps.lines().filter(|line| line.ends_with("/SYSV00012345 (deleted)")) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            seen.push((fields[1].to_owned(), fields[4].to_owned()));
        }
        let id = segment.id().to_string();
        for perms in ["rw-s", "r--s"] {
            assert!(seen.contains(&(perms.to_owned(), id.clone())), "{perms} {id}: {maps}");
        }
    });
}

#[test]
fn the_tail_begins_behind_the_head_and_never_overlaps_it() {
    private(|| {
        let segment = Segment::create_new(KEY, 200).unwrap().remove_on_drop();
        assert_eq!(segment.attach::<()>().unwrap().tail_len(), 200);
        assert_eq!(segment.attach::<AtomicU8>().unwrap().tail_len(), 200 - 64);
        assert_eq!(segment.attach::<[AtomicU8; 64]>().unwrap().tail_len(), 200 - 64);
        assert_eq!(segment.attach::<[AtomicU8; 65]>().unwrap().tail_len(), 200 - 128);
        assert_eq!(segment.attach::<[AtomicU8; 193]>().unwrap().tail_len(), 0);

        let whole = segment.attach::<[AtomicU8; 200]>().unwrap();
        let parted = segment.attach::<[AtomicU8; 65]>().unwrap();
        parted.copy_in(0, &[0xff; 72]).unwrap();
        let written = whole.iter().map(|byte| byte.load(Ordering::Relaxed) == 0xff);
        assert!(written.enumerate().all(|(at, written)| written == (at >= 128)));
    });
}

#[test]
fn an_id_that_is_another_segment_by_now_is_not_mapped_at_the_old_size() {
    private(|| {
        // The same id in two namespaces: the first segment of each has id 0 (or whatever a new namespace
        // begins with).
        let large = Segment::create_new(Key::PRIVATE, 1 << 20).unwrap().remove_on_drop();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                private(|| {
                    let small = Segment::create_new(Key::PRIVATE, 4096).unwrap().remove_on_drop();
                    assert_eq!(small.id(), large.id());
                    let error = large.attach::<AtomicU32>().unwrap_err();
                    assert!(error.is_removed());
                    let id = SegmentId::new(small.id().number());
                    assert_eq!(
                        error.to_string(),
                        format!(
                            "shmat({id}, NULL, 0): refused, id {id} is another segment by now, of 4096 bytes; \
                             at least 1048576 were found"
                        )
                    );
                    assert_eq!(small.stat().unwrap().attached, 0, "what was mapped to see that is unmapped");
                });
            });
        });
    });
}
