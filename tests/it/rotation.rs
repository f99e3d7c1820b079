//! Certificates that are replaced in mid-run: which hold afterwards, and what is on the disk.

mod stubborn;

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    Process, Ran, Run, eventually, free_tcp_port, program, root, serve, succeed, wait_for_tcp,
};

/// An authority on the disk, and a target that knows it.
struct Yard {
    dir: TempDir,
    port: u64,
    _target: Process,
}

impl Yard {
    fn new() -> Self {
        let dir = authority();
        let path = |name: &str| dir.path().join(name);
        let profile = format!(
            "[[profile]]\nname = \"lot\"\nstrategy = \"x509-chain\"\nca = \"{}\"\n\
             name_pattern = \"^([^@]+)@fleet$\"\n",
            path("out/intermediate.crt.pem").display()
        );
        fs::write(path("target.toml"), profile).unwrap();
        let (target, ready) = serve(
            Command::new(env!("CARGO_BIN_EXE_fleetcall"))
                .args(["target", "--mqtts", "127.0.0.1:0", "--config"])
                .arg(path("target.toml"))
                .arg("--ca-out")
                .arg(path("ca.pem")),
        );
        let addr = ready["mqtts"].as_str().unwrap();
        let (_, port) = addr.rsplit_once(':').unwrap();
        Self {
            port: port.parse().unwrap(),
            dir,
            _target: target,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Whether the target lets in whoever shows these certificates, by the word of a client that
    /// we did not write.
    fn lets_in(&self, certificates: &Path, key: &Path) -> bool {
        let said = program("mosquitto_pub")
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "--cafile"])
            .arg(self.path("ca.pem"))
            .arg("--cert")
            .arg(certificates)
            .arg("--key")
            .arg(key)
            .args([
                "-q",
                "1",
                "-t",
                "v1/devices/me/telemetry",
                "-m",
                "{\"a\":1}",
            ])
            .output()
            .unwrap();
        said.status.success()
    }

    /// The same for the first of the certificates alone.
    fn lets_in_alone(&self, certificates: &Path, key: &Path) -> bool {
        let text = fs::read_to_string(certificates).unwrap();
        let end = "-----END CERTIFICATE-----\n";
        let leaf = &text[..text.find(end).unwrap() + end.len()];
        let alone = self.path("alone.pem");
        fs::write(&alone, leaf).unwrap();
        self.lets_in(&alone, key)
    }
}

/// A directory with an authority in `out`.
fn authority() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("one.csv"), "name\nnobody\n").unwrap();
    succeed(
        Command::new(env!("CARGO_BIN_EXE_fleetcall"))
            .args(["generate", "certs", "--devices"])
            .arg(dir.path().join("one.csv"))
            .arg("--out")
            .arg(dir.path().join("out")),
    );
    dir
}

/// Eight devices within 200 ms, whose certificates are signed by the authority in `dir`.
fn scenario(target: &str, dir: &Path, seconds: u32, more: &str) -> String {
    let path = |name: &str| dir.join("out").join(name);
    format!(
        "name = \"rotation\"\nseed = 4\ntarget = {{ {target} }}\n\
         devices.generate = {{ count = 8 }}\n\
         [[cohort]]\nname = \"meters\"\ntransport = \"mqtts\"\ncredentials = \"x509_chain\"\n\
         certificate = {{ common_name = \"{{{{ name }}}}@fleet\", ca = \"{}\", ca_key = \"{}\" }}\n\
         [arrival]\nstages = [{{ count = 8, rate = 40 }}, {{ duration = \"{seconds}s\", rate = 0 }}]\n\
         [telemetry]\ninterval = \"200ms\"\n{more}\n",
        path("intermediate.crt.pem").display(),
        path("intermediate.key.pem").display(),
    )
}

fn at_yard(yard: &Yard, seconds: u32, more: &str) -> String {
    let target = format!(
        "mqtts = \"127.0.0.1:{}\", ca = \"{}\"",
        yard.port,
        yard.path("ca.pem").display()
    );
    scenario(&target, yard.dir.path(), seconds, more)
}

/// With an embedded target that misbehaves.
fn embedded(dir: &Path, faults: &str, seconds: u32, more: &str) -> String {
    let target = format!(
        "embedded = true, strategy = \"x509-chain\", name_pattern = \"^([^@]+)@fleet$\", \
         faults = {{ {faults} }}"
    );
    scenario(&target, dir, seconds, more)
}

/// Held to its sum.
fn rotations(ran: &Ran) -> Value {
    let counts = ran.summary()["rotations"].clone();
    let n = |key: &str| counts[key].as_u64().unwrap();
    assert_eq!(
        n("due"),
        n("done") + n("failed") + n("in_doubt"),
        "{counts}"
    );
    let rows = ran.rows("rotations.csv");
    for state in ["done", "failed", "in_doubt"] {
        let named = rows.iter().filter(|row| row["state"] == state).count() as u64;
        assert_eq!(named, n(state), "{state}: {rows:?}");
    }
    assert_eq!(rows.len() as u64, n("due"), "{rows:?}");
    let timeline = fs::read_to_string(ran.out.join("timeline.jsonl")).unwrap();
    let intervals = timeline
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let due = intervals.filter_map(|line| line["rotations"]["due"].as_u64());
    assert_eq!(due.sum::<u64>(), n("due"));
    assert_eq!(ran.summary()["cohorts"]["meters"]["rotations"], counts);
    counts
}

