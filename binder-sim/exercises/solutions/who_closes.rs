//! Solution: who closes it?

use binder_sim::protocol::{Delivered, Object};

/// The numbers in a message that its receiver has to close itself, when it has given the buffer back and wants none
/// of them.
pub(crate) fn ours_to_close(message: &Delivered) -> Vec<u32> {
    let objects = message.payload.objects.iter();
    // Those of an array went with the buffer.
    objects
        .filter_map(|placed| if let Object::Fd { fd, .. } = placed.object { Some(fd) } else { None })
        .collect()
}
