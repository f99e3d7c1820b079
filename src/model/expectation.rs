//! What a device is to do wrong, what must happen to it, and what did.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What must happen to each device of a cohort.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Expectation {
    /// It gets its credentials, and they let it in.
    #[default]
    Provisioned,
    /// The server says no to the (offending) provision request.
    Refused,
    /// The server keeps it out when it connects with its credentials.
    Rejected,
}

impl Expectation {
    /// What must happen: as stated, else what the misbehaviour deserves, else to be provisioned.
    pub fn of(stated: Option<Self>, misbehaviour: Option<Misbehaviour>) -> Self {
        stated
            .or(misbehaviour.map(Misbehaviour::expected))
            .unwrap_or_default()
    }

    /// All of them, in the order that tables show.
    pub const ALL: [Self; 3] = [Self::Provisioned, Self::Refused, Self::Rejected];

    /// The scenario's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provisioned => "provisioned",
            Self::Refused => "refused",
            Self::Rejected => "rejected",
        }
    }
}

/// What did happen to a device, seen from what must happen.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Observed {
    /// The (offending) request was answered with credentials, and nothing kept the device out.
    Provisioned,
    /// The (offending) request was refused.
    Refused,
    /// Kept out at connect: by CONNACK, by a TLS alert for its certificate, by HTTP 401 or CoAP 4.01.
    Rejected,
    /// The device's own rightful request was refused, before any misbehaviour.
    Barred,
    /// Network, protocol or time-out: says nothing about the server's judgement.
    Failed,
    /// No usable answer came.
    Unknown,
    /// Cut off by the end of the run.
    Unfinished,
}

impl Observed {
    /// All of them, in the order that tables show.
    pub const ALL: [Self; 7] = [
        Self::Provisioned,
        Self::Refused,
        Self::Rejected,
        Self::Barred,
        Self::Failed,
        Self::Unknown,
        Self::Unfinished,
    ];

    /// Its word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provisioned => "provisioned",
            Self::Refused => "refused",
            Self::Rejected => "rejected",
            Self::Barred => "barred",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Unfinished => "unfinished",
        }
    }

    /// Whether this is what had to happen: the diagonal of the matrix.
    pub fn meets(self, expected: Expectation) -> bool {
        matches!(
            (self, expected),
            (Self::Provisioned, Expectation::Provisioned)
                | (Self::Refused, Expectation::Refused)
                | (Self::Rejected, Expectation::Rejected)
        )
    }
}

/// What the devices of a cohort do wrong.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Misbehaviour {
    /// Asks with a provision secret that is not the profile's.
    WrongSecret,
    /// Asks with a provision key that no profile has.
    WrongKey,
    /// Asks under a name that is on no list.
    UnlistedName,
    /// Asks under a name of nothing but blanks.
    BlankName,
    /// Asks under its name with blanks around it, which the server trims: that lets it in.
    PaddedName,
    /// Asks without a name.
    EmptyName,
    /// Is provisioned; then another device asks under the same name.
    DuplicateName,
    /// Is provisioned; then asks again over the same connection.
    SecondProvisioning,
    /// Asks twice at the same time over two connections: one must win, one must lose.
    ConcurrentRequests,
    /// Is provisioned; then asks under another name for the credentials that it has.
    TakenCredentials,
    /// Belongs to its cohort's profile, and asks with the key and secret of `[profile]`.
    OtherProfile,
    /// Comes with a certificate whose last day is over.
    ExpiredCertificate,
    /// Comes with a certificate of an authority that the server does not know.
    ForeignCa,
    /// Comes with a certificate whose common name does not match the profile's pattern.
    CnMismatch,
    /// Asks, leaves before the answer, and asks again.
    ReplayAfterLoss,
}

impl Misbehaviour {
    /// The scenario's words.
    pub const WORDS: [(&'static str, Self); 15] = [
        ("wrong_secret", Self::WrongSecret),
        ("wrong_key", Self::WrongKey),
        ("unlisted_name", Self::UnlistedName),
        ("blank_name", Self::BlankName),
        ("padded_name", Self::PaddedName),
        ("empty_name", Self::EmptyName),
        ("duplicate_name", Self::DuplicateName),
        ("second_provisioning", Self::SecondProvisioning),
        ("concurrent_requests", Self::ConcurrentRequests),
        ("taken_credentials", Self::TakenCredentials),
        ("other_profile", Self::OtherProfile),
        ("expired_certificate", Self::ExpiredCertificate),
        ("foreign_ca", Self::ForeignCa),
        ("cn_mismatch", Self::CnMismatch),
        ("replay_after_loss", Self::ReplayAfterLoss),
    ];

    /// The scenario's word for it.
    pub fn as_str(self) -> &'static str {
        let (word, _) = Self::WORDS[self as usize];
        word
    }

    /// Whether the wrong is a further request, after the device's own rightful one.
    pub fn asks_again(self) -> bool {
        matches!(
            self,
            Self::DuplicateName
                | Self::SecondProvisioning
                | Self::TakenCredentials
                | Self::ReplayAfterLoss
        )
    }

    /// What a server that keeps its promises makes of it.
    pub fn expected(self) -> Expectation {
        match self {
            Self::PaddedName => Expectation::Provisioned,
            Self::ExpiredCertificate | Self::ForeignCa | Self::CnMismatch => Expectation::Rejected,
            _ => Expectation::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_misbehaviour_has_its_own_word() {
        for (word, misbehaviour) in Misbehaviour::WORDS {
            assert_eq!(misbehaviour.as_str(), word);
        }
    }

    #[test]
    fn only_what_had_to_happen_is_on_the_diagonal() {
        for observed in Observed::ALL {
            for expected in Expectation::ALL {
                let same = observed.as_str() == expected.as_str();
                assert_eq!(observed.meets(expected), same);
            }
        }
    }
}
