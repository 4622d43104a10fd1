//! Bad input and refusals of semaphore calls: each says the call, its operands, the errno and what it means
//! here, and changes nothing.

mod support;

use std::fs;
use std::num::NonZeroI16;
use std::thread;
use std::time::Duration;

use support::namespace::{private, semaphore_sets, skip};
use sysv_shm::{Error, Key, Operation, OwnedSemaphoreSet, Result, SemaphoreSet};
use sysv_shm::{SemaphoreSetId, SemaphoreSetOptions};

const KEY: Key = Key::new(0x0001_2345);

/// Asserts what a refused call says, and that the sets of the namespace are what they were.
#[track_caller]
fn refused<T: std::fmt::Debug>(call: impl FnOnce() -> Result<T>, text: &str) -> Error {
    let before = semaphore_sets();
    let error = call().unwrap_err();
    assert_eq!(error.to_string(), text);
    assert_eq!(semaphore_sets(), before, "left behind by: {text}");
    error
}

fn set(values: &[u16]) -> OwnedSemaphoreSet {
    let set = SemaphoreSet::create_new(KEY, values.len().try_into().unwrap()).unwrap().remove_on_drop();
    set.set_all(values).unwrap();
    set
}

fn change(index: u16, by: i16) -> Operation {
    Operation::change(index, NonZeroI16::new(by).unwrap())
}

#[test]
fn a_key_that_is_taken_or_too_small_or_absent() {
    private(|| {
        let absent = "ENOENT, no semaphore set of this IPC namespace has the key";
        let error = refused(|| SemaphoreSet::open(KEY, 1), &format!("semget(0x00012345, 1, 0600): {absent}"));
        assert!(error.is_not_found());
        let zero = "EINVAL, a new set has at least one semaphore";
        for key in [KEY, Key::PRIVATE] {
            let text = format!("semget({key}, 0, IPC_CREAT | 0600): {zero}");
            assert!(refused(|| SemaphoreSet::create(key, 0), &text).is_invalid_input());
        }
        let there = set(&[1, 1]);
        let (id, uid) = (there.id(), rustix::process::geteuid().as_raw());
        let error = refused(
            || SemaphoreSet::open(KEY, 3),
            &format!(
                "semget(0x00012345, 3, 0600): EINVAL, the set with this key (id {id}) has 2 semaphores, 3 \
                 were asked for"
            ),
        );
        assert!(error.is_too_small());
        let error = refused(
            || SemaphoreSet::create_new(KEY, 3),
            &format!(
                "semget(0x00012345, 3, IPC_CREAT | IPC_EXCL | 0600): EEXIST, the key is taken: id {id} has \
                 mode 0600 and belongs to uid {uid}"
            ),
        );
        assert!(error.is_already_exists());
        let error = refused(
            || SemaphoreSet::open(Key::PRIVATE, 1),
            "semget(IPC_PRIVATE, 1, 0600): refused, nothing can be found under IPC_PRIVATE, only made",
        );
        assert!(error.is_invalid_input() && error.raw_os_error().is_none());
        refused(
            || SemaphoreSetOptions::new().mode(0o1600).open(KEY, 1),
            "semget(0x00012345, 1, 01600): refused, a mode has no bits beyond 0777",
        );
        refused(
            || there.set_mode(0o1000),
            &format!("semctl({id}, 0, IPC_SET, mode 01000): refused, a mode has no bits beyond 0777"),
        );
    });
}

