//! What a program and the kernel say to each other: numbers, and the layouts of structures.
//!
//! They are the kernel's own, and not a libc's. glibc's `semctl` cuts times to 32 bits on 32-bit machines,
//! musl's constants change with the width of its `time_t`, and for Android the crate `libc` declares none of
//! these functions, which bionic has from API level 26 on. The kernel's side is one for all of them, and
//! differs by architecture in what is below.
//!
//! # References
//!
//! The kernel's `include/uapi/linux/{ipc,shm,sem}.h`, `include/uapi/asm-generic/{ipcbuf,shmbuf,sembuf}.h`,
//! `arch/x86/include/uapi/asm/sembuf.h`, and each architecture's table of system calls

use libc::{c_int, c_short, c_uint, c_ushort};

#[cfg(not(any(
    all(target_arch = "x86_64", target_pointer_width = "64"),
    target_arch = "x86",
    all(target_arch = "aarch64", target_pointer_width = "64", target_endian = "little"),
    all(target_arch = "arm", target_endian = "little"),
    target_arch = "riscv64",
)))]
compile_error!(
    "sysv-shm knows the kernel's structures for x86, x86-64, arm, aarch64 and riscv64 (little-endian); \
     for this architecture they are to be compared with `sysv-shm/src/sys/abi.rs` first"
);

/// The numbers of the calls.
#[cfg(not(target_arch = "x86"))]
pub(super) mod number {
    #[cfg(target_pointer_width = "64")]
    pub(in crate::sys) use libc::SYS_semtimedop as SEMTIMEDOP;
    pub(in crate::sys) use libc::{
        SYS_semctl as SEMCTL, SYS_semget as SEMGET, SYS_shmat as SHMAT, SYS_shmctl as SHMCTL,
        SYS_shmdt as SHMDT, SYS_shmget as SHMGET,
    };
    /// `semtimedop_time64`, which takes the [`Timeout`](super::Timeout) that 64-bit machines always had.
    #[cfg(target_pointer_width = "32")]
    pub(in crate::sys) const SEMTIMEDOP: libc::c_long = 420;
}

/// The numbers of the calls: since Linux 5.1. Before, there was one call, `ipc`, for all of them.
/// Kernel: `arch/x86/entry/syscalls/syscall_32.tbl`.
#[cfg(target_arch = "x86")]
pub(super) mod number {
    use libc::c_long;

    pub(in crate::sys) const SEMGET: c_long = 393;
    pub(in crate::sys) const SEMCTL: c_long = 394;
    pub(in crate::sys) const SHMGET: c_long = 395;
    pub(in crate::sys) const SHMCTL: c_long = 396;
    pub(in crate::sys) const SHMAT: c_long = 397;
    pub(in crate::sys) const SHMDT: c_long = 398;
    /// `semtimedop_time64`.
    pub(in crate::sys) const SEMTIMEDOP: c_long = 420;
}

/// Goes with every command of `shmctl` and `semctl`: asks for the structures below. On arm the kernel fills
/// those of the year 1995 without it; elsewhere it has no others, and refuses the flag.
pub(super) const IPC_64: c_int = if cfg!(target_arch = "arm") { 0x100 } else { 0 };

pub(crate) const IPC_PRIVATE: c_int = 0;
pub(crate) const IPC_CREAT: c_int = 0o1000;
pub(crate) const IPC_EXCL: c_int = 0o2000;
pub(crate) const IPC_NOWAIT: c_short = 0o4000;
pub(super) const IPC_RMID: c_int = 0;
pub(super) const IPC_SET: c_int = 1;
pub(super) const IPC_STAT: c_int = 2;
pub(super) const IPC_INFO: c_int = 3;

/// Mode bit: removed while attached, destroyed with the last detach.
pub(crate) const SHM_DEST: u32 = 0o1000;
/// Mode bit: locked in memory.
pub(crate) const SHM_LOCKED: u32 = 0o2000;

pub(super) const SHM_LOCK: c_int = 11;
pub(super) const SHM_UNLOCK: c_int = 12;
pub(super) const SHM_INFO: c_int = 14;
pub(super) const SHM_STAT_ANY: c_int = 15;

pub(crate) const SHM_HUGETLB: c_int = 0o4000;
/// No page is set aside, and none is charged, before it is touched.
pub(crate) const SHM_NORESERVE: c_int = 0o10000;
/// Where the page size of `SHM_HUGETLB` is: its binary logarithm, in six bits.
pub(crate) const SHM_HUGE_SHIFT: u32 = 26;

pub(crate) const SHM_RDONLY: c_int = 0o10000;
pub(crate) const SHM_RND: c_int = 0o20000;
pub(crate) const SHM_REMAP: c_int = 0o40000;
/// Attach with the right to execute.
pub(crate) const SHM_EXEC: c_int = 0o100_000;

/// SHMLBA in pages: what addresses have to be multiples of. (A 64-bit ARM kernel takes any page of a 32-bit
/// process, but may round to this.)
pub(crate) const SHMLBA_PAGES: usize = if cfg!(target_arch = "arm") { 4 } else { 1 };

