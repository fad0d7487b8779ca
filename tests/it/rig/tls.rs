//! The collector over TLS, and the certificates.

use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, ProtocolVersion};

use super::client::{ask, call_on, connect, exchange, grpc, http1, http2, protobuf, run};
use crate::support::certificates::{Certificates, Demands, Flaw};
use crate::support::collector::manner::grpc_prefixed;
use crate::support::collector::{Collector, Greeting};

async fn handshake(
    collector: &Collector,
    config: ClientConfig,
) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from("localhost").expect("a name");
    // A reset may be faster than the client.
    let stream = TcpStream::connect(("127.0.0.1", collector.port())).await?;
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

#[test]
fn both_protocols_go_over_tls_and_alpn_agrees() {
    let certificates = Certificates::new();
    for tls12_only in [false, true] {
        let demands = Demands {
            tls12_only,
            ..Demands::default()
        };
        let server = certificates.server(Flaw::None).server_config(&demands);
        let collector = Collector::start_tls(server);
        assert!(collector.endpoint().starts_with("https://localhost:"));
        run(async {
            let config = certificates.client_config(&["h2"], None);
            let stream = handshake(&collector, config).await.expect("trust");
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
            let version = stream.get_ref().1.protocol_version();
            assert_eq!(version == Some(ProtocolVersion::TLSv1_2), tls12_only);
            let (client, connection) = http2(stream).await;
            tokio::spawn(connection);
            let body = grpc_prefixed(&protobuf(1));
            let answer = call_on(client, grpc(None), body).await.expect("an answer");
            assert_eq!(answer.trailer("grpc-status"), "0");

            let config = certificates.client_config(&["http/1.1"], None);
            let mut stream = handshake(&collector, config).await.expect("trust");
            let request = http1("application/x-protobuf", "", &protobuf(1));
            assert!(
                ask(&mut stream, &request)
                    .await
                    .starts_with("HTTP/1.1 200 ")
            );
        });
        collector.look(|log| {
            let versions: Vec<_> = log.requests.iter().map(|one| one.is_http2).collect();
            assert_eq!(versions, [true, false]);
        });
    }
}

#[test]
fn f22_each_flaw_of_a_certificate_is_seen_by_the_client_and_heals() {
    let certificates = Certificates::new();
    let collector = Collector::start();
    let mut reasons = Vec::new();
    for (flaw, reason) in [
        (Flaw::Expired, "expired"),
        (Flaw::NotYetValid, "not valid yet"),
        (Flaw::WrongHost, "not valid for name"),
        (Flaw::SelfSigned, "UnknownIssuer"),
        (Flaw::OtherCa, "UnknownIssuer"),
        (Flaw::None, ""),
    ] {
        let server = certificates.server(flaw);
        collector.shows(Some(server.server_config(&Demands::default())));
        let config = certificates.client_config(&[], None);
        let shaken = run(handshake(&collector, config));
        let error = shaken
            .err()
            .map_or(String::new(), |error| error.to_string());
        reasons.push((flaw, reason, error));
    }
    for (flaw, reason, error) in &reasons {
        assert!(error.contains(reason), "{flaw:?}: {error}");
        assert_eq!(error.is_empty(), *flaw == Flaw::None, "{flaw:?}: {error}");
    }
    collector.wait("the handshakes to fail", |log| {
        log.failed_handshakes.len() == 5
    });
    assert_eq!(collector.look(|log| log.requests.len()), 0);
}

#[test]
fn f22_a_certificate_of_the_client_is_demanded() {
    let certificates = Certificates::new();
    let demands = Demands {
        clients_of: Some(certificates.ca_pem()),
        ..Demands::default()
    };
    let server = certificates.server(Flaw::None).server_config(&demands);
    let collector = Collector::start_tls(server);
    let request = http1(
        "application/x-protobuf",
        "connection: close\r\n",
        &protobuf(1),
    );
    for (shown, taken) in [
        (None, 0),
        (Some(Flaw::Expired), 0),
        (Some(Flaw::OtherCa), 0),
        (Some(Flaw::None), 1),
    ] {
        let identity = shown.map(|flaw| certificates.client(flaw));
        let config = certificates.client_config(&[], identity.as_ref());
        run(async {
            // With TLS 1.3 the client learns it when it reads.
            let mut stream = handshake(&collector, config).await.expect("its own half");
            let _ = exchange(&mut stream, &request).await;
        });
        assert_eq!(
            collector.look(|log| log.taken().count()),
            taken,
            "{shown:?}"
        );
    }
    collector.wait("refusals", |log| log.failed_handshakes.len() == 3);
}

#[test]
fn f20_plain_text_to_tls_and_tls_to_plain_text_are_answered() {
    let certificates = Certificates::new();
    let server = certificates.server(Flaw::None);
    let collector = Collector::start_tls(server.server_config(&Demands::default()));
    run(async {
        let request = http1("application/x-protobuf", "", &protobuf(1));
        let answer = exchange(&mut connect(collector.port()).await, &request).await;
        // An alert of TLS: its type is 21.
        assert!(
            answer.is_err()
                || answer.is_ok_and(|bytes| bytes.first().is_none_or(|byte| *byte == 21))
        );
        collector.wait("it to fail", |log| log.failed_handshakes.len() == 1);
        collector.shows(None);
        let shaken = handshake(&collector, certificates.client_config(&[], None)).await;
        assert!(shaken.is_err());
    });
}

#[test]
fn f23_a_handshake_is_reset_at_any_byte() {
    let certificates = Certificates::new();
    let server = certificates.server(Flaw::None);
    let collector = Collector::start_tls(server.server_config(&Demands::default()));
    for bytes in [0, 1, 50, 150] {
        collector.greets(move |_| Greeting::ResetAfter(bytes));
        let shaken = run(handshake(&collector, certificates.client_config(&[], None)));
        let kind = shaken.err().map(|error| error.kind());
        assert_eq!(kind, Some(std::io::ErrorKind::ConnectionReset));
    }
}

#[test]
fn files_are_written_and_go_with_their_folder() {
    let certificates = Certificates::new();
    let identity = certificates.client(Flaw::None);
    let (certificate, key) = certificates.write_identity(&identity);
    let read = |path| std::fs::read_to_string(path).expect("a file");
    assert_eq!(
        (read(&certificate), read(&key)),
        (identity.certificate, identity.key)
    );
    assert_eq!(read(&certificates.ca_file()), certificates.ca_pem());
    let folder = certificates.folder().to_owned();
    drop(certificates);
    assert!(!folder.exists());
}
