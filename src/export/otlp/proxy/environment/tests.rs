use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const CANARY: &str = "c4n4ry";

fn found(variables: &[(&str, &str)], host: &str, port: u16, tls: bool) -> Option<String> {
    let variables: HashMap<&str, &str> = variables.iter().copied().collect();
    let get = |name: &str| variables.get(name).map(|value| (*value).to_owned());
    let proxy = proxy_for(&get, host, port, tls).unwrap();
    proxy.map(|proxy| proxy.to_string())
}

fn one(value: &str) -> Result<Proxy, Error> {
    proxy("HTTPS_PROXY", value)
}

#[test]
fn each_scheme_has_its_variable_and_lower_case_goes_first() {
    let all = [
        ("https_proxy", "a:1"),
        ("HTTPS_PROXY", "b:2"),
        ("http_proxy", "c:3"),
        ("HTTP_PROXY", "d:4"),
        ("all_proxy", "e:5"),
        ("ALL_PROXY", "f:6"),
    ];
    let from = |first: usize, tls| found(&all[first..], "host", 1, tls);
    let text = |proxy: &str| Some(proxy.to_owned());
    assert_eq!((from(0, true), from(0, false)), (text("a:1"), text("c:3")));
    assert_eq!((from(1, true), from(3, false)), (text("b:2"), text("d:4")));
    assert_eq!((from(2, true), from(4, false)), (text("e:5"), text("e:5")));
    assert_eq!((from(5, true), from(5, false)), (text("f:6"), text("f:6")));
    assert_eq!((from(6, true), from(6, false)), (None, None));
}

#[test]
fn what_is_empty_is_not_set() {
    let variables = [
        ("https_proxy", " "),
        ("HTTPS_PROXY", ""),
        ("ALL_PROXY", "a:1"),
    ];
    assert_eq!(found(&variables, "host", 1, true).unwrap(), "a:1");
}

#[test]
fn in_a_cgi_program_a_callers_header_is_no_proxy() {
    let variables = [("HTTP_PROXY", "evil:1"), ("REQUEST_METHOD", "GET")];
    assert_eq!(found(&variables, "host", 80, false), None);
    let lower = [("http_proxy", "good:1"), ("REQUEST_METHOD", "GET")];
    assert_eq!(found(&lower, "host", 80, false).unwrap(), "good:1");
}

#[test]
fn a_proxy_has_a_host_and_a_port() {
    for (value, host, port) in [
        ("http://proxy:3128", "proxy", 3128),
        ("HTTP://proxy:3128/", "proxy", 3128),
        ("proxy:3128", "proxy", 3128),
        ("proxy", "proxy", 1080),
        ("http://[::1]:8080", "::1", 8080),
        ("http://10.0.0.1/x?y", "10.0.0.1", 1080),
    ] {
        let proxy = one(value).unwrap();
        assert_eq!((proxy.host.as_str(), proxy.port), (host, port), "{value}");
        assert_eq!(proxy.authorization, None);
    }
}

#[test]
fn user_and_password_become_a_header_that_is_not_shown() {
    for (value, expected) in [
        (
            "http://Aladdin:open%20sesame@p:1",
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        ),
        (
            "Aladdin:open@sesame@p:1",
            "Basic QWxhZGRpbjpvcGVuQHNlc2FtZQ==",
        ),
        ("http://Aladdin@p:1", "Basic QWxhZGRpbjo="),
        ("http://a%3Ab:c%zz@p:1", "Basic YTpiOmMleno="),
    ] {
        let proxy = one(value).unwrap();
        let authorization = proxy.authorization.clone().unwrap();
        assert_eq!(authorization, expected, "{value}");
        assert!(authorization.is_sensitive());
        let shown = format!("{proxy} {proxy:?} {authorization:?}");
        assert!(
            !shown.contains("Aladdin") && !shown.contains("QWxh"),
            "{shown}"
        );
        assert_eq!(proxy.to_string(), "p:1");
    }
}

#[test]
fn p_29_an_error_names_the_variable_and_no_secret() {
    for value in [
        "https://u:c4n4ry@p:1",
        "socks5h://u:c4n4ry@p:1",
        "c4n4ry://p",
        "http://u:c4n4ry@",
        "http://u:c4n4ry@p:x",
        "http://u:c4n4ry@p:0",
        "http://u:c4n4ry@p:99999",
        "http://u:c4n4ry@a b",
        "u:c4n4ry@:1",
        "u:c4n4ry",
        "http://u:c4n4ry%20#",
    ] {
        let error = one(value).unwrap_err();
        assert!(error.is_config());
        let text = format!("{error} {error:?}");
        assert!(
            text.contains("HTTPS_PROXY") && text.contains("expected http://"),
            "{text}"
        );
        assert!(!text.contains(CANARY), "{text}");
    }
    assert!(
        one("socks5://p")
            .unwrap_err()
            .to_string()
            .contains("socks5")
    );
    assert!(
        one("http://p x")
            .unwrap_err()
            .to_string()
            .contains("\"p x\"")
    );
}

