//! TLS by rustls: an explicit provider, and files that are read for each connection.

use std::io;

use tokio::net::TcpStream;

use super::pending::Pending;
use super::stream::Connected;
use crate::config::{Protocol, Tls};

#[cfg(feature = "tls")]
pub(super) use self::with_rustls::{Config, check, config, encrypt};
#[cfg(not(feature = "tls"))]
pub(super) use self::without::{Config, check, config, encrypt};

#[cfg(not(feature = "tls"))]
mod without {
    use super::{Connected, Pending, Protocol, TcpStream, Tls, io};

    #[derive(Debug)]
    pub(in super::super) enum Config {}

    pub(in super::super) fn check(_: &Tls) -> io::Result<()> {
        Ok(())
    }

    pub(in super::super) async fn config(
        _: &Tls,
        _: Protocol,
        _: &Pending<Config>,
    ) -> io::Result<Config> {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "TLS is not built in: enable the feature `tls`",
        ))
    }

    pub(in super::super) async fn encrypt(
        _: TcpStream,
        _: &str,
        _: &Tls,
        config: Config,
        _: Protocol,
    ) -> io::Result<Connected> {
        match config {}
    }
}

#[cfg(feature = "tls")]
mod with_rustls {
    use std::sync::Arc;

    use tokio_rustls::TlsConnector;
    use tokio_rustls::rustls::crypto::CryptoProvider;
    use tokio_rustls::rustls::pki_types::pem::PemObject;
    use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
    use tokio_rustls::rustls::{ClientConfig, RootCertStore};

    use super::{Connected, Pending, Protocol, TcpStream, Tls, io};
    use crate::config::Pem;
    use crate::export::blocking;

    const HTTP_2: &[u8] = b"h2";
    const HTTP_1: &[u8] = b"http/1.1";

    pub(in super::super) type Config = ClientConfig;

    /// Whom to trust and what to show, as the files say now.
    pub(in super::super) async fn config(
        settings: &Tls,
        protocol: Protocol,
        pending: &Pending<Config>,
    ) -> io::Result<Config> {
        let settings = settings.clone();
        // Reading files may block, and parsing the system's roots takes milliseconds.
        let read = || {
            blocking::start(move || read_config(&settings, protocol))
                .ok_or_else(|| io::Error::other("the system has no thread to read certificates"))
        };
        pending.join(read).await
    }

    /// Whether what was given as text can be read; files are looked at when they are needed.
    pub(in super::super) fn check(settings: &Tls) -> io::Result<()> {
        let is_text = |pem: &&Pem| matches!(pem, Pem::Text(_));
        if let Some(pem) = settings.ca.as_ref().filter(is_text) {
            certificates(pem, "CA certificate")?;
        }
        let client = settings.client.as_ref();
        if let Some(pem) = client.map(|(certificate, _)| certificate).filter(is_text) {
            certificates(pem, "client certificate")?;
        }
        if let Some(pem) = client.map(|(_, key)| key).filter(is_text) {
            private_key(pem)?;
        }
        match &settings.server_name {
            Some(name) => server_name(name).map(|_| ()),
            None => Ok(()),
        }
    }

