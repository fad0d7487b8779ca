//! The methods that say where and how to send.
//!
//! Where a default names a variable of `TRACES`, log records have that of `LOGS`.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::builder::Builder;
use super::exporter::Exporter;
use crate::config::{Balance, Compression, HeaderList, HeaderProvider, Protocol, Tls};
use crate::signal::Signal;

/// What the code says about the destination.
#[derive(Clone, Default)]
#[cfg_attr(
    not(any(feature = "grpc", feature = "http")),
    allow(
        dead_code,
        reason = "without a network there is no destination to describe"
    )
)]
pub(super) struct Wanted {
    pub(super) protocol: Option<Protocol>,
    pub(super) endpoint: Option<String>,
    /// Beside that one, of the same destination.
    pub(super) further_endpoints: Vec<String>,
    pub(super) balance: Option<Balance>,
    pub(super) traces_endpoint: Option<String>,
    pub(super) logs_endpoint: Option<String>,
    pub(super) insecure: Option<bool>,
    pub(super) headers: WantedHeaders,
    pub(super) compression: Option<Compression>,
    pub(super) compression_level: Option<i32>,
    pub(super) tls: Option<Tls>,
    pub(super) proxy: Option<bool>,
    pub(super) user_agent: Option<String>,
    pub(super) max_response_bytes: Option<usize>,
    pub(super) timeout: Option<Duration>,
}

#[derive(Clone, Default)]
#[cfg_attr(
    not(any(feature = "grpc", feature = "http")),
    allow(
        dead_code,
        reason = "without a network there is no destination to describe"
    )
)]
pub(super) struct WantedHeaders {
    pub(super) fixed: HeaderList,
    pub(super) provider: Option<HeaderProvider>,
    pub(super) bearer_token_file: Option<PathBuf>,
}

impl Wanted {
    /// Whether nothing was said.
    pub(super) fn is_empty(&self) -> bool {
        let Self {
            protocol,
            endpoint,
            further_endpoints,
            balance,
            traces_endpoint,
            logs_endpoint,
            insecure,
            headers,
            compression,
            compression_level,
            tls,
            proxy,
            user_agent,
            max_response_bytes,
            timeout,
        } = self;
        let is_said = [
            protocol.is_some(),
            endpoint.is_some(),
            !further_endpoints.is_empty(),
            balance.is_some(),
            traces_endpoint.is_some(),
            logs_endpoint.is_some(),
            insecure.is_some(),
            headers.fixed.iter().next().is_some(),
            headers.provider.is_some(),
            headers.bearer_token_file.is_some(),
            compression.is_some(),
            compression_level.is_some(),
            tls.is_some(),
            proxy.is_some(),
            user_agent.is_some(),
            max_response_bytes.is_some(),
            timeout.is_some(),
        ];
        !is_said.contains(&true)
    }

    /// The URL that is one signal's alone, and the method that says so.
    pub(super) fn endpoint_of(&self, signal: Signal) -> (Option<&String>, &'static str) {
        match signal {
            Signal::Traces => (
                self.traces_endpoint.as_ref(),
                "Builder::with_traces_endpoint",
            ),
            Signal::Logs => (self.logs_endpoint.as_ref(), "Builder::with_logs_endpoint"),
        }
    }
}

