//! binder-sim
