//! Where and how to send: a wrong value in the code is an error, and one in the environment a warning and the default.

use super::{headers, tls};
use crate::config::{Balance, Compression, Origin, Protocol, Setting, within};
use crate::env::{Environment, OfSignal};
use crate::error::Error;
use crate::export::{Destination, Endpoint, Written};
use crate::pipeline::destination::Wanted;
use crate::pipeline::explain::Explanation;
use crate::signal::Signal;

/// The specification's largest answer.
const MAX_RESPONSE: usize = 4 << 20;

/// More than this are not one destination's.
const MOST_ENDPOINTS: usize = 16;

pub(super) fn resolve(
    mut code: Wanted,
    signal: Signal,
    environment: &Environment,
    explained: &mut Explanation,
) -> Result<Destination, Error> {
    let own = environment.of(signal);
    let protocol = protocol(code.protocol, own, explained)?;
    let endpoint = endpoint(&code, (signal, protocol), environment, explained)?;
    let further_endpoints =
        further_endpoints(&code, (signal, protocol), own, endpoint.origin, explained)?;
    let all = || std::iter::once(&endpoint.value).chain(&further_endpoints);
    let is_exposed = |endpoint: &&Endpoint| endpoint.is_remote() && !endpoint.is_encrypted();
    let exposed = all().find(is_exposed).unwrap_or(&endpoint.value);
    let encrypted = all().find(|endpoint| endpoint.is_encrypted());
    let encrypted = Setting::new(
        encrypted.unwrap_or(&endpoint.value).clone(),
        endpoint.origin,
    );
    let tls = tls::resolve(code.tls.take(), &encrypted, own, explained);
    let compression = compression(code.compression, own, explained)?;
    let level = level(code.compression_level, compression, explained)?;
    let proxy = Setting::of_code(code.proxy, "Builder::with_proxy_from_environment", false);
    Ok(Destination {
        protocol,
        headers: headers::resolve(code.headers, exposed, own, explained)?,
        balance: balance(code.balance, further_endpoints.len(), explained),
        endpoint: endpoint.value,
        further_endpoints,
        compression: compression.value,
        level,
        tls,
        proxy: explained.settle("proxy_from_environment", proxy),
        max_response: max_response(code.max_response_bytes, explained)?,
        user_agent: user_agent(code.user_agent, explained)?,
    })
}

const DEFAULT_PROTOCOL: Protocol = if cfg!(feature = "grpc") {
    Protocol::Grpc
} else {
    Protocol::HttpProtobuf
};

fn protocol(
    code: Option<Protocol>,
    environment: &OfSignal,
    explained: &mut Explanation,
) -> Result<Protocol, Error> {
    let default = Setting::new(DEFAULT_PROTOCOL, Origin::Default);
    let method = "Builder::with_protocol";
    let said = Setting::resolve(code, method, environment.protocol, DEFAULT_PROTOCOL);
    let (built_in, feature) = match said.value {
        Protocol::Grpc => (cfg!(feature = "grpc"), "grpc"),
        Protocol::HttpProtobuf => (cfg!(feature = "http"), "http"),
        Protocol::HttpJson => (cfg!(feature = "http-json"), "http-json"),
    };
    let checked = require(built_in, feature, said.value.name(), said.origin);
    let protocol = fall_back(checked, said, default, default.value.name(), explained)?;
    explained.state("protocol", protocol.value.name(), protocol.origin);
    Ok(protocol.value)
}

/// What needs a feature that is not enabled is a wrong value.
fn require(built_in: bool, feature: &str, what: &str, origin: Origin) -> Result<(), Error> {
    if built_in {
        return Ok(());
    }
    Err(Error::config(format!(
        "{origin}: {what} needs the feature `{feature}` of tracing-otlp"
    )))
}

/// What the code said wrong is an error; what the environment said wrong is warned about, and the default holds.
fn fall_back<T>(
    checked: Result<(), Error>,
    said: Setting<T>,
    default: Setting<T>,
    name_of_default: &str,
    explained: &mut Explanation,
) -> Result<Setting<T>, Error> {
    match (checked, said.origin) {
        (Ok(()), _) => Ok(said),
        (Err(error), Origin::Environment(_)) => {
            explained.warn(format!("{error}; {name_of_default} is used"));
            Ok(default)
        }
        (Err(error), _) => Err(error),
    }
}

fn endpoint(
    code: &Wanted,
    (signal, protocol): (Signal, Protocol),
    environment: &Environment,
    explained: &mut Explanation,
) -> Result<Setting<Endpoint>, Error> {
    let own = environment.of(signal);
    let insecure = insecure(code, own);
    let default = || Setting::new(protocol.endpoint().to_owned(), Origin::Default);
    let said = |(code, method): (Option<&String>, &'static str)| {
        code.map(|text| Setting::new(text.clone(), Origin::Code(method)))
    };
    // Each with whether it is the URL itself.
    let asked = [
        (said(code.endpoint_of(signal)), true),
        (
            said((code.endpoint.as_ref(), "Builder::with_endpoint")),
            false,
        ),
        (own.endpoint.clone(), true),
        (environment.endpoint.clone(), false),
        (Some(default()), false),
    ];
    let asked = asked
        .into_iter()
        .filter_map(|(setting, whole)| Some((setting?, whole)));
    let mut last = Error::config("no endpoint");
    for (setting, whole) in asked {
        let written = Written {
            signal,
            text: &setting.value,
            origin: setting.origin.name(),
            whole,
            insecure: insecure.value,
        };
        match (
            parse(written, protocol, setting.origin, explained),
            setting.origin,
        ) {
            (Ok(endpoint), origin) => {
                explained.state("endpoint", &endpoint, origin);
                explained.settle("insecure", insecure);
                return Ok(Setting::new(endpoint, origin));
            }
            (Err(error), Origin::Environment(_)) => {
                explained.warn(format!("{error}; it is ignored"));
                last = error;
            }
            (Err(error), _) => return Err(error),
        }
    }
    Err(last)
}

