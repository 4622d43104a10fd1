//! sysv-shm
