//! Bad input and refusals: each says the call, its operands, the errno and what it means here, and leaves
//! nothing.
//!
//! [`private`] fails a test that leaves a segment behind, [`refused`] one that makes or attaches any.

mod support;

use std::sync::atomic::AtomicU32;

use support::namespace::{private, segments, skip};
use sysv_shm::{Error, Key, Result, Segment, SegmentId, SegmentOptions};

const KEY: Key = Key::new(0x0001_2345);

/// Asserts what a refused call says, and that it changed nothing: as many segments as before, as often
/// attached.
#[track_caller]
fn refused<T: std::fmt::Debug>(call: impl FnOnce() -> Result<T>, text: &str) -> Error {
    let before = attached();
    let error = call().unwrap_err();
    assert_eq!(error.to_string(), text);
    assert_eq!(attached(), before, "left behind by: {text}");
    error
}

/// Id and number of attachments of each segment in this namespace: columns 2 and 7.
fn attached() -> Vec<(String, String)> {
    let lines = segments();
    let columns = lines.iter().map(|line| line.split_whitespace().collect::<Vec<_>>());
    columns.map(|columns| (columns[1].to_owned(), columns[6].to_owned())).collect()
}

#[test]
fn a_size_that_no_segment_can_have() {
    private(|| {
        let zero = "EINVAL, size 0: a new segment has at least one byte";
        let error =
            refused(|| Segment::create(KEY, 0), &format!("shmget(0x00012345, 0, IPC_CREAT | 0600): {zero}"));
        assert!(error.is_invalid_input() && error.raw_os_error() == Some(libc::EINVAL));
        refused(
            || Segment::create_new(KEY, 0),
            &format!("shmget(0x00012345, 0, IPC_CREAT | IPC_EXCL | 0600): {zero}"),
        );
        refused(
            || Segment::create(Key::PRIVATE, 0),
            &format!("shmget(IPC_PRIVATE, 0, IPC_CREAT | 0600): {zero}"),
        );

        if cfg!(target_pointer_width = "32") {
            return; // what follows takes more than 32 bits: on this kernel every other size can be had
        }
        // A new namespace has the default limit, a little below 2^64.
        let (most, limit) = (usize::MAX, usize::MAX - (1 << 24));
        let error = refused(
            || Segment::create(KEY, most),
            &format!(
                "shmget(0x00012345, {most}, IPC_CREAT | 0600): EINVAL, {most} bytes are above the limit of a \
                 segment, kernel.shmmax = {limit}"
            ),
        );
        assert!(error.is_limit());
        let error = refused(
            || Segment::create(KEY, limit),
            &format!(
                "shmget(0x00012345, {limit}, IPC_CREAT | 0600): EINVAL, {limit} bytes are more than a file \
                 in the kernel's tmpfs can have"
            ),
        );
        assert!(error.is_limit());
    });
}

#[test]
fn a_key_that_is_taken_or_too_small_or_absent() {
    private(|| {
        refused(
            || Segment::open(KEY, 1),
            "shmget(0x00012345, 1, 0400): ENOENT, no segment of this IPC namespace has the key",
        );
        let there = Segment::create_new(KEY, 5000).unwrap().remove_on_drop();
        let (id, uid) = (there.id(), rustix::process::geteuid().as_raw());
        type Call = fn() -> Result<Segment>;
        let calls: [(Call, &str); 3] = [
            (|| Segment::create(KEY, 5001), "IPC_CREAT | 0600"),
            (|| Segment::open(KEY, 5001), "0400"),
            (|| SegmentOptions::new().mode(0).open(KEY, 5001), "0000"),
        ];
        for (call, flags) in calls {
            let error = refused(
                call,
                &format!(
                    "shmget(0x00012345, 5001, {flags}): EINVAL, the segment with this key (id {id}) has 5000 \
                     bytes, 5001 were asked for"
                ),
            );
            assert!(error.is_too_small() && error.raw_os_error() == Some(libc::EINVAL));
        }
        refused(
            || Segment::create_new(KEY, 0),
            &format!(
                "shmget(0x00012345, 0, IPC_CREAT | IPC_EXCL | 0600): EEXIST, the key is taken: id {id} has \
                 mode 0600 and belongs to uid {uid}"
            ),
        );
    });
}

#[test]
fn arguments_that_would_mean_something_else_to_the_kernel() {
    private(|| {
        // shmget(IPC_PRIVATE) makes a segment whatever the flags say, and 01000 in the mode is IPC_CREAT.
        let error = refused(
            || Segment::open(Key::PRIVATE, 64),
            "shmget(IPC_PRIVATE, 64, 0400): refused, nothing can be found under IPC_PRIVATE, only made",
        );
        assert!(error.is_invalid_input() && error.raw_os_error().is_none());
        for (mode, text) in [(0o1600, "01600"), (0o2000, "02000"), (u32::MAX, "037777777777")] {
            let error = refused(
                || SegmentOptions::new().mode(mode).open(KEY, 64),
                &format!("shmget(0x00012345, 64, {text}): refused, a mode has no bits beyond 0777"),
            );
            assert!(error.is_invalid_input());
        }
    });
}

