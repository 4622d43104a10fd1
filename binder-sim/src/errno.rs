//! The error numbers that the driver and its world speak, under the names of errno(3).

use core::fmt;

macro_rules! errnos {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        /// An error number: what a failed ioctl returns, and the parameter of an extended error.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Errno {
            $($(#[$doc])* $name = $number,)*
        }

        impl fmt::Display for Errno {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Errno::$name => stringify!($name),)* })
            }
        }
    };
}

errnos! {
    /// Not permitted: descriptors are not accepted, or the manager's uid differs.
    EPERM = 1,
    /// No such process: the target has no mapping to receive into.
    ESRCH = 3,
    /// A signal came while the call waited.
    EINTR = 4,
    /// No such descriptor in the table.
    EBADF = 9,
    /// Nothing to read, and the caller did not want to wait.
    EAGAIN = 11,
    /// No memory: also how the classic scheme reports a full table.
    ENOMEM = 12,
    /// A range of the payload lies outside it.
    EFAULT = 14,
    /// Taken: a second mapping, a second context manager, a thread inside another call.
    EBUSY = 16,
    /// Malformed, or a handle that is not held.
    EINVAL = 22,
    /// The descriptor table is full (`RLIMIT_NOFILE`).
    EMFILE = 24,
    /// No room in the receiver's buffer.
    ENOSPC = 28,
    /// Out of turn: a reply that nobody waits for, a call while waiting for another.
    EPROTO = 71,
    /// Nobody here can say who the sender is: there is no security module that could.
    EOPNOTSUPP = 95,
}

impl Errno {
    /// The number itself, positive, as in errno(3).
    pub fn raw(self) -> i32 {
        self as i32
    }
}
