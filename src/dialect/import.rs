//! The columns of ThingsBoard's bulk import (spec section 8.5), and what a header means to it.
//!
//! The web interface compares a header with the column types after putting it into capitals and
//! without trimming it; whatever is none becomes a server attribute without a word, so a list
//! whose column is `Access Token` gives no device its token.

/// A column type of the bulk import of devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ColumnType {
    /// The device's name; devices are found by it.
    Name,
    /// The name of the device's profile, which is created if there is none.
    Type,
    /// A second name, for people.
    Label,
    /// A shared attribute; the header is its key.
    SharedAttribute,
    /// A server attribute; the header is its key.
    ServerAttribute,
    /// A telemetry value; the header is its key.
    Timeseries,
    /// The access token.
    AccessToken,
    /// An X.509 certificate.
    X509,
    /// MQTT basic credentials: the client id.
    MqttClientId,
    /// MQTT basic credentials: the user name.
    MqttUserName,
    /// MQTT basic credentials: the password.
    MqttPassword,
    /// LwM2M: the endpoint name.
    Lwm2mClientEndpoint,
    /// LwM2M: `NO_SEC`, `PSK`, `RPK` or `X509`.
    Lwm2mClientSecurityConfigMode,
    /// LwM2M: the PSK identity.
    Lwm2mClientIdentity,
    /// LwM2M: the PSK or public key.
    Lwm2mClientKey,
    /// LwM2M: the client's certificate.
    Lwm2mClientCert,
    /// LwM2M: security mode towards the bootstrap server.
    Lwm2mBootstrapServerSecurityMode,
    /// LwM2M: public key or id towards the bootstrap server.
    Lwm2mBootstrapServerPublicKeyOrId,
    /// LwM2M: secret key towards the bootstrap server.
    Lwm2mBootstrapServerSecretKey,
    /// LwM2M: security mode towards the server.
    Lwm2mServerSecurityMode,
    /// LwM2M: public key or id towards the server.
    Lwm2mServerClientPublicKeyOrId,
    /// LwM2M: secret key towards the server.
    Lwm2mServerClientSecretKey,
    /// SNMP: the device's host.
    SnmpHost,
    /// SNMP: its port.
    SnmpPort,
    /// SNMP: `v1`, `v2c` or `v3`.
    SnmpVersion,
    /// SNMP: the community string.
    SnmpCommunityString,
    /// Whether it is a gateway: `true`, and anything else is not.
    IsGateway,
    /// A text for people.
    Description,
}

/// What a header that is no column type was probably meant to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meant {
    /// The column type, but for blanks, case, hyphens or characters that cannot be seen.
    Spelt(ColumnType),
    /// Another word for it, or a slip of the pen.
    Near(ColumnType),
}

impl ColumnType {
    /// All of them.
    pub const ALL: [Self; 28] = [
        Self::Name,
        Self::Type,
        Self::Label,
        Self::SharedAttribute,
        Self::ServerAttribute,
        Self::Timeseries,
        Self::AccessToken,
        Self::X509,
        Self::MqttClientId,
        Self::MqttUserName,
        Self::MqttPassword,
        Self::Lwm2mClientEndpoint,
        Self::Lwm2mClientSecurityConfigMode,
        Self::Lwm2mClientIdentity,
        Self::Lwm2mClientKey,
        Self::Lwm2mClientCert,
        Self::Lwm2mBootstrapServerSecurityMode,
        Self::Lwm2mBootstrapServerPublicKeyOrId,
        Self::Lwm2mBootstrapServerSecretKey,
        Self::Lwm2mServerSecurityMode,
        Self::Lwm2mServerClientPublicKeyOrId,
        Self::Lwm2mServerClientSecretKey,
        Self::SnmpHost,
        Self::SnmpPort,
        Self::SnmpVersion,
        Self::SnmpCommunityString,
        Self::IsGateway,
        Self::Description,
    ];

