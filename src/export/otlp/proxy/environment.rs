//! The proxy that the environment names for a host: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, as curl reads them.

mod exceptions;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use http::uri::Authority;

use crate::error::Error;
use crate::percent::percent_decoded;

/// curl's default.
const DEFAULT_PORT: u16 = 1080;

/// What to connect to instead of the destination.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::export::otlp) struct Proxy {
    pub(in crate::export::otlp) host: String,
    pub(in crate::export::otlp) port: u16,
    /// `proxy-authorization`, sensitive.
    pub(in crate::export::otlp) authorization: Option<HeaderValue>,
}

/// The proxy for a destination, out of variables given as a function; `None` where it is reached directly.
///
/// Lower case goes before upper case, and what is empty is not set. `HTTP_PROXY` in upper case is not read where `REQUEST_METHOD`
/// is set: in a CGI program, it is a header of whoever calls.
///
/// # Errors
///
/// For a value that is no proxy, or one of a kind that is not supported; the error names the variable.
pub(in crate::export::otlp) fn proxy_for(
    variables: &dyn Fn(&str) -> Option<String>,
    host: &str,
    port: u16,
    tls: bool,
) -> Result<Option<Proxy>, Error> {
    let set = |name: &'static str| {
        let value = variables(name)?;
        let value = value.trim().to_owned();
        (!value.is_empty()).then_some((name, value))
    };
    let of_scheme = if tls {
        set("https_proxy").or_else(|| set("HTTPS_PROXY"))
    } else if set("REQUEST_METHOD").is_some() {
        set("http_proxy")
    } else {
        set("http_proxy").or_else(|| set("HTTP_PROXY"))
    };
    let of_all = || set("all_proxy").or_else(|| set("ALL_PROXY"));
    let Some((name, value)) = of_scheme.or_else(of_all) else {
        return Ok(None);
    };
    if let Some((_, list)) = set("no_proxy").or_else(|| set("NO_PROXY"))
        && exceptions::has(&list, host, port)
    {
        return Ok(None);
    }
    proxy(name, &value).map(Some)
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("authorization", &self.authorization.is_some())
            .finish()
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

fn proxy(variable: &str, value: &str) -> Result<Proxy, Error> {
    let expected = "expected http://host:port or http://user:password@host:port";
    let (scheme, rest) = value.split_once("://").unwrap_or(("http", value));
    if !scheme.eq_ignore_ascii_case("http") {
        // What stands before "://" may be anything, also the beginning of a secret; only known names are shown.
        let known = ["https", "socks4", "socks4a", "socks5", "socks5h", "socks"];
        let known = known
            .iter()
            .find(|known| scheme.eq_ignore_ascii_case(known));
        let scheme = known.map_or(String::new(), |known| format!(" {known}"));
        return Err(Error::config(format!(
            "{variable}: proxies of the kind{scheme} are not supported; {expected}"
        )));
    }
    // The last @, as a password may have one.
    let end = rest.rfind('@').map_or(0, |at| at + 1);
    let (user, address) = rest.split_at(end);
    let user = user.strip_suffix('@');
    let shown = if user.is_some() { "…@" } else { "" };
    let wrong = |address: &str| {
        // Where the host was forgotten, this is a user and a password.
        let address = if address.contains(':') {
            "…"
        } else {
            address
        };
        let address: String = address.chars().take(100).collect();
        let shown = format!("{shown}{address}");
        Error::config(format!("{variable}={shown:?} is no proxy; {expected}"))
    };
    let place = address.split(['/', '?', '#']).next().unwrap_or_default();
    let authority: Authority = place.parse().map_err(|_| wrong(address))?;
    let behind = authority
        .as_str()
        .get(authority.host().len()..)
        .unwrap_or_default();
    let port = match behind.strip_prefix(':') {
        None => Some(DEFAULT_PORT),
        Some(port) => port.parse().ok().filter(|port| *port > 0),
    };
    let (Some(port), false) = (port, authority.host().is_empty()) else {
        return Err(wrong(address));
    };
    let authorization = user.map(|user| basic(variable, user)).transpose()?;
    Ok(Proxy {
        host: authority.host().trim_matches(['[', ']']).to_owned(),
        port,
        authorization,
    })
}

/// User and password, which a URL percent-encodes, as RFC 7617 sends them.
fn basic(variable: &str, user: &str) -> Result<HeaderValue, Error> {
    let decoded = percent_decoded(user.as_bytes());
    let with_colon = if user.contains(':') { "" } else { ":" };
    let decoded = [&decoded, with_colon.as_bytes()].concat();
    let text = format!("Basic {}", STANDARD.encode(&decoded));
    let mut value = HeaderValue::try_from(text)
        .map_err(|_| Error::config(format!("{variable}: user and password cannot be sent")))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests;
