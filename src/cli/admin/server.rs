//! Which server, and who asks.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use secrecy::SecretString;

use super::super::exit::Failure;
use super::failed;
use crate::rest::{Client, Login, Server};

#[derive(Debug, Args)]
#[command(next_help_heading = "Server")]
pub(super) struct ServerArgs {
    /// Its address: http://HOST:PORT or https://HOST
    #[arg(long, env = "FLEETCALL_TB_URL", value_name = "URL")]
    url: String,
    /// A tenant administrator; the password is in FLEETCALL_TB_PASSWORD or --password-file
    #[arg(long, env = "FLEETCALL_TB_USER", value_name = "NAME")]
    user: Option<String>,
    /// A file with the password
    #[arg(long, value_name = "FILE", conflicts_with = "api_key_file")]
    password_file: Option<PathBuf>,
    /// A file with an API key, from release 4.3 on; or in FLEETCALL_TB_API_KEY
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    /// PEM of the authority to trust for https, in place of this machine's
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// How long an answer may take
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// How many devices are looked up at a time
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,
}

impl ServerArgs {
    /// A client; nothing is sent yet.
    pub(super) fn client(&self) -> Result<Client, Failure> {
        let ca = self.ca.as_deref().map(read).transpose()?;
        Client::new(Server {
            url: self.url.clone(),
            ca,
            login: self.login()?,
            timeout: self.timeout,
        })
        .map_err(|error| failed(&error))
    }

    /// How many devices are looked up at a time.
    pub(super) fn jobs(&self) -> usize {
        self.jobs.into()
    }

    fn login(&self) -> Result<Login, Failure> {
        let secret = |file: &Option<PathBuf>, variable: &str| match file {
            Some(file) => {
                let text = String::from_utf8_lossy(&read(file)?).into_owned();
                Ok(Some(SecretString::from(
                    text.trim_end_matches(['\r', '\n']),
                )))
            }
            None => Ok(std::env::var(variable)
                .ok()
                .filter(|text| !text.is_empty())
                .map(SecretString::from)),
        };
        let password = secret(&self.password_file, PASSWORD)?;
        if self.password_file.is_none()
            && let Some(key) = secret(&self.api_key_file, API_KEY)?
        {
            return Ok(Login::ApiKey(key));
        }
        match (self.user.clone(), password) {
            (Some(user), Some(password)) => Ok(Login::Password { user, password }),
            (None, _) => Err(Failure::usage(format!(
                "nobody to log in as\nhelp: give --user NAME and the password in {PASSWORD}, or an API \
                key in {API_KEY}"
            ))),
            (_, None) => Err(Failure::usage(format!(
                "no password\nhelp: put it into {PASSWORD}, or give --password-file FILE"
            ))),
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| {
        Failure::usage(format!(
            "{}: cannot be read: {error}\nhelp: give the path from the working directory",
            path.display()
        ))
    })
}

const PASSWORD: &str = "FLEETCALL_TB_PASSWORD";
const API_KEY: &str = "FLEETCALL_TB_API_KEY";
