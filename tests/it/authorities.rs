//! Keys and certificates held to OpenSSL: what is made here verifies there, and what is made there
//! is read and signed with here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use fleetcall::pki::{Authority, Identity, KeyKind, PkiError, Validity, self_signed};
use tempfile::TempDir;

use crate::support::succeed;

/// A directory in which OpenSSL works.
struct Bench(TempDir);

impl Bench {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, args: &str) -> Command {
        let mut command = Command::new("openssl");
        command
            .current_dir(self.0.path())
            .args(args.split_whitespace());
        command
    }

    /// What OpenSSL prints; it must succeed.
    fn openssl(&self, args: &str) -> String {
        let output = succeed(&mut self.command(args));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What OpenSSL says of a certificate.
    fn verify(&self, args: &str) -> Output {
        let mut command = self.command(&format!("verify {args}"));
        command.stdin(Stdio::null()).output().unwrap()
    }

    fn write(&self, identity: &Identity, stem: &str) {
        identity.write(self.0.path(), stem).unwrap();
    }

    fn authority(&self, certificates: &str, key: &str) -> Result<Authority, PkiError> {
        Authority::load(&self.path(certificates), &self.path(key))
    }

    fn identity(&self, certificates: &str, key: &str) -> Result<Identity, PkiError> {
        Identity::from_files(&self.path(certificates), &self.path(key))
    }

    /// A self-signed authority of OpenSSL's making.
    fn make_authority(&self, key: &str, subject: &str, more: &str) {
        self.openssl(&format!(
            "req -x509 -new -key {key} -subj {subject} -days 9 -out ca.pem {more}"
        ));
    }
}

const KINDS: [KeyKind; 3] = [KeyKind::P256, KeyKind::P384, KeyKind::Ed25519];

#[test]
fn openssl_verifies_chains_of_all_kinds_of_keys_and_reads_the_keys() {
    for above in KINDS {
        let bench = Bench::new();
        let root = Authority::root("root", above, Validity::days(1)).unwrap();
        let middle = root
            .intermediate("middle", above, Validity::days(1))
            .unwrap();
        bench.write(root.identity(), "root");
        for kind in KINDS {
            let stem = format!("{kind:?}");
            let leaf = middle
                .issue("sensor-ü@fleet", kind, Validity::days(1))
                .unwrap();
            bench.write(&leaf, &stem);
            let verified = bench.verify(&format!(
                "-x509_strict -purpose sslclient -CAfile root.crt.pem -untrusted {stem}.crt.pem \
                 {stem}.crt.pem"
            ));
            assert!(verified.status.success(), "{above:?} {kind:?} {verified:?}");
            let text = bench.openssl(&format!(
                "x509 -noout -text -nameopt utf8 -in {stem}.crt.pem"
            ));
            assert!(text.contains("CN=sensor-ü@fleet"), "{text}");
            assert!(text.contains("TLS Web Client Authentication"), "{text}");
            bench.openssl(&format!("pkey -noout -check -in {stem}.key.pem"));
            bench.openssl(&format!(
                "x509 -in {stem}.crt.pem -outform DER -out leaf.der"
            ));
            let hashed = bench.openssl("base64 -A -in leaf.der");
            assert_eq!(leaf.leaf_base64(), hashed);
        }
    }
}

#[test]
fn keys_in_every_form_that_openssl_writes_sign_devices() {
    for (making, algorithm) in [
        ("genrsa -out ca.key 2048", "sha256WithRSAEncryption"),
        (
            "genrsa -traditional -out ca.key 2048",
            "sha256WithRSAEncryption",
        ),
        (
            "ecparam -genkey -name prime256v1 -out ca.key",
            "ecdsa-with-SHA256",
        ),
        (
            "ecparam -genkey -name secp384r1 -noout -out ca.key",
            "ecdsa-with-SHA384",
        ),
        (
            "genpkey -algorithm ec -pkeyopt ec_paramgen_curve:P-256 -out ca.key",
            "ecdsa-with-SHA256",
        ),
        ("genpkey -algorithm ed25519 -out ca.key", "ED25519"),
    ] {
        let bench = Bench::new();
        bench.openssl(making);
        bench.make_authority("ca.key", "/C=DE/O=Works/OU=Line_3/CN=Works_CA", "");
        let authority = bench.authority("ca.pem", "ca.key").unwrap();
        let middle = authority
            .intermediate("lot 17", KeyKind::P256, Validity::days(1))
            .unwrap();
        bench.write(
            &authority
                .issue("d", KeyKind::P256, Validity::days(1))
                .unwrap(),
            "direct",
        );
        bench.write(
            &middle.issue("d", KeyKind::P256, Validity::days(1)).unwrap(),
            "below",
        );
        for leaf in ["direct", "below"] {
            let verified = bench.verify(&format!(
                "-CAfile ca.pem -untrusted {leaf}.crt.pem {leaf}.crt.pem"
            ));
            assert!(verified.status.success(), "{making}: {verified:?}");
        }
        let text = bench.openssl("x509 -noout -text -in direct.crt.pem");
        assert!(text.contains(algorithm), "{making}: {text}");
    }
}

