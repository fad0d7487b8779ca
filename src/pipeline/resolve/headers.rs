//! The headers of each request: the environment's under the code's.

use crate::config::Origin;
use crate::env::OfSignal;
use crate::error::Error;
use crate::export::{Endpoint, Headers, is_credential};
use crate::pipeline::destination::WantedHeaders;
use crate::pipeline::explain::Explanation;

pub(super) fn resolve(
    code: WantedHeaders,
    endpoint: &Endpoint,
    environment: &OfSignal,
    explained: &mut Explanation,
) -> Result<Headers, Error> {
    let mut headers = Headers::default();
    if let Some(list) = &environment.headers {
        let others = list.value.iter();
        for (name, value) in others.filter(|(name, _)| !code.fixed.has(name)) {
            match headers.insert(name, value, list.origin.name()) {
                Ok(()) => explained.state(header(name), "***", list.origin),
                Err(error) => explained.warn(format!("{error}; the header is ignored")),
            }
        }
    }
    const METHOD: &str = "Builder::with_header";
    for (name, value) in code.fixed.iter() {
        headers.insert(name, value, METHOD)?;
        explained.state(header(name), "***", Origin::Code(METHOD));
    }
    let mut credentials: Vec<String> = headers
        .names()
        .filter(|name| is_credential(name))
        .map(str::to_owned)
        .collect();
    if let Some(path) = code.bearer_token_file {
        let origin = Origin::Code("Builder::with_bearer_token_file");
        explained.state(
            header("authorization"),
            format_args!("file {path:?}"),
            origin,
        );
        credentials.retain(|name| name != "authorization");
        credentials.push("authorization".to_owned());
        headers.bearer_token_file(path);
    }
    if let Some(provider) = code.provider {
        let origin = Origin::Code("Builder::with_header_provider");
        explained.state("headers of a provider", "***", origin);
        credentials.push("those of Builder::with_header_provider".to_owned());
        headers.provide(provider);
    }
    if !credentials.is_empty() && endpoint.is_remote() && !endpoint.is_encrypted() {
        explained.warn(format!(
            "credentials leave for {} without encryption (headers: {}); use https",
            endpoint,
            credentials.join(", ")
        ));
    }
    Ok(headers)
}

fn header(name: &str) -> String {
    format!("header {name}")
}
