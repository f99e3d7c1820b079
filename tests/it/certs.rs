//! `fleetcall generate certs`, and what OpenSSL thinks of what it makes.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use fleetcall::pki::Identity;

use crate::support::{Process, eventually, root, succeed};

fn certs(dir: &Path, more: &[&str]) -> Output {
    let list = dir.join("list.csv");
    fs::write(
        &list,
        "serial,name,token\n7,\"a,\"\"1\"\"\",t1\n8,../b,t2\n9,=c,t3\n",
    )
    .unwrap();
    Command::new(env!("CARGO_BIN_EXE_fleetcall"))
        .current_dir(root())
        .args(["generate", "certs", "--devices"])
        .arg(&list)
        .arg("--out")
        .arg(dir.join("out"))
        .args(more)
        .output()
        .unwrap()
}

fn openssl(args: &[&str]) -> String {
    let output = succeed(Command::new("openssl").args(args));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_list_gets_chains_that_openssl_verifies_for_every_kind_of_key() {
    for (kind, algorithm) in [
        ("p256", "prime256v1"),
        ("p384", "secp384r1"),
        ("ed25519", "ED25519"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let made = certs(
            dir.path(),
            &["--key", kind, "--common-name", "{{ row.serial }}@fleet"],
        );
        assert!(made.status.success(), "{made:?}");
        let out = dir.path().join("out");
        let text = |name: &str| out.join(name).to_str().unwrap().to_owned();
        let mut rows = csv::Reader::from_path(out.join("devices.csv")).unwrap();
        let headers = rows.headers().unwrap().iter().collect::<Vec<_>>().join(" ");
        assert_eq!(headers, "serial name token certificate_file key_file");
        let rows: Vec<_> = rows.records().map(Result::unwrap).collect();
        assert_eq!(&rows[0][1], "a,\"1\"");
        assert_eq!(&rows[2][1], "=c");
        for row in &rows {
            let verified = openssl(&[
                "verify",
                "-CAfile",
                &text("root.crt.pem"),
                "-untrusted",
                &text("intermediate.crt.pem"),
                &row[3],
            ]);
            assert!(verified.ends_with("OK\n"), "{verified}");
            let shown = openssl(&["x509", "-noout", "-text", "-in", &row[3]]);
            assert!(
                shown.contains(&format!("CN = {}@fleet", &row[0])),
                "{shown}"
            );
            assert!(shown.contains(algorithm), "{shown}");
            assert!(shown.contains("TLS Web Client Authentication"), "{shown}");
            openssl(&["pkey", "-noout", "-in", &row[4]]);
            let rights = fs::metadata(&row[4]).unwrap().permissions().mode();
            assert_eq!(rights & 0o777, 0o600);
        }
        for name in ["root.key.pem", "intermediate.key.pem", "devices.csv"] {
            let rights = fs::metadata(out.join(name)).unwrap().permissions().mode();
            assert_eq!(rights & 0o777, 0o600, "{name}");
        }
        let said = format!("{made:?}");
        assert!(!said.contains("PRIVATE"), "{said}");
    }
}

#[test]
fn a_given_authority_signs_a_further_lot_even_one_that_openssl_made() {
    let dir = tempfile::tempdir().unwrap();
    let (ca, key) = (dir.path().join("ca.pem"), dir.path().join("ca.key"));
    let (ca, key) = (ca.to_str().unwrap(), key.to_str().unwrap());
    openssl(&[
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/CN=Works CA",
        "-days",
        "30",
        "-keyout",
        key,
        "-out",
        ca,
    ]);
    let made = certs(dir.path(), &["--ca", ca, "--ca-key", key]);
    assert!(made.status.success(), "{made:?}");
    let leaf = dir.path().join("out/devices/0000001.crt.pem");
    openssl(&["verify", "-CAfile", ca, leaf.to_str().unwrap()]);
    assert!(!dir.path().join("out/root.key.pem").exists());
}

#[test]
fn what_cannot_be_done_is_said_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let long = "x".repeat(65);
    for (more, said) in [
        (&["--common-name", "{{ row.mac }}"][..], "mac"),
        (&["--common-name", &long], "64"),
        (&["--ca", "absent.pem", "--ca-key", "absent.key"], "absent"),
        (&["--ca", "fixtures/wire/certificate.pem"], "--ca-key"),
        (&["--days", "0"], "--days"),
        (
            &["--self-signed", "--ca", "x", "--ca-key", "y"],
            "--self-signed",
        ),
    ] {
        let made = certs(dir.path(), more);
        assert_eq!(made.status.code(), Some(2), "{more:?}");
        let error = String::from_utf8(made.stderr).unwrap();
        assert!(error.contains(said), "{more:?}: {error}");
        assert!(!dir.path().join("out").exists(), "{more:?}");
    }
    assert!(certs(dir.path(), &["--self-signed"]).status.success());
    let again = certs(dir.path(), &["--self-signed"]);
    assert_eq!(again.status.code(), Some(2));
    let error = String::from_utf8(again.stderr).unwrap();
    assert!(
        error.contains("in use") && error.contains("--out"),
        "{error}"
    );
}

#[test]
fn what_was_made_before_is_left_alone_whatever_it_is() {
    for there in ["root.key.pem", "intermediate.crt.pem", "devices.csv"] {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        fs::create_dir(&out).unwrap();
        fs::write(out.join(there), "in use").unwrap();
        let made = certs(dir.path(), &["--self-signed"]);
        assert_eq!(made.status.code(), Some(2));
        let error = String::from_utf8(made.stderr).unwrap();
        assert!(error.contains(there) && error.contains("--out"), "{error}");
        assert_eq!(fs::read_dir(&out).unwrap().count(), 1, "{there}");
    }
}

#[test]
fn devices_of_one_common_name_are_warned_of_where_a_server_goes_by_it() {
    let constant = ["--common-name", "station", "--threads", "2"];
    let dir = tempfile::tempdir().unwrap();
    let made = certs(dir.path(), &constant);
    assert!(made.status.success(), "{made:?}");
    let warning = String::from_utf8(made.stderr).unwrap();
    assert!(
        warning.contains("2 devices share") && warning.contains("`../b` that of `a,"),
        "{warning}"
    );
    let dir = tempfile::tempdir().unwrap();
    let alone = [&constant[..], &["--self-signed"]].concat();
    let made = certs(dir.path(), &alone);
    assert!(made.status.success() && made.stderr.is_empty(), "{made:?}");
}

#[test]
fn each_device_has_its_own_certificate_however_many_threads_make_them() {
    let dir = tempfile::tempdir().unwrap();
    let list = dir.path().join("list.csv");
    let names = (0..101).map(|n| format!("sensor-{n}\n"));
    fs::write(&list, format!("name\n{}", names.collect::<String>())).unwrap();
    let out = dir.path().join("out");
    succeed(
        Command::new(env!("CARGO_BIN_EXE_fleetcall"))
            .args(["generate", "certs", "--threads", "7", "--devices"])
            .arg(&list)
            .arg("--out")
            .arg(&out),
    );
    let mut rows = csv::Reader::from_path(out.join("devices.csv")).unwrap();
    let rows: Vec<_> = rows.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 101);
    for row in rows {
        let subject = openssl(&["x509", "-noout", "-subject", "-in", &row[1]]);
        assert_eq!(subject.trim(), format!("subject=CN = {}", &row[0]));
        let key = openssl(&["pkey", "-pubout", "-in", &row[2]]);
        let certified = openssl(&["x509", "-noout", "-pubkey", "-in", &row[1]]);
        assert_eq!(key, certified, "{}", &row[0]);
    }
    // Nothing unfinished is left beside the two files of each.
    assert_eq!(fs::read_dir(out.join("devices")).unwrap().count(), 202);
}