const ROTATE: &str = "[[event]]\nat = \"1s\"\nkind = \"rotate\"\n";

#[test]
fn after_the_day_the_new_certificates_let_devices_in_and_the_old_ones_nobody() {
    let yard = Yard::new();
    let more = format!(
        "{ROTATE}spread = \"1s\"\ncheck_old = true\n[thresholds]\n\"rotations.done\" = \"== 100%\"\n"
    );
    let ran = Run::of(&at_yard(&yard, 4, &more)).finish();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let counts = rotations(&ran);
    assert_eq!(
        (&counts["done"], &counts["old_refused"]),
        (&8.into(), &8.into())
    );
    assert_eq!(ran.number("phases.rotate.count"), 8);
    assert_eq!(ran.number("phases.reconnect.count"), 8);
    assert!(
        ran.summary().get("reconnects").is_none(),
        "no session was lost"
    );
    assert_eq!(ran.number("telemetry.lost"), 0);
    let out = |name: &str| yard.path("out").join(name);
    for row in ran.rows("credentials.csv") {
        let file = |column: &str| root().join(&row[column]);
        let (new, key) = (file("certificate_file"), file("key_file"));
        assert!(new.to_str().unwrap().ends_with("-2.crt.pem"), "{row:?}");
        assert_eq!(
            fs::metadata(&key).unwrap().permissions().mode() & 0o777,
            0o600
        );
        succeed(
            program("openssl")
                .args(["verify", "-CAfile"])
                .arg(out("root.crt.pem"))
                .arg("-untrusted")
                .arg(out("intermediate.crt.pem"))
                .arg(&new),
        );
        assert!(yard.lets_in_alone(&new, &key), "{row:?}");
        let old = |path: &Path| path.to_str().unwrap().replace("-2.", ".");
        let (old, old_key) = (PathBuf::from(old(&new)), PathBuf::from(old(&key)));
        assert!(!yard.lets_in_alone(&old, &old_key), "{row:?}");
    }
    let file = fs::metadata(ran.out.join("rotations.csv")).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    assert!(
        ran.stdout.contains("8 due, 8 done, 0 failed, 0 in doubt"),
        "{}",
        ran.stdout
    );
}

#[test]
fn a_run_that_is_killed_in_the_middle_of_it_has_every_valid_key_on_the_disk() {
    let yard = Yard::new();
    let running = Run::of(&at_yard(&yard, 30, &format!("{ROTATE}spread = \"6s\"\n"))).start();
    let rows = |name: &str| {
        let text = fs::read(running.out.join(name)).unwrap_or_default();
        let mut rows = csv::Reader::from_reader(&text[..]);
        // The last one may be cut short.
        let rows = rows
            .deserialize::<HashMap<String, String>>()
            .map_while(Result::ok);
        rows.collect::<Vec<_>>()
    };
    let done = || {
        rows("rotations.csv")
            .iter()
            .filter(|row| row["state"] == "done")
            .count()
    };
    eventually(|| done() >= 3);
    kill(Pid::from_raw(running.pid()), Signal::SIGKILL).unwrap();
    let valid: HashMap<_, _> = rows("credentials.csv")
        .into_iter()
        .map(|row| (row["name"].clone(), row))
        .collect();
    assert_eq!(valid.len(), 8);
    let states: HashMap<_, _> = rows("rotations.csv")
        .into_iter()
        .map(|row| (row["name"].clone(), row["state"].clone()))
        .collect();
    for (name, row) in valid {
        let (certificate, key) = (
            root().join(&row["certificate_file"]),
            root().join(&row["key_file"]),
        );
        let known = yard.lets_in_alone(&certificate, &key);
        if states.get(&name).is_some_and(|state| state == "done") {
            assert!(known, "the record says that this one holds: {row:?}");
        }
        let second = |path: &Path| {
            PathBuf::from(
                path.to_str()
                    .unwrap()
                    .replace(".crt.", "-2.crt.")
                    .replace(".key.", "-2.key."),
            )
        };
        assert!(
            known || yard.lets_in_alone(&second(&certificate), &second(&key)),
            "{row:?}"
        );
    }
}

#[test]
fn a_rotation_without_an_answer_is_in_doubt_and_the_record_says_so() {
    let dir = authority();
    let limits = "[limits]\nanswer_timeout = \"1s\"\nconnect_timeout = \"1s\"\ngrace = \"500ms\"\n";
    let event = "[[event]]\nat = \"4500ms\"\nkind = \"rotate\"\n";
    let faults = "stall = [{ at = \"4s\", for = \"60s\" }]";
    let ran = Run::of(&embedded(
        dir.path(),
        faults,
        10,
        &(limits.to_owned() + event),
    ))
    .finish();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(rotations(&ran)["in_doubt"], 8);
    for row in ran.rows("rotations.csv") {
        for file in [
            "certificate_file",
            "key_file",
            "old_certificate_file",
            "old_key_file",
        ] {
            assert!(root().join(&row[file]).is_file(), "{row:?}");
        }
    }
    for row in ran.rows("credentials.csv") {
        assert!(!row["certificate_file"].contains("-2."), "{row:?}");
    }
    assert!(ran.errors()["rotate.timeout"] > 0);
}

