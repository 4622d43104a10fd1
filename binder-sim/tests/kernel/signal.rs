//! A signal that does nothing but end the call in which a thread waits.

#![allow(unsafe_code)]

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::Pid;

/// A signal for a thread: a call in which it waits comes back.
pub(crate) fn interrupt(pid: Pid, tid: i32) {
    // SAFETY: the call takes three numbers, and touches no memory of ours.
    let sent = unsafe { libc::syscall(libc::SYS_tgkill, pid.as_raw(), tid, libc::SIGUSR1) };
    Errno::result(sent).expect("a thread of our child's");
}

/// What is done about a signal: nothing, and the call that it ends is not begun again (no `SA_RESTART`).
pub(crate) fn hear_signals() {
    extern "C" fn nothing(_: libc::c_int) {}
    let action = SigAction::new(SigHandler::Handler(nothing), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler does nothing, which may be done at any time.
    unsafe { sigaction(Signal::SIGUSR1, &action) }.expect("a signal that can be handled");
}
