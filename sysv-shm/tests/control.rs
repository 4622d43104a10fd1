//! What can be changed of a segment, and by whom: owner, mode, lock; and what it can be made of.

mod support;

use std::io;
use std::process::Command;

use nix::sys::mman::{MlockAllFlags, mlockall, munlockall};
use rustix::process::{Gid, Resource, Rlimit, Uid, setrlimit};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities, set_thread_groups, set_thread_res_gid};
use support::namespace::{private, segments, skip};
use sysv_shm::{AttachOptions, Error, Key, Reservation, Segment, SegmentOptions};

const KEY: Key = Key::new(0x0001_2345);
const NOBODY: u32 = 65534;

/// Takes capabilities from the calling thread.
fn without(capability: CapabilitySet) {
    let mut sets = capabilities(None).unwrap();
    sets.effective.remove(capability);
    set_capabilities(None, sets).unwrap();
}

/// Runs `test` in a thread that has become another user; prints why, where that is not allowed.
fn as_nobody(what: &str, test: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let nobody = Uid::from_raw(NOBODY);
            match rustix::thread::set_thread_res_uid(nobody, nobody, nobody) {
                Ok(()) => test(),
                Err(error) => skip(what, &format!("this process cannot become another user: {error}")),
            }
        });
    });
}

/// Runs the test called `name` of this program again, in a process of its own, which `ROLE` in its
/// environment tells.
fn in_a_child(name: &str) {
    let child = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(ROLE, name)
        .stderr(std::process::Stdio::inherit()) // what it skips is said here
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && said.contains("1 passed"), "{said}");
}

const ROLE: &str = "SYSV_SHM_TEST_CONTROL";

fn is_child(name: &str) -> bool {
    std::env::var(ROLE).is_ok_and(|role| role == name)
}

#[test]
fn the_mode_is_looked_at_when_something_is_attached() {
    private(|| {
        let segment = Segment::create_new(KEY, 4096).unwrap().remove_on_drop();
        let before = segment.stat().unwrap();
        let attachment = segment.attach::<()>().unwrap();
        without(CapabilitySet::IPC_OWNER);
        segment.set_mode(0).unwrap();
        attachment.copy_in(0, b"still here").unwrap();
        assert!(segment.attach::<()>().unwrap_err().is_permission_denied());
        assert!(segment.stat().unwrap_err().is_permission_denied());

        segment.set_mode(0o440).unwrap(); // which takes no read permission
        let after = segment.stat().unwrap();
        assert_eq!((after.mode, after.uid, after.gid), (0o440, before.uid, before.gid));
        assert!(after.changed_at >= before.changed_at);
        drop(segment.attach_read_only::<()>().unwrap());

        let id = segment.id();
        let error = segment.set_mode(0o1777).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("shmctl({id}, IPC_SET, 01777): refused, a mode has no bits beyond 0777")
        );
        assert!(error.is_invalid_input() && segment.stat().unwrap().mode == 0o440);
    });
}

#[test]
fn a_segment_can_be_given_away_and_its_creator_keeps_his_rights() {
    private(|| {
        let segment = Segment::create_new(KEY, 4096).unwrap().remove_on_drop();
        let (id, before) = (segment.id(), segment.stat().unwrap());
        let error = segment.set_owner(u32::MAX, before.gid).unwrap_err();
        let nobody = u32::MAX;
        assert_eq!(
            error.to_string(),
            format!(
                "shmctl({id}, IPC_SET): EINVAL, this user namespace has no uid {nobody}, or no gid {}",
                before.gid
            )
        );
        assert!(error.is_invalid_input() && segment.stat().unwrap() == before);

        if let Err(error) = segment.set_owner(NOBODY, before.gid) {
            return skip("giving a segment away", &error.to_string());
        }
        let after = segment.stat().unwrap();
        assert_eq!((after.uid, after.creator_uid, after.mode), (NOBODY, before.uid, before.mode));
        as_nobody("the owner that a segment was given to", || {
            segment.set_mode(0o666).unwrap();
            drop(segment.attach::<()>().unwrap());
        });
        segment.set_mode(0o600).unwrap(); // the creator, who is not the owner any more
    });
}

#[test]
fn strangers_change_nothing() {
    private(|| {
        let segment = SegmentOptions::new().mode(0o666).create_new(KEY, 4096).unwrap().remove_on_drop();
        let (id, owner) = (segment.id(), rustix::process::geteuid().as_raw());
        as_nobody("changes by a stranger", || {
            let what = format!("id {id} has mode 0666 and belongs to uid {owner}");
            let only = format!("EPERM, only its owner and its creator may, or CAP_SYS_ADMIN: {what}");
            let check = |error: Error, text: String| {
                assert_eq!(error.to_string(), text);
                assert!(error.is_permission_denied() && error.raw_os_error() == Some(libc::EPERM));
            };
            check(segment.set_mode(0o600).unwrap_err(), format!("shmctl({id}, IPC_SET): {only}"));
            check(segment.set_owner(NOBODY, NOBODY).unwrap_err(), format!("shmctl({id}, IPC_SET): {only}"));
            let (soft, _) =
                nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_MEMLOCK).unwrap();
            let only = format!(
                "EPERM, only its owner and its creator may, if RLIMIT_MEMLOCK is not 0 (here {soft} bytes), \
                 or CAP_IPC_LOCK: {what}"
            );
            check(segment.lock().unwrap_err(), format!("shmctl({id}, SHM_LOCK): {only}"));
            check(segment.unlock().unwrap_err(), format!("shmctl({id}, SHM_UNLOCK): {only}"));
        });
        assert_eq!(segment.stat().unwrap().mode, 0o666);
    });
}

