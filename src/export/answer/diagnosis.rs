//! Why a connection or an exchange failed, in a sentence that names what was seen and what to change.

use std::error::Error;
use std::io;
use std::iter::successors;

use super::super::text::printable;
use crate::config::Protocol;

/// No more causes than these are looked at.
const DEEPEST: usize = 16;
const LONGEST: usize = 400;

/// The diagnosis of an exchange that ended without an answer. Whoever shows it puts the endpoint before it.
pub(in crate::export) fn of_transport(
    error: &(dyn Error + 'static),
    endpoint_is_tls: bool,
    protocol: Protocol,
) -> String {
    let found = |diagnose: &dyn Fn(&(dyn Error + 'static)) -> Option<String>| {
        causes(error).find_map(diagnose)
    };
    #[cfg(feature = "tls")]
    if let Some(diagnosis) = found(&super::tls::diagnosis) {
        return diagnosis;
    }
    let diagnosis = found(&|cause| of_io(cause, endpoint_is_tls, protocol))
        .or_else(|| found(&|cause| of_h2(cause, endpoint_is_tls, protocol)))
        .or_else(|| found(&|cause| of_hyper(cause, endpoint_is_tls, protocol)));
    diagnosis.unwrap_or_else(|| printable(&chain(error), LONGEST))
}

/// The error and its causes. An `io::Error` hides the error it wraps from `source`, and h2 the `io::Error`.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    successors(Some(error), |error| cause(*error)).take(DEEPEST)
}

fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    if let Some(wrapped) = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref)
    {
        return Some(wrapped);
    }
    if let Some(io) = error
        .downcast_ref::<h2::Error>()
        .and_then(h2::Error::get_io)
    {
        return Some(io);
    }
    error.source()
}

fn of_io(cause: &(dyn Error + 'static), tls: bool, protocol: Protocol) -> Option<String> {
    let error = cause.downcast_ref::<io::Error>()?;
    let text = match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "connection refused: nothing listens there; is the collector running, and the port right (4317 for gRPC, 4318 for \
             HTTP)?"
        }
        io::ErrorKind::NotFound => {
            "there is no such socket: is the collector running, and the path right?"
        }
        io::ErrorKind::PermissionDenied => {
            "permission denied: this process may not connect there; check the socket's owner and mode, or the firewall"
        }
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            "no route to the host: check the address and the network"
        }
        io::ErrorKind::TimedOut => {
            "the host did not answer in time: check the address, the port and the firewall"
        }
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => return Some(closed(tls, protocol)),
        _ if is_lookup(error) => {
            return Some(printable(
                &format!("the host's name was not found: check its spelling and the DNS ({error})"),
                LONGEST,
            ));
        }
        _ => return None,
    };
    Some(text.to_owned())
}

/// std gives failures of `getaddrinfo` no kind of their own.
fn is_lookup(error: &io::Error) -> bool {
    let text = error.to_string();
    text.contains("failed to lookup address") || text.contains("Name or service not known")
}

/// The connection ended. That passes where a server restarts; where it lasts, the ways to speak differ.
fn closed(tls: bool, protocol: Protocol) -> String {
    let seen = "the connection was closed without an answer";
    match (tls, protocol) {
        (true, _) => format!(
            "{seen}; if it stays so, the port may not speak TLS (then use http://), or want a client certificate \
             (OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE)"
        ),
        (false, Protocol::Grpc) => format!(
            "{seen}; if it stays so, the port may want TLS (then use https://), or speak OTLP/HTTP (then use port 4317, or \
             protocol http/protobuf)"
        ),
        (false, _) => format!(
            "{seen}; if it stays so, the port may want TLS (then use https://), or speak gRPC (then use port 4318, or protocol \
             grpc)"
        ),
    }
}

/// Bytes that are no HTTP/2 are read as a frame: most often one that is too large.
fn of_h2(cause: &(dyn Error + 'static), tls: bool, protocol: Protocol) -> Option<String> {
    if protocol != Protocol::Grpc {
        return None;
    }
    let error = cause.downcast_ref::<h2::Error>()?;
    let reason = error.reason()?;
    if reason == h2::Reason::HTTP_1_1_REQUIRED {
        return Some(
            "the server wants HTTP/1.1: this looks like OTLP/HTTP; use protocol http/protobuf"
                .to_owned(),
        );
    }
    let unreadable = matches!(
        reason,
        h2::Reason::FRAME_SIZE_ERROR | h2::Reason::PROTOCOL_ERROR
    );
    if !error.is_library() || !unreadable {
        return None;
    }
    let or_tls = if tls {
        ""
    } else {
        "; if the port wants TLS, use https://"
    };
    Some(format!(
        "what answers is not HTTP/2, and so not gRPC: this looks like OTLP/HTTP; use port 4317, or protocol http/protobuf{or_tls}"
    ))
}

fn of_hyper(cause: &(dyn Error + 'static), tls: bool, protocol: Protocol) -> Option<String> {
    let error = cause.downcast_ref::<hyper::Error>()?;
    if is_cut_off(error) {
        return Some(closed(tls, protocol));
    }
    // What greets its clients, as SSH does, may do so before the request is under way; hyper has no predicate for that.
    let greets = error.to_string() == "received unexpected message from connection";
    if !(error.is_parse() || greets) || protocol == Protocol::Grpc {
        return None;
    }
    let or_tls = if tls {
        ""
    } else {
        "; if the port wants TLS, use https://"
    };
    Some(format!(
        "what answers is not HTTP/1.1: this looks like OTLP/gRPC; use port 4318, or protocol grpc{or_tls}"
    ))
}

#[cfg(feature = "http")]
fn is_cut_off(error: &hyper::Error) -> bool {
    error.is_incomplete_message()
}

#[cfg(not(feature = "http"))]
fn is_cut_off(_: &hyper::Error) -> bool {
    false
}

/// The texts of an error and its causes, each once.
fn chain(error: &(dyn Error + 'static)) -> String {
    causes(error).fold(String::new(), |text, cause| {
        let next = cause.to_string();
        match text.as_str() {
            "" => next,
            _ if text.contains(&next) => text,
            _ => format!("{text}: {next}"),
        }
    })
}

#[cfg(test)]
mod tests;
