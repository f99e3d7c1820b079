//! Profiles: made once, found again, and what was written provisions.

use fleetcall::pki::{Authority, KeyKind, Validity};

use super::*;
use crate::support::Run;

#[test]
fn what_setup_writes_lets_devices_provision() {
    let desk = Desk::new("");
    let said = desk.passes(&[
        "setup",
        "--profile",
        "meter",
        "--strategy",
        "allow",
        "--out",
        "meter.toml",
    ]);
    assert!(said.err.contains("\"meter\" made"), "{said:?}");
    let table = desk.text("meter.toml");
    assert_eq!(mode(&desk.path("meter.toml")), 0o600);
    let secret: toml::Table = table.parse().unwrap();
    for key in ["provision_key", "provision_secret"] {
        let value = secret["profile"][key].as_str().unwrap();
        assert_eq!(value.len(), 20, "as the web interface draws them");
        assert!(
            !said.err.contains(value) && !said.out.contains(value),
            "{said:?}"
        );
    }
    let run = Run::of(&format!(
        "name = \"line\"\ntarget.mqtt = {}\ndevices.generate = {{ count = 20 }}\n\
        arrival.stages = [{{ duration = \"1s\", rate = 100 }}]\n{table}",
        desk.ready["mqtt"]
    ));
    let ran = run.finish();
    assert_eq!(
        (ran.code, ran.number("devices.provisioned")),
        (0, 20),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_profile_that_is_there_is_found_and_not_changed() {
    let desk = Desk::new("");
    desk.profile("meter", "check");
    let again = desk.passes(&[
        "setup",
        "--profile",
        "meter",
        "--strategy",
        "check",
        "--print",
    ]);
    assert!(again.err.contains("was there"), "{again:?}");
    assert_eq!(
        again.out,
        desk.text("meter.toml"),
        "--print prints what --out writes"
    );
    let other = desk.admin(&[
        "setup",
        "--profile",
        "meter",
        "--strategy",
        "allow",
        "--print",
    ]);
    assert_eq!(other.code, Some(2));
    assert!(
        other
            .err
            .contains("CHECK_PRE_PROVISIONED_DEVICES and not ALLOW_CREATE_NEW_DEVICES"),
        "{other:?}"
    );
    let full = desk.admin(&[
        "setup",
        "--profile",
        "meter",
        "--strategy",
        "check",
        "--out",
        "meter.toml",
    ]);
    assert_eq!(full.code, Some(2));
    assert!(
        full.err.contains("meter.toml") && full.err.contains("--force"),
        "{full:?}"
    );
    let profiles = desk.get("/api/deviceProfiles?pageSize=10&page=0&textSearch=meter");
    assert_eq!(profiles["totalElements"], 1);
}

#[test]
fn a_chain_profile_has_its_authority_and_pattern() {
    let desk = Desk::new("");
    let root = Authority::root("Line 3", KeyKind::P256, Validity::days(30)).unwrap();
    desk.put("ca.pem", &root.identity().certificates_pem());
    let args = [
        "setup",
        "--profile",
        "line-3",
        "--strategy",
        "x509-chain",
        "--print",
    ];
    let without = desk.admin(&args);
    assert_eq!(without.code, Some(2), "{without:?}");
    assert!(without.err.contains("--ca-cert"), "{without:?}");
    let chain = [
        &args[..],
        &[
            "--ca-cert",
            "ca.pem",
            "--known-only",
            "--name-pattern",
            "(.+)@line",
        ],
    ]
    .concat();
    desk.passes(&chain);
    let profiles = desk.get("/api/deviceProfiles?pageSize=10&page=0&textSearch=line-3");
    let provision = &profiles["data"][0]["profileData"]["provisionConfiguration"];
    assert_eq!(provision["certificateRegExPattern"], "(.+)@line");
    assert_eq!(provision["allowCreateNewDevicesByX509Certificate"], false);
}
