//! What an embedded target is told to do. Read by scenarios and by the target alike.

use serde::{Deserialize, Serialize};

/// How a device profile treats provision requests (ThingsBoard's `provisionType`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// `ALLOW_CREATE_NEW_DEVICES`: any unknown name becomes a device.
    #[default]
    Allow,
    /// `CHECK_PRE_PROVISIONED_DEVICES`: only listed names, each once.
    Check,
    /// `DISABLED`: every request is answered NOT_FOUND.
    Disabled,
    /// `X509_CERTIFICATE_CHAIN`: a provision request is never answered by the core.
    X509Chain,
}

/// A fault on purpose in the embedded target's judgement, for proving that a negative suite finds
/// it. No real server is meant to have one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bug {
    /// Two concurrent requests for one name both succeed.
    AcceptRace,
    /// The provision secret is not compared.
    AcceptWrongSecret,
    /// Every tenth device is given the credentials of the device before it.
    ForeignToken,
}

/// Which release the embedded target behaves like where releases differ (section 0 of the wire
/// specification).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Release {
    /// 3.5.
    #[serde(rename = "3.5")]
    V3_5,
    /// 3.6.
    #[serde(rename = "3.6")]
    V3_6,
    /// 3.7.
    #[serde(rename = "3.7")]
    V3_7,
    /// 3.8.
    #[serde(rename = "3.8")]
    V3_8,
    /// 3.9 to 4.2.1.
    #[serde(rename = "4.2.1")]
    V4_2_1,
    /// 4.2.2, 4.3 and later: the default.
    #[default]
    #[serde(rename = "4.3")]
    V4_3,
}
