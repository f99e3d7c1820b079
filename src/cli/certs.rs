//! `fleetcall generate certs`: a key and a certificate for each device of a list.

use std::collections::HashMap;
use std::fmt::Display;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

use super::Failure;
use crate::inventory::{Inventory, ListOptions, Template, headers, load_csv};
use crate::model::DeviceIx;
use crate::model::units;
use crate::pki::{Authority, KeyKind, PkiError, Recipe, Validity, check_common_name, make_each};

/// The arguments of `fleetcall generate certs`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct CertsArgs {
    /// The device list
    #[arg(long, value_name = "LIST.csv")]
    devices: PathBuf,
    /// The directory to write to; it must not hold certificates yet
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Each certificate's common name: a template over name, index and row.COLUMN
    #[arg(long, value_name = "TEMPLATE", default_value = "{{ name }}")]
    common_name: String,
    /// The kind of the devices' keys
    #[arg(long, default_value = "p256", value_parser = kinds())]
    key: KeyKind,
    /// For how many days the certificates hold
    #[arg(long, value_name = "N", default_value_t = 3650, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,
    /// Let each device sign for itself, without an authority
    #[arg(long, conflicts_with_all = ["ca", "ca_key"])]
    self_signed: bool,
    /// Sign with this authority instead of a new one: its certificate, then those above it
    #[arg(long, value_name = "CA.pem", requires = "ca_key")]
    ca: Option<PathBuf>,
    /// That authority's private key
    #[arg(long, value_name = "CA.key", requires = "ca")]
    ca_key: Option<PathBuf>,
    /// The header of the list's column that holds the names
    #[arg(long, value_name = "HEADER", default_value = "name")]
    name_column: String,
    /// How many threads work [default: one for each CPU]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
}

/// Makes everything, then says what there is.
pub(super) fn run(args: &CertsArgs) -> Result<(), Failure> {
    let template = Template::compile(&args.common_name)
        .map_err(|e| Failure::usage(format!("--common-name is no template: {e}")))?;
    let columns = headers(&args.devices).map_err(Failure::usage)?;
    let list = load_csv(
        &args.devices,
        &ListOptions {
            name_column: &args.name_column,
            keep: &template.columns(),
            keep_if_there: &columns,
        },
    )
    .map_err(Failure::usage)?;
    let names = common_names(&list, &template)?;
    let dir = Directory::vacant(&args.out)?;
    let mut signer = Signer::of(args)?;
    if !args.self_signed {
        warn_of_namesakes(&list, &names);
    }
    dir.make()?;
    signer.keep(&dir.root)?;
    let began = Instant::now();
    let files = make(args, &signer.recipe, &names, &dir)
        .map_err(|(n, error)| Failure::usage(format!("device `{}`: {error}", list.name(ix(n)))))?;
    let took = began.elapsed();
    dir.write_list(args, &list, &columns, &files)?;
    say(args, &dir, files.len(), took, signer.file.as_deref());
    Ok(())
}

/// Makes and writes each device's identity; returns its certificate's file and its key's.
fn make(
    args: &CertsArgs,
    recipe: &Recipe,
    names: &[String],
    dir: &Directory,
) -> Result<Vec<(PathBuf, PathBuf)>, (usize, PkiError)> {
    // Drawn on a terminal only, and gone with the last.
    let bar = ProgressBar::new(names.len() as u64).with_style(
        ProgressStyle::with_template("{bar:30} {pos} of {len} certificates, {eta} to go")
            .expect("the template is sound"),
    );
    let threads = args.threads.map_or_else(
        || std::thread::available_parallelism().map_or(1, usize::from),
        usize::from,
    );
    make_each(recipe, names, threads, |n, identity| {
        let files = identity.write(&dir.devices, &format!("{:07}", n + 1))?;
        bar.inc(1);
        Ok(files)
    })
}

/// Where things are written.
struct Directory {
    root: PathBuf,
    devices: PathBuf,
}

