//! The process that a pull reaches into: its number, and why the kernel says no.

use std::fs;
use std::os::fd::RawFd;

use nix::errno::Errno;
use rustix::process::Pid;

use crate::error::{Error, Kind, Result};

/// Where Yama says how strict it is; absent on a kernel without Yama.
const YAMA: &str = "/proc/sys/kernel/yama/ptrace_scope";

/// The pid as the kernel takes it; a refusal when no process can have it.
pub(super) fn pid(call: impl Fn() -> String, pid: u32) -> Result<Pid> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| Error::refused(call(), Kind::InvalidInput, "no process has such a number"))
}

/// The number as the kernel takes it; a refusal when no descriptor can have it.
pub(super) fn number(call: impl Fn() -> String, number: RawFd) -> Result<RawFd> {
    if number >= 0 {
        return Ok(number);
    }
    Err(Error::refused(call(), Kind::NotFound, "no descriptor has a negative number"))
}

/// Whether this kernel has Yama.
pub(super) fn yama_is_here() -> bool {
    fs::exists(YAMA).unwrap_or(false)
}

/// Explains a refusal to attach by the rule that is in force on this machine. Any other error stays as it is.
pub(super) fn explain_attach(error: Error) -> Error {
    if error.raw_os_error() != Some(Errno::EPERM as i32) {
        return error;
    }
    error
        .because(Kind::PermissionDenied, attach_rule(fs::read_to_string(YAMA).ok().as_deref().map(str::trim)))
}

/// What it takes to attach here, as the answer to why it was refused.
fn attach_rule(scope: Option<&str>) -> &'static str {
    match scope {
        None | Some("0") => {
            "the other process belongs to another user, has more capabilities, or has made itself \
             undumpable; CAP_SYS_PTRACE would do"
        }
        Some("1") => {
            "Yama (ptrace_scope 1) lets only an ancestor in, or whom the other process has named by \
             PR_SET_PTRACER; it must be of the same user and dumpable too; CAP_SYS_PTRACE would do"
        }
        Some("2") => "Yama (ptrace_scope 2) lets nobody in without CAP_SYS_PTRACE",
        Some(_) => "Yama (ptrace_scope 3) lets nobody in until the next boot",
    }
}

#[cfg(test)]
mod tests {
    use super::attach_rule;

    #[test]
    fn each_strictness_of_yama_has_its_rule() {
        for (scope, words) in [
            (None, "another user"),
            (Some("0"), "another user"),
            (Some("1"), "PR_SET_PTRACER"),
            (Some("2"), "without CAP_SYS_PTRACE"),
            (Some("3"), "until the next boot"),
        ] {
            assert!(attach_rule(scope).contains(words), "{scope:?}");
        }
    }
}
