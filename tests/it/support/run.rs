//! Runs `fleetcall run` as a user would and reads what it left behind.
//!
//! Every finished run is held to the sums that a report may not break, whatever its test is about.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::root;

/// A scenario about to be run.
pub(crate) struct Run {
    dir: TempDir,
    command: Command,
    out: PathBuf,
    strict: bool,
}

/// What a run left.
pub(crate) struct Ran {
    /// Kept so that the files stay.
    _dir: TempDir,
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) out: PathBuf,
}

impl Run {
    /// A scenario given as text. That other tests have the machine does not fail it: whoever wants
    /// exit code 4 says so with [`strict`](Self::strict).
    pub(crate) fn of(scenario: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scenario.toml");
        fs::write(&path, scenario).unwrap();
        Self::new(dir, &path)
    }

    /// A scenario of the repository.
    pub(crate) fn shipped(path: &str) -> Self {
        Self::new(tempfile::tempdir().unwrap(), &root().join(path))
    }

    fn new(dir: TempDir, scenario: &Path) -> Self {
        let out = dir.path().join("out");
        let mut command = Command::new(env!("CARGO_BIN_EXE_fleetcall"));
        command
            .current_dir(root())
            .arg("run")
            .arg(scenario)
            .arg("--out")
            .arg(&out);
        command.args(["--ui", "none"]).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self {
            dir,
            command,
            out,
            strict: false,
        }
    }

    pub(crate) fn arg(mut self, arg: &str) -> Self {
        self.command.arg(arg);
        self
    }

    pub(crate) fn args(mut self, args: &[&str]) -> Self {
        self.command.args(args);
        self
    }

    /// Without `--allow-invalid`.
    pub(crate) fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    pub(crate) fn env(mut self, key: &str, value: &str) -> Self {
        self.command.env(key, value);
        self
    }

    /// Under a limit of open files, soft and hard.
    pub(crate) fn with_files(mut self, limit: u32) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit -n {limit} && exec \"$0\" \"$@\"")]);
        shell
            .arg(self.command.get_program())
            .args(self.command.get_args());
        shell
            .current_dir(root())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        self.command = shell;
        self
    }

    /// Starts it; the caller signals or waits.
    pub(crate) fn start(mut self) -> Running {
        if !self.strict {
            self.command.arg("--allow-invalid");
        }
        let child = self.command.spawn().unwrap();
        Running {
            dir: self.dir,
            child,
            out: self.out,
        }
    }

    /// Runs it to its end and checks the sums of its reports.
    pub(crate) fn finish(self) -> Ran {
        self.start().finish()
    }
}

/// A run under way.
pub(crate) struct Running {
    dir: TempDir,
    child: Child,
    pub(crate) out: PathBuf,
}

impl Running {
    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    pub(crate) fn finish(self) -> Ran {
        let output = self.child.wait_with_output().unwrap();
        let ran = Ran {
            _dir: self.dir,
            code: output
                .status
                .code()
                .expect("ended by itself, not by a signal"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            out: self.out,
        };
        if !matches!(ran.code, 1 | 2) {
            ran.check_sums();
        }
        ran
    }
}

impl Ran {
    pub(crate) fn summary(&self) -> Value {
        serde_json::from_slice(&fs::read(self.out.join("summary.json")).unwrap()).unwrap()
    }

    /// A number of the summary, by its path: `devices.provisioned`.
    pub(crate) fn number(&self, path: &str) -> u64 {
        let summary = self.summary();
        let value = path.split('.').fold(&summary, |value, key| &value[key]);
        value
            .as_u64()
            .unwrap_or_else(|| panic!("{path} is {value}: {}", self.stderr))
    }

    /// `errors` of the summary.
    pub(crate) fn errors(&self) -> HashMap<String, u64> {
        serde_json::from_value(self.summary()["errors"].clone()).unwrap()
    }

    /// The rows of a CSV file of the run, as maps from header to cell.
    pub(crate) fn rows(&self, file: &str) -> Vec<HashMap<String, String>> {
        let path = self.out.join(file);
        csv::Reader::from_path(path)
            .unwrap()
            .deserialize()
            .map(Result::unwrap)
            .collect()
    }

