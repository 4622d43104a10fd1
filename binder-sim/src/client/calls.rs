//! The ioctls, as nix makes functions of them, and their arguments.

/// `struct binder_write_read`: commands to be taken from behind `write_consumed`, returns to be put behind
/// `read_consumed`; both say afterwards how far the driver came.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct WriteRead {
    /// Bytes of commands.
    pub write_size: u64,
    /// Bytes of them that have been taken.
    pub write_consumed: u64,
    /// Where they are.
    pub write_buffer: u64,
    /// Room for returns.
    pub read_size: u64,
    /// Bytes of returns.
    pub read_consumed: u64,
    /// Where they go.
    pub read_buffer: u64,
}

/// `struct binder_node_debug_info`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wide {
    /// The node.
    pub(super) ptr: u64,
    /// Out: its cookie.
    pub(super) cookie: u64,
    /// Out: whether it is held strongly.
    pub(super) strong: u32,
    /// Out: whether it is held weakly.
    pub(super) weak: u32,
}

/// `struct flat_binder_object`, `struct binder_node_info_for_ref`: six words.
#[repr(C, align(8))]
#[derive(Debug, Clone, Copy)]
pub(super) struct Words {
    /// Them.
    pub(super) words: [u32; 6],
}

/// `struct binder_freeze_info`, `binder_frozen_status_info`, `binder_extended_error`: three words.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct Three {
    /// Them.
    pub(super) words: [u32; 3],
}

/// nix's macros write public functions.
#[allow(missing_docs, unreachable_pub, reason = "one line each, named like the ioctl")]
mod made {
    use super::*;
    nix::ioctl_readwrite!(write_read, b'b', 1, WriteRead);
    nix::ioctl_write_ptr!(set_max_threads, b'b', 5, u32);
    nix::ioctl_write_ptr!(set_context_mgr, b'b', 7, i32);
    nix::ioctl_write_ptr!(thread_exit, b'b', 8, i32);
    nix::ioctl_readwrite!(version, b'b', 9, i32);
    nix::ioctl_readwrite!(get_node_debug_info, b'b', 11, Wide);
    nix::ioctl_readwrite!(get_node_info_for_ref, b'b', 12, Words);
    nix::ioctl_write_ptr!(set_context_mgr_ext, b'b', 13, Words);
    nix::ioctl_write_ptr!(freeze, b'b', 14, Three);
    nix::ioctl_readwrite!(get_frozen_info, b'b', 15, Three);
    nix::ioctl_write_ptr!(enable_oneway_spam_detection, b'b', 16, u32);
    nix::ioctl_readwrite!(get_extended_error, b'b', 17, Three);
}

pub(super) use made::*;
