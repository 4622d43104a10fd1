//! What an errno of a segment call means here: looks where the errno alone does not say, and gives the
//! figures.
//!
//! Everything here runs after a failure and may itself fail or come too late (another process can remove the
//! segment meanwhile). Then the text says less, never something wrong.

use libc::c_int;
use nix::errno::Errno;

use crate::error::{Cause, Error};
use crate::{Key, SegmentId, SegmentStat, sys};

/// Explains why `shmget(key, size, flags)` failed with `errno`.
#[cold]
pub(crate) fn get(key: Key, size: usize, flags: c_int, errno: Errno) -> Error {
    let (cause, meaning) = match errno {
        Errno::ENOENT => (Cause::NotFound, "no segment of this IPC namespace has the key".into()),
        Errno::EEXIST => (Cause::Exists, format!("the key is taken{}", by_whom(key))),
        Errno::EACCES => (
            Cause::Denied,
            format!("the mode bits do not grant 0{:03o} to this process{}", flags & 0o777, by_whom(key)),
        ),
        Errno::EINVAL => get_invalid(key, size),
        Errno::ENOSPC => (Cause::Limit, namespace_full(size)),
        Errno::ENOMEM => {
            (Cause::Limit, format!("no memory for {size} bytes: all of a segment is charged when it is made"))
        }
        other => (Cause::Other, other.desc().to_string()),
    };
    Error::kernel(get_call(key, size, flags), errno, cause, meaning)
}

/// `shmget` as it would be written in C.
pub(crate) fn get_call(key: Key, size: usize, flags: c_int) -> String {
    let mut call = format!("shmget({key}, {size}, ");
    for (bit, name) in [(libc::IPC_CREAT, "IPC_CREAT | "), (libc::IPC_EXCL, "IPC_EXCL | ")] {
        if flags & bit != 0 {
            call.push_str(name);
        }
    }
    call + &format!("0{:03o})", flags & 0o777)
}

/// The causes of EINVAL in `shmget`, in the order in which the kernel would find them.
fn get_invalid(key: Key, size: usize) -> (Cause, String) {
    if size == 0 {
        return (Cause::Invalid, "size 0: a new segment has at least one byte".into());
    }
    if let Some(id) = taken(key) {
        return match look(id).map(|stat| stat.size) {
            Some(has) if has >= size => {
                (Cause::Other, format!("the key changed hands meanwhile: now it is id {id}, of {has} bytes"))
            }
            Some(has) => (
                Cause::TooSmall,
                format!("the segment with this key (id {id}) has {has} bytes, {size} were asked for"),
            ),
            None => (
                Cause::TooSmall,
                format!("the segment with this key (id {id}) has fewer bytes than the {size} asked for"),
            ),
        };
    }
    match sys::shmctl_limits() {
        Ok(limits) if size as u64 > limits.shmmax => (
            Cause::Limit,
            format!("{size} bytes are above the limit of a segment, kernel.shmmax = {}", limits.shmmax),
        ),
        _ => (Cause::Limit, format!("{size} bytes are more than a file in the kernel's tmpfs can have")),
    }
}

/// Which limit of the namespace ENOSPC is about. The kernel looks at the pages first, at the number of
/// segments last.
fn namespace_full(size: usize) -> String {
    let (Ok(limits), Ok(usage)) = (sys::shmctl_limits(), sys::shmctl_usage()) else {
        return "a limit of this IPC namespace: kernel.shmall (pages) or kernel.shmmni (segments)".into();
    };
    if u64::try_from(usage.used_ids).is_ok_and(|used| used >= limits.shmmni) {
        let (used, most) = (usage.used_ids, limits.shmmni);
        return format!("this IPC namespace has {used} segments, and its limit is kernel.shmmni = {most}");
    }
    let (used, most) = (usage.shm_tot, limits.shmall);
    format!(
        "{size} bytes on top of the {used} pages that this IPC namespace has are above its kernel.shmall = \
         {most} pages"
    )
}

/// Explains why attaching `id` failed with `errno`.
#[cold]
pub(crate) fn attach(id: SegmentId, flags: c_int, size: usize, errno: Errno) -> Error {
    let call = attach_call(id, flags);
    let needed = if flags & libc::SHM_RDONLY == 0 { "reading and writing" } else { "reading" };
    let (cause, meaning) = match errno {
        Errno::EINVAL | Errno::EIDRM => gone(id),
        Errno::EACCES => (Cause::Denied, format!("{needed} is not granted to this process{}", owner(id))),
        Errno::ENOMEM => (Cause::Limit, format!("no room for {size} bytes in this process's address space")),
        other => (Cause::Other, other.desc().to_string()),
    };
    Error::kernel(call, errno, cause, meaning)
}

/// `shmat` as it would be written in C.
pub(crate) fn attach_call(id: SegmentId, flags: c_int) -> String {
    let flags = if flags & libc::SHM_RDONLY == 0 { "0" } else { "SHM_RDONLY" };
    format!("shmat({id}, NULL, {flags})")
}

/// Explains why `shmctl(id, command)` failed with `errno`.
#[cold]
pub(crate) fn control(id: SegmentId, command: &str, errno: Errno) -> Error {
    let (cause, meaning) = match errno {
        Errno::EINVAL | Errno::EIDRM => gone(id),
        Errno::EACCES => (Cause::Denied, format!("reading is not granted to this process{}", owner(id))),
        Errno::EPERM => {
            (Cause::Denied, format!("only its owner and its creator may, or CAP_SYS_ADMIN{}", owner(id)))
        }
        other => (Cause::Other, other.desc().to_string()),
    };
    Error::kernel(format!("shmctl({id}, {command})"), errno, cause, meaning)
}

/// An id that names nothing: EINVAL as a rule, EIDRM when the removal is just happening.
fn gone(id: SegmentId) -> (Cause, String) {
    let meaning = if id.number() < 0 {
        format!("{id} is no id: ids are never negative")
    } else {
        format!("no segment of this IPC namespace has id {id}: it was removed, or never was")
    };
    (Cause::Removed, meaning)
}

/// `: id 5, mode 0600, owned by uid 0` - whose permission is missing; empty when nobody can tell any more.
fn owner(id: SegmentId) -> String {
    look(id).map_or_else(String::new, |stat| {
        format!(": id {id} has mode 0{:03o} and belongs to uid {}", stat.mode, stat.uid)
    })
}

/// The same for the segment that has `key` now.
fn by_whom(key: Key) -> String {
    taken(key).map_or_else(String::new, owner)
}

/// The id of the segment that has `key`, for whoever asks: `shmget` with size 0 and no mode bits asks for
/// nothing that could be refused.
fn taken(key: Key) -> Option<SegmentId> {
    if key.is_private() {
        return None; // shmget would make a segment
    }
    sys::shmget(key.number(), 0, 0).ok().map(SegmentId::new)
}

/// `IPC_STAT`, and without read permission `SHM_STAT_ANY`, which needs none but goes by index.
pub(crate) fn look(id: SegmentId) -> Option<SegmentStat> {
    match sys::shmctl_stat(id.number()) {
        Ok(raw) => Some(SegmentStat::new(id, &raw)),
        Err(Errno::EACCES) => {
            // An id is `sequence * 2^15 + index`; 2^24 when the kernel was booted with `ipcmni_extend`.
            [15, 24].into_iter().find_map(|bits| {
                let (found, raw) = sys::shmctl_stat_any(id.number() & ((1 << bits) - 1)).ok()?;
                (found == id.number()).then(|| SegmentStat::new(id, &raw))
            })
        }
        Err(_) => None,
    }
}