    /// Everything that the run showed or wrote, but for the files that hold credentials.
    pub(crate) fn everything_public(&self) -> String {
        let mut all = format!("{}{}", self.stdout, self.stderr);
        for entry in fs::read_dir(&self.out).unwrap() {
            let path = entry.unwrap().path();
            if !SECRET.iter().any(|name| path.ends_with(name)) {
                all.push_str(&fs::read_to_string(path).unwrap());
            }
        }
        all
    }

    /// The sums that hold for every run: each listed device is in exactly one outcome, in the
    /// summary, in its cohorts and in `devices.csv` alike; telemetry and credentials agree, too.
    fn check_sums(&self) {
        let devices = self.rows("devices.csv");
        let summary = self.summary();
        let outcomes = ["provisioned", "refused", "failed", "unknown", "unfinished"];
        let mut sum = 0;
        for outcome in outcomes {
            let rows = devices
                .iter()
                .filter(|row| row["outcome"] == outcome)
                .count() as u64;
            assert_eq!(
                self.number(&format!("devices.{outcome}")),
                rows,
                "{outcome}"
            );
            let cohorts = summary["cohorts"].as_object().unwrap().values();
            let dealt: u64 = cohorts
                .map(|c| c["devices"][outcome].as_u64().unwrap())
                .sum();
            assert_eq!(dealt, rows, "{outcome} over the cohorts");
            sum += rows;
        }
        assert_eq!(self.number("devices.listed"), sum);
        assert_eq!(devices.len() as u64, sum);
        for (key, column) in [
            ("telemetry.sent", "telemetry_sent"),
            ("telemetry.acked", "telemetry_acked"),
        ] {
            let rows: u64 = devices
                .iter()
                .map(|row| row[column].parse::<u64>().unwrap())
                .sum();
            assert_eq!(self.number(key), rows, "{key}");
        }
        Self::check_downlink(&summary);
        Self::check_gateways(&summary);
        self.check_intervals(&summary);
        for phase in ["time_to_provision", "time_to_first_telemetry"] {
            Self::check_times(&summary["phases"][phase], &devices, &format!("{phase}_ms"));
        }
        for row in &devices {
            let timed = !row["time_to_provision_ms"].is_empty();
            assert_eq!(timed, row["outcome"] == "provisioned", "{}", row["name"]);
        }
        let credentials = self.rows("credentials.csv");
        let mut known: Vec<&str> = credentials.iter().map(|row| row["name"].as_str()).collect();
        let mut listed: Vec<&str> = devices
            .iter()
            .filter(|row| row["outcome"] == "provisioned")
            .map(|row| row["name"].as_str())
            .collect();
        known.sort_unstable();
        listed.sort_unstable();
        assert_eq!(
            known, listed,
            "credentials for each provisioned device, once"
        );
        let started = devices
            .iter()
            .filter(|row| row["cause"] != "not_started")
            .count() as u64;
        assert_eq!(self.number("starts.started"), started);
        for file in SECRET {
            let mode = fs::metadata(self.out.join(file))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{file} is the owner's alone");
        }
    }

    /// Every push has one end, and cohorts make up the whole.
    fn check_downlink(summary: &Value) {
        let all = &summary["downlink"];
        if all.is_null() {
            return;
        }
        let count = |counts: &Value, key: &str| counts[key].as_u64().unwrap();
        for kind in ["attributes", "rpc"] {
            let pushes = |key| count(&all[kind], key);
            let due = pushes("skipped") + pushes("refused") + pushes("sent");
            assert_eq!(pushes("due"), due, "{kind} {all}");
            let sent = pushes("received") + pushes("lost") + pushes("in_doubt");
            assert_eq!(pushes("sent"), sent, "{kind} {all}");
            let cohorts = summary["cohorts"].as_object().unwrap().values();
            let theirs = cohorts.filter(|cohort| !cohort["downlink"].is_null());
            let sum: u64 = theirs.map(|c| count(&c["downlink"][kind], "due")).sum();
            assert_eq!(sum, pushes("due"), "{kind} over the cohorts");
        }
        let replies = |key| count(&all["replies"], key);
        assert!(replies("sent") <= replies("due"), "{all}");
        assert!(
            replies("acked") + replies("lost") <= replies("sent"),
            "{all}"
        );
        let samples = |phase: &str| summary["phases"][phase]["count"].as_u64().unwrap_or(0);
        assert_eq!(
            samples("attribute_update"),
            count(&all["attributes"], "received")
        );
        assert_eq!(samples("server_rpc"), count(&all["rpc"], "received"));
        assert_eq!(samples("rpc_reply"), replies("acked"));
        for (key, phase) in [("client_rpc", "client_rpc"), ("claims", "claim")] {
            assert_eq!(samples(phase), count(&all[key], "answered"), "{key} {all}");
            let errors = summary["phases"][phase]["errors"].as_u64().unwrap_or(0);
            assert_eq!(errors, count(&all[key], "failed"), "{key} {all}");
        }
    }

