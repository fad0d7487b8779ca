//! How to reach a collector: protocol, compression, TLS.

use std::fmt;
use std::path::PathBuf;

/// How requests are encoded and carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// OTLP over gRPC. Needs the feature `grpc`.
    Grpc,
    /// OTLP over HTTP, as binary protobuf. Needs the feature `http`.
    HttpProtobuf,
    /// OTLP over HTTP, as JSON. Needs the feature `http-json`.
    HttpJson,
}

impl Protocol {
    /// The value of `OTEL_EXPORTER_OTLP_PROTOCOL` that means this protocol.
    pub fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::HttpProtobuf => "http/protobuf",
            Self::HttpJson => "http/json",
        }
    }

    /// Where to send when nobody says.
    #[cfg(any(feature = "grpc", feature = "http"))]
    pub(crate) fn endpoint(self) -> &'static str {
        match self {
            Self::Grpc => "http://localhost:4317",
            Self::HttpProtobuf | Self::HttpJson => "http://localhost:4318",
        }
    }
}

/// What becomes of the records when the code does not say (`OTEL_TRACES_EXPORTER`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exporter {
    /// They go to a collector.
    Otlp,
    /// They go to stdout, as lines of JSON.
    Stdout,
    /// There are none.
    None,
}

impl Exporter {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Otlp => "otlp",
            Self::Stdout => "otlp/stdout",
            Self::None => "none",
        }
    }
}

/// How the body of a request is compressed. A collector that refuses it gets plain data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip, which every collector takes. Needs the feature `gzip`.
    Gzip,
    /// zstd, which is faster and smaller, where the collector takes it. Needs the feature `zstd`.
    Zstd,
}

impl Compression {
    /// The value of `OTEL_EXPORTER_OTLP_COMPRESSION` that means this, and the name that stands in a request's headers.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// Whom to trust, and how to prove who we are. It holds for `https` endpoints. Files are read again for each connection, so a
/// certificate that was replaced is used from then on.
///
/// Default: the system's roots, and no client certificate.
#[derive(Clone, Default)]
#[must_use = "settings do nothing until a builder has them"]
pub struct Tls {
    pub(crate) ca: Option<Pem>,
    pub(crate) client: Option<(Pem, Pem)>,
    pub(crate) bundled_roots: bool,
    pub(crate) server_name: Option<String>,
}

/// Where PEM text comes from.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Pem {
    File(PathBuf),
    Text(Vec<u8>),
}

impl Tls {
    /// The system's roots and no client certificate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts the certificates of a PEM file and no others (`OTEL_EXPORTER_OTLP_CERTIFICATE`).
    pub fn with_ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca = Some(Pem::File(path.into()));
        self
    }

    /// Trusts the certificates of a PEM text and no others.
    pub fn with_ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca = Some(Pem::Text(pem.into()));
        self
    }

    /// Shows this certificate, by PEM files with its chain and its key (`OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE` and
    /// `OTEL_EXPORTER_OTLP_CLIENT_KEY`).
    pub fn with_client_files(
        mut self,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        self.client = Some((Pem::File(certificate.into()), Pem::File(key.into())));
        self
    }

    /// Shows this certificate, by PEM texts of its chain and its key.
    pub fn with_client_pem(
        mut self,
        certificate: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        self.client = Some((Pem::Text(certificate.into()), Pem::Text(key.into())));
        self
    }

    /// Trusts Mozilla's roots as they were when this was built, instead of the system's: for images that have none.
    #[cfg(feature = "bundled-roots")]
    pub fn with_bundled_roots(mut self) -> Self {
        self.bundled_roots = true;
        self
    }

    /// The name that the collector's certificate has to have. Default: the endpoint's host.
    pub fn with_server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("ca", &self.ca)
            .field(
                "client",
                &self.client.as_ref().map(|(certificate, _)| certificate),
            )
            .field("bundled_roots", &self.bundled_roots)
            .field("server_name", &self.server_name)
            .finish()
    }
}

// A text may be a key: only its length is shown.
impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{path:?}"),
            Self::Text(text) => write!(f, "{} bytes", text.len()),
        }
    }
}
