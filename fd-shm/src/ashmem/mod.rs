//! What ashmem offered, over memfd: a region with a name and a size, shared by handing its descriptor over.

mod region;

pub use region::Region;