#[test]
fn of_two_authorities_of_one_name_the_right_one_is_found() {
    let bench = Bench::new();
    let mut trusted = String::new();
    for n in 0..2 {
        let root = Authority::root("fleetcall root", KeyKind::P256, Validity::days(1)).unwrap();
        trusted += &root.identity().certificates_pem();
        let middle = root
            .intermediate("devices", KeyKind::P256, Validity::days(1))
            .unwrap();
        let leaf = middle.issue("d", KeyKind::P256, Validity::days(1)).unwrap();
        bench.write(&leaf, &format!("leaf{n}"));
        bench.write(middle.identity(), &format!("middle{n}"));
    }
    fs::write(bench.path("trusted"), trusted).unwrap();
    let both = ["middle0.crt.pem", "middle1.crt.pem"].map(|n| fs::read_to_string(bench.path(n)));
    fs::write(bench.path("both"), both.map(Result::unwrap).concat()).unwrap();
    for leaf in ["leaf0.crt.pem", "leaf1.crt.pem"] {
        let verified = bench.verify(&format!("-CAfile trusted -untrusted both {leaf}"));
        assert!(verified.status.success(), "{leaf}: {verified:?}");
    }
}

#[test]
fn a_server_is_known_by_its_names_and_addresses_and_by_no_others() {
    let bench = Bench::new();
    let root = Authority::root("root", KeyKind::P256, Validity::days(1)).unwrap();
    bench.write(root.identity(), "root");
    let long = format!("{}.{}.fleet.example", "a".repeat(40), "b".repeat(40));
    let names = [long.as_str(), "tb.example", "127.0.0.1", "::1"];
    bench.write(
        &root
            .issue_server(&names, KeyKind::P256, Validity::days(1))
            .unwrap(),
        "server",
    );
    let verify = |name: &str| {
        let args = format!("-purpose sslserver -CAfile root.crt.pem {name} server.crt.pem");
        bench.verify(&args).status.success()
    };
    assert!(verify(&format!("-verify_hostname {long}")));
    assert!(verify("-verify_hostname tb.example"));
    assert!(verify("-verify_ip 127.0.0.1"));
    assert!(verify("-verify_ip ::1"));
    assert!(!verify("-verify_hostname other.example"));
    assert!(!verify("-verify_ip 127.0.0.2"));
    let only_long = root
        .issue_server(&[&long], KeyKind::P256, Validity::days(1))
        .unwrap();
    bench.write(&only_long, "long");
    let text = bench.openssl("x509 -noout -subject -in long.crt.pem");
    assert_eq!(text.trim(), "subject=CN = server");
}

#[test]
fn what_has_expired_is_expired_to_others() {
    let bench = Bench::new();
    let past = self_signed("d", KeyKind::P256, Validity::expired()).unwrap();
    bench.write(&past, "past");
    let verified = bench.verify("-CAfile past.crt.pem past.crt.pem");
    assert!(!verified.status.success());
    let said = String::from_utf8(verified.stderr).unwrap();
    assert!(said.contains("certificate has expired"), "{said}");
    let now = self_signed("d", KeyKind::P256, Validity::days(36_500)).unwrap();
    bench.write(&now, "now");
    let verified = bench.verify("-CAfile now.crt.pem now.crt.pem");
    assert!(verified.status.success(), "{verified:?}");
}

#[test]
fn a_devices_certificate_of_version_1_is_read() {
    let bench = Bench::new();
    bench.openssl("genrsa -out ca.key 2048");
    bench.make_authority("ca.key", "/CN=ca", "");
    for making in [
        "genrsa -out d.key 2048",
        "ecparam -genkey -name prime256v1 -out d.key",
    ] {
        bench.openssl(making);
        bench.openssl("req -new -key d.key -subj /CN=d -out d.csr");
        bench.openssl("x509 -req -in d.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out d.pem");
        let text = bench.openssl("x509 -noout -text -in d.pem");
        assert!(text.contains("Version: 1"), "{text}");
        bench.identity("d.pem", "d.key").unwrap();
    }
}

