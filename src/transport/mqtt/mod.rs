//! MQTT 3.1.1 and MQTT 5 as a device speaks them: one clean session on one connection, one exchange
//! at a time, subscriptions beside it, no buffer while idle.
//!
//! `codec` judges and makes packets (`v3` and `v5` in the version spoken, `properties` for MQTT 5),
//! `session` moves them. No QoS 2, no will, no retained state: ThingsBoard has none of them.

mod codec;
mod packet;
mod properties;
mod session;
mod v3;
mod v5;

pub(super) use session::Session;
