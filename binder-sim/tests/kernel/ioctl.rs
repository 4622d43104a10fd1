//! The ioctls that are one call with an argument of a fixed size, and what they answer.

use crate::reply::Reply;
use binder_sim::client::{Client, Error};
use binder_sim::script::{Action, Number};
use binder_sim::wire::br;
use nix::errno::Errno;

/// Makes one; `number` is the pid that it speaks of.
pub(crate) fn ioctl(client: &Client, action: &Action, number: u32) -> Result<Reply, Error> {
    Ok(match action {
        Action::SetContextMgr => client.set_context_mgr().map(|()| Reply::Done)?,
        Action::SetContextMgrExt(flags) => client.set_context_mgr_ext(*flags).map(|()| Reply::Done)?,
        Action::SetMaxThreads(most) => client.set_max_threads(*most).map(|()| Reply::Done)?,
        Action::ThreadExit => client.thread_exit().map(|()| Reply::Done)?,
        Action::Version => Reply::Text(format!("version {}", client.version()?)),
        Action::GetNodeDebugInfo(ptr) => {
            let info = client.get_node_debug_info(*ptr)?;
            let held = |has: bool, kind| if has { kind } else { "" };
            let (strong, weak) = (held(info.has_strong_ref, " strong"), held(info.has_weak_ref, " weak"));
            Reply::Text(format!("node {:#x} cookie {:#x}{strong}{weak}", info.ptr, info.cookie))
        }
        Action::GetNodeInfoForRef(handle) => {
            let handle = if let Number::Is(handle) = handle { *handle } else { u32::MAX };
            let info = client.get_node_info_for_ref(handle)?;
            let (strong, weak) = (info.strong_count, info.weak_count);
            Reply::Text(format!("handle {}: strong {strong}, weak {weak}", info.handle))
        }
        Action::Freeze { enable, timeout_ms, .. } => {
            client.freeze(number, *enable, *timeout_ms).map(|()| Reply::Done)?
        }
        Action::GetFrozenInfo(_) => {
            let info = client.get_frozen_info(number)?;
            Reply::Frozen(info.pid, info.sync_recv, info.async_recv)
        }
        Action::EnableOnewaySpamDetection(on) => {
            client.enable_oneway_spam_detection(*on).map(|()| Reply::Done)?
        }
        Action::GetExtendedError => {
            let (_, command, param) = client.get_extended_error()?;
            let name = br::ALL.iter().find(|(_, word)| *word == command).map_or("unknown", |(name, _)| name);
            let param = if param == 0 { "0".into() } else { format!("-{:?}", Errno::from_raw(-param)) };
            Reply::Text(format!("{name}, {param}"))
        }
        other => panic!("`{other}` is the stage's to do"),
    })
}