#[test]
fn authorities_that_nobody_could_follow_are_refused() {
    for (subject, more, said) in [
        (
            "/DC=example/DC=works/CN=ca",
            "",
            "names one attribute twice",
        ),
        ("/CN=ca+OU=works", "", "names one attribute twice"),
        (
            "/CN=ca",
            "-addext basicConstraints=critical,CA:FALSE",
            "no authority's",
        ),
        (
            "/CN=ca",
            "-addext keyUsage=digitalSignature",
            "may not sign",
        ),
    ] {
        let bench = Bench::new();
        bench.openssl("ecparam -genkey -name prime256v1 -out ca.key");
        bench.make_authority("ca.key", subject, more);
        let error = bench.authority("ca.pem", "ca.key").unwrap_err().to_string();
        assert!(error.contains(said), "{subject} {more}: {error}");
        assert!(
            error.contains("ca.pem: ") && error.contains("\nhelp: "),
            "{error}"
        );
        // As a device's certificate it does.
        bench.identity("ca.pem", "ca.key").unwrap();
    }
}

#[test]
fn keys_that_cannot_be_used_are_named_with_the_way_out() {
    let bench = Bench::new();
    bench.openssl("ecparam -genkey -name prime256v1 -out plain.key");
    bench.make_authority("plain.key", "/CN=d", "");
    bench.openssl("pkcs8 -topk8 -passout pass:hunter2 -in plain.key -out pkcs8.key");
    bench.openssl("ec -aes128 -passout pass:hunter2 -in plain.key -out sec1.key");
    bench.openssl("pkey -outform DER -in plain.key -out der.key");
    bench.openssl("x509 -outform DER -in ca.pem -out ca.der");
    bench.openssl("ecparam -genkey -name secp521r1 -out p521.key");
    bench.openssl("genrsa -out rsa1024.key 1024");
    for (certificate, key, said) in [
        ("ca.pem", "pkcs8.key", "pkcs8.key: the key is encrypted"),
        ("ca.pem", "sec1.key", "sec1.key: the key is encrypted"),
        ("ca.pem", "der.key", "der.key: holds no private key in PEM"),
        (
            "ca.pem",
            "p521.key",
            "p521.key: the key is of no known kind",
        ),
        (
            "ca.pem",
            "rsa1024.key",
            "rsa1024.key: the key is of no known kind",
        ),
        ("ca.der", "plain.key", "ca.der: holds no certificate in PEM"),
        (
            "plain.key",
            "ca.pem",
            "plain.key: holds no certificate in PEM",
        ),
    ] {
        let error = bench.identity(certificate, key).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
        assert!(error.contains("\nhelp: "), "{error}");
    }
    // Both in one file is as good as two.
    let both = ["plain.key", "ca.pem"].map(|name| fs::read_to_string(bench.path(name)).unwrap());
    fs::write(bench.path("both"), both.concat()).unwrap();
    bench.identity("both", "both").unwrap();
}

#[test]
fn a_chain_with_the_devices_certificate_last_is_told_from_a_wrong_key() {
    let bench = Bench::new();
    let root = Authority::root("root", KeyKind::P256, Validity::days(1)).unwrap();
    bench.write(root.identity(), "root");
    let leaf = root.issue("d", KeyKind::P256, Validity::days(1)).unwrap();
    bench.write(&leaf, "leaf");
    let mut pem = root.identity().certificates_pem();
    pem += &leaf.certificates_pem();
    fs::write(bench.path("upside-down"), pem).unwrap();
    let said = |certificates: &str| {
        let read = bench.identity(certificates, "leaf.key.pem");
        read.unwrap_err().to_string()
    };
    let order = said("upside-down");
    assert!(order.contains("out of order"), "{order}");
    let wrong = said("root.crt.pem");
    assert!(wrong.contains("not the certificate's"), "{wrong}");
    assert!(
        wrong.contains("leaf.key.pem: ") && wrong.contains("root.crt.pem"),
        "{wrong}"
    );
}

#[test]
fn nothing_is_overwritten_and_nothing_unfinished_is_left() {
    let bench = Bench::new();
    let made = self_signed("d", KeyKind::P256, Validity::days(1)).unwrap();
    for there in ["d.key.pem", "d.crt.pem"] {
        let path = bench.path(there);
        fs::write(&path, "another's").unwrap();
        let error = made.write(bench.0.path(), "d").unwrap_err().to_string();
        assert!(error.contains(there), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "another's");
        fs::remove_dir_all(bench.0.path()).unwrap();
        fs::create_dir(bench.0.path()).unwrap();
    }
    made.write(bench.0.path(), "d").unwrap();
    assert_eq!(names(bench.0.path()), ["d.crt.pem", "d.key.pem"]);
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