#[test]
fn a_certificate_that_the_server_cannot_have_seen_has_failed_and_is_not_in_doubt() {
    let dir = authority();
    let event = "[[event]]\nat = \"4500ms\"\nkind = \"rotate\"\n";
    let faults = "restart = [{ at = \"4s\", for = \"60s\" }]";
    let ran = Run::of(&embedded(dir.path(), faults, 7, event)).finish();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(rotations(&ran)["failed"], 8);
    assert!(ran.errors()["rotate.connection_refused"] > 0);
    assert!(
        ran.summary()["phases"]["rotate"]["retries"]
            .as_u64()
            .unwrap()
            > 0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_whose_new_certificate_is_turned_down_goes_on_with_its_old_one() {
    let dir = authority();
    let (addr, house, seen) = stubborn::serve(&dir.path().join("out/root.crt.pem")).await;
    let ca = dir.path().join("ca.pem");
    fs::write(&ca, house.identity().certificates_pem()).unwrap();
    let target = format!("mqtts = \"{addr}\", ca = {ca:?}");
    let scenario = scenario(
        &target,
        dir.path(),
        3,
        &format!("{ROTATE}check_old = true\n[reconnect]\ninitial = \"50ms\"\n"),
    );
    let ran = tokio::task::spawn_blocking(move || Run::of(&scenario).finish())
        .await
        .unwrap();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(rotations(&ran)["failed"], 8);
    assert_eq!(*seen.turned_down.lock().unwrap(), 8, "each tried once");
    assert_eq!(
        ran.errors(),
        HashMap::from([("rotate.connack_5".to_owned(), 8)])
    );
    // Once after they were provisioned, once with the old one again.
    assert_eq!(ran.number("phases.reconnect.count"), 16);
    for row in ran.rows("devices.csv") {
        // At 200 ms each: more than there was time for before the rotation.
        assert!(
            row["telemetry_acked"].parse::<u32>().unwrap() > 6,
            "{row:?}"
        );
        assert_eq!(row["cause"], "rotate.connack_5");
    }
    for row in ran.rows("credentials.csv") {
        assert!(!row["certificate_file"].contains("-2."), "{row:?}");
    }
}

#[test]
fn a_server_that_goes_on_taking_old_certificates_is_found() {
    let yard = Yard::new();
    let port = free_tcp_port();
    let server = |name: &str| yard.path("out").join(name);
    succeed(
        program("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
            ])
            .args(["-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"])
            .args(["-addext", "subjectAltName=IP:127.0.0.1", "-keyout"])
            .arg(server("server.key"))
            .arg("-out")
            .arg(server("server.pem")),
    );
    let config = format!(
        "user root\nlistener {port} 127.0.0.1\ncertfile {}\nkeyfile {}\nallow_anonymous true\n",
        server("server.pem").display(),
        server("server.key").display(),
    );
    fs::write(yard.path("mosquitto.conf"), config).unwrap();
    let _broker = Process::start(
        program("mosquitto")
            .arg("-c")
            .arg(yard.path("mosquitto.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null()),
    );
    wait_for_tcp(format!("127.0.0.1:{port}").parse().unwrap());
    let target = format!(
        "mqtts = \"127.0.0.1:{port}\", ca = {:?}",
        server("server.pem")
    );
    let scenario = scenario(
        &target,
        yard.dir.path(),
        3,
        &format!("{ROTATE}check_old = true\n"),
    );
    let ran = Run::of(&scenario).finish();
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(rotations(&ran)["old_accepted"], 8);
    let finding = &ran.summary()["findings"][0];
    assert_eq!(
        (&finding["kind"], &finding["count"]),
        (&"old_certificate".into(), &8.into())
    );
    let named: BTreeSet<_> = finding["examples"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e[0].as_str().unwrap())
        .collect();
    let listed = ran.rows("devices.csv");
    assert!(
        named
            .iter()
            .all(|name| listed.iter().any(|row| row["name"] == **name))
    );
}

/// As it is, but for fewer devices and less time.
#[test]
fn the_certificate_day_runs_as_it_is() {
    let ran = Run::shipped("scenarios/certificate-day.toml")
        .arg("--set")
        .arg("devices.generate.count=60")
        .arg("--set")
        .arg("arrival.stages=[{ duration = \"2s\", rate = 30 }, { duration = \"5s\", rate = 0 }]")
        .arg("--set")
        .arg("event.0.at=2500ms")
        .arg("--set")
        .arg("event.0.spread=2s")
        .finish();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(rotations(&ran)["old_refused"], 60);
}