#[test]
fn a_lock_belongs_to_the_segment() {
    private(|| {
        let segment = Segment::create_new(KEY, 4096).unwrap().remove_on_drop();
        assert!(!segment.stat().unwrap().locked);
        if let Err(error) = segment.lock() {
            return skip("SHM_LOCK", &error.to_string());
        }
        segment.lock().unwrap(); // again, which changes nothing
        let stat = segment.stat().unwrap();
        assert!(stat.locked && stat.mode == 0o600);
        drop(segment.attach::<()>().unwrap());
        assert!(segment.stat().unwrap().locked, "no attachment holds it");
        segment.unlock().unwrap();
        segment.unlock().unwrap();
        assert!(!segment.stat().unwrap().locked);

        let gone = Segment::create(Key::PRIVATE, 1).unwrap();
        gone.remove().unwrap();
        assert!(gone.lock().unwrap_err().is_removed() && gone.unlock().unwrap_err().is_removed());
        assert!(gone.set_mode(0).unwrap_err().is_removed());
    });
}

#[test]
fn locking_is_limited_for_whoever_has_no_capability() {
    const NAME: &str = "locking_is_limited_for_whoever_has_no_capability";
    if !is_child(NAME) {
        return in_a_child(NAME); // the limit is the whole process's
    }
    private(|| {
        let segment = Segment::create_new(KEY, 8192).unwrap().remove_on_drop();
        without(CapabilitySet::IPC_LOCK);
        let (id, uid) = (segment.id(), rustix::process::geteuid().as_raw());
        let what = format!("id {id} has mode 0600 and belongs to uid {uid}");
        let limit = |bytes| {
            setrlimit(Resource::Memlock, Rlimit { current: Some(bytes), maximum: Some(bytes) }).unwrap()
        };
        limit(4096);
        let error = segment.lock().unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "shmctl({id}, SHM_LOCK): ENOMEM, this user may lock no more than RLIMIT_MEMLOCK = 4096 \
                 bytes in all: {what}"
            )
        );
        assert!(error.is_limit());
        limit(0);
        let error = segment.lock().unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "shmctl({id}, SHM_LOCK): EPERM, only its owner and its creator may, if RLIMIT_MEMLOCK is \
                 not 0 (here 0 bytes), or CAP_IPC_LOCK: {what}"
            )
        );
        assert!(error.is_permission_denied() && !segment.stat().unwrap().locked);
    });
}

#[test]
fn who_locks_all_that_comes_cannot_attach_more_than_may_be_locked() {
    const NAME: &str = "who_locks_all_that_comes_cannot_attach_more_than_may_be_locked";
    if !is_child(NAME) {
        return in_a_child(NAME);
    }
    private(|| {
        let segment = Segment::create_new(KEY, 1 << 20).unwrap().remove_on_drop();
        without(CapabilitySet::IPC_LOCK);
        setrlimit(Resource::Memlock, Rlimit { current: Some(65536), maximum: Some(65536) }).unwrap();
        mlockall(MlockAllFlags::MCL_FUTURE).unwrap();
        let why = "EAGAIN, this process locks all that it maps (mlockall), and may lock no more than \
                   RLIMIT_MEMLOCK = 65536 bytes in all";
        let attached = segment.attach::<()>().unwrap_err();
        let reserved = Reservation::new(1 << 20).unwrap_err();
        munlockall().unwrap();
        assert_eq!(attached.to_string(), format!("shmat({}, NULL, 0): {why}", segment.id()));
        assert_eq!(reserved.to_string(), format!("mmap(NULL, 1048576, PROT_NONE): {why}"));
        assert!(attached.is_limit() && reserved.is_limit());
        // Not WouldBlock, or somebody would try again and again.
        assert_eq!(io::Error::from(attached).kind(), io::ErrorKind::QuotaExceeded);
        assert_eq!(segment.stat().unwrap().attached, 0);
    });
}

#[test]
#[cfg(target_pointer_width = "64")] // with 32, no size is more than a machine may have
fn a_segment_that_is_not_charged_at_once_may_be_larger_than_the_machine() {
    private(|| {
        let overcommit = std::fs::read_to_string("/proc/sys/vm/overcommit_memory").unwrap();
        if overcommit.trim() != "0" {
            return skip("SHM_NORESERVE", &format!("vm.overcommit_memory is {}", overcommit.trim()));
        }
        let size = 1_usize << 46;
        assert!(Segment::create(KEY, size).unwrap_err().is_limit());
        let segment = SegmentOptions::new().no_reserve().create(KEY, size).unwrap().remove_on_drop();
        assert_eq!(segment.size(), Ok(size));
        // Of an existing segment nothing is asked but size and mode.
        assert_eq!(SegmentOptions::new().huge_pages().no_reserve().create(KEY, 1).unwrap(), *segment);
    });
}