pub(crate) const SEM_UNDO: c_short = 0x1000;
pub(crate) const GETPID: c_int = 11;
pub(crate) const GETVAL: c_int = 12;
pub(super) const GETALL: c_int = 13;
pub(crate) const GETNCNT: c_int = 14;
pub(crate) const GETZCNT: c_int = 15;
pub(super) const SETVAL: c_int = 16;
pub(super) const SETALL: c_int = 17;
pub(super) const SEM_INFO: c_int = 19;
/// A set by index, without any permission.
pub(super) const SEM_STAT_ANY: c_int = 20;

/// `struct ipc64_perm`: whose something is.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Permissions {
    pub(crate) key: c_int,
    pub(crate) uid: c_uint,
    pub(crate) gid: c_uint,
    pub(crate) creator_uid: c_uint,
    pub(crate) creator_gid: c_uint,
    /// On x86 and arm two bytes, and two of padding behind them that the kernel fills with zeros: in this
    /// byte order, the same number.
    pub(crate) mode: c_uint,
    sequence: c_ushort,
    padding: c_ushort,
    unused: [usize; 2],
}

impl Permissions {
    /// What IPC_SET reads of them.
    pub(crate) fn of(uid: c_uint, gid: c_uint, mode: c_uint) -> Self {
        Self { uid, gid, mode, ..Self::default() }
    }
}

/// Seconds since 1970, in 64 bits. Where a word has 32, two of them, the lower one first, and no more aligned
/// than words are.
#[cfg_attr(target_pointer_width = "64", repr(transparent))]
#[cfg_attr(target_pointer_width = "32", repr(C, packed(4)))]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Time(pub(crate) i64);

/// `struct shmid64_ds`: one segment.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SegmentInfo {
    pub(crate) permissions: Permissions,
    pub(crate) size: usize,
    pub(crate) attached_at: Time,
    pub(crate) detached_at: Time,
    pub(crate) changed_at: Time,
    pub(crate) creator: c_int,
    pub(crate) last: c_int,
    pub(crate) attached: usize,
    unused: [usize; 2],
}

impl SegmentInfo {
    /// What IPC_SET reads.
    pub(super) fn of(permissions: Permissions) -> Self {
        Self { permissions, ..Self::default() }
    }
}

/// `struct semid64_ds`: one set of semaphores.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SetInfo {
    pub(crate) permissions: Permissions,
    pub(crate) operated_at: Time,
    #[cfg(target_arch = "x86_64")]
    gap: usize,
    pub(crate) changed_at: Time,
    #[cfg(target_arch = "x86_64")]
    second_gap: usize,
    pub(crate) count: usize,
    unused: [usize; 2],
}

impl SetInfo {
    /// What IPC_SET reads.
    pub(super) fn of(permissions: Permissions) -> Self {
        Self { permissions, ..Self::default() }
    }
}

/// `struct shminfo64`: the limits of the caller's IPC namespace for segments.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Limits {
    /// The largest segment, in bytes. A 32-bit process is told 2^31 - 1 where it is more.
    pub(crate) shmmax: usize,
    /// The smallest segment: 1.
    shmmin: usize,
    /// The most segments.
    pub(crate) shmmni: usize,
    /// Reported as `shmmni`, and not enforced.
    shmseg: usize,
    /// The most pages of all segments together. A 32-bit process is told the lower 32 bits.
    pub(crate) shmall: usize,
    unused: [usize; 4],
}

/// `struct shm_info`: what the caller's IPC namespace has of segments.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// Segments that exist.
    pub(crate) used_ids: c_int,
    /// Pages of all segments together, touched or not.
    pub(crate) shm_tot: usize,
    /// Pages in memory.
    pub(crate) shm_rss: usize,
    /// Pages in swap.
    pub(crate) shm_swp: usize,
    /// Always 0.
    swap: [usize; 2],
}

/// `struct seminfo`: limits (IPC_INFO), with two of the fields saying what is in use (SEM_INFO).
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SemaphoreInfo {
    /// Unused by the kernel.
    semmap: c_int,
    /// The most sets.
    pub(crate) semmni: c_int,
    /// The most semaphores of all sets together.
    pub(crate) semmns: c_int,
    /// Unused by the kernel.
    semmnu: c_int,
    /// The most semaphores of one set.
    pub(crate) semmsl: c_int,
    /// The most operations of one `semop`.
    pub(crate) semopm: c_int,
    /// Unused by the kernel.
    semume: c_int,
    /// From SEM_INFO: sets that exist. From IPC_INFO: meaningless.
    pub(crate) semusz: c_int,
    /// The largest value of a semaphore: 32767.
    pub(crate) semvmx: c_int,
    /// From SEM_INFO: semaphores that exist. From IPC_INFO: the largest adjustment of SEM_UNDO, 32767.
    pub(crate) semaem: c_int,
}

/// `struct __kernel_timespec`: how long to wait.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeout {
    pub(crate) seconds: i64,
    pub(crate) nanoseconds: i64,
}

// What the kernel writes, to the byte.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Permissions>() == 48 && size_of::<SegmentInfo>() == 112);
#[cfg(target_arch = "x86_64")]
const _: () = assert!(size_of::<SetInfo>() == 104);
#[cfg(all(target_pointer_width = "64", not(target_arch = "x86_64")))]
const _: () = assert!(size_of::<SetInfo>() == 88);
#[cfg(target_pointer_width = "32")]
const _: () = assert!(size_of::<Permissions>() == 36 && size_of::<SegmentInfo>() == 84);
#[cfg(target_pointer_width = "32")]
const _: () = assert!(size_of::<SetInfo>() == 64);