#[test]
fn an_id_that_names_nothing() {
    private(|| {
        let segment = Segment::create_new(KEY, 4096).unwrap();
        let id = segment.id();
        segment.remove().unwrap();
        let gone =
            format!("EINVAL, no segment of this IPC namespace has id {id}: it was removed, or never was");
        let errors = [
            refused(|| segment.stat(), &format!("shmctl({id}, IPC_STAT): {gone}")),
            refused(|| segment.remove(), &format!("shmctl({id}, IPC_RMID): {gone}")),
            refused(|| Segment::from_id(id), &format!("shmctl({id}, IPC_STAT): {gone}")),
            refused(|| segment.attach::<AtomicU32>(), &format!("shmat({id}, NULL, 0): {gone}")),
            refused(
                || segment.attach_read_only::<AtomicU32>(),
                &format!("shmat({id}, NULL, SHM_RDONLY): {gone}"),
            ),
            refused(
                || Segment::from_id(SegmentId::new(-1)),
                "shmctl(-1, IPC_STAT): EINVAL, -1 is no id: ids are never negative",
            ),
        ];
        assert!(errors.iter().all(|error| error.is_removed() && error.raw_os_error() == Some(libc::EINVAL)));
    });
}

#[test]
fn a_type_or_a_range_that_does_not_fit() {
    private(|| {
        let segment = Segment::create_new(KEY, 100).unwrap().remove_on_drop();
        let id = segment.id();
        let needs = "refused, the segment has 100 bytes, and what should be seen in it needs 104";
        let error =
            refused(|| segment.attach::<[AtomicU32; 26]>(), &format!("shmat({id}, NULL, 0): {needs}"));
        assert!(error.is_too_small());
        refused(
            || segment.attach_read_only::<[AtomicU32; 26]>(),
            &format!("shmat({id}, NULL, SHM_RDONLY): {needs}"),
        );

        let attachment = segment.attach::<AtomicU32>().unwrap();
        let has = "refused, the tail has 36 bytes";
        let error = refused(|| attachment.copy_in(30, &[1; 7]), &format!("copy_in(30, 7 bytes): {has}"));
        assert!(error.is_out_of_bounds());
        refused(|| attachment.copy_out(37, &mut []), &format!("copy_out(37, 0 bytes): {has}"));
        refused(|| attachment.copy_in(usize::MAX, &[1]), &format!("copy_in({}, 1 bytes): {has}", usize::MAX));
    });
}

#[test]
fn mode_bits_that_do_not_let_us_in() {
    private(|| {
        let reading = SegmentOptions::new().mode(0o400).create_new(KEY, 4096).unwrap().remove_on_drop();
        let nothing = SegmentOptions::new().mode(0).create_new(Key::new(7), 4096).unwrap().remove_on_drop();
        without_ipc_owner();
        let (a, b, uid) = (reading.id(), nothing.id(), rustix::process::geteuid().as_raw());
        let has_a = format!("to this process: id {a} has mode 0400 and belongs to uid {uid}");
        let has_b = format!("to this process: id {b} has mode 0000 and belongs to uid {uid}");
        let errors = [
            refused(
                || Segment::create(KEY, 1),
                &format!(
                    "shmget(0x00012345, 1, IPC_CREAT | 0600): EACCES, the mode bits do not grant 0600 {has_a}"
                ),
            ),
            refused(
                || Segment::open(Key::new(7), 1),
                &format!("shmget(0x00000007, 1, 0400): EACCES, the mode bits do not grant 0400 {has_b}"),
            ),
            refused(
                || reading.attach::<()>(),
                &format!("shmat({a}, NULL, 0): EACCES, reading and writing is not granted {has_a}"),
            ),
            refused(
                || nothing.attach_read_only::<()>(),
                &format!("shmat({b}, NULL, SHM_RDONLY): EACCES, reading is not granted {has_b}"),
            ),
            refused(
                || nothing.stat(),
                &format!("shmctl({b}, IPC_STAT): EACCES, reading is not granted {has_b}"),
            ),
        ];
        assert!(
            errors
                .iter()
                .all(|error| error.is_permission_denied() && error.raw_os_error() == Some(libc::EACCES))
        );

        // Who asks for nothing is refused nothing: the id and the size are no secrets.
        assert_eq!(SegmentOptions::new().mode(0).open(Key::new(7), 0).unwrap().size(), Ok(4096));
        assert_eq!(Segment::from_id(b).unwrap().size(), Ok(4096));
        drop(Segment::open(KEY, 1).unwrap().attach_read_only::<AtomicU32>().unwrap());
        // What is new and grants nothing is still made, and can be removed: that takes ownership, not mode
        // bits.
        SegmentOptions::new().mode(0).create(Key::new(8), 4096).unwrap().remove().unwrap();
    });
}

/// Takes from the calling thread the capability that overrides mode bits.
fn without_ipc_owner() {
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
    let mut sets = capabilities(None).unwrap();
    sets.effective.remove(CapabilitySet::IPC_OWNER);
    set_capabilities(None, sets).unwrap();
}

