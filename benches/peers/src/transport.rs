//! The ways in which ours sends to a collector.

use std::fmt;
use std::str::FromStr;

use tracing_otlp::{Compression, Protocol};

/// A protocol, and how its bodies are compressed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Transport {
    pub protocol: Protocol,
    /// At the level that is the default.
    pub compression: Compression,
}

impl Transport {
    /// What every stack does where transports are not what is compared.
    pub const GRPC: Self = Self::plain(Protocol::Grpc);

    /// All that are compared, in the order of the tables.
    pub const ALL: &'static [Self] = &[
        Self::GRPC,
        Self::plain(Protocol::HttpProtobuf),
        Self::plain(Protocol::HttpJson),
        Self::compressed(Protocol::Grpc, Compression::Gzip),
        Self::compressed(Protocol::HttpProtobuf, Compression::Gzip),
        Self::compressed(Protocol::Grpc, Compression::Zstd),
    ];

    const fn plain(protocol: Protocol) -> Self {
        Self::compressed(protocol, Compression::None)
    }

    const fn compressed(protocol: Protocol, compression: Compression) -> Self {
        Self {
            protocol,
            compression,
        }
    }

    /// The same protocol without compression.
    pub fn uncompressed(self) -> Self {
        Self::plain(self.protocol)
    }

    /// Whether the receiver sees spans without undoing anything.
    pub fn is_countable(self) -> bool {
        self.compression == Compression::None && self.protocol != Protocol::HttpJson
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.protocol.name())?;
        match self.compression {
            Compression::None => Ok(()),
            compression => write!(formatter, "+{}", compression.name()),
        }
    }
}

impl FromStr for Transport {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let transport = Self::ALL.iter().find(|known| known.to_string() == name);
        transport
            .copied()
            .ok_or_else(|| format!("no transport is {name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transport_survives_an_argument() {
        for transport in Transport::ALL {
            assert_eq!(transport.to_string().parse(), Ok(*transport));
        }
        assert_eq!(Transport::ALL[3].to_string(), "grpc+gzip");
    }
}
