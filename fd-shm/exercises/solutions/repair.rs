//! Solution: repair what the dead one left.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use fd_shm::lock::RobustLocked;
use fd_shm::{Result, shareable};

/// Two purses with 100 in all, and what is on its way between them.
#[repr(C)]
pub(crate) struct Account {
    pub(crate) left: AtomicU32,
    pub(crate) right: AtomicU32,
    pub(crate) moving: AtomicU32,
}
shareable!(Account { left: AtomicU32, right: AtomicU32, moving: AtomicU32 });

/// How everybody moves money, with the mutex held: `stop` is called after each store, and does not return
/// when the process is killed there.
pub(crate) fn transfer(account: &Account, amount: u32, stop: impl Fn()) {
    account.moving.store(amount, Relaxed);
    stop();
    account.left.fetch_sub(amount, Relaxed);
    stop();
    account.right.fetch_add(amount, Relaxed);
    stop();
    account.moving.store(0, Relaxed);
    stop();
}

/// Brings the account in order after its last owner died inside: 100 in all, nothing on its way, a transfer
/// done whole or not at all. Everybody can use it again.
pub(crate) fn repair(inside: &mut RobustLocked<'_, Account>) -> Result<()> {
    let missing = 100 - inside.left.load(Relaxed) - inside.right.load(Relaxed);
    // Only between the two purses is anything missing, and then it is what was on its way: the transfer is
    // finished. If nothing is missing, it was not begun or is done.
    inside.right.fetch_add(missing, Relaxed);
    inside.moving.store(0, Relaxed);
    // Last, so that who is killed in here leaves it to the next one.
    inside.make_consistent()
}