#[test]
fn huge_pages_that_cannot_be_had() {
    private(|| {
        let make = |options: SegmentOptions| options.create(KEY, 4096).map(Segment::remove_on_drop);
        let says = |result: Result<_, Error>, text: &str| {
            let error: Error = result.map(drop).unwrap_err();
            assert_eq!(error.to_string(), text);
            assert_eq!(segments(), [""; 0]);
            error
        };
        let odd = says(
            make(SegmentOptions::new().huge_pages_of(3 << 20)),
            "shmget(0x00012345, 4096, IPC_CREAT | SHM_HUGETLB | 0600): refused, a huge page has a power of \
             two bytes, and 3145728 is none",
        );
        assert!(odd.is_invalid_input());
        let unknown = says(
            make(SegmentOptions::new().huge_pages_of(1 << 31)),
            "shmget(0x00012345, 4096, IPC_CREAT | SHM_HUGETLB | 31 << SHM_HUGE_SHIFT | 0600): EINVAL, this \
             machine has no huge pages of that size",
        );
        assert!(unknown.is_invalid_input());

        let pool = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";
        match std::fs::read_to_string(pool) {
            Ok(pages) if pages.trim() == "0" => {
                if let Err(error) = make(SegmentOptions::new().huge_pages())
                    && error.is_permission_denied()
                {
                    return skip("ENOMEM of huge pages", &error.to_string());
                }
                let none = says(
                    make(SegmentOptions::new().huge_pages_of(2 << 20)),
                    "shmget(0x00012345, 4096, IPC_CREAT | SHM_HUGETLB | 21 << SHM_HUGE_SHIFT | 0600): \
                     ENOMEM, 4096 bytes need 1 huge pages of 2097152 bytes, and 0 of the 0 that the \
                     machine has are free",
                );
                assert!(none.is_limit());
                let none = says(
                    make(SegmentOptions::new().huge_pages()),
                    "shmget(0x00012345, 4096, IPC_CREAT | SHM_HUGETLB | 0600): ENOMEM, not enough huge \
                     pages for 4096 bytes are free",
                );
                assert!(none.is_limit());
            }
            Ok(pages) => skip("ENOMEM of huge pages", &format!("this machine has {} of them", pages.trim())),
            Err(error) => skip("ENOMEM of huge pages", &format!("{pool}: {error}")),
        }
    });
}

#[test]
fn huge_pages_are_not_for_everybody() {
    private(|| {
        let group = std::fs::read_to_string("/proc/sys/vm/hugetlb_shm_group").unwrap();
        if group.trim() == NOBODY.to_string() {
            return skip("EPERM of huge pages", "on this machine they are for the group nobody");
        }
        let nobody = Gid::from_raw(NOBODY);
        // Out of every group first: the one that may is 0 where nobody has named another.
        if set_thread_groups(&[]).and_then(|()| set_thread_res_gid(nobody, nobody, nobody)).is_err() {
            return skip("EPERM of huge pages", "this thread cannot leave its groups");
        }
        as_nobody("EPERM of huge pages", || {
            let error = SegmentOptions::new().huge_pages().create(KEY, 4096).unwrap_err();
            assert_eq!(
                error.to_string(),
                "shmget(0x00012345, 4096, IPC_CREAT | SHM_HUGETLB | 0600): EPERM, huge pages are for \
                 whoever has CAP_IPC_LOCK or is in the group vm.hugetlb_shm_group"
            );
            assert!(error.is_permission_denied() && error.raw_os_error() == Some(libc::EPERM));
        });
    });
}

#[test]
fn huge_pages_are_attached_only_on_request() {
    private(|| {
        // Nothing is set aside, so this works on a machine without any huge page; nothing may be touched.
        let options = SegmentOptions::new().huge_pages().no_reserve();
        let segment = match options.create_new(KEY, 4096) {
            Ok(segment) => segment.remove_on_drop(),
            Err(error) => return skip("a segment of huge pages", &error.to_string()),
        };
        let id = segment.id();
        let error = segment.attach::<()>().unwrap_err();
        let text = error.to_string();
        let why =
            format!("shmat({id}, NULL, 0): refused, it is made of huge pages, or cannot be told from one");
        assert!(text.starts_with(&why), "{text}");
        assert!(segment.attach_read_only::<()>().is_err());
        assert_eq!(segment.stat().unwrap().attached, 0, "what was mapped to see that is unmapped");

        let trusting = AttachOptions::new().accept_huge_pages();
        assert_eq!(trusting.attach::<()>(&segment).unwrap().len(), 4096);
        assert_eq!(trusting.attach_read_only::<()>(&segment).unwrap().len(), 4096);
    });
}
