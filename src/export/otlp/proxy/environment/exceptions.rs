//! `NO_PROXY`: the hosts that are reached directly.

use std::net::IpAddr;

/// Whether the list names this host: `*`; a name, which stands for its subdomains too, with or without a leading dot; an
/// address, also in brackets; or a network in CIDR notation. A port behind it restricts an entry to that port. Entries stand
/// between commas or white space.
pub(super) fn has(list: &str, host: &str, port: u16) -> bool {
    let host = plain(host);
    let address: Option<IpAddr> = host.parse().ok();
    list.split(|c: char| c == ',' || c.is_whitespace())
        .filter(|entry| !entry.is_empty())
        .any(|entry| match address {
            _ if entry == "*" => true,
            Some(address) => names_address(entry, address, port),
            None => names_host(entry, &host, port),
        })
}

fn names_host(entry: &str, host: &str, port: u16) -> bool {
    let (name, only) = split_port(entry);
    let name = plain(name.trim_start_matches("*."));
    let name = name.strip_prefix('.').unwrap_or(&name);
    if name.is_empty() || only.is_some_and(|only| only != port) {
        return false;
    }
    // At a dot: `example.com` is not in `nonexample.com`.
    let before = host.strip_suffix(name);
    before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

fn names_address(entry: &str, address: IpAddr, port: u16) -> bool {
    if let Some((network, bits)) = entry.split_once('/') {
        let network = plain(network).parse();
        return match (network, bits.parse()) {
            (Ok(network), Ok(bits)) => is_within(address, network, bits),
            _ => false,
        };
    }
    let same = |text: &str| plain(text).parse() == Ok(address);
    let (text, only) = split_port(entry);
    same(entry) || same(text) && only.is_none_or(|only| only == port)
}

fn is_within(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) if bits <= 32 => {
            let differ = address.to_bits() ^ network.to_bits();
            differ.checked_shr(32 - bits).unwrap_or(0) == 0
        }
        (IpAddr::V6(address), IpAddr::V6(network)) if bits <= 128 => {
            let differ = address.to_bits() ^ network.to_bits();
            differ.checked_shr(128 - bits).unwrap_or(0) == 0
        }
        _ => false,
    }
}

/// An IPv6 address has a port only behind brackets.
fn split_port(entry: &str) -> (&str, Option<u16>) {
    match entry.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => match port.parse() {
            Ok(port) => (name, Some(port)),
            Err(_) => (entry, None),
        },
        _ => (entry, None),
    }
}

/// In lower case, without brackets and the dot at the end of a full name.
fn plain(host: &str) -> String {
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}