#[test]
fn an_id_that_names_nothing() {
    private(|| {
        let set = set(&[1]).keep();
        let id = set.id();
        set.remove().unwrap();
        let gone = format!(
            "EINVAL, no semaphore set of this IPC namespace has id {id}: it was removed, or never was"
        );
        let errors = [
            refused(|| set.stat(), &format!("semctl({id}, 0, IPC_STAT): {gone}")),
            refused(|| SemaphoreSet::from_id(id), &format!("semctl({id}, 0, IPC_STAT): {gone}")),
            refused(|| set.get_all(), &format!("semctl({id}, 0, IPC_STAT): {gone}")),
            refused(|| set.get(2), &format!("semctl({id}, 2, GETVAL): {gone}")),
            refused(|| set.last_pid(0), &format!("semctl({id}, 0, GETPID): {gone}")),
            refused(|| set.set(0, 1), &format!("semctl({id}, 0, SETVAL, 1): {gone}")),
            refused(|| set.set_all(&[1]), &format!("semctl({id}, 0, SETALL): {gone}")),
            refused(|| set.remove(), &format!("semctl({id}, 0, IPC_RMID): {gone}")),
            refused(|| set.set_mode(0o600), &format!("semctl({id}, 0, IPC_STAT): {gone}")),
            refused(|| set.lock(0), &format!("semop({id}, [{{0, -1, SEM_UNDO}}]): {gone}")),
            refused(
                || set.operate(&[Operation::wait_for_zero(0)]),
                &format!("semop({id}, [{{0, 0, 0}}]): {gone}"),
            ),
            refused(
                || SemaphoreSet::from_id(SemaphoreSetId::new(-1)),
                "semctl(-1, 0, IPC_STAT): EINVAL, -1 is no id: ids are never negative",
            ),
        ];
        assert!(errors.iter().all(|error| error.is_removed() && error.raw_os_error() == Some(libc::EINVAL)));
    });
}

#[test]
fn an_index_a_number_or_a_list_that_does_not_fit() {
    private(|| {
        let set = set(&[1, 1, 1]);
        let id = set.id();
        let error = refused(
            || set.operate(&[Operation::take(0), Operation::add(3)]),
            &format!(
                "semop({id}, [{{0, -1, 0}}, {{3, 1, 0}}]): EFBIG, there is no semaphore 3: the set has 3"
            ),
        );
        assert!(error.is_invalid_input() && error.raw_os_error() == Some(libc::EFBIG));
        let none = "EINVAL, there is no semaphore 7: the set has 3";
        for error in [
            refused(|| set.get(7), &format!("semctl({id}, 7, GETVAL): {none}")),
            refused(|| set.set(7, 1), &format!("semctl({id}, 7, SETVAL, 1): {none}")),
            refused(|| set.waiting_for_more(7), &format!("semctl({id}, 7, GETNCNT): {none}")),
            refused(|| set.waiting_for_zero(7), &format!("semctl({id}, 7, GETZCNT): {none}")),
            refused(|| set.operate(&[]), &format!("semop({id}, []): EINVAL, no operation was given")),
            refused(
                || set.set_all(&[1, 1]),
                &format!("semctl({id}, 0, SETALL): refused, 2 values were given, the set has 3 semaphores"),
            ),
            refused(
                || set.set_all(&[1; 4]),
                &format!("semctl({id}, 0, SETALL): refused, 4 values were given, the set has 3 semaphores"),
            ),
            refused(
                || set.set(0, 32768),
                &format!("semctl({id}, 0, SETVAL, 32768): ERANGE, a value is at most SEMVMX = 32767"),
            ),
            refused(
                || set.set_all(&[1, 32768, 1]),
                &format!("semctl({id}, 0, SETALL): ERANGE, a value is at most SEMVMX = 32767"),
            ),
        ] {
            assert!(error.is_invalid_input(), "{error}");
        }
        let many = vec![Operation::add(0); 501];
        let error = refused(
            || set.operate_for(&many, Duration::from_millis(5)),
            &format!(
                "semtimedop({id}, [{{0, 1, 0}}, {{0, 1, 0}}, {{0, 1, 0}}, {{0, 1, 0}}, ... 501 in all], \
                 5ms): E2BIG, 501 operations are above the limit of a call, SEMOPM = 500 in kernel.sem"
            ),
        );
        assert!(error.is_limit() && error.raw_os_error() == Some(libc::E2BIG));
        refused(
            || set.try_operate(&[change(0, -2), Operation::add(1).undo()]),
            &format!(
                "semop({id}, [{{0, -2, IPC_NOWAIT}}, {{1, 1, SEM_UNDO | IPC_NOWAIT}}]): EAGAIN, it would \
                 have to wait"
            ),
        );
        refused(
            || set.operate_for(&[change(0, -2)], Duration::from_millis(5)),
            &format!("semtimedop({id}, [{{0, -2, 0}}], 5ms): EAGAIN, it would still have to wait after 5ms"),
        );
        assert_eq!(set.get_all().unwrap(), [1, 1, 1]);
        set.operate(&many[..500]).unwrap(); // as many as may be
    });
}

