//! `fleetcall init`: a commented scenario to start from.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::Failure;
use super::generate::not_written;
use crate::scenario::starting_scenario;

/// The arguments of `fleetcall init`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  fleetcall init line-3.toml && fleetcall run line-3.toml")]
pub(super) struct InitArgs {
    /// Where to; an existing file is never overwritten
    #[arg(default_value = "scenario.toml")]
    file: PathBuf,
}

/// Writes the scenario.
pub(super) fn run(args: &InitArgs) -> Result<(), Failure> {
    let InitArgs { file: path } = args;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(|e| not_written(path, &e, "give another name: fleetcall init FILE"))?;
    file.write_all(starting_scenario().as_bytes())
        .map_err(|e| Failure::bug(format!("{}: {e}", path.display())))?;
    eprintln!(
        "{path} is written; next: fleetcall run {path}",
        path = path.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_the_scenario_once() {
        let dir = tempfile::tempdir().unwrap();
        let args = InitArgs {
            file: dir.path().join("s.toml"),
        };
        run(&args).unwrap();
        assert_eq!(
            std::fs::read_to_string(&args.file).unwrap(),
            starting_scenario()
        );
        std::fs::write(&args.file, "mine").unwrap();
        assert!(
            run(&args)
                .unwrap_err()
                .message
                .contains("there is such a file already")
        );
        assert_eq!(std::fs::read_to_string(&args.file).unwrap(), "mine");
    }
}
