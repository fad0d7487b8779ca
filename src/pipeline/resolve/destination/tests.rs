use proptest::prelude::*;

use super::*;
use crate::pipeline::builder::{Builder, layer};

const CANARY: &str = "canary-7f3a";

/// What is decided, and the text that explains it.
fn decide(builder: Builder, pairs: &[(&str, &str)]) -> (Result<Destination, Error>, String) {
    let environment = crate::env::read(
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    );
    let mut explained = Explanation::default();
    for warning in &environment.warnings {
        explained.warn(warning.clone());
    }
    let traces = Signal::Traces;
    let destination = resolve(builder.destination, traces, &environment, &mut explained);
    (destination, explained.to_string())
}

fn destination(builder: Builder, pairs: &[(&str, &str)]) -> Destination {
    decide(builder, pairs).0.unwrap()
}

fn error(builder: Builder) -> String {
    let error = decide(builder, &[]).0.err().unwrap();
    assert!(error.is_config());
    error.to_string()
}

/// The warnings.
fn warnings(builder: Builder, pairs: &[(&str, &str)]) -> Vec<String> {
    let (_, text) = decide(builder, pairs);
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("warning: "));
    lines.map(str::to_owned).collect()
}

fn endpoint_of(builder: Builder, pairs: &[(&str, &str)]) -> String {
    destination(builder, pairs).endpoint.to_string()
}

fn http() -> Builder {
    layer().with_protocol(Protocol::HttpProtobuf)
}

#[test]
fn spec_2_8_each_protocol_has_its_default_endpoint() {
    assert_eq!(endpoint_of(layer(), &[]), "http://localhost:4317");
    assert_eq!(endpoint_of(http(), &[]), "http://localhost:4318/v1/traces");
    let json = [("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")];
    assert_eq!(
        endpoint_of(layer(), &json),
        "http://localhost:4318/v1/traces"
    );
}

#[test]
fn spec_2_3_and_2_4_the_signals_endpoint_is_whole_and_the_general_one_a_base() {
    let signal = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://a/x");
    let general = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://b/y");
    assert_eq!(endpoint_of(http(), &[signal, general]), "http://a/x");
    assert_eq!(endpoint_of(http(), &[general]), "http://b/y/v1/traces");
    assert_eq!(
        endpoint_of(http().with_endpoint("http://c/z"), &[signal]),
        "http://c/z/v1/traces"
    );
    let both = http()
        .with_endpoint("http://c/z")
        .with_traces_endpoint("http://d");
    assert_eq!(endpoint_of(both, &[signal]), "http://d/");
}

#[test]
fn spec_2_7_and_10_32_insecure_is_for_grpc_without_a_scheme() {
    let encrypted = |builder, pairs: &[_]| destination(builder, pairs).endpoint.is_encrypted();
    let insecure = ("OTEL_EXPORTER_OTLP_INSECURE", "true");
    let bare = || layer().with_endpoint("a:4317");
    assert!(encrypted(bare(), &[]));
    assert!(!encrypted(bare(), &[insecure]));
    assert!(encrypted(bare().with_insecure(false), &[insecure]));
    assert!(!encrypted(bare().with_insecure(true), &[]));
    assert!(encrypted(
        layer().with_endpoint("https://a:4317"),
        &[insecure]
    ));
}

#[test]
fn a_wrong_endpoint_is_an_error_in_code_and_a_warning_in_the_environment() {
    assert!(error(layer().with_endpoint("ftp://a")).contains("Builder::with_endpoint"));
    assert!(error(layer().with_traces_endpoint("")).contains("Builder::with_traces_endpoint"));
    let pairs = [
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "ftp://a"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://b:1"),
    ];
    assert_eq!(endpoint_of(layer(), &pairs), "http://b:1");
    let found = warnings(layer(), &pairs);
    assert!(
        found.len() == 1 && found[0].contains("TRACES_ENDPOINT=\"ftp://a\""),
        "{found:?}"
    );
    let wrong = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://")];
    assert_eq!(endpoint_of(layer(), &wrong), "http://localhost:4317");
}

#[test]
fn p_29_a_password_in_an_endpoint_is_refused_and_not_shown() {
    let endpoint = format!("http://user:{CANARY}@collector:4317");
    let text = error(layer().with_endpoint(&endpoint));
    assert!(
        text.contains("endpoint") && !text.contains(CANARY),
        "{text}"
    );
    let pairs = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())];
    let (decided, text) = decide(layer(), &pairs);
    assert!(decided.is_ok() && !text.contains(CANARY), "{text}");
    let query = format!("http://a/x?key={CANARY}");
    let (decided, text) = decide(http().with_traces_endpoint(&query), &[]);
    assert!(decided.is_ok() && !text.contains(CANARY), "{text}");
    assert!(text.contains("http://a/x?***"), "{text}");
}

