//! The scripted collector and the proxies do what they say, as seen by raw clients.

#![cfg(feature = "grpc")]

mod client;
mod http1;
mod http2;
mod networks;
mod tls;
