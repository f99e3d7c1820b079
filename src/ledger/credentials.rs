//! `credentials.csv`: one row per provisioned device, readable by its owner only.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;

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
    csv: csv::Writer<File>,
}

impl CredentialsFile {
    /// Creates the file with mode 0600; an existing file is an error, never overwritten.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        let mut csv = csv::Writer::from_writer(file);
        csv.write_record(HEADER)?;
        csv.flush()?;
        Ok(Self { csv })
    }

    pub(super) fn write(&mut self, name: &str, issued: &Issued) -> csv::Result<()> {
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
        let file = |path: Option<&PathBuf>| {
            path.map_or_else(String::new, |path| path.to_string_lossy().into_owned())
        };
        let certificate = file(issued.files.as_ref().map(|files| &files.0));
        let key = file(issued.files.as_ref().map(|files| &files.1));
        let kind = credentials.type_name();
        self.csv.write_record([
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

    /// Hands all rows to the kernel and waits until they are on the disk.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.csv.flush()?;
        self.csv.get_ref().sync_data()
    }
}
