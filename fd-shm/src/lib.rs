//! fd-shm
