//! What it costs to check a list of a million devices by all rules: time, CPU and the most memory,
//! beside reading it (`wc -l`) and sorting it (`sort -u`). `cargo bench --bench check_lists`

use std::error::Error;
use std::ffi::OsStr;
use std::fs::{File, Permissions, set_permissions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use tokio::time::Instant;

const DEVICES: u64 = 1_000_000;

/// Each is run so often, in turns; the fastest counts.
const ROUNDS: usize = 5;

/// What a process cost.
#[derive(Clone, Copy)]
struct Cost {
    wall_s: f64,
    cpu_s: f64,
    /// The most memory that it had.
    peak_mib: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(program) = std::env::var_os(MEASURED) {
        return measure(&program);
    }
    let dir = tempfile::tempdir()?;
    let list = dir.path().join("list.csv");
    write(&list)?;
    let size = std::fs::metadata(&list)?.len();
    let fleetcall = env!("CARGO_BIN_EXE_fleetcall");
    // A list of that size needs several requests, which is an error.
    let commands: [(&str, &str, &[&str]); 4] = [
        (
            "fleetcall check",
            fleetcall,
            &["check", "--fail-on", "never"],
        ),
        (
            "fleetcall check --fix",
            fleetcall,
            &[
                "check",
                "--fail-on",
                "never",
                "--force",
                "--fix",
                "fixed.csv",
            ],
        ),
        ("wc -l", "wc", &["-l"]),
        ("sort -u", "sort", &["-u", "-o", "sorted.csv"]),
    ];
    println!(
        "{DEVICES} rows, {:.1} MB, best of {ROUNDS}",
        size as f64 / 1e6
    );
    let mut best: [Option<Cost>; 4] = [None; 4];
    for _ in 0..ROUNDS {
        for (best, (_, program, args)) in best.iter_mut().zip(&commands) {
            let cost = run(dir.path(), program, args, &list)?;
            if best.is_none_or(|best| cost.wall_s < best.wall_s) {
                *best = Some(cost);
            }
        }
    }
    let best = best.map(|cost| cost.expect("each was run"));
    println!(
        "{:22} {:>8} {:>8} {:>9} {:>12}",
        "", "wall", "CPU", "memory", "rows/s"
    );
    for ((name, ..), cost) in commands.iter().zip(best) {
        let rate = DEVICES as f64 / cost.wall_s;
        println!(
            "{name:22} {:6.2} s {:6.2} s {:5.0} MiB {rate:12.0}",
            cost.wall_s, cost.cpu_s, cost.peak_mib
        );
    }
    for (other, (name, ..)) in commands.iter().enumerate().skip(2) {
        let (check, other) = (best[0], best[other]);
        println!(
            "check / {name}: wall {:.2}, CPU {:.2}, memory {:.2}",
            check.wall_s / other.wall_s,
            check.cpu_s / other.cpu_s,
            check.peak_mib / other.peak_mib
        );
    }
    Ok(())
}

/// Names of one maker in a shuffled order, one type, random tokens, and an attribute.
fn write(path: &Path) -> Result<(), Box<dyn Error>> {
    let file = File::create(path)?;
    set_permissions(path, Permissions::from_mode(0o600))?;
    let mut out = BufWriter::new(file);
    writeln!(out, "name,type,ACCESS_TOKEN,batch")?;
    for n in 0..DEVICES {
        // An odd factor and a power of two: each unit once.
        let unit = n * 0x9E_3779 % (1 << 24);
        let [.., a, b, c] = unit.to_be_bytes();
        let token = fleetcall::inventory::token(7, n.try_into()?);
        writeln!(
            out,
            "00:1B:C5:{a:02X}:{b:02X}:{c:02X},meter,{token},lot {}",
            n / 5000
        )?;
    }
    out.flush()?;
    Ok(())
}

/// Runs a command on the list, below a process of its own, which has no other child.
fn run(dir: &Path, program: &str, args: &[&str], list: &Path) -> Result<Cost, Box<dyn Error>> {
    let output = Command::new(std::env::current_exe()?)
        .args(args)
        .arg(list)
        .current_dir(dir)
        .env("LC_ALL", "C")
        .env(MEASURED, program)
        .stderr(Stdio::inherit())
        .output()?;
    let told = String::from_utf8(output.stdout)?;
    let figures: Result<Vec<f64>, _> = told.split_whitespace().map(str::parse).collect();
    let [wall_s, cpu_s, peak_mib] = figures?[..] else {
        return Err(format!("{program} was not measured: {told}").into());
    };
    Ok(Cost {
        wall_s,
        cpu_s,
        peak_mib,
    })
}

/// Runs a program with this process' arguments and prints what it cost.
fn measure(program: &OsStr) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let status = Command::new(program)
        .args(std::env::args_os().skip(1))
        .stdout(Stdio::null())
        .status()?;
    let wall_s = start.elapsed().as_secs_f64();
    if !status.success() {
        return Err(format!("{}: {status}", program.display()).into());
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    let cpu_s = seconds(usage.user_time()) + seconds(usage.system_time());
    println!("{wall_s} {cpu_s} {}", usage.max_rss() as f64 / 1024.0);
    Ok(())
}

/// Set for the process that measures another one: the program to run.
const MEASURED: &str = "CHECK_LISTS_MEASURED";
