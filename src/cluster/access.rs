//! How one gets to the servers, and by which right.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_nats::{Client, ConnectErrorKind, ConnectOptions, ServerAddr};
use secrecy::{ExposeSecret, SecretString};

use super::BusError;

/// The longest that a server may take to let somebody in.
const CONNECT: Duration = Duration::from_secs(5);
/// How often a server that says nothing is asked whether it is there. After three times it is taken for cut off, and
/// another one is tried: a worker has to be back within `ACK_WAIT`.
const SILENCE: Duration = Duration::from_secs(2);
/// The longest between two attempts to get back to a server.
const AGAIN: Duration = Duration::from_secs(1);

/// Addresses and rights. At most one of user, credentials and nkey.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// `nats://HOST:4222` or `tls://HOST:4222`, several with commas; the others of a cluster are found.
    pub url: String,
    /// A user, who has a password.
    pub user: Option<String>,
    /// Their password.
    pub password: Option<SecretString>,
    /// A file as `nsc` makes it: a JWT and the seed of its key.
    pub credentials: Option<PathBuf>,
    /// A file with the seed of an nkey.
    pub nkey: Option<PathBuf>,
    /// The authorities to trust, in PEM; none: the system's. With any the connection must be secured.
    pub ca: Option<PathBuf>,
    /// The certificate to show and its key, in PEM.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

impl Access {
    /// The addresses, for people.
    pub fn shown(&self) -> &str {
        &self.url
    }

    pub(super) async fn connect(&self) -> Result<Client, BusError> {
        let servers = self.servers()?;
        let options = self.options()?;
        options.connect(servers).await.map_err(|error| {
            let help = match error.kind() {
                ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
                    "the server does not let this user in: check user and password, credentials or nkey"
                }
                ConnectErrorKind::Tls => "check the authority's certificate, and one's own",
                _ => "check the address, that the server runs, and whether it wants TLS",
            };
            BusError::Connect {
                server: self.url.clone(),
                why: error.to_string(),
                help,
            }
        })
    }

    fn servers(&self) -> Result<Vec<ServerAddr>, BusError> {
        if self.url.contains('@') {
            // Whatever stands there may be a password.
            return Err(BusError::Url("…@…".to_owned()));
        }
        let wrong = |_| BusError::Url(self.url.clone());
        let addresses = self.url.split(',').map(str::trim);
        addresses
            .map(|address| address.parse::<ServerAddr>().map_err(wrong))
            .collect()
    }

    fn options(&self) -> Result<ConnectOptions, BusError> {
        let mut options = ConnectOptions::new()
            .name("fleetcall")
            .connection_timeout(CONNECT)
            .request_timeout(Some(CONNECT))
            .ping_interval(SILENCE)
            .max_reconnects(None)
            .reconnect_delay_callback(|attempts| {
                let doubled = Duration::from_millis(1 << attempts.min(10));
                if attempts > 1 {
                    doubled.min(AGAIN)
                } else {
                    Duration::ZERO
                }
            });
        if let Some(user) = &self.user {
            let password = self.password.as_ref().map(ExposeSecret::expose_secret);
            options =
                options.user_and_password(user.clone(), password.unwrap_or_default().to_owned());
        }
        if let Some(file) = &self.credentials {
            let text = SecretString::from(read(file, "give the file that nsc made")?);
            options = options.credentials(text.expose_secret()).map_err(|_| {
                unusable(
                    file,
                    "no credentials are in it",
                    "give the file that nsc made",
                )
            })?;
        }
        if let Some(file) = &self.nkey {
            let seed = read(file, "give the file with the seed of the nkey (SU…)")?;
            options = options.nkey(seed.trim().to_owned());
        }
        if let Some(file) = &self.ca {
            read(file, "give the authority's certificate in PEM")?;
            options = options
                .add_root_certificates(file.clone())
                .require_tls(true);
        }
        if let Some((certificate, key)) = &self.certificate {
            read(certificate, "give the certificate in PEM")?;
            read(key, "give the certificate's key in PEM")?;
            options = options
                .add_client_certificate(certificate.clone(), key.clone())
                .require_tls(true);
        }
        Ok(options)
    }
}

fn read(file: &Path, help: &'static str) -> Result<String, BusError> {
    fs::read_to_string(file).map_err(|error| unusable(file, &error.to_string(), help))
}

fn unusable(file: &Path, why: &str, help: &'static str) -> BusError {
    BusError::File {
        file: file.display().to_string(),
        why: why.to_owned(),
        help,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_an_address_is_refused_and_not_shown() {
        let access = Access {
            url: "nats://user:hidden@host".to_owned(),
            ..Access::default()
        };
        let error = access.servers().unwrap_err().to_string();
        assert!(!error.contains("hidden"), "{error}");
    }

    #[test]
    fn several_addresses_are_told_apart_by_commas() {
        let access = Access {
            url: "nats://a:1, tls://b".to_owned(),
            ..Access::default()
        };
        assert_eq!(access.servers().unwrap().len(), 2);
        let wrong = Access {
            url: "http://a".to_owned(),
            ..Access::default()
        };
        assert!(matches!(wrong.servers(), Err(BusError::Url(_))));
    }
}
