//! What a security module is asked (`security_binder_...`): four questions, and a name for the sender.

use crate::errno::Errno;
use alloc::string::String;
use core::fmt;

/// Who asks, or is asked for: what the process was when it opened the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credentials {
    /// The process.
    pub pid: u32,
    /// Its effective uid.
    pub euid: u32,
}

/// A security module: answers with yes or no, from its arguments alone.
///
/// Without one everything is allowed, and nobody has a security context.
///
/// # Examples
/// ```
/// use binder_sim::driver::{Credentials, Security};
///
/// /// Descriptors go to root only.
/// #[derive(Debug)]
/// struct Strict;
/// impl<F> Security<F> for Strict {
///     fn transfer_file(&self, _from: Credentials, to: Credentials, _file: &F) -> bool {
///         to.euid == 0
///     }
/// }
/// ```
pub trait Security<F>: fmt::Debug + Send + Sync {
    /// `security_binder_set_context_mgr`: may this process become the context manager?
    fn set_context_mgr(&self, _manager: Credentials) -> bool {
        true
    }

    /// `security_binder_transaction`: may one call the other? Not asked for a reply.
    fn transaction(&self, _from: Credentials, _to: Credentials) -> bool {
        true
    }

    /// `security_binder_transfer_binder`: may a node or a handle go from one to the other?
    fn transfer_binder(&self, _from: Credentials, _to: Credentials) -> bool {
        true
    }

    /// `security_binder_transfer_file`: may this file go from one to the other? Asked of those in arrays too.
    fn transfer_file(&self, _from: Credentials, _to: Credentials, _file: &F) -> bool {
        true
    }

    /// `security_secid_to_secctx`: the text that a node with `TXN_SECURITY_CTX` gets to see of its caller.
    ///
    /// # Errors
    /// Whatever the module says; the call fails with it.
    fn context(&self, _of: Credentials) -> Result<String, Errno> {
        Err(Errno::EOPNOTSUPP)
    }
}