    /// What devices were sent, and what gateways said, adds up over the time line.
    fn check_intervals(&self, summary: &Value) {
        let text = fs::read_to_string(self.out.join("timeline.jsonl")).unwrap();
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let intervals = lines.iter().filter(|line| line["line"] == "interval");
        for part in ["downlink", "gateway"] {
            let mut sums = BTreeMap::new();
            for interval in intervals.clone() {
                add_leaves("", &interval[part], &mut sums);
            }
            let mut whole = BTreeMap::new();
            add_leaves("", &summary[part], &mut whole);
            sums.retain(|_, sum| *sum > 0);
            whole.retain(|_, n| *n > 0);
            assert_eq!(sums, whole, "{part} over the time line");
        }
    }

    /// What gateways said has its ends, and cohorts make up the whole.
    fn check_gateways(summary: &Value) {
        let all = &summary["gateway"];
        if all.is_null() {
            return;
        }
        let count = |counts: &Value, path: &str| counts.pointer(path).unwrap().as_u64().unwrap();
        let whole = |path: &str| count(all, path);
        let ended = whole("/connects/acked") + whole("/connects/lost");
        assert_eq!(whole("/connects/sent"), ended, "{all}");
        let told = ["acked", "partial", "lost"].map(|end| whole(&format!("/messages/{end}")));
        assert!(told.iter().sum::<u64>() <= whole("/messages/sent"), "{all}");
        assert!(whole("/connected") <= whole("/sub_devices"), "{all}");
        let cohorts = summary["cohorts"].as_object().unwrap().values();
        let theirs: Vec<_> = cohorts
            .map(|c| &c["gateway"])
            .filter(|c| !c.is_null())
            .collect();
        for path in [
            "/sub_devices",
            "/connected",
            "/connects/sent",
            "/messages/sent",
        ] {
            let sum: u64 = theirs.iter().map(|cohort| count(cohort, path)).sum();
            assert_eq!(sum, whole(path), "{path} over the cohorts");
        }
    }

    /// The times in `devices.csv` are those in the summary: as many, and the same longest one.
    fn check_times(phase: &Value, devices: &[HashMap<String, String>], column: &str) {
        let times: Vec<f64> = devices
            .iter()
            .filter_map(|row| row[column].parse::<f64>().ok())
            .collect();
        assert_eq!(
            phase["count"].as_u64().unwrap_or(0),
            times.len() as u64,
            "{column}"
        );
        let longest_us = times.iter().copied().fold(0.0, f64::max) * 1e3;
        let max_us = phase["response_us"]["max"].as_f64().unwrap_or(0.0);
        // Histograms keep three digits; the last microsecond may be cut.
        let off = (longest_us - max_us).abs();
        assert!(
            off <= longest_us / 1000.0 + 1.0,
            "{column}: {longest_us} µs, {max_us} µs"
        );
    }
}

/// Adds the numbers of a tree up, by their paths.
fn add_leaves(path: &str, tree: &Value, sums: &mut BTreeMap<String, u64>) {
    match tree {
        Value::Object(map) => {
            for (key, value) in map {
                add_leaves(&format!("{path}/{key}"), value, sums);
            }
        }
        Value::Number(n) => *sums.entry(path.to_owned()).or_default() += n.as_u64().unwrap(),
        _ => {}
    }
}

/// Files that are their owner's alone.
const SECRET: [&str; 2] = ["credentials.csv", "ledger.jsonl"];
