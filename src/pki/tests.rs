//! What is made, read and refused.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::ExposeSecret;

use super::*;

fn root() -> Authority {
    Authority::root("root", KeyKind::P256, Validity::days(1)).unwrap()
}

#[test]
fn the_text_that_servers_hash_is_one_line_of_base64() {
    use base64::Engine;
    let der = CertificateDer::from_pem_file("fixtures/wire/certificate.pem").unwrap();
    let expected = std::fs::read_to_string("fixtures/wire/certificate.b64").unwrap();
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    assert_eq!(text, expected.trim());
    let made = self_signed("d", KeyKind::P256, Validity::days(1)).unwrap();
    let text = made.leaf_base64();
    let pem: String = made
        .certificates_pem()
        .lines()
        .filter(|l| !l.starts_with('-'))
        .collect();
    assert_eq!(text, pem);
}

#[test]
fn a_chain_is_sent_without_its_root() {
    let root = root();
    let direct = root.issue("d", KeyKind::P256, Validity::days(1)).unwrap();
    assert_eq!(direct.chain().len(), 2, "a root alone is shown");
    let middle = root
        .intermediate("middle", KeyKind::P384, Validity::days(1))
        .unwrap();
    assert_eq!(middle.identity().chain().len(), 2);
    let leaf = middle
        .issue("d", KeyKind::Ed25519, Validity::days(1))
        .unwrap();
    assert_eq!(leaf.chain().len(), 2);
    assert_eq!(leaf.chain()[1], middle.identity().chain()[0]);
}

#[test]
fn what_is_written_is_read_again_and_the_key_is_the_owners_alone() {
    let dir = tempfile::tempdir().unwrap();
    let written = root().issue("d", KeyKind::P256, Validity::days(1)).unwrap();
    let (certificate, key) = written.write(dir.path(), "d").unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&key), 0o600);
    let read = Identity::from_files(&certificate, &key).unwrap();
    assert_eq!(read.chain(), written.chain());
    let again = written.write(dir.path(), "d").unwrap_err();
    assert!(again.to_string().contains("d.key.pem"), "{again}");
}

#[test]
fn an_authority_is_loaded_and_signs_as_before() {
    let dir = tempfile::tempdir().unwrap();
    let root = root();
    let middle = root
        .intermediate("middle", KeyKind::P256, Validity::days(1))
        .unwrap();
    let (certificate, key) = middle.identity().write(dir.path(), "ca").unwrap();
    let loaded = Authority::load(&certificate, &key).unwrap();
    let leaf = loaded.issue("d", KeyKind::P256, Validity::days(1)).unwrap();
    assert_eq!(leaf.chain().len(), 2);
    let edwards = Authority::root("edwards", KeyKind::Ed25519, Validity::days(1)).unwrap();
    let (file, edwards_key) = edwards.identity().write(dir.path(), "edwards").unwrap();
    assert!(Authority::load(&file, &edwards_key).is_ok());
    let (leaf_file, leaf_key) = leaf.write(dir.path(), "leaf").unwrap();
    let none = Authority::load(&leaf_file, &leaf_key)
        .unwrap_err()
        .to_string();
    assert!(
        none.contains("leaf.crt.pem") && none.contains("authority"),
        "{none}"
    );
}

#[test]
fn files_that_do_not_do_are_named_and_their_contents_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let one = self_signed("one", KeyKind::P256, Validity::days(1)).unwrap();
    let two = self_signed("two", KeyKind::P256, Validity::days(1)).unwrap();
    let (certificate, _) = one.write(dir.path(), "one").unwrap();
    let (_, foreign) = two.write(dir.path(), "two").unwrap();
    std::fs::write(path("empty"), "").unwrap();
    std::fs::write(
        path("broken"),
        "-----BEGIN PRIVATE KEY-----\nS3CRET!\n-----END",
    )
    .unwrap();
    for (certificate, key, named) in [
        (&certificate, &foreign, "two.key.pem"),
        (&certificate, &path("absent"), "absent"),
        (&certificate, &path("empty"), "empty"),
        (&certificate, &path("broken"), "broken"),
        (&path("empty"), &foreign, "empty"),
        (&path("broken"), &foreign, "broken"),
    ] {
        let error = Identity::from_files(certificate, key).unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains(named), "{text}");
        assert!(!text.contains("S3CRET"), "{text}");
    }
    let key = one.key_pem();
    assert!(key.expose_secret().contains("PRIVATE KEY"));
    assert!(!format!("{one:?}").contains("30, "), "{one:?}");
}

#[test]
fn a_name_that_no_certificate_may_have_is_refused() {
    for name in [String::new(), "x".repeat(65), "a\nb".to_owned()] {
        assert!(self_signed(&name, KeyKind::P256, Validity::days(1)).is_err());
    }
    assert!(self_signed(&"ü".repeat(64), KeyKind::P256, Validity::days(1)).is_ok());
}

#[test]
fn many_threads_keep_the_order_of_the_names_and_tell_who_failed() {
    let recipe = Recipe::Chain {
        authority: Arc::new(root()),
        kind: KeyKind::P256,
        validity: Validity::days(1),
    };
    let mut names: Vec<String> = (0..23).map(|n| format!("device-{n}")).collect();
    let told = std::sync::atomic::AtomicUsize::new(0);
    let made = make_all(&recipe, &names, 4, |_| {
        told.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    })
    .unwrap();
    assert_eq!(told.into_inner(), 23);
    for (name, identity) in names.iter().zip(&made) {
        let der = identity.chain()[0].to_vec();
        let found = der.windows(name.len()).any(|w| w == name.as_bytes());
        assert!(found, "{name}");
    }
    names[7] = String::new();
    let (at, _) = make_all(&recipe, &names, 4, |_| {}).unwrap_err();
    assert_eq!(at, 7);
    assert!(make_all(&recipe, &[""; 0], 4, |_| {}).unwrap().is_empty());
}
