//! Ways to hand a descriptor to another process. A descriptor is the permission: who holds it is in.

mod socket;

pub mod scm_rights;
