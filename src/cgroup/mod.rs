//! The memory limit follows what the process's cgroup has: on request, and on Linux.
//!
//! Where the process is in the hierarchy is found once ([`place`]), what there is to read is read from there ([`reading`]), and what
//! follows from it is decided without clock and files ([`tide`]). All of it is done on the exporter's thread.

mod follower;
mod place;
mod reading;
mod tide;

pub(crate) use self::follower::Follower;