fn insecure(code: &Wanted, environment: &OfSignal) -> Setting<bool> {
    let method = "Builder::with_insecure";
    Setting::resolve(code.insecure, method, environment.insecure, false)
}

fn parse(
    written: Written<'_>,
    protocol: Protocol,
    origin: Origin,
    explained: &mut Explanation,
) -> Result<Endpoint, Error> {
    let endpoint = Endpoint::parse(written, protocol)?;
    let built_in = !endpoint.is_encrypted() || cfg!(feature = "tls");
    require(built_in, "tls", "https", origin)?;
    if let Some(why) = endpoint.unsent() {
        explained.warn(format!("{origin}: of the endpoint {endpoint}, {why}"));
    }
    Ok(endpoint)
}

/// Those that the code names beside the first one, unless something else beats that.
fn further_endpoints(
    code: &Wanted,
    (signal, protocol): (Signal, Protocol),
    environment: &OfSignal,
    first: Origin,
    explained: &mut Explanation,
) -> Result<Vec<Endpoint>, Error> {
    const METHOD: &str = "Builder::with_endpoints";
    if first != Origin::Code("Builder::with_endpoint") {
        return Ok(Vec::new());
    }
    within(METHOD, code.further_endpoints.len() + 1, 1, MOST_ENDPOINTS)?;
    let mut endpoints = Vec::new();
    for text in &code.further_endpoints {
        let written = Written {
            signal,
            text,
            origin: METHOD,
            whole: false,
            insecure: insecure(code, environment).value,
        };
        let endpoint = parse(written, protocol, Origin::Code(METHOD), explained)?;
        explained.state("endpoint", &endpoint, Origin::Code(METHOD));
        endpoints.push(endpoint);
    }
    Ok(endpoints)
}

fn balance(code: Option<Balance>, further: usize, explained: &mut Explanation) -> Balance {
    let balance = Setting::of_code(code, "Builder::with_balance", Balance::default());
    if further == 0 && code.is_none() {
        return balance.value;
    }
    explained.settle("balance", balance)
}

fn compression(
    code: Option<Compression>,
    environment: &OfSignal,
    explained: &mut Explanation,
) -> Result<Setting<Compression>, Error> {
    let default = Setting::new(Compression::None, Origin::Default);
    let method = "Builder::with_compression";
    let said = Setting::resolve(code, method, environment.compression, default.value);
    let (built_in, feature) = match said.value {
        Compression::None => (true, ""),
        Compression::Gzip => (cfg!(feature = "gzip"), "gzip"),
        Compression::Zstd => (cfg!(feature = "zstd"), "zstd"),
    };
    let checked = require(built_in, feature, said.value.name(), said.origin);
    let compression = fall_back(checked, said, default, default.value.name(), explained)?;
    explained.state("compression", compression.value.name(), compression.origin);
    Ok(compression)
}

fn level(
    code: Option<i32>,
    compression: Setting<Compression>,
    explained: &mut Explanation,
) -> Result<Option<i32>, Error> {
    const METHOD: &str = "Builder::with_compression_level";
    // gzip's least effort, since the CPU is the application's; zstd's own default costs less than that.
    let (levels, default) = match compression.value {
        Compression::None => (0..=19, None),
        Compression::Gzip => (0..=9, Some(1)),
        Compression::Zstd => (1..=19, Some(3)),
    };
    let wrong = code.filter(|level| !levels.contains(level)).map(|level| {
        Error::config(format!(
            "{METHOD}: {level} is not from {} to {}, which {} has",
            levels.start(),
            levels.end(),
            compression.value.name()
        ))
    });
    let code = match (wrong, compression.origin) {
        // A level of the code's that the environment's compression does not have is not the code's mistake.
        (Some(error), Origin::Environment(_)) => {
            explained.warn(format!("{error}; the default is used"));
            None
        }
        (Some(error), _) => return Err(error),
        (None, _) => code,
    };
    let Some(default) = default else {
        return Ok(None);
    };
    let level = Setting::of_code(code, METHOD, default);
    Ok(Some(explained.settle("compression_level", level)))
}

fn max_response(code: Option<usize>, explained: &mut Explanation) -> Result<usize, Error> {
    const METHOD: &str = "Builder::with_max_response_bytes";
    let bytes = Setting::of_code(code, METHOD, MAX_RESPONSE);
    within(METHOD, bytes.value, 1 << 10, 64 << 20)?;
    Ok(explained.settle("max_response_bytes", bytes))
}

fn user_agent(code: Option<String>, explained: &mut Explanation) -> Result<Option<String>, Error> {
    const METHOD: &str = "Builder::with_user_agent";
    let Some(prefix) = code else {
        explained.state("user_agent", "the crate's own", Origin::Default);
        return Ok(None);
    };
    let is_printable = |c: char| c.is_ascii_graphic() || c == ' ';
    if prefix.trim().is_empty() || !prefix.chars().all(is_printable) {
        return Err(Error::config(format!(
            "{METHOD}: {prefix:?} is not a product in printable ASCII"
        )));
    }
    let setting = Setting::new(prefix, Origin::Code(METHOD));
    Ok(Some(explained.settle("user_agent", setting)))
}

#[cfg(test)]
#[cfg(all(feature = "grpc", feature = "gzip"))]
mod tests;