#[test]
fn a_missing_feature_is_named() {
    let origin = Origin::Code("Builder::with_protocol");
    let error = require(false, "http-json", "http/json", origin).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Builder::with_protocol: http/json needs the feature `http-json` of tracing-otlp"
    );
    assert!(require(true, "http-json", "http/json", origin).is_ok());
    let mut explained = Explanation::default();
    let said = |origin| Setting::new(1, origin);
    let default = said(Origin::Default);
    let missing = || require(false, "x", "y", Origin::Environment("OTEL_X"));
    let environment = said(Origin::Environment("OTEL_X"));
    let fallen = fall_back(missing(), environment, default, "grpc", &mut explained);
    assert_eq!(fallen.unwrap(), default);
    assert_eq!(explained.warnings().len(), 1);
    assert!(fall_back(missing(), said(origin), default, "grpc", &mut explained).is_err());
}

#[test]
fn spec_2_12_the_codes_headers_stand_over_the_environments() {
    let pairs = [("OTEL_EXPORTER_OTLP_HEADERS", "x-a=1,X-B=2")];
    let destination = destination(layer().with_header("x-b", "3"), &pairs);
    assert_eq!(
        destination.headers.names().collect::<Vec<_>>(),
        ["x-a", "x-b"]
    );
}

#[test]
fn p_30_a_wrong_header_is_an_error_in_code_and_a_warning_in_the_environment() {
    for name in ["", "a b", "content-type", "grpc-timeout", "user-agent"] {
        let text = error(layer().with_header(name, CANARY));
        assert!(
            text.contains("Builder::with_header") && text.contains(name) && !text.contains(CANARY),
            "{text}"
        );
    }
    let text = error(layer().with_header("x-a", format!("{CANARY}\r\nx-b: 1")));
    assert!(text.contains("x-a") && !text.contains(CANARY), "{text}");
    let list = format!("content-type={CANARY},x-a=1");
    let pairs = [("OTEL_EXPORTER_OTLP_HEADERS", list.as_str())];
    let (decided, text) = decide(layer(), &pairs);
    assert_eq!(
        decided.unwrap().headers.names().collect::<Vec<_>>(),
        ["x-a"]
    );
    assert!(
        text.contains("content-type") && !text.contains(CANARY),
        "{text}"
    );
}

#[test]
fn p_28_credentials_without_encryption_are_warned_about_by_name() {
    let remote = || layer().with_endpoint("http://collector:4317");
    for name in ["Authorization", "x-api-key", "Private-Token", "cookie"] {
        let found = warnings(remote().with_header(name, CANARY), &[]);
        assert!(
            found.len() == 1
                && found[0].contains(&name.to_ascii_lowercase())
                && !found[0].contains(CANARY),
            "{found:?}"
        );
        let secure = layer().with_endpoint("https://collector:4317");
        assert!(warnings(secure.with_header(name, CANARY), &[]).is_empty());
        let near = layer().with_endpoint("http://localhost:4317");
        assert!(warnings(near.with_header(name, CANARY), &[]).is_empty());
    }
    assert!(warnings(remote().with_header("x-tenant", "a"), &[]).is_empty());
    let pairs = [("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=a")];
    let several = remote()
        .with_bearer_token_file("/run/token")
        .with_header_provider(|_| Ok(Vec::new()));
    let found = warnings(several, &pairs);
    assert!(
        found.len() == 1
            && ["x-api-key", "authorization", "with_header_provider"]
                .iter()
                .all(|name| found[0].contains(name)),
        "{found:?}"
    );
}

#[test]
fn spec_2_15_compression_and_its_level() {
    let level = |builder| {
        let Destination {
            compression, level, ..
        } = destination(builder, &[]);
        (compression, level)
    };
    let gzip = || layer().with_compression(Compression::Gzip);
    let zstd = || layer().with_compression(Compression::Zstd);
    assert_eq!(level(layer()), (Compression::None, None));
    assert_eq!(level(gzip()), (Compression::Gzip, Some(1)));
    assert_eq!(level(zstd()), (Compression::Zstd, Some(3)));
    assert_eq!(
        level(zstd().with_compression_level(19)),
        (Compression::Zstd, Some(19))
    );
    for wrong in [
        gzip().with_compression_level(10),
        zstd().with_compression_level(0),
        layer().with_compression_level(-1),
    ] {
        assert!(error(wrong).contains("Builder::with_compression_level"));
    }
    let pairs = [("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")];
    let builder = || layer().with_compression_level(15);
    assert_eq!(destination(builder(), &pairs).level, Some(1));
    assert_eq!(warnings(builder(), &pairs).len(), 1);
}

