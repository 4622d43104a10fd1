//! A head of one's own making: nobody else decides how a mapping is reached.

struct Mine;

impl fd_shm::Head for Mine {}

fn main() {}
