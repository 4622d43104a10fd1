//! Being an ordinary process, even when root has started it: the kernel then asks what it asks of anybody.

use std::os::fd::{AsFd, AsRawFd};

use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets, remove_capability_from_bounding_set, set_capabilities};

/// Gives up every capability of this thread, and of all whom it starts from now on.
pub(crate) fn become_ordinary() -> Result<(), Errno> {
    // Root's children would get everything back at exec, but for this bound. Who is not root
    // may not lower it, and need not.
    for capability in CapabilitySet::all().iter() {
        let _ = remove_capability_from_bounding_set(capability);
    }
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
}

/// Becomes ordinary, and says what would keep an example about other processes' descriptors from being shown
/// here: a filter in the way of kcmp, or a Yama that lets nobody in.
pub(crate) fn obstacle() -> Result<Option<String>, Errno> {
    become_ordinary()?;
    let ourselves = (std::process::id(), std::io::stdin().as_fd().as_raw_fd());
    if let Err(refused) = fd_shm::same_open_file(ourselves, ourselves) {
        return Ok(Some(refused.to_string()));
    }
    let yama = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    Ok(["2", "3"].contains(&yama.trim()).then(|| format!("ptrace_scope is {}", yama.trim())))
}
