//! Whom to trust, and how to prove who we are.

use std::path::Path;

use crate::config::{Origin, Pem, Setting, Tls};
use crate::env::OfSignal;
use crate::export::Endpoint;
use crate::pipeline::explain::Explanation;

/// The code's, else what the environment says.
pub(super) fn resolve(
    code: Option<Tls>,
    endpoint: &Setting<Endpoint>,
    environment: &OfSignal,
    explained: &mut Explanation,
) -> Tls {
    let (tls, origins) = match code {
        Some(tls) => (tls, [Origin::Code("Builder::with_tls"); 3]),
        None => of_environment(environment, explained),
    };
    let is_on = endpoint.value.is_encrypted();
    let text = if is_on { "on" } else { "off" };
    explained.state("tls", text, endpoint.origin);
    if is_on {
        explain(&tls, origins, explained);
    }
    tls
}

/// With the origins of what is trusted, the client's certificate and its key.
fn of_environment(environment: &OfSignal, explained: &mut Explanation) -> (Tls, [Origin; 3]) {
    let mut tls = Tls::new();
    let mut origins = [Origin::Default; 3];
    if let Some(ca) = &environment.certificate {
        tls = tls.with_ca_file(&ca.value);
        origins[0] = ca.origin;
    }
    // "Both key and certificate or neither".
    match (&environment.client_certificate, &environment.client_key) {
        (Some(certificate), Some(key)) => {
            tls = tls.with_client_files(&certificate.value, &key.value);
            [origins[1], origins[2]] = [certificate.origin, key.origin];
        }
        (Some(alone), None) | (None, Some(alone)) => explained.warn(format!(
            "{}={:?} is ignored: expected a client's certificate and its key together",
            alone.origin, alone.value
        )),
        (None, None) => {}
    }
    (tls, origins)
}

fn explain(tls: &Tls, [ca, certificate, key]: [Origin; 3], explained: &mut Explanation) {
    let trusted = match &tls.ca {
        Some(pem) => pem_text(pem),
        None if tls.bundled_roots => "Mozilla's roots, built in".to_owned(),
        None => "the system's roots".to_owned(),
    };
    explained.state("tls.ca", trusted, ca);
    match &tls.client {
        Some((chain, secret)) => {
            explained.state("tls.client_certificate", pem_text(chain), certificate);
            explained.state("tls.client_key", pem_text(secret), key);
        }
        None => explained.state("tls.client_certificate", "none", certificate),
    }
    if let Some(name) = &tls.server_name {
        explained.state("tls.server_name", format_args!("{name:?}"), ca);
    }
}

/// A file by its path, and a text, which may be a key, by its length.
fn pem_text(pem: &Pem) -> String {
    match pem {
        Pem::File(path) => file(path),
        Pem::Text(text) => format!("{} bytes", text.len()),
    }
}

fn file(path: &Path) -> String {
    format!("file {path:?}")
}
