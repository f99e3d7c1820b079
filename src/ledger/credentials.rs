//! `credentials.csv`: one row per provisioned device, readable by its owner only.

use std::collections::HashSet;
use std::io;
use std::path::Path;

use secrecy::ExposeSecret;

use super::table::Table;
use super::writer::Issued;
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

/// The open file. Rows are durable after [`CredentialsFile::sync`].
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

    pub(super) fn write(&mut self, name: &str, issued: &Issued) -> io::Result<()> {
        let credentials = &issued.credentials;
        let (mut token, mut id, mut username, mut password) = ("", "", "", "");
        match credentials {
            Credentials::AccessToken(value) => token = value.expose_secret(),
            Credentials::MqttBasic {
                client_id,
                username: user,
                password: word,
            } => {
                (id, username, password) = (client_id, user, word.expose_secret());
            }
            // Its files say it all.
            Credentials::X509 { .. } => {}
        }
        let [certificate, key] = issued.file_names();
        let kind = credentials.type_name();
        self.table.write(&[
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

    /// The row with this certificate's file holds no longer.
    pub(super) fn replace(&mut self, certificate: String) {
        if !certificate.is_empty() {
            self.replaced.insert(certificate);
        }
    }

    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.table.sync()
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
