//! Where to send, out of what a user wrote (specification, "OTLP Exporter", endpoint URLs).

use std::fmt;
use std::path::PathBuf;

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Uri};

use crate::config::Protocol;
use crate::error::Error;
use crate::signal::Signal;

/// gRPC's path of a signal.
fn grpc_path(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    }
}

/// An endpoint that was understood.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(super) target: Target,
    pub(super) tls: bool,
    /// Scheme, host and path, as they stand in the head of a request.
    pub(super) uri: Uri,
    /// As the user wrote it, with whatever was appended and without the query.
    shown: String,
    /// What of it is not sent, and why.
    unsent: Option<&'static str>,
}

/// What to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}

/// An endpoint as a user wrote it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Written<'a> {
    pub(crate) signal: Signal,
    pub(crate) text: &'a str,
    /// What named it: a method or a variable.
    pub(crate) origin: &'a str,
    /// It is the URL itself, not the base to which HTTP appends the signal's path.
    pub(crate) whole: bool,
    /// Without a scheme, gRPC is not encrypted.
    pub(crate) insecure: bool,
}

impl Endpoint {
    /// # Errors
    ///
    /// For what is no endpoint; the error names it, its origin and what was expected.
    pub(crate) fn parse(written: Written<'_>, protocol: Protocol) -> Result<Self, Error> {
        let Written { text, origin, .. } = written;
        if text.contains('@') {
            // The value is not shown: what stands before the @ is a secret.
            return Err(Error::config(format!(
                "{origin}: user names and passwords do not belong in an endpoint; use a header"
            )));
        }
        let wrong = |why: &str| {
            // What stands behind the path may be a secret.
            let text = text.split(['?', '#']).next().unwrap_or_default();
            Error::config(format!(
                "{origin}={text:?} is no endpoint ({why}); expected http://host:port, https://host:port or unix:/path"
            ))
        };
        if let Some(path) = text.strip_prefix("unix:") {
            return Self::unix(path, protocol, written.signal)
                .ok_or_else(|| wrong("the path is missing"));
        }
        let with_scheme = match protocol {
            Protocol::Grpc if !text.contains("://") && written.insecure => format!("http://{text}"),
            Protocol::Grpc if !text.contains("://") => format!("https://{text}"),
            _ => text.to_owned(),
        };
        let uri: Uri = with_scheme
            .parse()
            .map_err(|error: http::uri::InvalidUri| wrong(&error.to_string()))?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong("the scheme is missing or unknown")),
        };
        let (Some(authority), Some(host)) = (uri.authority(), uri.host()) else {
            return Err(wrong("the host is missing"));
        };
        let default_port = if tls { 443 } else { 80 };
        // What stands behind the host is a port of 16 bits, or nothing.
        let behind = authority.as_str().get(host.len()..).unwrap_or_default();
        if host.is_empty() || uri.port_u16().is_none() && !behind.is_empty() {
            return Err(wrong("host or port cannot be read"));
        }
        let target = Target::Tcp {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: uri.port_u16().unwrap_or(default_port),
        };
        let path = path(&uri, protocol, written);
        let shows_path = protocol != Protocol::Grpc;
        let endpoint = Self::new(target, tls, authority.clone(), &path, shows_path)
            .map_err(|error| wrong(&error.to_string()))?;
        let unsent = unsent(&uri, protocol, written.whole);
        Ok(Self { unsent, ..endpoint })
    }

    fn unix(path: &str, protocol: Protocol, signal: Signal) -> Option<Self> {
        // `unix:/path`, `unix:path` and `unix:///path` are the forms that gRPC knows.
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() {
            return None;
        }
        let target = Target::Unix(PathBuf::from(path));
        let nowhere = path_of(protocol, signal, "/");
        let authority = Authority::from_static("localhost");
        let mut endpoint = Self::new(target, false, authority, &nowhere, true).ok()?;
        endpoint.shown = format!("unix:{path}");
        Some(endpoint)
    }

    fn new(
        target: Target,
        tls: bool,
        authority: Authority,
        path: &str,
        shows_path: bool,
    ) -> Result<Self, http::Error> {
        let uri = Uri::builder()
            .scheme(if tls { Scheme::HTTPS } else { Scheme::HTTP })
            .authority(authority.clone())
            .path_and_query(PathAndQuery::try_from(path)?)
            .build()?;
        let scheme = if tls { "https" } else { "http" };
        let shown = match path.split_once('?') {
            _ if !shows_path => format!("{scheme}://{authority}"),
            // What stands there may be a secret.
            Some((path, _)) => format!("{scheme}://{authority}{path}?***"),
            None => uri.to_string(),
        };
        Ok(Self {
            target,
            tls,
            uri,
            shown,
            unsent: None,
        })
    }

    /// What of it, as the user wrote it, is not sent, and why; its text is not in there, since it may be a secret.
    pub(crate) fn unsent(&self) -> Option<&'static str> {
        self.unsent
    }

    /// Whether what is sent leaves this machine.
    pub(crate) fn is_remote(&self) -> bool {
        match &self.target {
            Target::Unix(_) => false,
            Target::Tcp { host, .. } => {
                let address = host.parse::<std::net::IpAddr>();
                host != "localhost" && !address.is_ok_and(|address| address.is_loopback())
            }
        }
    }

    /// `None` for a socket.
    pub(super) fn host_and_port(&self) -> Option<(&str, u16)> {
        match &self.target {
            Target::Tcp { host, port } => Some((host, *port)),
            Target::Unix(_) => None,
        }
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        self.tls
    }

    /// What HTTP/1.1 says in its first line: the path alone, or all of it to a proxy.
    pub(super) fn first_line(&self, to_a_proxy: bool) -> Uri {
        if to_a_proxy {
            return self.uri.clone();
        }
        let path = self.uri.path_and_query().cloned();
        path.map_or_else(|| self.uri.clone(), Uri::from)
    }

    /// What HTTP/1.1 says in `host`.
    pub(super) fn host(&self) -> HeaderValue {
        let authority = self.uri.authority().map_or("localhost", Authority::as_str);
        HeaderValue::from_str(authority).unwrap_or(HeaderValue::from_static("localhost"))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

// The query may be a secret.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({})", self.shown)
    }
}