#[test]
fn no_proxy_names_what_is_reached_directly() {
    // As curl's manual has it, and networks and ports as its later versions and Go have them.
    for (list, host, direct) in [
        ("*", "anything", true),
        ("a,*", "10.0.0.1", true),
        ("example.com", "example.com", true),
        ("example.com", "www.example.com", true),
        (".example.com", "www.example.com", true),
        (".example.com", "example.com", true),
        ("*.example.com", "www.example.com", true),
        ("example.com", "nonexample.com", false),
        ("www.example.com", "example.com", false),
        ("example.com", "example.com.evil", false),
        ("Example.COM.", "eXample.com", true),
        ("example.com", "example.com.", true),
        (" a , example.com", "example.com", true),
        ("a example.com", "example.com", true),
        (",,.,:,", "example.com", false),
        ("example.com:4318", "example.com", true),
        ("example.com:4317", "example.com", false),
        ("localhost", "localhost", true),
        ("127.0.0.1", "127.0.0.1", true),
        ("127.0.0.1:4318", "127.0.0.1", true),
        ("127.0.0.1:1", "127.0.0.1", false),
        ("0.0.1", "127.0.0.1", false),
        ("10.0.0.0/8", "10.255.1.2", true),
        ("10.0.0.0/8", "11.0.0.1", false),
        ("192.168.1.0/25", "192.168.1.127", true),
        ("192.168.1.0/25", "192.168.1.128", false),
        ("0.0.0.0/0", "8.8.8.8", true),
        ("0.0.0.0/0", "::1", false),
        ("10.0.0.0/33", "10.0.0.0", false),
        ("10.0.0.0/x", "10.0.0.0", false),
        ("10.0.0.1/32", "10.0.0.1", true),
        ("10.0.0.1/32", "10.0.0.2", false),
        ("10.0.0.0/8", "example.com", false),
        ("::1", "::1", true),
        ("[::1]", "::1", true),
        ("[::1]:4318", "[::1]", true),
        ("[::1]:1", "::1", false),
        ("0:0:0:0:0:0:0:1", "::1", true),
        ("fd00::/8", "fd12::1", true),
        ("fd00::/8", "fe80::1", false),
        ("::/0", "2001:db8::1", true),
        ("", "example.com", false),
    ] {
        assert_eq!(
            exceptions::has(list, host, 4318),
            direct,
            "{list:?} {host:?}"
        );
    }
}

#[test]
fn an_exception_goes_before_the_proxy() {
    let variables = [("ALL_PROXY", "p:1"), ("NO_PROXY", "b"), ("no_proxy", "a")];
    assert_eq!(found(&variables, "a", 80, false), None);
    assert!(
        found(&variables, "b", 80, false).is_some(),
        "lower case goes first"
    );
    // A value that is wrong does not matter to who does not need it.
    let wrong = [("ALL_PROXY", "socks5://p:1"), ("NO_PROXY", "*")];
    assert_eq!(found(&wrong, "a", 80, false), None);
}

proptest! {
    #[test]
    fn p_29_no_value_shows_what_stands_before_the_at_sign(
        scheme in prop_oneof!["", "http://", "https://", "socks5://", "[a-z:/]{0,8}"],
        before in "[ -~]{0,5}", behind in "[ -~]{0,9}", address in prop_oneof!["p:1", "[ -?A-~]{0,12}"],
    ) {
        let value = format!("{scheme}{before}{CANARY}{behind}@{address}");
        match one(&value) {
            Ok(proxy) => {
                let shown = format!("{proxy} {proxy:?}");
                prop_assert!(!shown.contains(CANARY), "{}", shown);
                prop_assert!(proxy.authorization.is_some_and(|value| value.is_sensitive()));
            }
            Err(error) => prop_assert!(!error.to_string().contains(CANARY), "{}", error),
        }
    }

    #[test]
    fn any_list_and_host_are_read_without_a_panic(list in any::<String>(), host in any::<String>(), port in any::<u16>()) {
        let _ = exceptions::has(&list, &host, port);
        let _ = one(&list);
    }

    #[test]
    fn a_network_is_the_bits_before_the_rest(address in any::<u32>(), network in any::<u32>(), bits in 0_u32..=32) {
        let first = |text: u32| format!("{text:032b}")[..bits as usize].to_owned();
        let ip = |text: u32| std::net::Ipv4Addr::from_bits(text).to_string();
        let near = network ^ (address >> bits.min(31));
        for address in [address, near] {
            let list = format!("{}/{bits}", ip(network));
            prop_assert_eq!(exceptions::has(&list, &ip(address), 1), first(address) == first(network));
        }
    }
}
