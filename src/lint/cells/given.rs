//! Which credentials a row gives, and which of them the import takes (spec section 8.5).

use super::{columns_of, text};
use crate::dialect::ColumnType;
use crate::lint::record::{Opened, Record};

/// A kind of credentials, from the one that gives way to the one that is taken first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Token,
    Basic,
    Certificate,
    Lwm2m,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Token, Self::Basic, Self::Certificate, Self::Lwm2m];

    /// In words.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Token => "an access token",
            Self::Basic => "MQTT credentials",
            Self::Certificate => "a certificate",
            Self::Lwm2m => "LwM2M credentials",
        }
    }
}

/// The columns of a list that hold credentials.
#[derive(Clone, Copy, Default)]
pub(super) struct Given {
    pub(super) token: Option<usize>,
    pub(super) client: Option<usize>,
    pub(super) user: Option<usize>,
    pub(super) password: Option<usize>,
    pub(super) certificate: Option<usize>,
    pub(super) endpoint: Option<usize>,
    pub(super) mode: Option<usize>,
    pub(super) identity: Option<usize>,
    pub(super) lwm2m_certificate: Option<usize>,
}

impl Given {
    /// The columns of a list.
    pub(super) fn of(list: &Opened<'_>) -> Self {
        use ColumnType as C;
        let wanted = [
            C::AccessToken,
            C::MqttClientId,
            C::MqttUserName,
            C::MqttPassword,
            C::X509,
            C::Lwm2mClientEndpoint,
            C::Lwm2mClientSecurityConfigMode,
            C::Lwm2mClientIdentity,
            C::Lwm2mClientCert,
        ];
        let [
            token,
            client,
            user,
            password,
            certificate,
            endpoint,
            mode,
            identity,
            lwm2m_certificate,
        ] = columns_of(list, wanted);
        Self {
            token,
            client,
            user,
            password,
            certificate,
            endpoint,
            mode,
            identity,
            lwm2m_certificate,
        }
    }

    /// Whether there is any.
    pub(super) fn any(&self) -> bool {
        self.first().is_some()
    }

    /// The first of them, the token's before others.
    pub(super) fn first(&self) -> Option<usize> {
        self.token
            .or(self.client)
            .or(self.user)
            .or(self.password)
            .or(self.certificate)
            .or(self.endpoint)
    }

    /// Where a row gives credentials of a kind.
    pub(super) fn place(&self, kind: Kind, record: &Record<'_>) -> Option<usize> {
        let given = |column: &usize| !record.cell(*column).trim().is_empty();
        let basic = [self.client, self.user, self.password];
        match kind {
            Kind::Token => self.token.filter(given),
            Kind::Basic => basic.into_iter().flatten().find(given),
            Kind::Certificate => self.certificate.filter(given),
            Kind::Lwm2m => self.endpoint.filter(given),
        }
    }

    /// The kind that the import takes from a row.
    pub(super) fn taken(&self, record: &Record<'_>) -> Option<Kind> {
        let mut kinds = Kind::ALL.into_iter().rev();
        kinds.find(|kind| self.place(*kind, record).is_some())
    }

    /// What else a row gives besides that.
    pub(super) fn dropped(&self, taken: Kind, record: &Record<'_>) -> Option<(Kind, usize)> {
        let mut kinds = Kind::ALL.into_iter().rev().filter(|kind| *kind < taken);
        kinds.find_map(|kind| Some((kind, self.place(kind, record)?)))
    }

    /// The id by which the server tells a row's credentials from all others, as far as it is text
    /// or can be told from such. Certificates are compared elsewhere.
    pub(super) fn id<'r>(&self, taken: Kind, record: &Record<'r>) -> Option<Id<'r>> {
        let client = text(record, self.client);
        let user = text(record, self.user);
        let id = match taken {
            Kind::Token => Id::Text(text(record, self.token)),
            Kind::Basic if client.is_empty() => Id::Text(user),
            Kind::Basic => Id::Hashed(client, user),
            Kind::Certificate => return None,
            Kind::Lwm2m => match text(record, self.mode) {
                "PSK" => Id::Text(text(record, self.identity)),
                "X509" if !text(record, self.lwm2m_certificate).is_empty() => return None,
                _ => Id::Text(text(record, self.endpoint)),
            },
        };
        (!id.is_blank()).then_some(id)
    }
}

/// A credentials id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Id<'r> {
    /// Plain: a token, a user name, an endpoint, an identity.
    Text(&'r str),
    /// The hash of a client id and perhaps a user name, which is nobody's token.
    Hashed(&'r str, &'r str),
}

impl Id<'_> {
    fn is_blank(&self) -> bool {
        match self {
            Self::Text(text) => text.trim().is_empty(),
            Self::Hashed(client, _) => client.trim().is_empty(),
        }
    }
}