impl Directory {
    /// A directory that has been written to before is refused.
    fn vacant(root: &Path) -> Result<Self, Failure> {
        if root.to_str().is_none() {
            let what = "--out must be UTF-8: devices.csv names the files in it";
            return Err(Failure::usage(what));
        }
        let known = |name: &&str| root.join(name).symlink_metadata().is_ok();
        if let Some(name) = MADE.into_iter().find(known) {
            return Err(Failure::usage(format!(
                "{}: there is such a thing already, which may be in use\n\
                 help: name another directory with --out",
                root.join(name).display()
            )));
        }
        Ok(Self {
            root: root.to_owned(),
            devices: root.join("devices"),
        })
    }

    fn make(&self) -> Result<(), Failure> {
        fs::create_dir_all(&self.devices)
            .map_err(|error| Failure::usage(format!("{}: {error}", self.devices.display())))
    }

    /// The list with the columns `certificate_file` and `key_file` behind its own.
    fn write_list(
        &self,
        args: &CertsArgs,
        list: &Inventory,
        columns: &[String],
        files: &[(PathBuf, PathBuf)],
    ) -> Result<(), Failure> {
        let path = self.root.join("devices.csv");
        let failed = |error: csv::Error| Failure::usage(format!("{}: {error}", path.display()));
        let kept: Vec<(&String, Option<usize>)> = columns
            .iter()
            .filter(|column| !FILE_COLUMNS.contains(&column.as_str()))
            .map(|column| {
                let position = list.columns().iter().position(|kept| kept == column);
                (column, position.filter(|_| *column != args.name_column))
            })
            .collect();
        // The list may hold tokens.
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&path);
        let mut csv = csv::Writer::from_writer(file.map_err(|error| failed(error.into()))?);
        let header = kept.iter().map(|(column, _)| column.as_str());
        csv.write_record(header.chain(FILE_COLUMNS))
            .map_err(failed)?;
        for (n, (certificate, key)) in files.iter().enumerate() {
            let cells = kept.iter().map(|(_, position)| match position {
                Some(position) => list.value(ix(n), *position),
                None => list.name(ix(n)),
            });
            let paths = [certificate, key].map(|path| path.to_string_lossy());
            let paths = paths.iter().map(AsRef::as_ref);
            csv.write_record(cells.chain(paths)).map_err(failed)?;
        }
        csv.flush().map_err(|error| failed(error.into()))
    }
}

/// Who signs.
struct Signer {
    recipe: Recipe,
    /// A root and an authority below it that were made just now, still to be written.
    new: Option<(Authority, Arc<Authority>)>,
    /// The certificate of the authority that signs.
    file: Option<PathBuf>,
}

impl Signer {
    fn of(args: &CertsArgs) -> Result<Self, Failure> {
        let (kind, validity) = (args.key, Validity::days(args.days));
        if args.self_signed {
            return Ok(Self {
                recipe: Recipe::SelfSigned { kind, validity },
                new: None,
                file: None,
            });
        }
        let chain = |authority| Recipe::Chain {
            authority,
            kind,
            validity,
        };
        if let (Some(certificates), Some(key)) = (&args.ca, &args.ca_key) {
            let authority = Authority::load(certificates, key).map_err(Failure::usage)?;
            return Ok(Self {
                recipe: chain(Arc::new(authority)),
                new: None,
                file: Some(certificates.clone()),
            });
        }
        let (kind, lasting) = (KeyKind::default(), Validity::days(AUTHORITY_DAYS));
        let root = Authority::root("fleetcall root", kind, lasting).map_err(Failure::bug)?;
        let authority = root
            .intermediate("fleetcall devices", kind, lasting)
            .map_err(Failure::bug)?;
        let authority = Arc::new(authority);
        Ok(Self {
            recipe: chain(Arc::clone(&authority)),
            new: Some((root, authority)),
            file: None,
        })
    }

    /// Writes a new authority down.
    fn keep(&mut self, dir: &Path) -> Result<(), Failure> {
        if let Some((root, authority)) = self.new.take() {
            let written = root.identity().write(dir, "root");
            written.map_err(Failure::usage)?;
            let written = authority.identity().write(dir, "intermediate");
            self.file = Some(written.map_err(Failure::usage)?.0);
        }
        Ok(())
    }
}

