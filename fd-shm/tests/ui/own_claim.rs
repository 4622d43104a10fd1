//! A promise that only `unsafe` can make: that the checks of `shareable!` are not needed.

#[repr(C)]
struct Meeting {
    server: u32,
    client: u32,
}
impl fd_shm::Shareable for Meeting {
    type View = ();
}

fn main() {}