    fn server_name(name: &str) -> io::Result<ServerName<'static>> {
        ServerName::try_from(name.to_owned())
            .map_err(|_| wrong(format!("{name:?} is no name for a certificate")))
    }

    /// Encrypts a connection; the certificate has to be one for `host`.
    pub(in super::super) async fn encrypt(
        stream: TcpStream,
        host: &str,
        settings: &Tls,
        config: Config,
        protocol: Protocol,
    ) -> io::Result<Connected> {
        let name = server_name(settings.server_name.as_deref().unwrap_or(host))?;
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connector.connect(name, stream).await?;
        let agreed = stream.get_ref().1.alpn_protocol();
        // A gRPC server that does not negotiate speaks HTTP/2 all the same.
        let speaks_http2 = agreed.map_or(protocol == Protocol::Grpc, |agreed| agreed == HTTP_2);
        Ok(Connected {
            stream: Box::new(stream),
            speaks_http2,
            to_a_proxy: false,
        })
    }

    fn read_config(settings: &Tls, protocol: Protocol) -> io::Result<Config> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong(format!("the crypto provider does not do: {error}")))?
            .with_root_certificates(roots(settings)?);
        let mut config = match &settings.client {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates(certificate, "client certificate")?;
                let key = private_key(key)?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| wrong(format!("client certificate and key: {error}")))?
            }
        };
        config.alpn_protocols = match protocol {
            Protocol::Grpc => vec![HTTP_2.to_vec()],
            Protocol::HttpProtobuf | Protocol::HttpJson => vec![HTTP_2.to_vec(), HTTP_1.to_vec()],
        };
        Ok(config)
    }

    /// The one that the program has installed, else ours: never a default that might not be there.
    fn provider() -> Arc<CryptoProvider> {
        CryptoProvider::get_default().map_or_else(|| Arc::new(built_in()), Arc::clone)
    }

    #[cfg(feature = "aws-lc")]
    use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider as built_in;
    #[cfg(not(feature = "aws-lc"))]
    use tokio_rustls::rustls::crypto::ring::default_provider as built_in;

    fn roots(settings: &Tls) -> io::Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        if let Some(pem) = &settings.ca {
            for certificate in certificates(pem, "CA certificate")? {
                roots
                    .add(certificate)
                    .map_err(|error| wrong(format!("CA certificate {pem:?}: {error}")))?;
            }
            return Ok(roots);
        }
        #[cfg(feature = "bundled-roots")]
        if settings.bundled_roots {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            return Ok(roots);
        }
        // Some of a system's roots are always odd; that is no reason to trust none.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(wrong(
                "this system has no root certificates; use Tls::with_ca_file or Tls::with_bundled_roots".to_owned(),
            ));
        }
        Ok(roots)
    }

    fn certificates(pem: &Pem, what: &str) -> io::Result<Vec<CertificateDer<'static>>> {
        let text = read(pem, what)?;
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
        match found {
            Ok(found) if !found.is_empty() => Ok(found),
            Ok(_) => Err(wrong(format!("{what} {pem:?}: no PEM certificate in it"))),
            // Its own error quotes the text, which may be a key.
            Err(_) => Err(wrong(format!(
                "{what} {pem:?}: it is no PEM, or its lines are not whole"
            ))),
        }
    }

    fn private_key(pem: &Pem) -> io::Result<PrivateKeyDer<'static>> {
        let text = read(pem, "client key")?;
        PrivateKeyDer::from_pem_slice(&text)
            .map_err(|_| wrong(format!("client key {pem:?}: no PEM private key in it")))
    }

    fn read(pem: &Pem, what: &str) -> io::Result<Vec<u8>> {
        match pem {
            Pem::Text(text) => Ok(text.clone()),
            // Not with its own kind, which would be taken for one of the connection's.
            Pem::File(path) => std::fs::read(path)
                .map_err(|error| wrong(format!("{what} {}: {error}", path.display()))),
        }
    }

    fn wrong(message: String) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidInput, message)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn p_29_a_key_in_the_place_of_a_certificate_is_not_shown() {
            // As a bundle looks whose line breaks were lost.
            for key in [
                "-----BEGIN PRIVATE KEY-----c2VjcmV0",
                "-----BEGIN PRIVATE KEY-----c2VjcmV0-----END PRIVATE KEY-----",
            ] {
                let error = certificates(&Pem::Text(key.into()), "CA certificate").unwrap_err();
                let quoted = format!("{:?}", b"c2Vj");
                let quoted = quoted.trim_matches(['[', ']']);
                assert!(!error.to_string().contains(quoted), "{error}");
                assert!(error.to_string().contains("no PEM"), "{error}");
            }
        }
    }
}
