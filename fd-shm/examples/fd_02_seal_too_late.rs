//! A sender seals its message when it can write to it already: what the late
//! seal stops, and what it does not.
//!
//! Run it: `cargo run --example fd_02_seal_too_late`
//!
//! What to look for: F_SEAL_FUTURE_WRITE sounds like what a reader wants, and is not. The mapping that was
//! made before it keeps writing, after the reader has checked. F_SEAL_WRITE cannot be had while such a
//! mapping exists, so a reader that asks for it knows that there is none.

use std::error::Error;
use std::os::fd::AsFd;

use fd_shm::{Expected, FixedFd, Memfd, Seals, scm_rights};

#[path = "support/other.rs"]
mod other;
use other::{Other, go, role, start, tell, wait};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Bytes of a message.
const LEN: usize = 13;

// ANCHOR: reader
/// Reads each message twice, if it is as expected.
fn reader(expected: Expected) -> Result<()> {
    let socket = other::socket()?;
    loop {
        let message = match scm_rights::receive(&socket, &mut [0], 1) {
            Err(end) if end.is_end_of_stream() => return Ok(()),
            message => message?,
        };
        let [descriptor] = message.into_exactly()?;
        match expected.check(descriptor) {
            Ok(region) => {
                let mapping = region.map_read_only::<()>()?;
                let mut text = [0; LEN];
                mapping.copy_out(0, &mut text)?;
                tell("reader", format!("checks it: \"{}\"", text.escape_ascii()));
                go(&socket)?;
                wait(&socket)?;
                mapping.copy_out(0, &mut text)?;
                tell("reader", format!("acts on it: \"{}\"", text.escape_ascii()));
            }
            Err(refused) => {
                tell("reader", refused);
                go(&socket)?;
                wait(&socket)?;
            }
        }
        go(&socket)?;
    }
}
// ANCHOR_END: reader

// ANCHOR: sender
/// Makes a message, maps it for writing, and seals it late.
fn sender() -> Result<()> {
    println!("A sender maps its message for writing, and seals it afterwards.\n");
    let memfd = Memfd::create("message")?;
    memfd.set_len(4096)?;
    memfd.add_seals(Seals::SHRINK)?;
    let fixed = || FixedFd::new(memfd.as_fd().try_clone_to_owned()?).map_err(Box::<dyn Error>::from);
    let mapping = fixed()?.map::<()>()?;
    mapping.copy_in(0, b"pay 10 to Ann")?;
    tell("sender", memfd.add_seals(Seals::WRITE).err().ok_or("sealed with a writer about")?);
    memfd.add_seals(Seals::FUTURE_WRITE)?;
    tell("sender", "added F_SEAL_FUTURE_WRITE");
    tell("sender", fixed()?.map::<()>().err().ok_or("mapped for writing behind the seal")?);

    println!("\nTo a reader that asks for F_SEAL_FUTURE_WRITE:");
    let reader = start(role("hopeful"))?;
    send(&reader, &memfd, || {
        mapping.copy_in(0, b"pay 99 to Eve")?;
        tell("sender", "wrote through the mapping from before");
        Ok(())
    })?;
    tell("reader", reader.end()?);

    println!("\nTo a reader that asks for F_SEAL_WRITE:");
    let reader = start(role("strict"))?;
    send(&reader, &memfd, || Ok(()))?;
    drop(mapping);
    memfd.add_seals(Seals::WRITE)?;
    tell("sender", "unmapped it, and added F_SEAL_WRITE");
    send(&reader, &memfd, || {
        let refused = rustix::io::pwrite(&memfd, b"pay 99 to Bob", 0).err().ok_or("written")?;
        tell("sender", format!("pwrite: {refused}"));
        Ok(())
    })?;
    tell("reader", reader.end()?);
    Ok(())
}
// ANCHOR_END: sender

/// Sends the message, and does something between the reader's two looks at it.
fn send(reader: &Other, memfd: &Memfd, meanwhile: impl FnOnce() -> Result<()>) -> Result<()> {
    scm_rights::send(&reader.socket, &[0], &[memfd.as_fd()])?;
    wait(&reader.socket)?;
    meanwhile()?;
    go(&reader.socket)?;
    Ok(wait(&reader.socket)?)
}

fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        None => sender(),
        Some("hopeful") => reader(Expected::new().sealed(Seals::FUTURE_WRITE)),
        Some("strict") => reader(Expected::new().sealed(Seals::WRITE)),
        Some(role) => Err(format!("no role {role}: hopeful, strict, or nothing for all").into()),
    }
}
