//! An inherited number without the word `unsafe`: who takes it promises that nobody else here has it.

use fd_shm::handover::inherit;

fn main() -> Result<(), fd_shm::Error> {
    let frames = inherit::take("FRAMES")?;
    drop(frames);
    Ok(())
}
