//! `fleetcall generate`: a device list, written row by row.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use rand::RngExt as _;

use super::Failure;
use super::certs::{self, CertsArgs};
use crate::inventory::{GenerateError, GenerateSpec, NameKind, Oui, names, token};

/// The arguments of `fleetcall generate`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct GenerateArgs {
    #[command(subcommand)]
    what: Option<What>,
    /// How many devices
    #[arg(
        long,
        value_name = "N",
        required = true,
        default_value_t = 0,
        hide_default_value = true
    )]
    count: u32,
    /// What kind of names
    #[arg(long, value_enum, default_value_t)]
    kind: Kind,
    /// The first three octets of each MAC or EUI-64; without it, addresses are locally administered
    #[arg(long, value_name = "AA:BB:CC")]
    oui: Option<Oui>,
    /// What serial numbers begin with [default: SN-]
    #[arg(long, value_name = "TEXT")]
    prefix: Option<String>,
    /// The same seed gives the same list, tokens too; without it names are those of seed 0, and
    /// tokens are nobody's guess
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Give each device an access token, in a column `token`
    #[arg(long)]
    tokens: bool,
    /// Write to a file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Overwrite the file
    #[arg(long, requires = "output")]
    force: bool,
}

/// The kinds of names, as the command line spells them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// AA:BB:CC:01:23:45
    #[default]
    Mac,
    /// AABBCC0123456789
    Eui64,
    /// SN-0412345678
    Serial,
}

/// What is generated besides lists.
#[derive(Debug, Subcommand)]
enum What {
    /// Make a key and a certificate for each device of a list
    Certs(CertsArgs),
}

/// Writes the list, or what the subcommand says.
pub(super) fn run(args: GenerateArgs) -> Result<(), Failure> {
    if let Some(What::Certs(args)) = args.what {
        return certs::run(&args);
    }
    let spec = spec(&args)
        .map_err(|e| Failure::usage(format!("{e}\nhelp: see fleetcall generate --help")))?;
    let tokens = args
        .tokens
        .then(|| args.seed.unwrap_or_else(|| rand::rng().random()));
    let Some(path) = &args.output else {
        return match write(io::stdout().lock(), &spec, tokens) {
            // Whoever read has seen enough.
            Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(()),
            Err(e) => Err(Failure::bug(format!("standard output: {e}"))),
            Ok(()) => Ok(()),
        };
    };
    let mut options = OpenOptions::new();
    options
        .write(true)
        .create(true)
        .truncate(true)
        .create_new(!args.force)
        // Tokens are for the owner's eyes.
        .mode(if args.tokens { 0o600 } else { 0o666 });
    let file = options
        .open(path)
        .map_err(|e| not_written(path, &e, "add --force to overwrite it"))?;
    write(file, &spec, tokens).map_err(|e| Failure::bug(format!("{}: {e}", path.display())))
}

/// Why a file was not written; `exists` is the way out when it is there already.
pub(super) fn not_written(path: &Path, error: &io::Error, exists: &str) -> Failure {
    let path = path.display();
    Failure::usage(match error.kind() {
        ErrorKind::AlreadyExists => format!("{path}: there is such a file already\nhelp: {exists}"),
        _ => format!("{path}: cannot be written: {error}"),
    })
}

fn spec(args: &GenerateArgs) -> Result<GenerateSpec, GenerateError> {
    let spec = GenerateSpec {
        count: args.count,
        kind: match args.kind {
            Kind::Mac => NameKind::Mac,
            Kind::Eui64 => NameKind::Eui64,
            Kind::Serial => NameKind::Serial,
        },
        oui: args.oui,
        prefix: args.prefix.clone(),
        seed: args.seed.unwrap_or_default(),
    };
    spec.check().map(|()| spec)
}

/// Writes a list as CSV; with a seed for tokens, these too.
fn write(output: impl Write, spec: &GenerateSpec, tokens: Option<u64>) -> io::Result<()> {
    let mut rows = csv::Writer::from_writer(BufWriter::new(output));
    match tokens {
        None => rows.write_record(["name"]),
        Some(_) => rows.write_record(["name", "token"]),
    }
    .map_err(io_error)?;
    for (n, name) in (0..).zip(names(spec)) {
        match tokens {
            None => rows.write_record([name]),
            Some(seed) => rows.write_record([name, token(seed, n)]),
        }
        .map_err(io_error)?;
    }
    rows.flush()
}

/// The crate's own conversion loses the kind, by which a closed pipe is known.
fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

const EXAMPLES: &str = "\
Examples:
  fleetcall generate --count 1000 --oui AA:BB:CC --tokens -o devices.csv
  fleetcall generate certs --devices devices.csv --out certs";

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::inventory::{ListOptions, load_csv};
    use crate::model::DeviceIx;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: GenerateArgs,
    }

    fn generate(args: &[&str]) -> Result<(), Failure> {
        let args = ["generate"].iter().chain(args);
        run(Cli::try_parse_from(args).map_err(Failure::usage)?.args)
    }

    #[test]
    fn the_list_can_be_loaded_and_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list.csv");
        let file = path.to_str().unwrap();
        let args = [
            "--count", "50", "--kind", "serial", "--prefix", "a\",b", "--seed", "5", "--tokens",
            "-o", file,
        ];
        generate(&args).unwrap();
        let keep = ["token".to_owned()];
        let list = load_csv(
            &path,
            &ListOptions {
                name_column: "name",
                keep: &keep,
                keep_if_there: &[],
            },
        )
        .unwrap();
        assert_eq!(list.len(), 50);
        assert!(list.name(DeviceIx(7)).starts_with("a\",b"));
        assert_eq!(list.value(DeviceIx(7), 0), token(5, 7));

        let refused = generate(&args).unwrap_err();
        assert!(
            refused
                .message
                .contains("there is such a file already\nhelp: add --force"),
            "{}",
            refused.message
        );
        generate(&["--count", "3", "-o", file, "--force"]).unwrap();
        let list = load_csv(
            &path,
            &ListOptions {
                name_column: "name",
                keep: &[],
                keep_if_there: &[],
            },
        )
        .unwrap();
        assert_eq!(list.len(), 3);
    }

    #[test]
    fn what_cannot_be_made_is_a_usage_fault() {
        for args in [
            &["--count", "0"][..],
            &["--count", "1", "--oui", "AA:BB"],
            &["--count", "1", "--kind", "serial", "--oui", "AA:BB:CC"],
            &["--count", "16777217", "--oui", "AA:BB:CC"],
            &["--count", "1", "--force"],
        ] {
            assert_eq!(
                generate(args).unwrap_err().exit,
                super::super::Exit::Usage,
                "{args:?}"
            );
        }
    }

    #[test]
    fn a_closed_pipe_is_known_as_one() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let spec = GenerateSpec {
            count: 1_000_000,
            kind: NameKind::Mac,
            oui: None,
            prefix: None,
            seed: 1,
        };
        let error = write(writer, &spec, None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }

    #[test]
    fn the_fixture_is_what_the_generator_makes() {
        let oui = "00:1B:C5".parse().unwrap();
        let spec = GenerateSpec {
            count: 1000,
            kind: NameKind::Mac,
            oui: Some(oui),
            prefix: None,
            seed: 42,
        };
        let mut text = Vec::new();
        write(&mut text, &spec, Some(42)).unwrap();
        assert!(text == std::fs::read("fixtures/macs-1k.csv").unwrap());
    }
}