#[test]
fn a_value_or_an_undo_beyond_its_range() {
    private(|| {
        let set = set(&[32760, 0]);
        let id = set.id();
        let error = refused(
            || set.operate(&[Operation::add(1), change(0, 5), change(0, 3)]),
            &format!(
                "semop({id}, [{{1, 1, 0}}, {{0, 5, 0}}, {{0, 3, 0}}]): ERANGE, semaphore 0 has 32765, and 3 \
                 more are above SEMVMX = 32767"
            ),
        );
        assert!(error.is_limit() && error.raw_os_error() == Some(libc::ERANGE));
        assert_eq!(set.get_all().unwrap(), [32760, 0]);

        // What is to be undone is a sum of its own: here -32768, the least that a short holds.
        set.operate(&[change(1, 32767).undo(), change(1, -32767), Operation::add(1).undo()]).unwrap();
        let error = refused(
            || set.operate(&[Operation::add(1).undo()]),
            &format!(
                "semop({id}, [{{1, 1, SEM_UNDO}}]): ERANGE, the sum of what is to be undone at exit would be \
                 beyond what a short holds"
            ),
        );
        assert!(error.is_limit());
        set.operate(&[Operation::add(1)]).unwrap();
        assert_eq!(set.get(1).unwrap(), 2);
    });
}

