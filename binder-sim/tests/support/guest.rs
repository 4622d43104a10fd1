//! A world like one of the kernels that scripts are run on.

use binder_sim::driver::{Credentials, Profile, Security, Translation};
use binder_sim::errno::Errno;
use binder_sim::world::World;
use std::sync::Arc;

/// The security module of Debian's kernels: AppArmor is built in, nobody has loaded a profile, and it has
/// no text for an id that it never gave out.
#[derive(Debug)]
struct AppArmor;

impl<F> Security<F> for AppArmor {
    fn context(&self, _of: Credentials) -> Result<String, Errno> {
        Err(Errno::EINVAL)
    }
}

/// A fresh world that is like the kernel of this name.
pub(crate) fn world_like(kernel: &str) -> World {
    let profile = Profile::of(kernel).unwrap_or_else(|| panic!("no profile for a kernel {kernel}"));
    let mut world = World::with_profile(profile, Translation::Deferred);
    world.set_security(Arc::new(AppArmor));
    world
}
