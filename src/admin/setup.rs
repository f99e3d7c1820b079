//! The device profile that provisioning needs: found by its name, or made.

use rand::RngExt as _;
use serde_json::{Value, json};

use crate::model::Strategy;
use crate::rest::{Client, Profile, RestError};

/// The profile that is wanted.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// How it provisions.
    pub strategy: Strategy,
    /// What [`Strategy::X509Chain`] goes by; the others ignore it.
    pub chain: Option<WantedChain>,
}

/// How it provisions by certificates.
#[derive(Clone, Debug)]
pub struct WantedChain {
    /// PEM of the authority's certificate.
    pub certificate: String,
    /// A Java regular expression whose group 1 is the device's name.
    pub name_pattern: String,
    /// Whether names that no device has become devices.
    pub allow_create: bool,
}

/// Why there is no such profile.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The server.
    #[error(transparent)]
    Admin(#[from] RestError),
    /// It is there, and provisions another way.
    #[error(
        "the device profile {name:?} is there, with strategy {there} and not {wanted}\n\
        help: give another --profile, or change its strategy in the web interface"
    )]
    OtherStrategy {
        /// Its name.
        name: String,
        /// As the API spells it.
        there: String,
        /// As the API spells it.
        wanted: &'static str,
    },
}

/// Finds the profile or makes it; whether it was made.
pub async fn setup(client: &Client, wanted: &Wanted) -> Result<(Profile, bool), SetupError> {
    let strategy = spelt(wanted.strategy);
    if let Some(found) = client.profile_named(&wanted.name).await? {
        if found.strategy == strategy {
            return Ok((found, false));
        }
        return Err(SetupError::OtherStrategy {
            name: wanted.name.clone(),
            there: found.strategy,
            wanted: strategy,
        });
    }
    Ok((client.make_profile(&body(wanted)).await?, true))
}

fn body(wanted: &Wanted) -> Value {
    let strategy = spelt(wanted.strategy);
    let mut provision = json!({"type": strategy, "provisionDeviceSecret": drawn()});
    let mut key = json!(drawn());
    match (wanted.strategy, &wanted.chain) {
        (Strategy::X509Chain, Some(chain)) => {
            provision["provisionDeviceSecret"] = json!(chain.certificate);
            provision["certificateRegExPattern"] = json!(chain.name_pattern);
            provision["allowCreateNewDevicesByX509Certificate"] = json!(chain.allow_create);
            // The server computes it from the certificate.
            key = Value::Null;
        }
        (Strategy::Disabled, _) => {
            provision["provisionDeviceSecret"] = Value::Null;
            key = Value::Null;
        }
        _ => {}
    }
    json!({
        "name": wanted.name,
        "type": "DEFAULT",
        "transportType": "DEFAULT",
        "provisionType": strategy,
        "provisionDeviceKey": key,
        "profileData": {
            "configuration": {"type": "DEFAULT"},
            "transportConfiguration": {"type": "DEFAULT"},
            "provisionConfiguration": provision,
            "alarms": null,
        },
    })
}

/// How the API spells a strategy.
fn spelt(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::Disabled => "DISABLED",
        Strategy::Allow => "ALLOW_CREATE_NEW_DEVICES",
        Strategy::Check => "CHECK_PRE_PROVISIONED_DEVICES",
        Strategy::X509Chain => "X509_CERTIFICATE_CHAIN",
    }
}

/// 20 small letters and digits, as the web interface draws keys and secrets.
fn drawn() -> String {
    let mut source = rand::rng();
    (0..20)
        .map(|_| char::from(ALPHABET[source.random_range(0..ALPHABET.len())]))
        .collect()
}

const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