#[test]
fn a_segment_of_somebody_else_cannot_be_removed() {
    private(|| {
        let (nobody, owner) = (rustix::process::Uid::from_raw(65534), rustix::process::geteuid().as_raw());
        let segment = SegmentOptions::new().mode(0o666).create_new(KEY, 4096).unwrap().remove_on_drop();
        let id = segment.id();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                // This thread alone becomes somebody else, which takes its capabilities away, too.
                if rustix::thread::set_thread_res_uid(nobody, nobody, nobody).is_err() || owner == 65534 {
                    return skip("removal by a stranger", "this process cannot become another user");
                }
                let error = refused(
                    || Segment::open(KEY, 0)?.remove(),
                    &format!(
                        "shmctl({id}, IPC_RMID): EPERM, only its owner and its creator may, or \
                         CAP_SYS_ADMIN: id {id} has mode 0666 and belongs to uid {owner}"
                    ),
                );
                assert!(error.is_permission_denied() && error.raw_os_error() == Some(libc::EPERM));
            });
        });
    });
}

#[test]
fn a_namespace_with_all_the_segments_it_may_have() {
    private(|| {
        let most = std::fs::read_to_string("/proc/sys/kernel/shmmni").unwrap();
        let most: usize = most.trim().parse().unwrap();
        let all: Vec<_> =
            (0..most).map(|_| Segment::create(Key::PRIVATE, 1).unwrap().remove_on_drop()).collect();
        let error = refused(
            || Segment::create(KEY, 1),
            &format!(
                "shmget(0x00012345, 1, IPC_CREAT | 0600): ENOSPC, this IPC namespace has {most} segments, \
                 and its limit is kernel.shmmni = {most}"
            ),
        );
        assert!(error.is_limit() && error.raw_os_error() == Some(libc::ENOSPC));
        drop(all);
    });
}

#[test]
fn a_namespace_with_all_the_pages_it_may_have() {
    private(|| {
        let _first = Segment::create(Key::PRIVATE, 5 * 4096).unwrap().remove_on_drop();
        // The limits under /proc/sys/kernel are those of the namespace of whoever opens them: the machine's
        // stay.
        if let Err(error) = std::fs::write("/proc/sys/kernel/shmall", "8") {
            return skip("kernel.shmall", &format!("it cannot be set in this namespace: {error}"));
        }
        let error = refused(
            || Segment::create(KEY, 3 * 4096 + 1),
            "shmget(0x00012345, 12289, IPC_CREAT | 0600): ENOSPC, 12289 bytes on top of the 5 pages that \
             this IPC namespace has are above its kernel.shmall = 8 pages",
        );
        assert!(error.is_limit());
        Segment::create(KEY, 3 * 4096).unwrap().remove().unwrap();

        std::fs::write("/proc/sys/kernel/shmmax", "4096").unwrap();
        let error = refused(
            || Segment::create(KEY, 4097),
            "shmget(0x00012345, 4097, IPC_CREAT | 0600): EINVAL, 4097 bytes are above the limit of a \
             segment, kernel.shmmax = 4096",
        );
        assert!(error.is_limit());
    });
}

#[test]
#[cfg(target_pointer_width = "64")] // with 32, no size is more than a machine may have
fn more_memory_than_the_machine_has() {
    private(|| {
        if std::fs::read_to_string("/proc/sys/vm/overcommit_memory").unwrap().trim() == "1" {
            return skip("ENOMEM", "this machine promises any amount of memory (vm.overcommit_memory = 1)");
        }
        let size = 1_usize << 46;
        let error = refused(
            || Segment::create(KEY, size),
            &format!(
                "shmget(0x00012345, {size}, IPC_CREAT | 0600): ENOMEM, no memory for {size} bytes: all of a \
                 segment is charged when it is made"
            ),
        );
        assert!(error.is_limit() && error.raw_os_error() == Some(libc::ENOMEM));
    });
}

#[test]
fn an_address_space_without_room() {
    const ID: &str = "SYSV_SHM_ID_TO_ATTACH";
    const SIZE: usize = 256 << 20;
    if let Ok(id) = std::env::var(ID) {
        // The child: whatever room it has now, it gets no more than half of what the segment needs.
        let segment = Segment::from_id(SegmentId::new(id.parse().unwrap())).unwrap();
        let room = rustix::process::Rlimit { current: Some(SIZE as u64 / 2), maximum: Some(SIZE as u64 / 2) };
        rustix::process::setrlimit(rustix::process::Resource::As, room).unwrap();
        let no_room = format!("ENOMEM, no room for {SIZE} bytes in this process's address space");
        let error = refused(|| segment.attach::<()>(), &format!("shmat({id}, NULL, 0): {no_room}"));
        assert!(error.is_limit() && error.raw_os_error() == Some(libc::ENOMEM));
        return;
    }
    private(|| {
        let segment = Segment::create(Key::PRIVATE, SIZE).unwrap().remove_on_drop();
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["an_address_space_without_room", "--exact", "--nocapture"])
            .env(ID, segment.id().to_string())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success() && said.contains("1 passed"), "{said}");
    });
}
