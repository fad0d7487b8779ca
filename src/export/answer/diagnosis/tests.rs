//! Real connections on loopback, where the error has to be a real one.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;

use bytes::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

type Failed = Box<dyn Error + Send + Sync>;

/// A body of one piece.
struct Whole(Option<Bytes>);

impl http_body::Body for Whole {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        std::task::Poll::Ready(self.0.take().map(|bytes| Ok(http_body::Frame::data(bytes))))
    }
}

fn request() -> http::Request<Whole> {
    let body = Whole(Some(Bytes::from_static(b"spans")));
    let request = http::Request::post("http://localhost/v1/traces").header("host", "localhost");
    request.body(body).unwrap()
}

/// What an exchange over HTTP/2, or over HTTP/1.1, fails with: the connection's own error if it has one.
async fn exchange<I>(io: I, protocol: Protocol) -> Failed
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    if protocol == Protocol::Grpc {
        let made = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(io));
        let (mut sender, connection) = match made.await {
            Ok(made) => made,
            Err(error) => return error.into(),
        };
        let driver = tokio::spawn(connection);
        let sent = sender.send_request(request()).await;
        let _ = driver.await;
        return sent.expect_err("no answer was expected").into();
    }
    let made = hyper::client::conn::http1::handshake(TokioIo::new(io)).await;
    let (mut sender, connection) = match made {
        Ok(made) => made,
        Err(error) => return error.into(),
    };
    let driver = tokio::spawn(connection);
    let sent = sender.send_request(request()).await;
    drop(sender);
    let _ = driver.await;
    sent.expect_err("no answer was expected").into()
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        tokio::time::timeout(std::time::Duration::from_secs(20), future)
            .await
            .expect("it ended in time")
    })
}

/// A server for one connection.
async fn serve<F>(serve: impl FnOnce(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        if let Ok((stream, _)) = listener.accept().await {
            serve(stream).await;
        }
    });
    address
}

/// Reads what comes first, answers this, reads on to the end.
async fn raw(answer: &'static [u8]) -> SocketAddr {
    serve(move |mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(answer).await;
        let _ = stream.shutdown().await;
        while stream.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {}
    })
    .await
}

fn plain(answer: &'static [u8], protocol: Protocol) -> String {
    run(async {
        let stream = TcpStream::connect(raw(answer).await).await.unwrap();
        let error = exchange(stream, protocol).await;
        of_transport(&*error, false, protocol)
    })
}

fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} is not in {text:?}");
    }
    assert!(!text.chars().any(char::is_control) && text.len() < 500);
}

const BAD_REQUEST: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n400 Bad Request";
/// An empty SETTINGS frame and a GOAWAY with PROTOCOL_ERROR, as HTTP/2 servers answer a wrong preface.
const SETTINGS_AND_GOAWAY: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x01";
/// A fatal TLS alert: protocol_version.
const ALERT: &[u8] = b"\x15\x03\x01\x00\x02\x02\x46";

#[test]
fn f_20_grpc_to_an_http_1_port() {
    says(
        &plain(BAD_REQUEST, Protocol::Grpc),
        &["OTLP/HTTP", "4317", "http/protobuf"],
    );
}

#[test]
fn f_20_grpc_to_hypers_http_1_server() {
    let text = run(async {
        let address = serve(|stream| async move {
            let service = hyper::service::service_fn(|_| async {
                Ok::<_, std::convert::Infallible>(http::Response::new(Whole(None)))
            });
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        })
        .await;
        let stream = TcpStream::connect(address).await.unwrap();
        let error = exchange(stream, Protocol::Grpc).await;
        of_transport(&*error, false, Protocol::Grpc)
    });
    says(&text, &["OTLP/HTTP", "4317", "http/protobuf"]);
}

#[test]
fn f_20_http_1_to_a_grpc_port() {
    says(
        &plain(SETTINGS_AND_GOAWAY, Protocol::HttpProtobuf),
        &["OTLP/gRPC", "4318", "protocol grpc"],
    );
}

#[test]
fn f_20_http_1_to_the_h2_server() {
    let text = run(async {
        let address = serve(|stream| async move {
            if let Ok(mut connection) = h2::server::handshake(stream).await {
                let _ = connection.accept().await;
            }
        })
        .await;
        let stream = TcpStream::connect(address).await.unwrap();
        let error = exchange(stream, Protocol::HttpJson).await;
        of_transport(&*error, false, Protocol::HttpJson)
    });
    says(&text, &["gRPC", "4318", "protocol grpc"]);
}

