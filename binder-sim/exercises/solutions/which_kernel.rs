//! Solution: which kernel is this?

/// The shortest script that Linux 6.12 and Linux 7.3 do not answer alike.
///
/// A one-way message to a frozen process can say that it takes the place of an older one like it
/// (`TF_UPDATE_TXN`, 0x40, beside 0x1 for one-way). The older one is dropped, if it waits behind another.
/// Linux 6.12 then forgets the files that were in it. A file that is still held when everybody has left is
/// told behind the last step.
///
/// Shortest: no step can be left out without the two becoming alike.
pub(crate) const SCRIPT: &str = "
actor server
actor client files 5 memory

server: open binder
server: mmap 4096
server: set_context_mgr_ext 0x100
client: open binder
client: freeze server
client: transaction 0 flags 0x41
client: transaction 0 flags 0x41 {fd 5}
client: transaction 0 flags 0x41
";
