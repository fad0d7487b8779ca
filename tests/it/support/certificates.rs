//! Certificates, good and bad, and what TLS demands with them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, date_time_ymd,
};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ServerConfig, WebPkiClientVerifier};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, version};

/// A certificate authority, and a folder that is removed with it.
pub(crate) struct Certificates {
    ca: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
    files: AtomicUsize,
}

/// What is wrong with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    Expired,
    NotYetValid,
    /// It is for another host.
    WrongHost,
    SelfSigned,
    /// An authority signed it that nobody knows.
    OtherCa,
}

/// A certificate and its key, as PEM.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// What a server demands.
#[derive(Clone, Debug)]
pub(crate) struct Demands {
    /// Certificates of clients, signed by the authority of this PEM text.
    pub(crate) clients_of: Option<String>,
    pub(crate) tls12_only: bool,
    /// What it offers to speak, best first.
    pub(crate) alpn: Vec<&'static str>,
}

impl Default for Demands {
    fn default() -> Self {
        Self {
            clients_of: None,
            tls12_only: false,
            alpn: vec!["h2", "http/1.1"],
        }
    }
}

impl Certificates {
    pub(crate) fn new() -> Self {
        static FOLDERS: AtomicUsize = AtomicUsize::new(0);
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("otlp-certificates-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        Self {
            ca: authority("an authority"),
            folder,
            files: AtomicUsize::new(0),
        }
    }

    pub(crate) fn ca_pem(&self) -> String {
        self.ca.pem()
    }

    pub(crate) fn ca_file(&self) -> PathBuf {
        self.write(&self.ca.pem())
    }

    /// Of a server at `localhost` and 127.0.0.1.
    pub(crate) fn server(&self, flaw: Flaw) -> Identity {
        let names = match flaw {
            Flaw::WrongHost => vec!["elsewhere.test".to_owned()],
            _ => vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
        };
        self.issue(names, ExtendedKeyUsagePurpose::ServerAuth, flaw)
    }

    pub(crate) fn client(&self, flaw: Flaw) -> Identity {
        let names = vec!["client.test".to_owned()];
        self.issue(names, ExtendedKeyUsagePurpose::ClientAuth, flaw)
    }

    fn issue(&self, names: Vec<String>, usage: ExtendedKeyUsagePurpose, flaw: Flaw) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(names).expect("names of hosts");
        params.extended_key_usages.push(usage);
        params.distinguished_name.push(DnType::CommonName, "a host");
        match flaw {
            Flaw::Expired => params.not_after = date_time_ymd(2001, 1, 1),
            Flaw::NotYetValid => params.not_before = date_time_ymd(3000, 1, 1),
            _ => {}
        }
        let certificate = match flaw {
            Flaw::SelfSigned => params.self_signed(&key),
            Flaw::OtherCa => params.signed_by(&key, &authority("another authority")),
            _ => params.signed_by(&key, &self.ca),
        };
        Identity {
            certificate: certificate.expect("a certificate").pem(),
            key: key.serialize_pem(),
        }
    }

    /// Writes a text into a file of its own.
    pub(crate) fn write(&self, text: &str) -> PathBuf {
        let number = self.files.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.join(format!("{number}.pem"));
        std::fs::write(&path, text).expect("a file in the temporary folder");
        path
    }

    /// The files of the certificate and of its key.
    pub(crate) fn write_identity(&self, identity: &Identity) -> (PathBuf, PathBuf) {
        (self.write(&identity.certificate), self.write(&identity.key))
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A raw client that trusts this authority.
    pub(crate) fn client_config(&self, alpn: &[&str], shown: Option<&Identity>) -> ClientConfig {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("ring knows them")
            .with_root_certificates(roots(&self.ca_pem()));
        let mut config = match shown {
            None => builder.with_no_client_auth(),
            Some(identity) => builder
                .with_client_auth_cert(identity.chain(), identity.private_key())
                .expect("a certificate and its key"),
        };
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Identity {
    /// A server that shows this certificate.
    pub(crate) fn server_config(&self, demands: &Demands) -> Arc<ServerConfig> {
        let versions = if demands.tls12_only {
            &[&version::TLS12][..]
        } else {
            &[&version::TLS13, &version::TLS12]
        };
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .expect("ring knows them");
        let builder = match &demands.clients_of {
            None => builder.with_no_client_auth(),
            Some(ca) => {
                let roots = Arc::new(roots(ca));
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
                builder.with_client_cert_verifier(verifier.build().expect("an authority"))
            }
        };
        let mut config = builder
            .with_single_cert(self.chain(), self.private_key())
            .expect("a certificate and its key");
        let names = demands.alpn.iter();
        config.alpn_protocols = names.map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }

    fn chain(&self) -> Vec<CertificateDer<'static>> {
        let chain = CertificateDer::pem_slice_iter(self.certificate.as_bytes());
        chain.collect::<Result<_, _>>().expect("certificates")
    }

    fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("a key")
    }
}

/// The name matters: what cannot be told apart by name has a wrong signature, not an unknown issuer.
fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

fn roots(pem: &str) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let added = roots.add(certificate.expect("a certificate"));
        added.expect("an authority");
    }
    roots
}

/// By name: where two providers are linked, rustls has no default.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
