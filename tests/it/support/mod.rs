//! What several tests share.

#[cfg(feature = "grpc")]
pub(crate) mod collector;
pub(crate) mod layer;
#[cfg(feature = "grpc")]
pub(crate) mod patience;
#[cfg(feature = "grpc")]
pub(crate) mod rig;
#[cfg(feature = "grpc")]
pub(crate) mod sockets;
