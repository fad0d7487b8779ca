//! OTLP over the network.

mod destination;
mod endpoint;

pub(crate) use self::destination::Destination;
pub(crate) use self::endpoint::{Endpoint, Written};
