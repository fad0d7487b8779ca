//! What several tests share.

#[cfg(feature = "grpc")]
pub(crate) mod certificates;
#[cfg(feature = "grpc")]
pub(crate) mod collector;
pub(crate) mod layer;
#[cfg(feature = "grpc")]
pub(crate) mod patience;
#[cfg(feature = "grpc")]
pub(crate) mod proxy;
#[cfg(feature = "grpc")]
pub(crate) mod rig;
#[cfg(feature = "grpc")]
pub(crate) mod sockets;
#[cfg(feature = "grpc")]
pub(crate) mod toxic;
#[cfg(feature = "grpc")]
pub(crate) mod way;
