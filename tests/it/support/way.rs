//! The ways to a collector: protocol, carrier and compression.

use std::sync::LazyLock;

use tracing_otlp::{Builder, Compression, Protocol, Tls};

use super::certificates::{Certificates, Demands, Flaw, Identity};
use super::collector::Collector;

/// How a pipeline reaches its collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) protocol: Protocol,
    pub(crate) carrier: Carrier,
    pub(crate) compression: Compression,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// TCP, where gRPC is HTTP/2 and the others are HTTP/1.1.
    Plain,
    /// TLS to a server that offers HTTP/2 and HTTP/1.1.
    Tls,
    /// TLS to a server that offers HTTP/1.1 alone.
    TlsHttp1,
    Unix,
}

/// The ways that differ in how they fail: HTTP/2 with trailers, HTTP/1.1, and HTTP/2 without trailers under TLS.
pub(crate) const WAYS: [Way; 3] = [
    Way::GRPC,
    Way::HTTP,
    Way {
        carrier: Carrier::Tls,
        ..Way::HTTP
    },
];

/// Those without TLS.
pub(crate) const PLAIN_WAYS: [Way; 2] = [Way::GRPC, Way::HTTP];

/// One authority for all tests, and a good server of it.
static TLS: LazyLock<(String, Identity)> = LazyLock::new(|| {
    let certificates = Certificates::new();
    (certificates.ca_pem(), certificates.server(Flaw::None))
});

impl Way {
    pub(crate) const GRPC: Self = Self::plain(Protocol::Grpc);
    pub(crate) const HTTP: Self = Self::plain(Protocol::HttpProtobuf);

    pub(crate) const fn plain(protocol: Protocol) -> Self {
        Self {
            protocol,
            carrier: Carrier::Plain,
            compression: Compression::None,
        }
    }

    /// A collector that can be reached in this way, and takes everything.
    pub(crate) fn collector(self) -> Collector {
        if self.carrier == Carrier::Unix {
            return Collector::start_unix();
        }
        let mut collector = self.absent();
        collector.restart();
        collector
    }

    /// One that is not there yet, at an address.
    pub(crate) fn absent(self) -> Collector {
        let collector = Collector::absent();
        collector.shows(self.demands().map(|demands| TLS.1.server_config(&demands)));
        collector
    }

    fn demands(self) -> Option<Demands> {
        let alpn = match self.carrier {
            Carrier::Plain | Carrier::Unix => return None,
            Carrier::Tls => vec!["h2", "http/1.1"],
            Carrier::TlsHttp1 => vec!["http/1.1"],
        };
        Some(Demands {
            alpn,
            ..Demands::default()
        })
    }

    pub(crate) fn configure(self, builder: Builder) -> Builder {
        let builder = builder
            .with_protocol(self.protocol)
            .with_compression(self.compression);
        if self.demands().is_some() {
            builder.with_tls(Tls::new().with_ca_pem(TLS.0.clone()))
        } else {
            builder
        }
    }

    pub(crate) fn is_http2(self) -> bool {
        self.protocol == Protocol::Grpc || self.carrier == Carrier::Tls
    }
}
