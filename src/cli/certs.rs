//! `fleetcall generate certs`: a key and a certificate for each device of a list.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use tokio::time::Instant;

use super::Failure;
use crate::inventory::{Inventory, ListOptions, Template, headers, load_csv};
use crate::model::DeviceIx;
use crate::model::units;
use crate::pki::{Authority, KeyKind, Recipe, Validity, make_all};

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
    let began = Instant::now();
    let bar = indicatif::ProgressBar::new(names.len() as u64).with_style(
        indicatif::ProgressStyle::with_template("{bar:30} {pos} of {len} certificates")
            .expect("the template is sound"),
    );
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let made = make_all(&signer.recipe, &names, threads, |done| {
        bar.set_position(done as u64)
    })
    .map_err(|(n, error)| {
        let name = list.name(ix(n));
        Failure::usage(format!("device `{name}`: {error}\nhelp: see --common-name"))
    })?;
    dir.make()?;
    signer.keep(&dir.root)?;
    let mut files = Vec::with_capacity(made.len());
    for (n, identity) in made.iter().enumerate() {
        let stem = format!("{:07}", n + 1);
        files.push(
            identity
                .write(&dir.devices, &stem)
                .map_err(Failure::usage)?,
        );
    }
    bar.finish_and_clear();
    let took = began.elapsed();
    dir.write_list(args, &list, &columns, &files)?;
    say(args, &dir, made.len(), took, signer.file.as_deref());
    Ok(())
}

/// Where things are written.
struct Directory {
    root: PathBuf,
    devices: PathBuf,
}

impl Directory {
    /// A directory that has been written to before is refused.
    fn vacant(root: &Path) -> Result<Self, Failure> {
        let devices = root.join("devices");
        if devices.exists() {
            return Err(Failure::usage(format!(
                "{}: there are certificates already, which may be in use\n\
                 help: name another directory with --out",
                devices.display()
            )));
        }
        Ok(Self {
            root: root.to_owned(),
            devices,
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
            template
                .render(list, ix(n))
                .map_err(|e| Failure::usage(format!("device `{name}`: {e}")))
        })
        .collect()
}

fn ix(n: usize) -> DeviceIx {
    DeviceIx(u32::try_from(n).expect("the inventory refuses longer lists"))
}

fn say(args: &CertsArgs, dir: &Directory, made: usize, took: Duration, authority: Option<&Path>) {
    let mut text = format!(
        "{} keys and certificates in {} ({:.1} s), keys readable by you only\n  {}  the list \
         with `certificate_file` and `key_file`\n",
        units::count(made as u64),
        dir.devices.display(),
        took.as_secs_f64(),
        dir.root.join("devices.csv").display(),
    );
    match authority {
        Some(file) => {
            text += &format!(
                "  {}  signs them: put it into the device profile (X.509 chain),\n  with a \
                 pattern that finds the device's name in `{}`\n",
                file.display(),
                args.common_name
            );
        }
        None => text += "  each signs for itself: a server must be given each certificate\n",
    }
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
