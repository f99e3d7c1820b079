//! The protobuf form of provision requests and answers: what the platform tries when a payload
//! is not JSON.

use prost::Message;

/// `ProvisionDeviceRequestMsg`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct RequestMessage {
    #[prost(string, tag = "1")]
    pub(super) device_name: String,
    #[prost(int32, tag = "2")]
    pub(super) credentials_type: i32,
    #[prost(message, optional, tag = "3")]
    pub(super) profile: Option<ProfileMessage>,
    #[prost(message, optional, tag = "4")]
    pub(super) wanted: Option<WantedMessage>,
    #[prost(bool, tag = "5")]
    pub(super) gateway: bool,
}

/// `ProvisionDeviceCredentialsMsg`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ProfileMessage {
    #[prost(string, tag = "1")]
    pub(super) key: String,
    #[prost(string, tag = "2")]
    pub(super) secret: String,
}

/// `CredentialsDataProto`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct WantedMessage {
    #[prost(message, optional, tag = "1")]
    pub(super) token: Option<OneText>,
    #[prost(message, optional, tag = "2")]
    pub(super) certificate: Option<OneText>,
    #[prost(message, optional, tag = "3")]
    pub(super) basic: Option<BasicMessage>,
}

/// A message with a single string: the token, or the certificate.
#[derive(Clone, PartialEq, Message)]
pub(super) struct OneText {
    #[prost(string, tag = "1")]
    pub(super) text: String,
}

/// MQTT basic credentials.
#[derive(Clone, PartialEq, Message)]
pub(super) struct BasicMessage {
    #[prost(string, tag = "1")]
    pub(super) client_id: String,
    #[prost(string, tag = "2")]
    pub(super) user_name: String,
    #[prost(string, tag = "3")]
    pub(super) password: String,
}

/// `ProvisionDeviceResponseMsg`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ResponseMessage {
    #[prost(int32, tag = "1")]
    pub(super) status: i32,
    #[prost(int32, tag = "2")]
    pub(super) credentials_type: i32,
    #[prost(string, tag = "3")]
    pub(super) credentials_value: String,
}