#[test]
fn f_20_plaintext_to_a_tls_port_that_sends_an_alert() {
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        says(&plain(ALERT, protocol), &["TLS", "https://"]);
    }
}

#[test]
fn f_20_plaintext_to_a_port_that_closes() {
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        says(&plain(b"", protocol), &["closed", "TLS", "https://"]);
    }
}

#[test]
fn f_8_an_error_of_h2_itself_that_hides_what_ended_the_connection() {
    let error = run(async {
        let stream = TcpStream::connect(raw(b"").await).await.unwrap();
        let (sender, connection) = h2::client::handshake(stream).await.unwrap();
        let driver = tokio::spawn(connection);
        let mut sender = sender.ready().await.unwrap();
        let request = http::Request::new(());
        let (answer, _) = sender.send_request(request, true).unwrap();
        let error = answer.await.unwrap_err();
        let _ = driver.await;
        error
    });
    assert!(error.is_io(), "{error:?}");
    says(
        &of_transport(&error, false, Protocol::Grpc),
        &["closed", "https://"],
    );
}

#[test]
fn f_1_a_refused_connection() {
    let error = run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        TcpStream::connect(address).await.unwrap_err()
    });
    let text = of_transport(&error, false, Protocol::Grpc);
    says(&text, &["refused", "4317", "4318"]);
}

#[test]
fn f_21_a_name_that_is_not_found() {
    let error = run(TcpStream::connect("no-such-host.invalid:4317")).unwrap_err();
    let text = of_transport(&error, false, Protocol::Grpc);
    says(&text, &["name was not found", "DNS"]);
}

#[test]
fn a_socket_that_is_not_there() {
    let error = run(tokio::net::UnixStream::connect("/nowhere/otlp.sock")).unwrap_err();
    says(
        &of_transport(&error, false, Protocol::Grpc),
        &["no such socket"],
    );
}

/// An error of any text, with a cause.
#[derive(Debug)]
struct Other(String, Option<Box<Self>>);

impl fmt::Display for Other {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Other {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_deref().map(|cause| cause as _)
    }
}

#[test]
fn what_is_not_known_is_shown_with_its_causes_cut_and_escaped() {
    let other = |text: &str, cause| Other(text.to_owned(), cause);
    let error = other(
        "a b",
        Some(Box::new(other("b", Some(Box::new(other("c\n", None)))))),
    );
    assert_eq!(of_transport(&error, true, Protocol::Grpc), "a b: c\\n");
    let wrapped = io::Error::other(other("inner", None));
    assert_eq!(of_transport(&wrapped, true, Protocol::Grpc), "inner");
    let long = (0..100).fold(other("end", None), |cause, number| {
        other(
            &format!("{number}{}", "x".repeat(99)),
            Some(Box::new(cause)),
        )
    });
    assert!(of_transport(&long, true, Protocol::Grpc).len() < 500);
}

#[cfg(feature = "tls")]
mod tls {
    use std::sync::Arc;

