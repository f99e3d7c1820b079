//! Who is let in, and what is said to who is not.

use std::fs;
use std::path::Path;

use fleetcall::cluster::{Access, Bus};
use fleetcall::pki::{Authority, KeyKind, Validity};
use serde_json::json;

use super::nkey::{Kind, Nkey};
use super::{Servers, run, within};

/// Lets in, and something can be done there.
async fn lets_in(access: &Access) {
    let bus = within(Bus::connect(access)).await.unwrap();
    bus.put(&run(), "phase", b"x".to_vec()).await.unwrap();
}

async fn refusal(access: &Access) -> String {
    let error = within(Bus::connect(access)).await.unwrap_err().to_string();
    assert!(error.contains("\nhelp: "), "{error}");
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_with_the_right_password_is_let_in_and_another_is_told_why_not() {
    let servers = Servers::one("authorization { user: fleet, password: \"s3cret word\" }\n");
    let access = |password: &str| Access {
        user: Some("fleet".to_owned()),
        password: Some(password.into()),
        ..servers.access()
    };
    lets_in(&access("s3cret word")).await;
    for access in [access("guessed"), servers.access()] {
        let error = refusal(&access).await;
        assert!(error.contains("does not let this user in"), "{error}");
        assert!(error.contains("127.0.0.1"), "{error}");
        assert!(!error.contains("guessed"), "{error}");
        assert!(!format!("{access:?}").contains("guessed"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_that_the_server_knows_is_let_in_and_another_is_not() {
    let key = Nkey::new(Kind::User, 7);
    let users = format!(
        "authorization {{ users: [{{ nkey: {} }}] }}\n",
        key.public()
    );
    let servers = Servers::one(&users);
    let dir = tempfile::tempdir().unwrap();
    let access = |name: &str, seed: &str| {
        let file = dir.path().join(name);
        fs::write(&file, format!("{seed}\n")).unwrap();
        Access {
            nkey: Some(file),
            ..servers.access()
        }
    };
    lets_in(&access("key", &key.seed())).await;
    let other = Nkey::new(Kind::User, 8).seed();
    for (name, seed) in [("other", other.as_str()), ("none", "SUnonsense")] {
        let error = refusal(&access(name, seed)).await;
        assert!(error.contains("does not let this user in"), "{error}");
        assert!(!error.contains(seed), "{error}");
    }
    let nowhere = Access {
        nkey: Some(dir.path().join("nowhere")),
        ..servers.access()
    };
    let error = refusal(&nowhere).await;
    assert!(error.contains("nowhere: No such file"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_as_nsc_makes_them_are_let_in() {
    let operator = Nkey::new(Kind::Operator, 1);
    let (system, account) = (Nkey::new(Kind::Account, 2), Nkey::new(Kind::Account, 3));
    let user = Nkey::new(Kind::User, 4);
    let limits = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true,
        "conn": -1, "leaf": -1, "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
    });
    let of_account = json!({"type": "account", "version": 2, "limits": limits});
    let mut of_system = of_account.clone();
    for limit in ["mem_storage", "disk_storage", "streams", "consumer"] {
        of_system["limits"].as_object_mut().unwrap().remove(limit);
    }
    let of_user = json!({
        "type": "user", "version": 2, "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1,
    });
    let of_operator = json!({"type": "operator", "version": 2});
    let servers = Servers::one(&format!(
        "operator: {}\nsystem_account: {}\nresolver: MEMORY\n\
         resolver_preload: {{ {}: {}, {}: {} }}\n",
        operator.token(&operator, "fleet", &of_operator),
        system.public(),
        system.public(),
        operator.token(&system, "SYS", &of_system),
        account.public(),
        operator.token(&account, "FLEET", &of_account),
    ));
    let dir = tempfile::tempdir().unwrap();
    let access = |name: &str, token: &str| {
        let file = dir.path().join(name);
        let text = format!(
            "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
            user.seed()
        );
        fs::write(&file, text).unwrap();
        Access {
            credentials: Some(file),
            ..servers.access()
        }
    };
    lets_in(&access(
        "ours.creds",
        &account.token(&user, "worker", &of_user),
    ))
    .await;
    let forged = Nkey::new(Kind::Account, 9).token(&user, "worker", &of_user);
    let error = refusal(&access("forged.creds", &forged)).await;
    assert!(error.contains("does not let this user in"), "{error}");
    let empty = dir.path().join("empty.creds");
    fs::write(&empty, "nothing").unwrap();
    let empty = Access {
        credentials: Some(empty),
        ..servers.access()
    };
    let error = refusal(&empty).await;
    assert!(error.contains("empty.creds: no credentials"), "{error}");
}

/// An authority's own files, and those of one that it signed.
fn authority(dir: &Path, name: &str) -> (Authority, std::path::PathBuf) {
    let authority = Authority::root(name, KeyKind::P256, Validity::days(2)).unwrap();
    let file = dir.join(format!("{name}.pem"));
    fs::write(&file, authority.identity().certificates_pem()).unwrap();
    (authority, file)
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_both_sides_show_who_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, ca) = authority(dir.path(), "ours");
    let (_, strangers) = authority(dir.path(), "strangers");
    let validity = Validity::days(2);
    let server = ours
        .issue_server(&["127.0.0.1"], KeyKind::P256, validity)
        .unwrap();
    let (certificate, key) = server.write(dir.path(), "server").unwrap();
    let worker = ours.issue("worker", KeyKind::P256, validity).unwrap();
    let shown = worker.write(dir.path(), "worker").unwrap();
    let servers = Servers::one(&format!(
        "tls {{ cert_file: {certificate:?}, key_file: {key:?}, ca_file: {ca:?}, verify: true }}\n"
    ));
    let access = |ca, certificate| Access {
        ca: Some(ca),
        certificate,
        ..servers.access()
    };
    lets_in(&access(ca.clone(), Some(shown.clone()))).await;
    refusal(&access(ca, None)).await;
    let error = refusal(&access(strangers, Some(shown))).await;
    assert!(error.contains("UnknownIssuer"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_trusts_an_authority_says_nothing_to_a_server_without_tls() {
    let servers = Servers::one("");
    let dir = tempfile::tempdir().unwrap();
    let (_, ca) = authority(dir.path(), "ours");
    let access = Access {
        ca: Some(ca),
        ..servers.access()
    };
    refusal(&access).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_is_the_address_is_said_at_once() {
    let port = crate::support::free_tcp_port();
    let access = Access {
        url: format!("nats://127.0.0.1:{port}"),
        ..Access::default()
    };
    let error = refusal(&access).await;
    assert!(error.contains(&format!("127.0.0.1:{port}")), "{error}");
    assert!(error.contains("check the address"), "{error}");
}
