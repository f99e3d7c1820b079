//! What a device proves itself with. Secret values never print: `Debug` shows `[REDACTED]`.

use secrecy::{ExposeSecret, SecretString};

/// Credentials as the server issued or confirmed them.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// ThingsBoard `ACCESS_TOKEN`: the MQTT user name, or a part of the HTTP and CoAP path.
    AccessToken(SecretString),
    /// ThingsBoard `MQTT_BASIC`; an empty value means that the server does not look at it.
    MqttBasic {
        /// The client id the server expects, empty for any.
        client_id: String,
        /// The user name the server expects, empty for none.
        username: String,
        /// The password the server expects, empty for any.
        password: SecretString,
    },
    /// ThingsBoard `X509_CERTIFICATE`: the certificate as base64 of its DER, on one line.
    X509 {
        /// The text the server stored.
        certificate: String,
    },
}

impl Credentials {
    /// Whether both are the same, value for value.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::AccessToken(a), Self::AccessToken(b)) => a.expose_secret() == b.expose_secret(),
            (
                Self::MqttBasic {
                    client_id,
                    username,
                    password,
                },
                Self::MqttBasic {
                    client_id: other_id,
                    username: other_name,
                    password: other_password,
                },
            ) => {
                (client_id, username, password.expose_secret())
                    == (other_id, other_name, other_password.expose_secret())
            }
            (Self::X509 { certificate: a }, Self::X509 { certificate: b }) => a == b,
            _ => false,
        }
    }

    /// The type as ThingsBoard's API spells it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::AccessToken(_) => "ACCESS_TOKEN",
            Self::MqttBasic { .. } => "MQTT_BASIC",
            Self::X509 { .. } => "X509_CERTIFICATE",
        }
    }
}

/// What an MQTT CONNECT carries; transports without a login ignore it.
#[derive(Clone, Debug, Default)]
pub struct Login {
    /// The client identifier; may be empty in MQTT 3.1.1 with a clean session.
    pub client_id: String,
    /// The user name; an access token is one, hence secret.
    pub username: Option<SecretString>,
    /// The password.
    pub password: Option<SecretString>,
}
