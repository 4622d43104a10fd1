//! Exercise: what does the kernel answer?

/// The server closes its only descriptor of the device, and keeps the device mapped. Five answers are
/// missing. A step that waits is answered with the number of the step that ends it: `after 9: NOOP, ...`.
pub(crate) const SCRIPT: &str = "
actor server
actor client

seen on 6.1

 1 server: open binder
      -> fd 3
 2 server: mmap 131072
      -> ok
 3 server: set_context_mgr
      -> ok
 4 server: nothing
      -> ok
 5 client: open binder
      -> fd 3
 6 client: mmap 131072
      -> ok
 7 client: nothing
      -> ok
 8 server: close 3
      -> ok
 9 server: read now
      -> ?
10 client: transaction 0 flags 0x1; read now
      -> ?
11 client: transaction 0; read
      -> ?
12 server: munmap
      -> ?
13 client: transaction 0; read now
      -> ?
";
// HOLE: fill in what stands behind the arrows. Take this line out.
