//! The binary: parses the command line and hands it to `cli`.

fn main() {}
