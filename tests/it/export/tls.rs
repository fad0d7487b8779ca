//! TLS: certificates that are wrong, and heal; certificates of clients; who does the cryptography (faults F22, F24).

use tracing_otlp::Tls;

use crate::support::certificates::{Certificates, Demands, Flaw};
use crate::support::collector::Collector;
use crate::support::rig::Rig;
use crate::support::way::{Carrier, Way};

const WAYS: [Way; 2] = [
    Way {
        carrier: Carrier::Tls,
        ..Way::GRPC
    },
    Way {
        carrier: Carrier::Tls,
        ..Way::HTTP
    },
];

/// A collector whose certificate has this flaw.
fn collector(certificates: &Certificates, flaw: Flaw) -> Collector {
    let server = certificates.server(flaw);
    Collector::start_tls(server.server_config(&Demands::default()))
}

/// Nothing of a request gets through, and the reason is said.
#[track_caller]
fn assert_refused(rig: &Rig, words: &[&str]) {
    rig.record(5);
    let before = rig.stats().retries();
    let _ = rig.handle.flush(std::time::Duration::ZERO);
    rig.wait("a failed attempt", |stats| stats.retries() > before);
    let said = rig.last_error();
    for word in words {
        assert!(said.contains(word), "{word:?} is not in {said:?}");
    }
    let requests = rig.collector.look(|log| log.requests.len());
    assert_eq!(requests, 0, "{said}");
}

#[test]
fn f22_each_flaw_of_a_certificate_is_named_and_heals() {
    let certificates = Certificates::new();
    for way in WAYS {
        for (flaw, reason) in [
            (Flaw::Expired, "has expired"),
            (Flaw::NotYetValid, "not valid yet"),
            (Flaw::WrongHost, "for another name"),
            (Flaw::SelfSigned, "signed by nobody who is trusted"),
            (Flaw::OtherCa, "signed by nobody who is trusted"),
        ] {
            let collector = collector(&certificates, flaw);
            let rig = Rig::over_with(way, collector, |builder| {
                builder.with_tls(Tls::new().with_ca_pem(certificates.ca_pem()))
            });
            assert_refused(&rig, &[reason]);
            let good = certificates.server(Flaw::None);
            rig.collector
                .shows(Some(good.server_config(&Demands::default())));
            rig.flush();
            rig.finish(0);
        }
    }
}

#[test]
fn f22_without_an_authority_of_ones_own_the_systems_are_trusted() {
    let certificates = Certificates::new();
    let rig = Rig::over_with(WAYS[1], collector(&certificates, Flaw::None), |builder| {
        // A machine may have no roots at all.
        builder.with_tls(Tls::new().with_bundled_roots())
    });
    assert_refused(&rig, &["signed by nobody who is trusted", "with_ca_file"]);
    rig.give_up();
}

#[test]
fn f22_an_authority_that_is_replaced_on_disk_is_trusted_from_then_on() {
    let certificates = Certificates::new();
    for way in WAYS {
        let file = Certificates::new().ca_pem();
        let file = certificates.write(&file);
        let rig = Rig::over_with(way, collector(&certificates, Flaw::None), |builder| {
            builder.with_tls(Tls::new().with_ca_file(&file))
        });
        assert_refused(&rig, &["signed by nobody who is trusted"]);
        std::fs::write(&file, certificates.ca_pem()).expect("the file is ours");
        rig.flush();
        rig.finish(0);
    }
}

#[test]
fn spec_2_35_the_name_of_the_certificate_may_be_told() {
    let certificates = Certificates::new();
    for way in WAYS {
        let rig = Rig::over_with(way, collector(&certificates, Flaw::WrongHost), |builder| {
            let tls = Tls::new().with_ca_pem(certificates.ca_pem());
            builder.with_tls(tls.with_server_name("elsewhere.test"))
        });
        rig.record(5);
        rig.flush();
        rig.finish(0);
    }
}

#[test]
fn both_versions_of_tls_are_spoken() {
    let certificates = Certificates::new();
    for way in WAYS {
        for tls12_only in [false, true] {
            let demands = Demands {
                tls12_only,
                ..Demands::default()
            };
            let server = certificates.server(Flaw::None).server_config(&demands);
            let rig = Rig::over_with(way, Collector::start_tls(server), |builder| {
                builder.with_tls(Tls::new().with_ca_pem(certificates.ca_pem()))
            });
            rig.record(5);
            rig.flush();
            rig.finish(0);
        }
    }
}

/// A collector that wants certificates of clients.
fn demanding(certificates: &Certificates, tls12_only: bool) -> Collector {
    let demands = Demands {
        clients_of: Some(certificates.ca_pem()),
        tls12_only,
        ..Demands::default()
    };
    Collector::start_tls(certificates.server(Flaw::None).server_config(&demands))
}

#[test]
fn f22_a_client_certificate_that_is_demanded_and_missing_is_named() {
    let certificates = Certificates::new();
    for way in WAYS {
        for tls12_only in [false, true] {
            let collector = demanding(&certificates, tls12_only);
            let rig = Rig::over_with(way, collector, |builder| {
                builder.with_tls(Tls::new().with_ca_pem(certificates.ca_pem()))
            });
            assert_refused(&rig, &["client certificate", "CLIENT_CERTIFICATE"]);
            rig.give_up();
        }
    }
}

#[test]
fn f22_a_client_certificate_is_shown_and_one_that_was_replaced_on_disk_too() {
    let certificates = Certificates::new();
    // Of an authority that has the name of the right one, and another key.
    let impostor = Certificates::new();
    for way in WAYS {
        for wrong in [
            certificates.client(Flaw::Expired),
            certificates.client(Flaw::OtherCa),
            impostor.client(Flaw::None),
        ] {
            let collector = demanding(&certificates, false);
            let (certificate, key) = certificates.write_identity(&wrong);
            let tls = Tls::new()
                .with_ca_pem(certificates.ca_pem())
                .with_client_files(&certificate, &key);
            let rig = Rig::over_with(way, collector, |builder| builder.with_tls(tls));
            assert_refused(&rig, &["client certificate"]);
            let good = certificates.client(Flaw::None);
            std::fs::write(&certificate, good.certificate).expect("the file is ours");
            std::fs::write(&key, good.key).expect("the file is ours");
            rig.flush();
            rig.finish(0);
        }
    }
}
