//! Provisioning by certificate chain: no request, the handshake does it.

use fleetcall::model::{Credentials, Strategy};
use fleetcall::target::{Chain, Listed};

use super::*;

const PATTERN: &str = "([^@]+)@fleet";

fn profile(authority: &Authority, allow_create: bool) -> Profile {
    Profile {
        name: "chained".into(),
        strategy: Strategy::X509Chain,
        chain: Some(Chain {
            certificates: authority.identity().certificates_pem(),
            name_pattern: PATTERN.into(),
            allow_create,
        }),
        ..Profile::default()
    }
}

async fn house(profile: Profile, devices: Vec<Listed>) -> House {
    House::start(TargetConfig {
        profiles: vec![allow(), profile],
        devices,
        ..TargetConfig::default()
    })
    .await
}

/// Requests, successes and refusals so far.
fn provisioning(house: &House) -> (u64, u64, u64) {
    let counts = house.target.counts();
    (
        counts.provision_requests,
        counts.provisioned,
        counts.refused,
    )
}

fn between(authority: &Authority) -> Authority {
    authority
        .intermediate("between", KeyKind::P256, Validity::days(2))
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaf_of_the_profiles_authority_makes_its_device_once() {
    let ca = between(&authority("root"));
    let house = house(profile(&ca, true), Vec::new()).await;
    let (cert, key) = house.write("device", &leaf(&ca, "d1@fleet"));
    let step = json!({"cert": cert, "key": key, "messages": 2});
    let seen = paho(&house, json!([step, step])).await;
    for step in seen {
        assert_eq!(step, json!({"connack": 0, "acked": 2}));
    }
    let device = house.target.device("d1").unwrap();
    assert_eq!(device.credentials_type, "X509_CERTIFICATE");
    assert!(device.provisioned && !device.gateway);
    assert_eq!(device.telemetry_messages, 4);
    assert_eq!(provisioning(&house), (1, 1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_leaf_replaces_the_old_one() {
    let ca = between(&authority("root"));
    let house = house(profile(&ca, true), Vec::new()).await;
    let (old, new) = (leaf(&ca, "d1@fleet"), leaf(&ca, "d1@fleet"));
    assert_eq!(connack(&house, &old).await, 0);
    assert_eq!(connack(&house, &new).await, 0);
    assert_eq!(provisioning(&house), (2, 2, 0));
    assert_eq!(connack(&house, &new).await, 0);
    assert_eq!(provisioning(&house), (2, 2, 0));
    // Alone it is nobody's any more; with its chain it would be the newer one again.
    let alone = Identity::new(vec![old.chain()[0].clone()], old.key().clone_key()).unwrap();
    assert_eq!(connack(&house, &alone).await, 5);
    assert_eq!(provisioning(&house), (2, 2, 0));
    assert_eq!(connack(&house, &old).await, 0);
    assert_eq!(provisioning(&house), (3, 3, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_profile_does_not_allow_is_refused_at_connect() {
    let ca = between(&authority("root"));
    let foreign = between(&authority("foreign"));
    let expired = ca
        .issue("late@fleet", KeyKind::P256, Validity::expired())
        .unwrap();
    let token = Listed {
        name: "listed".into(),
        profile: 1,
        credentials: Some(Credentials::AccessToken("T".into())),
        gateway: false,
        provisioned: false,
    };
    let elsewhere = Listed {
        name: "elsewhere".into(),
        profile: 0,
        credentials: None,
        gateway: false,
        provisioned: false,
    };
    for (what, identity, allow_create, requests) in [
        ("a name that does not match", leaf(&ca, "d1@other"), true, 1),
        ("a device to be made", leaf(&ca, "d1@fleet"), false, 1),
        ("a foreign authority", leaf(&foreign, "d1@fleet"), true, 0),
        ("a device with a token", leaf(&ca, "listed@fleet"), true, 1),
        ("another profile's", leaf(&ca, "elsewhere@fleet"), true, 1),
    ] {
        let devices = vec![token.clone(), elsewhere.clone()];
        let house = house(profile(&ca, allow_create), devices).await;
        assert_eq!(connack(&house, &identity).await, 5, "{what}");
        assert_eq!(provisioning(&house), (requests, 0, requests), "{what}");
        assert_eq!(house.target.counts().bad_logins, 1, "{what}");
        assert!(house.target.device("d1").is_none(), "{what}");
        let listed = house.target.device("listed").unwrap();
        assert_eq!(listed.credentials_type, "ACCESS_TOKEN", "{what}");
    }
    // Dates do not matter to provisioning, only to the login.
    for (skip_validity_check, code) in [(false, 5), (true, 0)] {
        let house = House::start(TargetConfig {
            profiles: vec![profile(&ca, true)],
            skip_validity_check,
            ..TargetConfig::default()
        })
        .await;
        assert_eq!(connack(&house, &expired).await, code);
        assert_eq!(provisioning(&house), (1, 1, 0));
        assert!(house.target.device("late").is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listed_device_gets_its_first_leaf_from_its_chain() {
    let ca = between(&authority("root"));
    let old = leaf(&ca, "d1@fleet");
    let listed = Listed {
        name: "d1".into(),
        profile: 1,
        credentials: Some(Credentials::X509 {
            certificate: old.leaf_base64(),
        }),
        gateway: false,
        provisioned: false,
    };
    let house = house(profile(&ca, false), vec![listed]).await;
    assert_eq!(connack(&house, &old).await, 0);
    assert_eq!(provisioning(&house), (0, 0, 0));
    assert_eq!(connack(&house, &leaf(&ca, "d1@fleet")).await, 0);
    assert_eq!(provisioning(&house), (1, 1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn mosquittos_client_is_provisioned_by_its_root_too() {
    // Issued by the root itself, which is then part of what is sent.
    let ca = authority("root");
    let house = house(profile(&ca, true), Vec::new()).await;
    let (cert, key) = house.write("device", &leaf(&ca, "d1@fleet"));
    for (version, requests) in [("tlsv1.3", 1), ("tlsv1.2", 1)] {
        let mut command = program("mosquitto_pub");
        let port = house.target.mqtts().unwrap().port().to_string();
        command.args(["-h", "127.0.0.1", "-p", &port, "--tls-version", version]);
        command.arg("--cafile").arg(house.path("ca.pem"));
        command.arg("--cert").arg(&cert).arg("--key").arg(&key);
        command.args([
            "-t",
            "v1/devices/me/telemetry",
            "-q",
            "1",
            "-m",
            "{\"a\":1}",
        ]);
        let output = run(command).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{version}: {said}");
        assert_eq!(provisioning(&house), (requests, requests, 0));
    }
    assert_eq!(house.target.device("d1").unwrap().telemetry_messages, 2);
}

#[tokio::test]
async fn a_profile_that_cannot_be_used_keeps_the_target_from_starting() {
    let mut broken = profile(&authority("root"), true);
    broken.chain.as_mut().unwrap().name_pattern = "(".into();
    let error = Target::start(TargetConfig {
        profiles: vec![broken],
        ..TargetConfig::default()
    })
    .await
    .err()
    .unwrap();
    assert!(error.to_string().contains("\"chained\""), "{error}");
}