/// "The per-signal endpoint [is] used as-is"; without a path, the root. To a base, the signal's path is appended.
fn path(uri: &Uri, protocol: Protocol, written: Written<'_>) -> String {
    match (protocol, written.whole) {
        (Protocol::HttpProtobuf | Protocol::HttpJson, true) => {
            let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
            if path.is_empty() {
                "/".to_owned()
            } else {
                path.to_owned()
            }
        }
        _ => path_of(protocol, written.signal, uri.path()),
    }
}

fn unsent(uri: &Uri, protocol: Protocol, whole: bool) -> Option<&'static str> {
    let has_path = !matches!(uri.path(), "" | "/");
    let has_query = uri.query().is_some();
    match protocol {
        Protocol::Grpc if has_path || has_query => Some(
            "path and query are not sent: gRPC has a path of its own, and credentials go into headers",
        ),
        Protocol::HttpProtobuf | Protocol::HttpJson if has_query && !whole => Some(
            "the query is not sent, since the signal's path is appended to this base: give each signal its own endpoint, as \
             OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, or use a header",
        ),
        _ => None,
    }
}

fn path_of(protocol: Protocol, signal: Signal, base: &str) -> String {
    match protocol {
        Protocol::Grpc => grpc_path(signal).to_owned(),
        Protocol::HttpProtobuf | Protocol::HttpJson => {
            let slash = if base.ends_with('/') { "" } else { "/" };
            format!("{base}{slash}v1/{signal}")
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spec_2_4_each_signal_has_its_path() {
        let uri = |protocol, text| {
            let written = Written {
                signal: Signal::Logs,
                text,
                origin: "the test",
                whole: false,
                insecure: false,
            };
            let endpoint = Endpoint::parse(written, protocol).unwrap();
            (endpoint.uri.to_string(), endpoint.to_string())
        };
        let url = "http://a:1/x/v1/logs".to_owned();
        assert_eq!(
            uri(Protocol::HttpProtobuf, "http://a:1/x"),
            (url.clone(), url)
        );
        let service = "opentelemetry.proto.collector.logs.v1.LogsService";
        let url = format!("http://a:1/{service}/Export");
        assert_eq!(
            uri(Protocol::Grpc, "http://a:1"),
            (url, "http://a:1".to_owned())
        );
        assert_eq!(
            uri(Protocol::HttpProtobuf, "unix:/s").0,
            "http://localhost/v1/logs"
        );
    }

    fn parse(text: &str, protocol: Protocol, whole: bool) -> Result<Endpoint, Error> {
        let origin = "Builder::with_endpoint";
        let written = Written {
            signal: Signal::Traces,
            text,
            origin,
            whole,
            insecure: false,
        };
        Endpoint::parse(written, protocol)
    }

    fn url(text: &str, whole: bool) -> String {
        parse(text, Protocol::HttpProtobuf, whole)
            .unwrap()
            .uri
            .to_string()
    }

    #[test]
    fn spec_2_4_a_base_gets_the_path_of_the_signal() {
        assert_eq!(url("http://a:4318", false), "http://a:4318/v1/traces");
        assert_eq!(url("http://a:4318/", false), "http://a:4318/v1/traces");
        assert_eq!(url("https://a/otlp", false), "https://a/otlp/v1/traces");
        assert_eq!(url("https://a/otlp/", false), "https://a/otlp/v1/traces");
    }

    #[test]
    fn what_is_not_sent_is_said_and_not_shown() {
        let unsent = |text, protocol, whole| {
            let unsent = parse(text, protocol, whole).unwrap().unsent();
            assert!(unsent.is_none_or(|why| !why.contains("canary")), "{text}");
            unsent.is_some()
        };
        let (http, grpc) = (Protocol::HttpProtobuf, Protocol::Grpc);
        assert!(unsent("http://a/x?token=canary", http, false));
        assert!(!unsent("http://a/x?token=canary", http, true));
        assert!(!unsent("http://a/x", http, false));
        assert!(unsent("http://a/canary", grpc, false));
        assert!(unsent("http://a/?token=canary", grpc, true));
        assert!(!unsent("http://a/", grpc, false));
        assert!(!unsent("a:1", grpc, false));
    }

    #[test]
    fn spec_2_3_a_whole_url_stays_as_it_is() {
        assert_eq!(url("http://a:4318", true), "http://a:4318/");
        assert_eq!(url("http://a/x/y?z=1", true), "http://a/x/y?z=1");
    }

    #[test]
    fn spec_2_5_a_missing_port_is_that_of_the_scheme() {
        let port = |text| match parse(text, Protocol::HttpProtobuf, false).unwrap().target {
            Target::Tcp { port, .. } => port,
            Target::Unix(_) => 0,
        };
        assert_eq!((port("http://a"), port("https://a")), (80, 443));
        assert_eq!((port("http://[::1]:7"), port("http://a:8/b")), (7, 8));
    }

    #[test]
    fn spec_2_7_grpc_without_a_scheme_is_encrypted_unless_it_is_said_otherwise() {
        let plain = |insecure| {
            let written = Written {
                signal: Signal::Traces,
                text: "a:4317",
                origin: "",
                whole: false,
                insecure,
            };
            !Endpoint::parse(written, Protocol::Grpc).unwrap().tls
        };
        assert_eq!((plain(true), plain(false)), (true, false));
        assert!(parse("a:4318", Protocol::HttpProtobuf, false).is_err());
    }

    #[test]
    fn spec_2_6_the_scheme_goes_before_insecure() {
        let written = Written {
            signal: Signal::Traces,
            text: "https://a:4317",
            origin: "",
            whole: false,
            insecure: true,
        };
        assert!(Endpoint::parse(written, Protocol::Grpc).unwrap().tls);
    }

    #[test]
    fn a_socket_is_a_path() {
        for text in ["unix:/run/otlp.sock", "unix:///run/otlp.sock"] {
            let endpoint = parse(text, Protocol::HttpProtobuf, false).unwrap();
            assert_eq!(endpoint.target, Target::Unix("/run/otlp.sock".into()));
            assert_eq!(endpoint.uri.to_string(), "http://localhost/v1/traces");
            assert_eq!(endpoint.to_string(), "unix:/run/otlp.sock");
            assert!(!endpoint.is_remote());
        }
        assert!(parse("unix:", Protocol::Grpc, false).is_err());
    }

    #[test]
    fn an_error_names_value_origin_and_what_was_expected() {
        for text in [
            "",
            "http://",
            "ftp://a",
            "http://a:x",
            "http:// a",
            "http://a:99999",
            "//a",
        ] {
            let error = parse(text, Protocol::HttpProtobuf, false)
                .unwrap_err()
                .to_string();
            let expected = [
                "Builder::with_endpoint",
                &format!("{text:?}"),
                "http://host:port",
            ];
            expected
                .iter()
                .for_each(|part| assert!(error.contains(part), "{error}"));
        }
    }

    #[test]
    fn p_29_what_stands_before_an_at_sign_or_behind_a_question_mark_is_not_shown() {
        let error = parse("http://user:secret@a", Protocol::Grpc, false).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"));
        let error = parse("ftp://a?token=secret", Protocol::Grpc, false).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"));
        let query = parse("http://a/b?token=secret", Protocol::HttpProtobuf, true).unwrap();
        assert_eq!(query.to_string(), "http://a/b?***");
        assert_eq!(format!("{query:?}"), "Endpoint(http://a/b?***)");
        assert_eq!(query.uri.to_string(), "http://a/b?token=secret");
    }

    #[test]
    fn what_leaves_the_machine_is_known() {
        let is_remote = |text| parse(text, Protocol::Grpc, false).unwrap().is_remote();
        assert!(!is_remote("http://localhost:1") && !is_remote("http://127.0.0.2:1"));
        assert!(!is_remote("http://[::1]:1"));
        assert!(is_remote("http://collector:1") && is_remote("http://10.0.0.1:1"));
    }

    proptest! {
        #[test]
        fn no_text_does_harm(text: String, whole: bool) {
            for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
                let _ = parse(&text, protocol, whole);
            }
        }
    }
}
