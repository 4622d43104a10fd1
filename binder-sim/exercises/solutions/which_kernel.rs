//! Solution: which kernel is this?

/// The shortest script that Linux 6.12 and Linux 7.3 do not answer alike.
///
/// Somebody opens the device and hands his open to another, who sends a call through it. Whose uid is the
/// receiver told? Linux 6.12 says the opener's, whoever calls; Linux 7.3 says the caller's. (`server@4` is
/// what an actor does through its number 4.)
///
/// Shortest: no step can be left out without the two becoming alike.
pub(crate) const SCRIPT: &str = "
actor server
actor client uid 1000

server: open binder
server: mmap 4096
server: set_context_mgr_ext 0x100
client: open binder
client: transaction 0 flags 0x1 {fd 3}
server: read now
server@4: transaction 0
server: read now
";