#[test]
fn whoever_is_cut_off_leaves_whole_keys_and_no_certificate_without_one() {
    let dir = tempfile::tempdir().unwrap();
    let list = dir.path().join("list.csv");
    let names = (0..300_000).map(|n| format!("sensor-{n}\n"));
    fs::write(&list, format!("name\n{}", names.collect::<String>())).unwrap();
    let out = dir.path().join("out");
    let mut making = Process::start(
        Command::new(env!("CARGO_BIN_EXE_fleetcall"))
            .args(["generate", "certs", "--devices"])
            .arg(&list)
            .arg("--out")
            .arg(&out),
    );
    let devices = out.join("devices");
    eventually(|| fs::read_dir(&devices).is_ok_and(|files| files.count() > 100));
    making.0.kill().unwrap();
    making.0.wait().unwrap();
    assert!(!out.join("devices.csv").exists());
    let mut keys = 0;
    for file in fs::read_dir(&devices).unwrap() {
        let file = file.unwrap().path();
        let name = file.file_name().unwrap().to_str().unwrap();
        if name.ends_with(".crt.pem") {
            let key = devices.join(name.replace(".crt.", ".key."));
            Identity::from_files(&file, &key).unwrap();
        } else if name.ends_with(".key.pem") {
            let text = fs::read_to_string(&file).unwrap();
            assert!(text.ends_with("-----END PRIVATE KEY-----\n"), "{name}");
            keys += 1;
        }
    }
    assert!(keys > 50, "{keys}");
}

