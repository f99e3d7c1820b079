//! The server dies with the run, and knows afterwards what it knew before.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use serde_json::Value;

use super::{Site, ended, kill_at};
use crate::support::{Process, eventually, free_tcp_port, serve};

fn target(registry: &Path, port: u16) -> Process {
    let (process, _) = serve(
        Command::new(env!("CARGO_BIN_EXE_fleetcall"))
            .args([
                "target",
                "--mqtt",
                &format!("127.0.0.1:{port}"),
                "--registry",
            ])
            .arg(registry),
    );
    process
}

#[test]
fn a_server_that_is_killed_with_the_run_has_provisioned_each_device_once_at_the_end() {
    const DEVICES: u64 = 200;
    let free = free_tcp_port();
    let site = Site::of(&format!(
        "name = \"restart\"\nseed = 5\n[target]\nmqtt = \"127.0.0.1:{free}\"\n\
         [profile]\nprovision_key = \"{}\"\nprovision_secret = \"{}\"\n\
         [devices]\ngenerate = {{ count = {DEVICES} }}\n\
         [[cohort]]\nname = \"own\"\ncredentials = \"access_token\"\ntoken_key = \"k\"\n\
         [arrival]\nstages = [{{ duration = \"1s\", rate = 200 }}]\n",
        fleetcall::target::Profile::DEFAULT_KEY,
        fleetcall::target::Profile::DEFAULT_SECRET,
    ));
    let registry = site.dir.path().join("registry.jsonl");
    let mut moments = Pcg64::seed_from_u64(5);
    let mut server = target(&registry, free);
    let mut part = site.begin(&[]);
    eventually(|| site.out().join("ledger.jsonl").exists());
    for _ in 0..5 {
        kill_at(part, Duration::from_millis(moments.random_range(20..300)));
        drop(server);
        server = target(&registry, free);
        part = site.go_on("resume", &[]);
    }
    ended(part, 0);
    assert_eq!(
        site.outcomes(),
        BTreeMap::from([("provisioned".to_owned(), DEVICES)])
    );
    assert_eq!(site.credentials().len() as u64, DEVICES);
    drop(server);
    // Each device is in the server's own record once, and nobody else.
    let kept = fs::read_to_string(&registry).unwrap();
    let mut names: Vec<String> = kept
        .lines()
        .map(|line| {
            let device: Value = serde_json::from_str(line).unwrap();
            assert_eq!(device["provisioned"], true);
            device["name"].as_str().unwrap().to_owned()
        })
        .collect();
    names.sort_unstable();
    let listed: Vec<String> = site.credentials().into_iter().collect();
    assert_eq!(names, listed);
    // And it knows them by their tokens: nobody is provisioned again.
    let server = target(&registry, free);
    let text = fs::read_to_string(&site.scenario).unwrap();
    let straight = Site::of(&(text + "[telemetry]\ninterval = \"1m\"\n"));
    let from = site.out().join("credentials.csv");
    ended(
        straight.begin(&["--credentials", from.to_str().unwrap()]),
        0,
    );
    assert_eq!(straight.summary()["telemetry"]["acked"], DEVICES);
    drop(server);
    assert_eq!(fs::read_to_string(&registry).unwrap(), kept);
}
