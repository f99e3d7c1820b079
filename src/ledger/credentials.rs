//! `credentials.csv`: one row per provisioned device, readable by its owner only.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::Path;

use secrecy::ExposeSecret;

use super::entry::Issued;
use super::table::Table;
use crate::model::Credentials;

/// The columns. `certificate_file` and `key_file` name files that a run wrote; empty otherwise.
pub const HEADER: [&str; 8] = [
    "name",
    "credentials_type",
    "access_token",
    "client_id",
    "username",
    "password",
    "certificate_file",
    "key_file",
];

/// The open file. Rows are in the kernel's hands after [`CredentialsFile::flush`].
pub(super) struct CredentialsFile {
    table: Table,
    /// Certificate files that another has taken the place of.
    replaced: HashSet<String>,
}

impl CredentialsFile {
    /// Creates the file with mode 0600; an existing file is an error, never overwritten.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self {
            table: Table::create(path, &HEADER)?,
            replaced: HashSet::new(),
        })
    }

    /// The same, with what is known from earlier parts of the run, in place of the file that is there.
    pub(super) fn renew<'a>(
        path: &Path,
        known: impl Iterator<Item = (&'a str, &'a Issued)>,
    ) -> io::Result<Self> {
        let mut known = known;
        let table = Table::renew(path, &HEADER, |table| {
            known.try_for_each(|(name, issued)| write(table, name, issued))
        })?;
        Ok(Self {
            table,
            replaced: HashSet::new(),
        })
    }

    pub(super) fn write(&mut self, name: &str, issued: &Issued) -> io::Result<()> {
        write(&mut self.table, name, issued)
    }

    /// The row with this certificate's file holds no longer.
    pub(super) fn replace(&mut self, certificate: String) {
        if !certificate.is_empty() {
            self.replaced.insert(certificate);
        }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.table.flush()
    }

    pub(super) fn share(&self) -> io::Result<File> {
        self.table.share()
    }

    /// One row for each provisioned device: rows of replaced certificates go.
    pub(super) fn compact(self) -> io::Result<()> {
        if self.replaced.is_empty() {
            return Ok(());
        }
        let certificate = HEADER.len() - 2;
        self.table.compact(|row| {
            let file = row.get(certificate).unwrap_or_default();
            !self.replaced.contains(file)
        })
    }
}

fn write(table: &mut Table, name: &str, issued: &Issued) -> io::Result<()> {
    let credentials = &issued.credentials;
    let (mut token, mut id, mut username, mut password) = ("", "", "", "");
    match credentials {
        Credentials::AccessToken(value) => token = value.expose_secret(),
        Credentials::MqttBasic(basic) => {
            (id, username) = (&basic.client_id, &basic.username);
            password = basic.password.expose_secret();
        }
        // Its files say it all.
        Credentials::X509 { .. } => {}
    }
    let [certificate, key] = issued.file_names();
    let kind = credentials.type_name();
    table.write(&[
        name,
        kind,
        token,
        id,
        username,
        password,
        &certificate,
        &key,
    ])
}
