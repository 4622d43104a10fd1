//! What an errno of a semaphore call means here: looks where the errno alone does not say, and gives the
//! figures.
//!
//! As with segments, all this runs after a failure and may come too late. Then the text says less.

use std::fmt::Write;
use std::time::Duration;

use libc::c_int;
use nix::errno::Errno;

use crate::diagnosis::NO_SYSTEM_V;
use crate::error::{Cause, Error};
use crate::{Key, Operation, SemaphoreSetId, SemaphoreSetStat, sys};

/// The largest value of a semaphore, `SEMVMX`. Kernel: `include/uapi/linux/sem.h`.
const SEMVMX: i32 = 32767;
/// How many operations are spelled out in a call.
const SHOWN: usize = 4;

/// Explains why `semget(key, count, flags)` failed with `errno`.
#[cold]
pub(super) fn get(key: Key, count: u16, flags: c_int, errno: Errno) -> Error {
    let (cause, meaning) = match errno {
        Errno::ENOENT => (Cause::NotFound, "no semaphore set of this IPC namespace has the key".into()),
        Errno::EEXIST => (Cause::Exists, format!("the key is taken{}", by_whom(key))),
        Errno::EACCES => (
            Cause::Denied,
            format!("the mode bits do not grant 0{:03o} to this process{}", flags & 0o777, by_whom(key)),
        ),
        Errno::EINVAL => get_invalid(key, count),
        Errno::ENOSPC => (Cause::Limit, namespace_full(count)),
        Errno::ENOMEM => (Cause::Limit, format!("no memory for {count} semaphores")),
        Errno::ENOSYS => (Cause::Other, NO_SYSTEM_V.into()),
        other => (Cause::Other, other.desc().to_string()),
    };
    Error::kernel(get_call(key, count, flags), errno, cause, meaning)
}

/// `semget` as it would be written in C.
pub(super) fn get_call(key: Key, count: u16, flags: c_int) -> String {
    let mut call = format!("semget({key}, {count}, ");
    for (bit, name) in [(sys::IPC_CREAT, "IPC_CREAT | "), (sys::IPC_EXCL, "IPC_EXCL | ")] {
        if flags & bit != 0 {
            call.push_str(name);
        }
    }
    call + &format!("0{:03o})", flags & 0o777)
}

/// The causes of EINVAL in `semget`, in the order in which the kernel would find them: the limit comes first,
/// even where a set exists.
fn get_invalid(key: Key, count: u16) -> (Cause, String) {
    if let Ok((_, limits)) = sys::semctl_limits()
        && i32::from(count) > limits.semmsl
    {
        let most = limits.semmsl;
        let meaning =
            format!("{count} semaphores are above the limit of a set, SEMMSL = {most} in kernel.sem");
        return (Cause::Limit, meaning);
    }
    match taken(key) {
        Some(id) => {
            let has = look(id).map_or_else(|| "fewer".into(), |stat| stat.count.to_string());
            let meaning =
                format!("the set with this key (id {id}) has {has} semaphores, {count} were asked for");
            (Cause::TooSmall, meaning)
        }
        None => (Cause::Invalid, "a new set has at least one semaphore".into()),
    }
}

/// Which limit of the namespace ENOSPC is about. The kernel looks at the semaphores first, at the sets last.
fn namespace_full(count: u16) -> String {
    let Ok((_, usage)) = sys::semctl_usage() else {
        return "a limit of this IPC namespace, kernel.sem: SEMMNS (semaphores) or SEMMNI (sets)".into();
    };
    let (sets, semaphores) = (usage.semusz, usage.semaem);
    if i64::from(semaphores) + i64::from(count) > i64::from(usage.semmns) {
        let most = usage.semmns;
        return format!(
            "{count} semaphores on top of the {semaphores} that this IPC namespace has are above its limit, \
             SEMMNS = {most} in kernel.sem"
        );
    }
    let most = usage.semmni;
    format!("this IPC namespace has {sets} semaphore sets, and its limit is SEMMNI = {most} in kernel.sem")
}