    use rcgen::{CertificateParams, CertifiedIssuer, KeyPair, date_time_ymd};
    use tokio_rustls::rustls::crypto::ring::default_provider;
    use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
    use tokio_rustls::rustls::server::WebPkiClientVerifier;
    use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig, version};
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    use super::*;

    /// An authority, and a server's certificate that it signed.
    struct Pki {
        roots: Arc<RootCertStore>,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    }

    fn pki(change: impl FnOnce(&mut CertificateParams)) -> Pki {
        signed_by("authority", change)
    }

    fn signed_by(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Pki {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        Pki {
            roots: Arc::new(roots),
            chain: vec![certificate.der().clone()],
            key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        }
    }

    fn client(roots: Arc<RootCertStore>) -> TlsConnector {
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        TlsConnector::from(Arc::new(config))
    }

    /// The diagnosis of an exchange with what listens there.
    async fn diagnosis(
        address: SocketAddr,
        roots: Arc<RootCertStore>,
        protocol: Protocol,
    ) -> String {
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let error = match client(roots).connect(name, stream).await {
            Ok(stream) => exchange(stream, protocol).await,
            Err(error) => error.into(),
        };
        of_transport(&*error, true, protocol)
    }

    async fn serve_tls(config: ServerConfig) -> SocketAddr {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        serve(|stream| async move {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let _ = stream.read(&mut [0; 4096]).await;
            }
        })
        .await
    }

    fn server(pki: &Pki) -> ServerConfig {
        ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(pki.chain.clone(), pki.key.clone_key())
            .unwrap()
    }

    fn certificate(change: impl FnOnce(&mut CertificateParams)) -> String {
        let pki = pki(change);
        run(async {
            let address = serve_tls(server(&pki)).await;
            diagnosis(address, pki.roots, Protocol::Grpc).await
        })
    }

    #[test]
    fn f_22_an_expired_certificate() {
        let text = certificate(|params| params.not_after = date_time_ymd(2001, 1, 1));
        says(&text, &["expired", "renew", "clock"]);
    }

    #[test]
    fn f_22_a_certificate_that_is_not_valid_yet() {
        let text = certificate(|params| params.not_before = date_time_ymd(3001, 1, 1));
        says(&text, &["not valid yet", "clock"]);
    }

    #[test]
    fn f_22_a_certificate_for_another_name() {
        let other = CertificateParams::new(vec!["other.example".to_owned()]).unwrap();
        let text = certificate(|params| params.subject_alt_names = other.subject_alt_names);
        says(
            &text,
            &["another name", "other.example", "with_server_name"],
        );
    }

    #[test]
    fn f_22_an_authority_that_is_not_trusted() {
        for name in ["another authority", "authority"] {
            let (theirs, ours) = (signed_by(name, |_| ()), pki(|_| ()));
            let text = run(async {
                let address = serve_tls(server(&theirs)).await;
                diagnosis(address, ours.roots, Protocol::Grpc).await
            });
            says(
                &text,
                &["nobody who is trusted", "OTEL_EXPORTER_OTLP_CERTIFICATE"],
            );
        }
    }

    #[test]
    fn f_22_a_certificate_that_signed_itself() {
        let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let theirs = Pki {
            roots: Arc::new(RootCertStore::empty()),
            chain: vec![own.cert.der().clone()],
            key: PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap(),
        };
        let text = run(async {
            let address = serve_tls(server(&theirs)).await;
            diagnosis(address, pki(|_| ()).roots, Protocol::Grpc).await
        });
        says(
            &text,
            &["nobody who is trusted", "OTEL_EXPORTER_OTLP_CERTIFICATE"],
        );
    }

    #[test]
    fn f_22_a_client_certificate_is_required() {
        for versions in [[&version::TLS13], [&version::TLS12]] {
            let pki = pki(|_| ());
            let provider = Arc::new(default_provider());
            let roots = Arc::clone(&pki.roots);
            let verifier =
                WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider))
                    .build()
                    .unwrap();
            let config = ServerConfig::builder_with_provider(provider)
                .with_protocol_versions(&versions)
                .unwrap()
                .with_client_cert_verifier(verifier)
                .with_single_cert(pki.chain.clone(), pki.key.clone_key())
                .unwrap();
            for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
                let config = config.clone();
                let text = run(async {
                    let address = serve_tls(config).await;
                    diagnosis(address, Arc::clone(&pki.roots), protocol).await
                });
                says(&text, &["client certificate", "OTEL_EXPORTER_OTLP_CLIENT_"]);
            }
        }
    }

    #[test]
    fn f_20_tls_to_a_plaintext_port() {
        for answer in [BAD_REQUEST, SETTINGS_AND_GOAWAY] {
            let text = run(async {
                let address = raw(answer).await;
                diagnosis(address, pki(|_| ()).roots, Protocol::Grpc).await
            });
            says(&text, &["not TLS", "http://"]);
        }
    }

    #[test]
    fn f_20_tls_to_a_port_that_closes() {
        let text = run(async {
            let address = raw(b"").await;
            diagnosis(address, pki(|_| ()).roots, Protocol::HttpProtobuf).await
        });
        says(&text, &["closed", "http://"]);
    }

    #[test]
    fn f_22_a_server_that_is_too_old() {
        let text = run(async {
            let address = raw(ALERT).await;
            diagnosis(address, pki(|_| ()).roots, Protocol::Grpc).await
        });
        says(&text, &["neither TLS 1.2 nor TLS 1.3"]);
    }

    #[test]
    fn f_20_plaintext_to_a_real_tls_port() {
        for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
            let pki = pki(|_| ());
            let text = run(async {
                let address = serve_tls(server(&pki)).await;
                let stream = TcpStream::connect(address).await.unwrap();
                let error = exchange(stream, protocol).await;
                of_transport(&*error, false, protocol)
            });
            says(&text, &["TLS", "https://"]);
        }
    }
}
