//! The exporter against real sockets that behave badly, and against applications that do.

#![cfg(feature = "grpc")]

mod answers;
mod batches;
mod children;
mod copies;
mod credentials;
mod diagnosis;
mod file;
mod network;
mod overload;
mod panics;
mod resets;
mod runtimes;
mod shutdown;
mod sizes;
mod threads;