/// Explains why `semop` or `semtimedop` failed with `errno`.
#[cold]
pub(super) fn operate(
    id: SemaphoreSetId,
    operations: &[Operation],
    timeout: Option<Duration>,
    errno: Errno,
) -> Error {
    let alters = operations.iter().any(|operation| operation.by() != 0);
    let (cause, meaning) = match errno {
        Errno::EAGAIN => {
            match timeout.filter(|_| !operations.iter().any(|operation| operation.waits_never())) {
                Some(timeout) => (Cause::TimedOut, format!("it would still have to wait after {timeout:?}")),
                None => (Cause::WouldBlock, "it would have to wait".into()),
            }
        }
        Errno::EINTR => {
            let meaning = "a signal came while it waited; nothing was done, and nothing restarts it";
            (Cause::Interrupted, meaning.into())
        }
        Errno::EIDRM => (Cause::Removed, "the set was removed while it waited".into()),
        Errno::EINVAL if operations.is_empty() => (Cause::Invalid, "no operation was given".into()),
        Errno::EINVAL => gone(id),
        Errno::ERANGE => (Cause::Limit, out_of_range(id, operations)),
        Errno::EFBIG => (Cause::Invalid, beyond(id, operations)),
        Errno::E2BIG => (Cause::Limit, too_many(operations.len())),
        Errno::EACCES if alters => {
            (Cause::Denied, format!("changing is not granted to this process{}", owner(id)))
        }
        Errno::EACCES => (Cause::Denied, format!("reading is not granted to this process{}", owner(id))),
        Errno::ENOMEM => (Cause::Limit, "no memory, for the operations or for what is to be undone".into()),
        other => (Cause::Other, other.desc().to_string()),
    };
    Error::kernel(operate_call(id, operations, timeout), errno, cause, meaning)
}

/// `semop` as it would be written in C, with the first few of its operations.
fn operate_call(id: SemaphoreSetId, operations: &[Operation], timeout: Option<Duration>) -> String {
    let name = if timeout.is_some() { "semtimedop" } else { "semop" };
    let mut call = format!("{name}({id}, [");
    for (at, operation) in operations.iter().take(SHOWN).enumerate() {
        let separator = if at == 0 { "" } else { ", " };
        // Writing into a string cannot fail.
        let _ = write!(call, "{separator}{operation}");
    }
    if operations.len() > SHOWN {
        let _ = write!(call, ", ... {} in all", operations.len());
    }
    call.push(']');
    if let Some(timeout) = timeout {
        let _ = write!(call, ", {timeout:?}");
    }
    call + ")"
}

/// Which of the two ranges ERANGE is about: goes through the operations as the kernel does.
fn out_of_range(id: SemaphoreSetId, operations: &[Operation]) -> String {
    let mut values: Vec<i32> = look(id)
        .and_then(|stat| sys::semctl_get_all(id.number(), stat.count).ok())
        .map(|values| values.into_iter().map(i32::from).collect())
        .unwrap_or_default();
    for operation in operations {
        let Some(value) = values.get_mut(usize::from(operation.index())) else { break };
        let (has, by) = (*value, i32::from(operation.by()));
        *value = has + by;
        if *value > SEMVMX {
            return format!(
                "semaphore {} has {has}, and {by} more are above SEMVMX = {SEMVMX}",
                operation.index()
            );
        }
    }
    if values.is_empty() {
        return format!("a value would be above SEMVMX = {SEMVMX}, or a sum to be undone beyond a short");
    }
    "the sum of what is to be undone at exit would be beyond what a short holds".into()
}

/// Which index EFBIG is about.
fn beyond(id: SemaphoreSetId, operations: &[Operation]) -> String {
    let highest = operations.iter().map(|operation| operation.index()).max().unwrap_or_default();
    no_such(id, highest)
}

fn no_such(id: SemaphoreSetId, index: u16) -> String {
    let has = look(id).map_or_else(String::new, |stat| format!(": the set has {}", stat.count));
    format!("there is no semaphore {index}{has}")
}

fn too_many(count: usize) -> String {
    match sys::semctl_limits() {
        Ok((_, limits)) => {
            format!(
                "{count} operations are above the limit of a call, SEMOPM = {} in kernel.sem",
                limits.semopm
            )
        }
        Err(_) => format!("{count} operations are above the limit of a call, SEMOPM in kernel.sem"),
    }
}

