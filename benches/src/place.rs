//! The place of a run: a CPU for each of the two processes, and an IPC namespace that nobody else sees.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::OnceLock;

use nix::sched::CloneFlags;
use rustix::fs::CWD;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, fsconfig_create,
    fsmount, fsopen, mount_change, move_mount,
};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::Failure;

/// What the machine gives us.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// CPUs that we may run on.
    pub(crate) cpus: usize,
    /// The CPU of the process that measures, and the one of the second process, where there are two.
    pub(crate) pair: Option<(usize, usize)>,
    /// Whether segments with a key are seen by nobody else, and end with us.
    pub(crate) private_ipc: bool,
}

impl Place {
    /// Takes the first CPU for this process, and leaves the host's IPC namespace where that is permitted.
    ///
    /// Both must happen before the first thread and the first child. In a namespace of our own, System V
    /// segments end with the last of our processes, however it ends; a key there cannot meet somebody
    /// else's. Without privilege a user namespace gives the right to make one.
    ///
    /// # Errors
    ///
    /// When the CPUs cannot be read or taken. Being refused a namespace is no error: `private_ipc` says so.
    pub fn take() -> Result<Self, Failure> {
        let allowed =
            sched_getaffinity(None).map_err(|e| Failure::call("sched_getaffinity(0)", &e.into()))?;
        let mut cpus = (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu));
        let pair = cpus.next().zip(cpus.next());
        if let Some((first, _)) = pair {
            pin(first)?;
        }
        let alone = |flags| nix::sched::unshare(flags).is_ok();
        let private_mounts = alone(CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWNS);
        let private_ipc = private_mounts
            || alone(CloneFlags::CLONE_NEWIPC)
            || alone(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWNS);
        if private_mounts {
            let _ = use_private_shm();
        }
        // Without the right to mount, sockets are made in the ordinary place: they are there for a moment
        // only.
        let _ = use_nameless_directory();
        Ok(Self { cpus: allowed.count() as usize, pair, private_ipc })
    }

    /// The same place with both processes on the first CPU.
    pub(crate) fn on_one_cpu(self) -> Self {
        Self { pair: self.pair.map(|(first, _)| (first, first)), ..self }
    }

    /// Whether each of the two processes has a CPU of its own.
    pub(crate) fn pinned(self) -> bool {
        self.pair.is_some_and(|(first, second)| first != second)
    }
}

/// Hides the machine's `/dev/shm` behind one of our own, which ends with the last of our processes.
///
/// Peers name their memory there, and one that is killed leaves it. To be called in a mount namespace that
/// nobody else is in: what is mounted here must not be seen elsewhere, so propagation is ended first.
fn use_private_shm() -> rustix::io::Result<()> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    let mount = empty_file_system(FsMountFlags::FSMOUNT_CLOEXEC)?;
    move_mount(&mount, "", CWD, "/dev/shm", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}

/// A file system in memory, mounted nowhere yet.
fn empty_file_system(flags: FsMountFlags) -> rustix::io::Result<OwnedFd> {
    let configuration = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&configuration)?;
    fsmount(&configuration, flags, MountAttrFlags::MOUNT_ATTR_NOEXEC | MountAttrFlags::MOUNT_ATTR_NOSUID)
}

/// The file system in which `ipc-channel` makes its sockets.
static NAMELESS: OnceLock<OwnedFd> = OnceLock::new();

/// Makes temporary files in a file system that is mounted nowhere, and ends with the last process that
/// holds it.
///
/// `ipc-channel` binds its sockets to names in the temporary directory, and removes them once the other
/// side has connected. A process that is killed in between would leave them behind: not here.
fn use_nameless_directory() -> rustix::io::Result<()> {
    // Not close-on-exec: the second process inherits it under the same number, so that a path means the
    // same to both.
    let mount = empty_file_system(FsMountFlags::empty())?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", mount.as_raw_fd()));
    // In a user namespace that maps nobody, files there can belong to nobody, and so cannot be made.
    let probe = path.join("probe");
    if std::fs::create_dir(&probe).and_then(|()| std::fs::remove_dir(&probe)).is_err() {
        return Ok(());
    }
    if NAMELESS.set(mount).is_ok() {
        // Refused when it was set before, which the line above excludes.
        drop(tempfile::env::override_temp_dir(&path));
    }
    Ok(())
}

/// Ties the calling thread, and what it starts, to one CPU.
pub(crate) fn pin(cpu: usize) -> Result<(), Failure> {
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set)
        .map_err(|e| Failure::call(format!("sched_setaffinity(0, {cpu})"), &e.into()))
}
