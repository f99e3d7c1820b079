//! What a list of a million devices costs: the time to load it, and the most memory that the whole
//! process ever had. `cargo bench --bench load_list`

use std::error::Error;
use std::io::{BufWriter, Write};

use fleetcall::inventory::{GenerateSpec, ListOptions, NameKind, load_csv, names, token};
use nix::sys::resource::{UsageWho, getrusage};
use tokio::time::Instant;

const DEVICES: u32 = 1_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("list.csv");
    let spec = GenerateSpec {
        count: DEVICES,
        kind: NameKind::Mac,
        oui: None,
        prefix: None,
        seed: 1,
    };
    let mut out = BufWriter::new(std::fs::File::create(&path)?);
    writeln!(out, "name,token")?;
    for (n, name) in (0..).zip(names(&spec)) {
        writeln!(out, "{name},{}", token(1, n))?;
    }
    out.flush()?;
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
            "{} devices, columns kept {keep:?}: {:.2} s, peak resident {} MB",
            list.len(),
            elapsed.as_secs_f64(),
            getrusage(UsageWho::RUSAGE_SELF)?.max_rss() / 1000
        );
    }
    Ok(())
}
