//! Why TLS was not established.

use std::error::Error;

use tokio_rustls::rustls::{AlertDescription, CertificateError, Error as TlsError};

use super::super::text::printable;

const LONGEST: usize = 400;
const CLIENT_CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY, or Tls::with_client_files";

/// The alerts that a server sends about what it wants of a client.
const ALERTS: [AlertDescription; 13] = [
    AlertDescription::CertificateRequired,
    AlertDescription::HandshakeFailure,
    AlertDescription::CertificateExpired,
    AlertDescription::BadCertificate,
    AlertDescription::UnsupportedCertificate,
    AlertDescription::CertificateRevoked,
    AlertDescription::CertificateUnknown,
    AlertDescription::UnknownCA,
    // The certificate names the authority, which has another key.
    AlertDescription::DecryptError,
    AlertDescription::AccessDenied,
    AlertDescription::ProtocolVersion,
    AlertDescription::UnrecognisedName,
    AlertDescription::NoApplicationProtocol,
];

/// The diagnosis of a cause that is TLS's.
pub(super) fn diagnosis(cause: &(dyn Error + 'static)) -> Option<String> {
    let text = match cause.downcast_ref::<TlsError>() {
        Some(error) => of_error(error),
        None => of_alert(alert_in_text(cause)?),
    };
    Some(printable(&text, LONGEST))
}

/// With TLS 1.3, a client certificate is asked for after the handshake; h2 passes on the text of what then comes, and not
/// the error.
fn alert_in_text(cause: &(dyn Error + 'static)) -> Option<AlertDescription> {
    let text = cause.downcast_ref::<std::io::Error>()?.to_string();
    ALERTS
        .into_iter()
        .find(|alert| text == TlsError::AlertReceived(*alert).to_string())
}

fn of_error(error: &TlsError) -> String {
    match error {
        TlsError::InvalidCertificate(error) => of_certificate(error),
        TlsError::AlertReceived(alert) => of_alert(*alert),
        TlsError::InvalidMessage(_) | TlsError::InappropriateMessage { .. } => {
            "what answers is not TLS: if the port takes plaintext, use http://".to_owned()
        }
        TlsError::PeerIncompatible(why) => {
            format!("the server offers no TLS that is accepted here (1.2 or 1.3): {why:?}")
        }
        error => format!("TLS failed: {error}"),
    }
}

fn of_certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the server's certificate has expired: renew it, or set this machine's clock".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the server's certificate is not valid yet: set this machine's clock, or wait"
                .to_owned()
        }
        // A CA's successor of the same name has signed with another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "the server's certificate is signed by nobody who is trusted here: name its CA \
             (OTEL_EXPORTER_OTLP_CERTIFICATE, or Tls::with_ca_file)"
                .to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!(
                "the server's certificate is for another name: use that name in the endpoint, or Tls::with_server_name ({error})"
            )
        }
        CertificateError::Revoked => "the server's certificate was revoked: renew it".to_owned(),
        error => format!("the server's certificate is not accepted: {error}"),
    }
}

fn of_alert(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRequired => {
            format!("the server wants a client certificate: set {CLIENT_CERTIFICATE}")
        }
        AlertDescription::HandshakeFailure => format!(
            "the server refused the TLS handshake: no cipher in common, or it wants a client certificate ({CLIENT_CERTIFICATE})"
        ),
        AlertDescription::CertificateExpired => {
            "the server says that our client certificate has expired: renew it".to_owned()
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::DecryptError
        | AlertDescription::AccessDenied => {
            format!("the server does not accept our client certificate ({alert:?}): check {CLIENT_CERTIFICATE}")
        }
        AlertDescription::ProtocolVersion => {
            "the server speaks neither TLS 1.2 nor TLS 1.3: update it".to_owned()
        }
        AlertDescription::UnrecognisedName => {
            "the server has no certificate for this name: check the endpoint's host, or Tls::with_server_name".to_owned()
        }
        AlertDescription::NoApplicationProtocol => {
            "the server does not speak this version of HTTP: use protocol grpc for gRPC, http/protobuf for OTLP/HTTP".to_owned()
        }
        alert => format!("the server ended TLS with the alert {alert:?}"),
    }
}