fn common_names(list: &Inventory, template: &Template) -> Result<Vec<String>, Failure> {
    (0..list.len())
        .map(|n| {
            let name = list.name(ix(n));
            let failed = |why: &dyn Display| Failure::usage(format!("device `{name}`: {why}"));
            let text = template.render(list, ix(n)).map_err(|e| failed(&e))?;
            check_common_name(&text)
                .map_err(|e| failed(&format!("{e}\nhelp: see --common-name")))?;
            Ok(text)
        })
        .collect()
}

/// Certificates of one common name are one device's, to whom chains are all: the later one takes
/// the place of the earlier.
fn warn_of_namesakes(list: &Inventory, names: &[String]) {
    let mut first: HashMap<&str, usize> = HashMap::with_capacity(names.len());
    let mut namesakes = names.iter().enumerate().filter_map(|(n, name)| {
        let earlier = *first.entry(name).or_insert(n);
        (earlier != n).then_some((earlier, n))
    });
    if let Some((one, other)) = namesakes.next() {
        eprintln!(
            "fleetcall: warning: {} devices share another's common name, the first `{}` that of \
             `{}`\n  a server takes them for one device, whose certificate changes",
            units::count(1 + namesakes.count() as u64),
            list.name(ix(other)),
            list.name(ix(one)),
        );
    }
}

fn ix(n: usize) -> DeviceIx {
    DeviceIx(u32::try_from(n).expect("the inventory refuses longer lists"))
}

fn say(args: &CertsArgs, dir: &Directory, made: usize, took: Duration, authority: Option<&Path>) {
    let next = match authority {
        Some(file) => format!(
            "{}  signs them: put it into the device profile (X.509 chain),\n  with a pattern that \
             finds the device's name in `{}`",
            file.display(),
            args.common_name
        ),
        None => "each signs for itself: a server must be given each certificate".to_owned(),
    };
    let text = format!(
        "{} {} with a key and a certificate in {} ({:.1} s), keys readable by you only\n  {}  \
         the list with `certificate_file` and `key_file`\n  {next}\n",
        units::count(made as u64),
        if made == 1 { "device" } else { "devices" },
        dir.devices.display(),
        took.as_secs_f64(),
        dir.root.join("devices.csv").display(),
    );
    // A closed pipe is no failure.
    let _ = io::stdout().write_all(text.as_bytes());
}

fn kinds() -> impl TypedValueParser<Value = KeyKind> {
    PossibleValuesParser::new(KeyKind::WORDS.map(|(word, _)| word)).map(|given| {
        let found = KeyKind::WORDS.iter().find(|(word, _)| *word == given);
        found.map_or_else(KeyKind::default, |(_, kind)| *kind)
    })
}

/// What is added to the list; columns of these names are replaced.
const FILE_COLUMNS: [&str; 2] = ["certificate_file", "key_file"];

/// What may be in the directory afterwards.
const MADE: [&str; 6] = [
    "devices",
    "devices.csv",
    "root.crt.pem",
    "root.key.pem",
    "intermediate.crt.pem",
    "intermediate.key.pem",
];

/// As long as the longest-lived device certificate.
const AUTHORITY_DAYS: u32 = 36_500;

const EXAMPLES: &str = "\
Examples:
  fleetcall generate certs --devices lot-17.csv --out certs
  fleetcall generate certs --devices lot-17.csv --out certs --common-name '{{ name }}@fleet'
  fleetcall generate certs --devices lot-18.csv --out certs-18 --ca certs/intermediate.crt.pem \\
    --ca-key certs/intermediate.key.pem
  fleetcall generate certs --devices lot-17.csv --out own --self-signed

Then, in a scenario:
  credentials = \"x509_chain\"
  certificate = { file = \"{{ row.certificate_file }}\", key_file = \"{{ row.key_file }}\" }";
