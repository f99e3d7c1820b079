//! What a list of a million devices costs: the time to load it, and the most memory that the whole
//! process ever had. `cargo bench --bench load_list`

use std::error::Error;
use std::process::Command;

use fleetcall::inventory::{ListOptions, load_csv};
use tokio::time::Instant;

const DEVICES: &str = "1000000";

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("list.csv");
    // In a process of its own, whose memory does not count here.
    let made = Command::new(env!("CARGO_BIN_EXE_fleetcall"))
        .args(["generate", "--tokens", "--count", DEVICES, "-o"])
        .arg(&path)
        .status()?;
    assert!(made.success(), "no list was made");
    // Memory only ever grows in the figure: the lighter load goes first.
    for keep in [&[][..], &["token".to_owned()]] {
        let options = ListOptions {
            name_column: "name",
            keep,
            keep_if_there: &[],
        };
        let start = Instant::now();
        let list = load_csv(&path, &options)?;
        let elapsed = start.elapsed();
        println!(
            "{} devices, columns kept {keep:?}: {:.2} s, {}",
            list.len(),
            elapsed.as_secs_f64(),
            std::fs::read_to_string("/proc/self/status")?
                .lines()
                .find(|line| line.starts_with("VmHWM"))
                .unwrap_or("VmHWM unknown")
        );
    }
    Ok(())
}