/// Explains why `semctl(id, index, command)` failed with `errno`.
#[cold]
pub(super) fn control(id: SemaphoreSetId, index: Option<u16>, command: &str, errno: Errno) -> Error {
    let writes = command.starts_with("SET");
    let (cause, meaning) = match (errno, index) {
        // The kernel says EINVAL for an index too; that a set is there tells the two apart.
        (Errno::EINVAL, Some(index)) if look(id).is_some_and(|stat| stat.count <= usize::from(index)) => {
            (Cause::Invalid, no_such(id, index))
        }
        (Errno::EINVAL, _) if command == "IPC_SET" && look(id).is_some() => {
            (Cause::Invalid, "this user namespace does not know the new owner or group".into())
        }
        (Errno::EINVAL | Errno::EIDRM, _) => gone(id),
        (Errno::ERANGE, _) => (Cause::Invalid, format!("a value is at most SEMVMX = {SEMVMX}")),
        (Errno::EFAULT, _) => {
            (Cause::Removed, format!("id {id} became another set meanwhile, with more semaphores"))
        }
        (Errno::EACCES, _) => {
            let what = if writes { "changing" } else { "reading" };
            (Cause::Denied, format!("{what} is not granted to this process{}", owner(id)))
        }
        (Errno::EPERM, _) => {
            (Cause::Denied, format!("only its owner and its creator may, or CAP_SYS_ADMIN{}", owner(id)))
        }
        (other, _) => (Cause::Other, other.desc().to_string()),
    };
    Error::kernel(format!("semctl({id}, {}, {command})", index.unwrap_or(0)), errno, cause, meaning)
}

/// Nobody has initialised the set in all that time.
pub(super) fn uninitialised(id: SemaphoreSetId, patience: Duration) -> Error {
    let whose = look(id).map_or_else(String::new, |stat| format!(", made by uid {}", stat.creator_uid));
    let meaning = format!(
        "nobody has done an operation on the set (id {id}{whose}) within {patience:?}: whoever makes a set \
         says so that its values are meant; he may have been killed before"
    );
    Error::refused(format!("semctl({id}, 0, IPC_STAT)"), Cause::Uninitialised, meaning)
}

/// An id that names nothing: EINVAL as a rule, EIDRM when the removal is just happening.
fn gone(id: SemaphoreSetId) -> (Cause, String) {
    let meaning = if id.number() < 0 {
        format!("{id} is no id: ids are never negative")
    } else {
        format!("no semaphore set of this IPC namespace has id {id}: it was removed, or never was")
    };
    (Cause::Removed, meaning)
}

/// `: id 5 has mode 0600 and belongs to uid 0` - whose permission is missing; empty when nobody can tell.
fn owner(id: SemaphoreSetId) -> String {
    look(id).map_or_else(String::new, |stat| {
        format!(": id {id} has mode 0{:03o} and belongs to uid {}", stat.mode, stat.uid)
    })
}

/// The same for the set that has `key` now.
fn by_whom(key: Key) -> String {
    taken(key).map_or_else(String::new, owner)
}

/// The id of the set that has `key`, for whoever asks: no semaphores and no mode bits, so nothing to refuse.
fn taken(key: Key) -> Option<SemaphoreSetId> {
    if key.is_private() {
        return None; // semget would make a set
    }
    sys::semget(key.number(), 0, 0).ok().map(SemaphoreSetId::new)
}

/// `IPC_STAT`, and without read permission `SEM_STAT_ANY`, which needs none but goes by index.
pub(super) fn look(id: SemaphoreSetId) -> Option<SemaphoreSetStat> {
    match sys::semctl_stat(id.number()) {
        Ok(raw) => Some(SemaphoreSetStat::new(id, &raw)),
        Err(Errno::EACCES) => {
            // An id is `sequence * 2^15 + index`; 2^24 when the kernel was booted with `ipcmni_extend`.
            [15, 24].into_iter().find_map(|bits| {
                let (found, raw) = sys::semctl_stat_any(id.number() & ((1 << bits) - 1)).ok()?;
                (found == id.number()).then(|| SemaphoreSetStat::new(id, &raw))
            })
        }
        Err(_) => None,
    }
}