    /// How the API spells it.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Name => "NAME",
            Self::Type => "TYPE",
            Self::Label => "LABEL",
            Self::SharedAttribute => "SHARED_ATTRIBUTE",
            Self::ServerAttribute => "SERVER_ATTRIBUTE",
            Self::Timeseries => "TIMESERIES",
            Self::AccessToken => "ACCESS_TOKEN",
            Self::X509 => "X509",
            Self::MqttClientId => "MQTT_CLIENT_ID",
            Self::MqttUserName => "MQTT_USER_NAME",
            Self::MqttPassword => "MQTT_PASSWORD",
            Self::Lwm2mClientEndpoint => "LWM2M_CLIENT_ENDPOINT",
            Self::Lwm2mClientSecurityConfigMode => "LWM2M_CLIENT_SECURITY_CONFIG_MODE",
            Self::Lwm2mClientIdentity => "LWM2M_CLIENT_IDENTITY",
            Self::Lwm2mClientKey => "LWM2M_CLIENT_KEY",
            Self::Lwm2mClientCert => "LWM2M_CLIENT_CERT",
            Self::Lwm2mBootstrapServerSecurityMode => "LWM2M_BOOTSTRAP_SERVER_SECURITY_MODE",
            Self::Lwm2mBootstrapServerPublicKeyOrId => "LWM2M_BOOTSTRAP_SERVER_PUBLIC_KEY_OR_ID",
            Self::Lwm2mBootstrapServerSecretKey => "LWM2M_BOOTSTRAP_SERVER_SECRET_KEY",
            Self::Lwm2mServerSecurityMode => "LWM2M_SERVER_SECURITY_MODE",
            Self::Lwm2mServerClientPublicKeyOrId => "LWM2M_SERVER_CLIENT_PUBLIC_KEY_OR_ID",
            Self::Lwm2mServerClientSecretKey => "LWM2M_SERVER_CLIENT_SECRET_KEY",
            Self::SnmpHost => "SNMP_HOST",
            Self::SnmpPort => "SNMP_PORT",
            Self::SnmpVersion => "SNMP_VERSION",
            Self::SnmpCommunityString => "SNMP_COMMUNITY_STRING",
            Self::IsGateway => "IS_GATEWAY",
            Self::Description => "DESCRIPTION",
        }
    }

    /// The type that the web interface takes a header for; `None` makes it a server attribute.
    pub fn of_header(header: &str) -> Option<Self> {
        let capitals = header.to_uppercase();
        Self::ALL.into_iter().find(|column| column.id() == capitals)
    }

    /// Whether its cells are credentials or part of some.
    pub fn is_credential(self) -> bool {
        (Self::AccessToken..=Self::Lwm2mServerClientSecretKey).contains(&self)
    }

    /// Whether its cells are secret.
    pub fn is_secret(self) -> bool {
        matches!(
            self,
            Self::AccessToken
                | Self::MqttPassword
                | Self::Lwm2mClientKey
                | Self::Lwm2mBootstrapServerSecretKey
                | Self::Lwm2mServerClientSecretKey
                | Self::SnmpCommunityString
        )
    }

    /// What a header was meant to be that [`Self::of_header`] does not know. A header that is
    /// nothing like a column type is an attribute's key, which is no mistake.
    pub fn meant_by(header: &str) -> Option<Meant> {
        let plain = plain(header);
        let all = || Self::ALL.into_iter();
        if let Some(column) = all().find(|column| column.id() == plain) {
            return (Self::of_header(header) != Some(column)).then_some(Meant::Spelt(column));
        }
        if let Some((_, column)) = SYNONYMS.iter().find(|(word, _)| *word == plain) {
            return Some(Meant::Near(*column));
        }
        // A slip in a word of up to four letters is another word: NAME, GAME.
        all()
            .filter(|column| column.id().len() > 4)
            .find(|column| {
                strsim::damerau_levenshtein(column.id(), &plain) <= column.id().len() / 6 + 1
            })
            .map(Meant::Near)
    }
}