/// The methods that say where and how to send: those of a builder, and those of one of several exporters.
macro_rules! methods {
    ($($type:ident),*) => {$(
        impl $type {
            /// How requests are encoded and carried. Default: `OTEL_EXPORTER_OTLP_TRACES_PROTOCOL`, for log records
            /// `OTEL_EXPORTER_OTLP_LOGS_PROTOCOL`, else `OTEL_EXPORTER_OTLP_PROTOCOL`, else [`Protocol::Grpc`], and [`Protocol::HttpProtobuf`] without the feature `grpc`.
            ///
            /// `build` fails for a protocol whose feature is not enabled.
            pub fn with_protocol(mut self, protocol: Protocol) -> Self {
                self.destination.protocol = Some(protocol);
                self
            }

            /// Where to send: `http://host:port`, `https://host:port` or `unix:/path`. HTTP appends `v1/traces` or `v1/logs` to its path; a
            /// port that is missing is 80 or 443. Default: `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` (see [`Builder::with_traces_endpoint`]), and
            /// its like of logs, else `OTEL_EXPORTER_OTLP_ENDPOINT`, else `http://localhost:4317` for gRPC and
            /// `http://localhost:4318` for HTTP.
            ///
            /// It beats `OTEL_TRACES_EXPORTER` too; what switches off every pipeline is `OTEL_SDK_DISABLED`.
            ///
            /// `build` fails for what is no endpoint, for one with a user name or a password (use [`Builder::with_header`]), and for
            /// `https` without the feature `tls`.
            pub fn with_endpoint(self, endpoint: impl Into<String>) -> Self {
                self.with_endpoints([endpoint])
            }

            /// Several endpoints of one destination, up to 16, in place of [`Builder::with_endpoint`]: each request goes to one of them, and where
            /// that one fails to another one at once. Each is as that of `with_endpoint`, and headers, TLS and all else is common to them.
            /// [`Builder::with_balance`] says which one it is. What one of them may have taken before it failed may arrive twice
            /// ([`Stats::ambiguous`](crate::Stats::ambiguous)).
            ///
            /// Every address that a name resolves to is such an endpoint too, so a Kubernetes headless service or a set of collectors that is
            /// replaced one by one is followed: a name is looked up again every 30 seconds while requests are sent, and when an address
            /// fails.
            ///
            /// ```
            /// let builder = tracing_otlp::layer()
            ///     .with_endpoints(["http://collector-0:4317", "http://collector-1:4317"]);
            /// # drop(builder);
            /// ```
            ///
            /// `build` fails for an empty list.
            pub fn with_endpoints<T: Into<String>>(
                mut self,
                endpoints: impl IntoIterator<Item = T>,
            ) -> Self {
                let mut endpoints = endpoints.into_iter().map(Into::into);
                // What is no endpoint is an error of `build`, and so is none.
                self.destination.endpoint = Some(endpoints.next().unwrap_or_default());
                self.destination.further_endpoints = endpoints.collect();
                self
            }

            /// Which of several endpoints, and of the addresses that a name has, gets the next request. Default
            /// [`Balance::LeastOutstanding`].
            pub fn with_balance(mut self, balance: Balance) -> Self {
                self.destination.balance = Some(balance);
                self
            }

            /// As [`Builder::with_endpoint`], which it beats: the URL itself, to which HTTP appends nothing. Default:
            /// `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, unless `with_endpoint` was called.
            pub fn with_traces_endpoint(mut self, url: impl Into<String>) -> Self {
                self.destination.traces_endpoint = Some(url.into());
                self
            }

            /// As [`Builder::with_traces_endpoint`], for log records. Default: `OTEL_EXPORTER_OTLP_LOGS_ENDPOINT`, unless
            /// `with_endpoint` was called.
            pub fn with_logs_endpoint(mut self, url: impl Into<String>) -> Self {
                self.destination.logs_endpoint = Some(url.into());
                self
            }

            /// The deadline of one attempt: connecting, sending and the answer together. Zero is none. Default:
            /// `OTEL_EXPORTER_OTLP_TRACES_TIMEOUT`, for log records `OTEL_EXPORTER_OTLP_LOGS_TIMEOUT`, else
            /// `OTEL_EXPORTER_OTLP_TIMEOUT`, else 10 seconds; or `OTEL_BSP_EXPORT_TIMEOUT`, for log records
            /// `OTEL_BLRP_EXPORT_TIMEOUT`, if that is set and smaller.
            ///
            /// The specification lets the latter end an export with all its attempts. Here an export does not end by time: what
            /// fails for now is kept and sent again, so a bound of the export can only be one of the attempt.
            pub fn with_timeout(mut self, timeout: Duration) -> Self {
                self.destination.timeout = Some(timeout);
                self
            }

            /// Whether gRPC to an endpoint without a scheme (`host:port`) is not encrypted. Where there is a scheme, that one
            /// decides. Default: `OTEL_EXPORTER_OTLP_TRACES_INSECURE`, for log records `OTEL_EXPORTER_OTLP_LOGS_INSECURE`, else
            /// `OTEL_EXPORTER_OTLP_INSECURE`, else false.
            pub fn with_insecure(mut self, insecure: bool) -> Self {
                self.destination.insecure = Some(insecure);
                self
            }

            /// A header of each request, as it is (not percent-encoded). It replaces one of the same name, also one of
            /// `OTEL_EXPORTER_OTLP_TRACES_HEADERS`, `OTEL_EXPORTER_OTLP_LOGS_HEADERS` or `OTEL_EXPORTER_OTLP_HEADERS`; others of
            /// these are sent too. No text of this crate shows the value.
            ///
            /// `build` fails for what is no header, and for names that belong to the protocol. It warns when credentials leave the
            /// machine without encryption.
            pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
                let headers = &mut self.destination.headers.fixed;
                headers.set(name.into(), value.into());
                self
            }

            /// Headers that change while the program runs. They are asked for before each request, on a thread of the exporter's that
            /// may block; the argument is true when the destination refused the last ones, so that fresh ones are wanted. When it
            /// fails, panics or takes longer than the time-out, the request is sent later. Default: none.
            pub fn with_header_provider<F>(mut self, provider: F) -> Self
            where
                F: Fn(bool) -> Result<Vec<(String, String)>, Box<dyn Error + Send + Sync>>
                    + Send
                    + Sync
                    + 'static,
            {
                self.destination.headers.provider = Some(Arc::new(provider));
                self
            }

            /// The header `authorization: Bearer <token>`, with the token out of a file, which is read again when it changes.
            /// Default: none.
            pub fn with_bearer_token_file(mut self, path: impl Into<PathBuf>) -> Self {
                self.destination.headers.bearer_token_file = Some(path.into());
                self
            }

            /// How the body of a request is compressed. Default: `OTEL_EXPORTER_OTLP_TRACES_COMPRESSION`, for log records
            /// `OTEL_EXPORTER_OTLP_LOGS_COMPRESSION`, else `OTEL_EXPORTER_OTLP_COMPRESSION`, else [`Compression::None`].
            ///
            /// `build` fails for a compression whose feature is not enabled.
            pub fn with_compression(mut self, compression: Compression) -> Self {
                self.destination.compression = Some(compression);
                self
            }

            /// How hard to compress: gzip 0 to 9, zstd 1 to 19. Default: 1 for gzip, since the CPU is the application's, and 3 for
            /// zstd.
            ///
            /// `build` fails for a level that [`Builder::with_compression`]'s does not have. One that the environment's does not
            /// have is warned about, and the default is used.
            pub fn with_compression_level(mut self, level: i32) -> Self {
                self.destination.compression_level = Some(level);
                self
            }

            /// Whom to trust, and how to prove who we are, for `https` endpoints. It replaces all of
            /// `OTEL_EXPORTER_OTLP_CERTIFICATE`, `OTEL_EXPORTER_OTLP_CLIENT_KEY` and `OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE` and
            /// their like for each signal, which are the default.
            pub fn with_tls(mut self, tls: Tls) -> Self {
                self.destination.tls = Some(tls);
                self
            }

            /// Whether to go through the proxy that `HTTPS_PROXY` or `HTTP_PROXY` names, unless `NO_PROXY` excludes the host.
            /// Default: no, whatever these say: a proxy for the program's own requests need not be one for its telemetry.
            ///
            /// The proxy is `http://host:port`, with `user:password@` before the host where it wants that. `build` fails for another
            /// kind, such as SOCKS: to go around it would not be what was asked for.
            pub fn with_proxy_from_environment(mut self, on: bool) -> Self {
                self.destination.proxy = Some(on);
                self
            }

            /// What stands before this crate's name in the header `user-agent`, such as `checkout/1.2`. Default: nothing.
            ///
            /// `build` fails for what is not printable ASCII.
            pub fn with_user_agent(mut self, prefix: impl Into<String>) -> Self {
                self.destination.user_agent = Some(prefix.into());
                self
            }

            /// The largest answer in bytes, after decompression, from 1 KiB to 64 MiB. Default 4 MiB. What exceeds it is not read.
            pub fn with_max_response_bytes(mut self, bytes: usize) -> Self {
                self.destination.max_response_bytes = Some(bytes);
                self
            }
        }
    )*};
}

methods!(Builder, Exporter);

impl fmt::Debug for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let further = self
            .further_endpoints
            .iter()
            .map(|endpoint| shown(endpoint));
        f.debug_struct("Destination")
            .field("protocol", &self.protocol)
            .field("endpoint", &self.endpoint.as_deref().map(shown))
            .field("further_endpoints", &further.collect::<Vec<_>>())
            .field(
                "traces_endpoint",
                &self.traces_endpoint.as_deref().map(shown),
            )
            .field("headers", &self.headers.fixed)
            .field("compression", &self.compression)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

/// An endpoint without what may be a secret: what stands before an `@`, which `build` refuses, and the query.
fn shown(endpoint: &str) -> String {
    if endpoint.contains('@') {
        return "***".to_owned();
    }
    match endpoint.split_once(['?', '#']) {
        Some((url, _)) => format!("{url}?***"),
        None => endpoint.to_owned(),
    }
}
