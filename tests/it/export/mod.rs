//! The exporter against real sockets that behave badly.
