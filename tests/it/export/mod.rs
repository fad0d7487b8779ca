//! The exporter against real sockets that behave badly, and against applications that do.

#![cfg(feature = "grpc")]

mod answers;
mod batches;
mod children;
mod copies;
mod credentials;
mod destinations;
mod diagnosis;
mod endings;
mod endpoints;
mod file;
mod flow;
mod lies;
mod misdirected;
mod network;
mod overload;
mod panics;
mod pressure;
#[cfg(feature = "tls")]
mod proxies;
mod resets;
mod runtimes;
mod shutdown;
mod signals;
mod sizes;
mod threads;
#[cfg(feature = "tls")]
mod tls;
mod unreachable;
mod ways;