#[test]
fn spec_10_33_the_environments_files_are_used_unless_the_code_says_tls() {
    let pairs = [
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/key.pem"),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/cert.pem"),
    ];
    let file = |path: &str| crate::config::Pem::File(path.into());
    let tls = destination(layer(), &pairs).tls;
    assert!(tls.ca == Some(file("/ca.pem")));
    assert!(tls.client == Some((file("/cert.pem"), file("/key.pem"))));
    let tls = destination(layer().with_tls(crate::Tls::new()), &pairs).tls;
    assert!(tls.ca.is_none() && tls.client.is_none());
}

#[test]
fn spec_2_35_and_10_35_a_clients_key_needs_its_certificate() {
    for alone in ["CLIENT_KEY", "CLIENT_CERTIFICATE"] {
        let name = format!("OTEL_EXPORTER_OTLP_{alone}");
        let pairs = [(name.as_str(), "/a.pem")];
        assert!(destination(layer(), &pairs).tls.client.is_none());
        let found = warnings(layer(), &pairs);
        assert!(found.len() == 1 && found[0].contains(&name), "{found:?}");
        assert!(warnings(layer().with_tls(crate::Tls::new()), &pairs).is_empty());
    }
}

#[test]
fn p_29_texts_of_certificates_are_explained_by_their_length() {
    let tls = crate::Tls::new()
        .with_ca_file("/ca.pem")
        .with_client_pem(CANARY, CANARY)
        .with_server_name("inside");
    let (_, text) = decide(layer().with_endpoint("https://a").with_tls(tls), &[]);
    assert!(!text.contains(CANARY), "{text}");
    let expected = [
        "tls.ca = file \"/ca.pem\" (Builder::with_tls)",
        "tls.client_certificate = 11 bytes (Builder::with_tls)",
        "tls.client_key = 11 bytes (Builder::with_tls)",
        "tls.server_name = \"inside\" (Builder::with_tls)",
    ];
    for line in expected {
        assert!(text.lines().any(|known| known == line), "{line}\n{text}");
    }
}

#[test]
fn spec_2_18_the_largest_answer_has_bounds() {
    assert_eq!(destination(layer(), &[]).max_response, 4 << 20);
    let builder = || layer().with_max_response_bytes(1 << 10);
    assert_eq!(destination(builder(), &[]).max_response, 1 << 10);
    assert!(error(layer().with_max_response_bytes(7)).contains("with_max_response_bytes: 7"));
}

#[test]
fn spec_2_34_a_product_may_stand_before_the_user_agent() {
    let agent = |prefix: &str| destination(layer().with_user_agent(prefix), &[]).user_agent;
    assert_eq!(agent("checkout/1.2"), Some("checkout/1.2".to_owned()));
    for wrong in ["", " ", "é", "a\r\nb", "a\tb"] {
        assert!(error(layer().with_user_agent(wrong)).contains("Builder::with_user_agent"));
    }
}

#[test]
fn p_27_proxies_of_the_environment_are_asked_only_if_that_is_asked_for() {
    assert!(!destination(layer(), &[("HTTPS_PROXY", "http://p:1")]).proxy);
    assert!(destination(layer().with_proxy_from_environment(true), &[]).proxy);
}

proptest! {
    #[test]
    fn no_environment_makes_a_build_fail_or_shows_a_header(
        text in "[ -~]{0,24}",
        header in "[a-z-]{0,10}",
        value in "[!-+--:<-~]{0,6}",
    ) {
        let headers = format!("{header}={value}{CANARY}");
        let pairs: Vec<(&str, &str)> = crate::env::NAMES
            .iter()
            .map(|name| (*name, if name.ends_with("HEADERS") { &headers } else { &text }))
            .map(|(name, value)| (name, value.as_str()))
            .collect();
        let (decided, shown) = decide(layer(), &pairs);
        prop_assert!(decided.is_ok(), "{:?}", decided.err());
        prop_assert!(!shown.contains(CANARY), "{}", shown);
        let debug = format!("{decided:?}");
        prop_assert!(!debug.contains(CANARY));
    }
}

#[cfg(feature = "tls")]
#[test]
fn p_30_certificates_that_are_given_as_text_are_read_at_once() {
    use crate::config::Tls;

    let build = |tls| {
        let builder = layer().with_endpoint("https://a:1").with_tls(tls);
        builder.build().err().map(|error| error.to_string())
    };
    for tls in [
        Tls::new().with_ca_pem("secret"),
        Tls::new().with_client_pem("secret", "secret"),
        Tls::new().with_server_name("not a name"),
    ] {
        let error = build(tls).unwrap_or_default();
        assert!(error.starts_with("Builder::with_tls: "), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
    assert_eq!(
        build(Tls::new().with_ca_file("/no/such/file")),
        None,
        "files are for later"
    );
}
