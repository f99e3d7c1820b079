//! The binary: the command line is `cli`'s, and so are the exit codes.

use std::process::ExitCode;

fn main() -> ExitCode {
    fleetcall::cli::main()
}
