//! The binary: the command line is `cli`'s, and so are the exit codes.

use std::process::ExitCode;

// What it saves of an idle connection: docs/adr/0007-jemalloc.md.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    fleetcall::cli::main()
}