#[test]
fn the_files_of_a_list_provision_its_devices_through_their_chain() {
    let dir = tempfile::tempdir().unwrap();
    let made = certs(dir.path(), &["--common-name", "{{ row.serial }}@fleet"]);
    assert!(made.status.success(), "{made:?}");
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let profile = format!(
        "[[profile]]\nname = \"lot\"\nstrategy = \"x509-chain\"\nca = {:?}\n\
         name_pattern = \"^([^@]+)@fleet$\"\n",
        path("out/intermediate.crt.pem")
    );
    fs::write(path("target.toml"), profile).unwrap();
    let mut target = Process::start(
        Command::new(env!("CARGO_BIN_EXE_fleetcall"))
            .args(["target", "--mqtts", "127.0.0.1:0", "--config"])
            .args([path("target.toml"), "--ca-out".to_owned(), path("ca.pem")])
            .stdout(Stdio::piped()),
    );
    let mut ready = String::new();
    BufReader::new(target.0.stdout.take().unwrap())
        .read_line(&mut ready)
        .unwrap();
    let ready: serde_json::Value = serde_json::from_str(&ready).unwrap();
    let scenario = format!(
        "name = \"lot\"\n[target]\nmqtts = {}\nca = {:?}\n[devices]\nlist = {:?}\n\
         [[cohort]]\nname = \"certified\"\ntransport = \"mqtts\"\ncredentials = \"x509_chain\"\n\
         certificate = {{ file = \"{{{{ row.certificate_file }}}}\", \
         key_file = \"{{{{ row.key_file }}}}\" }}\n\
         [arrival]\nmodel = \"open\"\nstages = [{{ duration = \"1s\", rate = 10 }}]\n",
        ready["mqtts"],
        path("ca.pem"),
        path("out/devices.csv"),
    );
    fs::write(path("lot.toml"), scenario).unwrap();
    succeed(
        Command::new(env!("CARGO_BIN_EXE_fleetcall"))
            .args(["run", &path("lot.toml"), "--ui", "none", "--out"])
            .arg(path("run")),
    );
    let mut rows = csv::Reader::from_path(path("run/devices.csv")).unwrap();
    let rows: Vec<_> = rows.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 3);
    for row in rows {
        assert_eq!((&row[3], &row[4]), ("X509_CERTIFICATE", "provisioned"));
    }
}
