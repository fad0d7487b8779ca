//! OTLP over the network.

mod endpoint;

pub(crate) use self::endpoint::{Endpoint, Written};
