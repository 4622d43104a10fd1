//! What an errno of a segment call means here: looks where the errno alone does not say, and gives the
//! figures.
//!
//! Everything here runs after a failure and may itself fail or come too late (another process can remove the
//! segment meanwhile). Then the text says less, never something wrong.

use libc::c_int;
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit};

use crate::error::{Cause, Error};
use crate::{Key, SegmentId, SegmentLimits, SegmentStat, SegmentUsage, huge, sys};

/// What ENOSYS means.
pub(crate) const NO_SYSTEM_V: &str = if cfg!(target_pointer_width = "64") {
    "this kernel is built without System V IPC"
} else {
    "this kernel is built without System V IPC, or is older than Linux 5.1"
};

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
        Errno::EINVAL => get_invalid(key, size, flags),
        Errno::ENOSPC => (Cause::Limit, namespace_full(size)),
        Errno::EPERM if flags & sys::SHM_HUGETLB != 0 => (
            Cause::Denied,
            "huge pages are for whoever has CAP_IPC_LOCK or is in the group vm.hugetlb_shm_group".into(),
        ),
        Errno::ENOMEM if flags & sys::SHM_HUGETLB != 0 => (Cause::Limit, no_huge_pages(size, flags)),
        Errno::ENOMEM => {
            (Cause::Limit, format!("no memory for {size} bytes: all of a segment is charged when it is made"))
        }
        Errno::ENFILE => (Cause::Limit, "the system has no free file (fs.file-max)".into()),
        Errno::ENOSYS => (Cause::Other, NO_SYSTEM_V.into()),
        other => (Cause::Other, other.desc().to_string()),
    };
    Error::kernel(get_call(key, size, flags), errno, cause, meaning)
}

/// `shmget` as it would be written in C.
pub(crate) fn get_call(key: Key, size: usize, flags: c_int) -> String {
    let mut call = format!("shmget({key}, {size}, ");
    let names = [
        (sys::IPC_CREAT, "IPC_CREAT | "),
        (sys::IPC_EXCL, "IPC_EXCL | "),
        (sys::SHM_NORESERVE, "SHM_NORESERVE | "),
        (sys::SHM_HUGETLB, "SHM_HUGETLB | "),
    ];
    for (bit, name) in names {
        if flags & bit != 0 {
            call.push_str(name);
        }
    }
    let huge = flags.cast_unsigned() >> sys::SHM_HUGE_SHIFT;
    if huge != 0 {
        call.push_str(&format!("{huge} << SHM_HUGE_SHIFT | "));
    }
    call + &format!("0{:03o})", flags & 0o777)
}

/// The causes of EINVAL in `shmget`, in the order in which the kernel would find them.
fn get_invalid(key: Key, size: usize, flags: c_int) -> (Cause, String) {
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
    match SegmentLimits::now() {
        Ok(limits) if size as u64 > limits.max_size => (
            Cause::Limit,
            format!("{size} bytes are above the limit of a segment, kernel.shmmax = {}", limits.max_size),
        ),
        _ if unknown_huge_pages(flags) => {
            (Cause::Invalid, "this machine has no huge pages of that size".into())
        }
        _ => (Cause::Limit, format!("{size} bytes are more than a file in the kernel's tmpfs can have")),
    }
}

/// The size of the huge pages asked for, when it is not the machine's default.
fn huge_page_size(flags: c_int) -> Option<usize> {
    let huge = flags.cast_unsigned() >> sys::SHM_HUGE_SHIFT;
    if huge == 0 { None } else { 1_usize.checked_shl(huge) }
}

/// Whether huge pages of a size were asked for that the machine does not have.
fn unknown_huge_pages(flags: c_int) -> bool {
    flags & sys::SHM_HUGETLB != 0 && huge_page_size(flags).is_some_and(|size| huge::pool(size).is_none())
}

/// How many huge pages there are instead of those asked for.
fn no_huge_pages(size: usize, flags: c_int) -> String {
    match huge_page_size(flags).and_then(|of| Some((of, huge::pool(of)?))) {
        Some((of, (all, free))) => format!(
            "{size} bytes need {} huge pages of {of} bytes, and {free} of the {all} that the machine has are \
             free",
            size.div_ceil(of)
        ),
        None => format!("not enough huge pages for {size} bytes are free"),
    }
}

/// Which limit of the namespace ENOSPC is about. The kernel looks at the pages first, at the number of
/// segments last.
fn namespace_full(size: usize) -> String {
    let (Ok(limits), Ok(usage)) = (SegmentLimits::now(), SegmentUsage::now()) else {
        return "a limit of this IPC namespace: kernel.shmall (pages) or kernel.shmmni (segments)".into();
    };
    if usage.segments >= limits.max_segments {
        let (used, most) = (usage.segments, limits.max_segments);
        return format!("this IPC namespace has {used} segments, and its limit is kernel.shmmni = {most}");
    }
    let (used, most) = (usage.pages, limits.max_pages);
    format!(
        "{size} bytes on top of the {used} pages that this IPC namespace has are above its kernel.shmall = \
         {most} pages"
    )
}