/// In capitals, with underscores between words and without what cannot be seen.
fn plain(header: &str) -> String {
    let mut plain = String::with_capacity(header.len());
    for c in header.chars() {
        if c.is_alphanumeric() {
            plain.extend(c.to_uppercase());
        } else if !plain.is_empty() && !plain.ends_with('_') && c.is_ascii() {
            plain.push('_');
        }
    }
    plain.truncate(plain.trim_end_matches('_').len());
    plain
}

/// Words that lists use where the import has another.
const SYNONYMS: [(&str, ColumnType); 32] = [
    ("DEVICE", ColumnType::Name),
    ("DEVICE_NAME", ColumnType::Name),
    ("DEVICENAME", ColumnType::Name),
    ("MAC", ColumnType::Name),
    ("MAC_ADDRESS", ColumnType::Name),
    ("MACADDRESS", ColumnType::Name),
    ("NAMES", ColumnType::Name),
    ("PROFILE", ColumnType::Type),
    ("DEVICE_PROFILE", ColumnType::Type),
    ("DEVICE_TYPE", ColumnType::Type),
    ("DEVICETYPE", ColumnType::Type),
    ("TOKEN", ColumnType::AccessToken),
    ("ACCESSTOKEN", ColumnType::AccessToken),
    ("DEVICE_TOKEN", ColumnType::AccessToken),
    ("CREDENTIALS", ColumnType::AccessToken),
    ("CERT", ColumnType::X509),
    ("CERTIFICATE", ColumnType::X509),
    ("X_509", ColumnType::X509),
    ("X509_CERTIFICATE", ColumnType::X509),
    ("CLIENTID", ColumnType::MqttClientId),
    ("CLIENT_ID", ColumnType::MqttClientId),
    ("USER", ColumnType::MqttUserName),
    ("USERNAME", ColumnType::MqttUserName),
    ("USER_NAME", ColumnType::MqttUserName),
    ("MQTT_USERNAME", ColumnType::MqttUserName),
    ("PASSWORD", ColumnType::MqttPassword),
    ("ENDPOINT", ColumnType::Lwm2mClientEndpoint),
    ("GATEWAY", ColumnType::IsGateway),
    ("ISGATEWAY", ColumnType::IsGateway),
    ("COMMUNITY", ColumnType::SnmpCommunityString),
    ("COMMUNITY_STRING", ColumnType::SnmpCommunityString),
    ("DESC", ColumnType::Description),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_headers_as_the_web_interface_does() {
        for (header, taken) in [
            ("name", Some(ColumnType::Name)),
            ("Access_Token", Some(ColumnType::AccessToken)),
            (" name", None),
            ("access token", None),
            ("serial", None),
        ] {
            assert_eq!(ColumnType::of_header(header), taken, "{header:?}");
        }
    }

    #[test]
    fn tells_what_was_meant_and_leaves_attributes_alone() {
        use ColumnType as C;
        for (header, meant) in [
            (" NAME", Some(Meant::Spelt(C::Name))),
            ("name\u{a0}", Some(Meant::Spelt(C::Name))),
            ("Access Token", Some(Meant::Spelt(C::AccessToken))),
            ("mqtt-client-id", Some(Meant::Spelt(C::MqttClientId))),
            ("MAC", Some(Meant::Near(C::Name))),
            ("Mac Address", Some(Meant::Near(C::Name))),
            ("acces_token", Some(Meant::Near(C::AccessToken))),
            ("descripton", Some(Meant::Near(C::Description))),
            ("name", None),
            ("game", None),
            ("serial", None),
            ("batch", None),
            ("firmware", None),
            ("", None),
            ("\u{200b}", None),
        ] {
            assert_eq!(C::meant_by(header), meant, "{header:?}");
        }
    }

    #[test]
    fn every_id_is_its_own() {
        let mut ids = ALL.map(ColumnType::id).to_vec();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), ALL.len());
        for column in ALL {
            assert_eq!(ColumnType::of_header(column.id()), Some(column));
            assert_eq!(ColumnType::meant_by(column.id()), None);
        }
    }

    const ALL: [ColumnType; 28] = ColumnType::ALL;
}