#[test]
fn mode_bits_that_do_not_let_us_in() {
    private(|| {
        let reading = SemaphoreSetOptions::new().mode(0o400).create_new(KEY, 1).unwrap().remove_on_drop();
        let writing = SemaphoreSetOptions::new().mode(0o200);
        let writing = writing.create_new(Key::new(7), 1).unwrap().remove_on_drop();
        without_ipc_owner();
        let (a, b, uid) = (reading.id(), writing.id(), rustix::process::geteuid().as_raw());
        let has_a = format!("to this process: id {a} has mode 0400 and belongs to uid {uid}");
        let has_b = format!("to this process: id {b} has mode 0200 and belongs to uid {uid}");
        let (no_change, no_read) = (
            format!("EACCES, changing is not granted {has_a}"),
            format!("EACCES, reading is not granted {has_b}"),
        );
        let errors = [
            refused(
                || SemaphoreSet::open(KEY, 1),
                &format!("semget(0x00012345, 1, 0600): EACCES, the mode bits do not grant 0600 {has_a}"),
            ),
            refused(|| reading.set(0, 1), &format!("semctl({a}, 0, SETVAL, 1): {no_change}")),
            refused(|| reading.set_all(&[1]), &format!("semctl({a}, 0, SETALL): {no_change}")),
            refused(
                || reading.try_lock(0),
                &format!("semop({a}, [{{0, -1, SEM_UNDO | IPC_NOWAIT}}]): {no_change}"),
            ),
            refused(|| writing.stat(), &format!("semctl({b}, 0, IPC_STAT): {no_read}")),
            refused(|| writing.get(0), &format!("semctl({b}, 0, GETVAL): {no_read}")),
            refused(
                || writing.operate(&[Operation::wait_for_zero(0)]),
                &format!("semop({b}, [{{0, 0, 0}}]): {no_read}"),
            ),
        ];
        assert!(
            errors
                .iter()
                .all(|error| error.is_permission_denied() && error.raw_os_error() == Some(libc::EACCES))
        );
        // What each does allow.
        reading.operate(&[Operation::wait_for_zero(0)]).unwrap();
        writing.set_all(&[1]).unwrap();
        writing.lock(0).unwrap().unlock().unwrap();
        assert_eq!(SemaphoreSet::from_id(b).unwrap(), *writing);
        assert_eq!(SemaphoreSetOptions::new().mode(0).open(Key::new(7), 1).unwrap(), *writing);
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
fn a_set_of_somebody_else_cannot_be_removed() {
    private(|| {
        let (nobody, owner) = (rustix::process::Uid::from_raw(65534), rustix::process::geteuid().as_raw());
        let set = SemaphoreSetOptions::new().mode(0o666).create_new(KEY, 1).unwrap().remove_on_drop();
        let id = set.id();
        thread::scope(|scope| {
            scope.spawn(move || {
                if rustix::thread::set_thread_res_uid(nobody, nobody, nobody).is_err() || owner == 65534 {
                    return skip("removal of a set by a stranger", "this process cannot become another user");
                }
                let set = SemaphoreSet::open(KEY, 0).unwrap();
                let only = format!(
                    "EPERM, only its owner and its creator may, or CAP_SYS_ADMIN: id {id} has mode 0666 and \
                     belongs to uid {owner}"
                );
                for error in [
                    refused(|| set.remove(), &format!("semctl({id}, 0, IPC_RMID): {only}")),
                    refused(|| set.set_mode(0o777), &format!("semctl({id}, 0, IPC_SET): {only}")),
                ] {
                    assert!(error.is_permission_denied() && error.raw_os_error() == Some(libc::EPERM));
                }
                set.operate(&[Operation::add(0)]).unwrap(); // which the mode bits do grant
                assert_eq!(set.get(0).unwrap(), 1);
            });
        });
    });
}

#[test]
fn a_namespace_with_all_that_it_may_have() {
    private(|| {
        // The file is that of the namespace of whoever opens it: the machine's limits stay.
        let limit = |text: &str| fs::write("/proc/sys/kernel/sem", text);
        if let Err(error) = limit("3 5 2 2") {
            return skip("kernel.sem", &format!("it cannot be set in this namespace: {error}"));
        }
        let most = "are above the limit of a set, SEMMSL = 3 in kernel.sem";
        let error = refused(
            || SemaphoreSet::create(KEY, 4),
            &format!("semget(0x00012345, 4, IPC_CREAT | 0600): EINVAL, 4 semaphores {most}"),
        );
        assert!(error.is_limit());

        let first = set(&[1, 1, 1]);
        // The limit is looked at before the set: the same number, too small, and another reason.
        refused(
            || SemaphoreSet::open(KEY, 4),
            &format!("semget(0x00012345, 4, 0600): EINVAL, 4 semaphores {most}"),
        );
        let error = refused(
            || SemaphoreSet::create(Key::PRIVATE, 3),
            "semget(IPC_PRIVATE, 3, IPC_CREAT | 0600): ENOSPC, 3 semaphores on top of the 3 that this IPC \
             namespace has are above its limit, SEMMNS = 5 in kernel.sem",
        );
        assert!(error.is_limit() && error.raw_os_error() == Some(libc::ENOSPC));
        let _second = SemaphoreSet::create(Key::PRIVATE, 1).unwrap().remove_on_drop();
        refused(
            || SemaphoreSet::create(Key::PRIVATE, 1),
            "semget(IPC_PRIVATE, 1, IPC_CREAT | 0600): ENOSPC, this IPC namespace has 2 semaphore sets, and \
             its limit is SEMMNI = 2 in kernel.sem",
        );
        let (id, three) = (first.id(), [Operation::add(0); 3]);
        refused(
            || first.operate(&three),
            &format!(
                "semop({id}, [{{0, 1, 0}}, {{0, 1, 0}}, {{0, 1, 0}}]): E2BIG, 3 operations are above the \
                 limit of a call, SEMOPM = 2 in kernel.sem"
            ),
        );
        // A set that is larger than the limit by now goes on as it was; even finding it needs a smaller
        // number.
        limit("2 5 2 2").unwrap();
        assert_eq!(first.get_all().unwrap(), [1, 1, 1]);
        assert_eq!(SemaphoreSet::open(KEY, 2).unwrap(), *first);
        assert!(SemaphoreSet::open(KEY, 3).unwrap_err().is_limit());
    });
}

#[test]
fn an_id_that_is_another_set_by_now_overruns_nothing() {
    private(|| {
        // The first set of each of two namespaces: the same id.
        let small = set(&[1, 2]);
        thread::scope(|scope| {
            scope.spawn(|| {
                private(|| {
                    let large = set(&[7; 3000]);
                    assert_eq!(small.id(), large.id());
                    assert_eq!(small.get_all().unwrap(), [7; 3000], "asked anew each time");
                    let error = small.set_all(&[1, 2]).unwrap_err();
                    assert!(error.is_invalid_input(), "{error}");
                    assert_eq!(large.get_all().unwrap(), [7; 3000]);
                });
            });
        });
        assert_eq!(small.get_all().unwrap(), [1, 2]);
    });
}