/// Explains why attaching `id` at `address` failed with `errno`.
#[cold]
pub(crate) fn attach(id: SegmentId, address: usize, flags: c_int, errno: Errno) -> Error {
    let (cause, meaning) = match errno {
        Errno::EINVAL | Errno::EIDRM => attach_invalid(id, address, flags),
        Errno::EACCES => {
            let needed = needed(flags);
            (Cause::Denied, format!("{needed} is not granted to this process{}", owner(id)))
        }
        Errno::ENOMEM => {
            let size = look(id).map_or_else(|| "its".into(), |stat| stat.size.to_string());
            (Cause::Limit, format!("no room for {size} bytes in this process's address space"))
        }
        Errno::EAGAIN => (Cause::Limit, locked_from_the_start()),
        Errno::ENFILE => (Cause::Limit, "the system has no free file (fs.file-max)".into()),
        Errno::EPERM => (Cause::Denied, "the address is below vm.mmap_min_addr".into()),
        other => (Cause::Other, other.desc().to_string()),
    };
    Error::kernel(attach_call(id, address, flags), errno, cause, meaning)
}

/// What an attachment with these flags needs of the mode bits.
fn needed(flags: c_int) -> &'static str {
    match (flags & sys::SHM_RDONLY == 0, flags & sys::SHM_EXEC == 0) {
        (true, true) => "reading and writing",
        (true, false) => "reading, writing and executing",
        (false, true) => "reading",
        (false, false) => "reading and executing",
    }
}

/// The causes of EINVAL in `shmat`: the address is looked at first, the segment next, and what lies there
/// last.
fn attach_invalid(id: SegmentId, address: usize, flags: c_int) -> (Cause, String) {
    let page = sys::page_size();
    if flags & sys::SHM_RND == 0 && !address.is_multiple_of(page) {
        return (Cause::Invalid, format!("the address is no multiple of the page size, {page}"));
    }
    if flags & sys::SHM_RND == 0 && !address.is_multiple_of(page * sys::SHMLBA_PAGES) {
        // Not asked for by every kernel, so there may be another cause.
        let meaning = "the address is no multiple of SHMLBA (four pages), or something is mapped there";
        return (Cause::Invalid, meaning.into());
    }
    match look(id) {
        Some(stat) if address != 0 => {
            let size = stat.size;
            (
                Cause::Other,
                format!("something is mapped at the address already, or in the {size} bytes from there"),
            )
        }
        _ => gone(id),
    }
}

/// `shmat` as it would be written in C.
pub(crate) fn attach_call(id: SegmentId, address: usize, flags: c_int) -> String {
    let address = if address == 0 { "NULL".to_owned() } else { format!("{address:#x}") };
    let names = [
        (sys::SHM_RDONLY, "SHM_RDONLY"),
        (sys::SHM_RND, "SHM_RND"),
        (sys::SHM_REMAP, "SHM_REMAP"),
        (sys::SHM_EXEC, "SHM_EXEC"),
    ];
    let names: Vec<&str> = names.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).collect();
    let flags = if names.is_empty() { "0".to_owned() } else { names.join(" | ") };
    format!("shmat({id}, {address}, {flags})")
}

/// Explains why `shmctl(id, command)` failed with `errno`.
#[cold]
pub(crate) fn control(id: SegmentId, command: &str, errno: Errno) -> Error {
    let (cause, meaning) = match errno {
        Errno::EINVAL | Errno::EIDRM => gone(id),
        Errno::EACCES => (Cause::Denied, format!("reading is not granted to this process{}", owner(id))),
        Errno::EPERM if command == "SHM_LOCK" || command == "SHM_UNLOCK" => (
            Cause::Denied,
            format!(
                "only its owner and its creator may, if RLIMIT_MEMLOCK is not 0 (here {}), or CAP_IPC_LOCK{}",
                memlock(),
                owner(id)
            ),
        ),
        Errno::ENOMEM if command == "SHM_LOCK" => (
            Cause::Limit,
            format!("this user may lock no more than RLIMIT_MEMLOCK = {} in all{}", memlock(), owner(id)),
        ),
        Errno::EPERM => {
            (Cause::Denied, format!("only its owner and its creator may, or CAP_SYS_ADMIN{}", owner(id)))
        }
        other => (Cause::Other, other.desc().to_string()),
    };
    Error::kernel(format!("shmctl({id}, {command})"), errno, cause, meaning)
}

/// What EAGAIN means of a new mapping.
pub(crate) fn locked_from_the_start() -> String {
    format!(
        "this process locks all that it maps (mlockall), and may lock no more than RLIMIT_MEMLOCK = {} in all",
        memlock()
    )
}

/// The limit of locked memory.
fn memlock() -> String {
    match getrlimit(Resource::RLIMIT_MEMLOCK) {
        Ok((soft, _)) => format!("{soft} bytes"),
        Err(_) => "unknown".into(),
    }
}

/// Explains why IPC_SET failed with `errno`: EINVAL has one meaning more than elsewhere.
#[cold]
pub(crate) fn set(id: SegmentId, uid: u32, gid: u32, errno: Errno) -> Error {
    match (errno, look(id)) {
        (Errno::EINVAL, Some(_)) => {
            let meaning = format!("this user namespace has no uid {uid}, or no gid {gid}");
            Error::kernel(format!("shmctl({id}, IPC_SET)"), errno, Cause::Invalid, meaning)
        }
        _ => control(id, "IPC_SET", errno),
    }
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

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_kernel_without_system_v_is_told_from_a_refusal() {
        let error = get(Key::PRIVATE, 4096, sys::IPC_CREAT, Errno::ENOSYS);
        assert!(error.to_string().ends_with(&format!("ENOSYS, {NO_SYSTEM_V}")), "{error}");
        assert!(!error.is_limit() && !error.is_invalid_input());
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::Unsupported);
    }
}
