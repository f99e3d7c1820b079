//! MQTT 3.1.1 as a device speaks it: one clean session on one TCP connection, one exchange at a
//! time, no buffer while idle.
//!
//! `codec` judges and makes packets, `session` moves them. No QoS 2, no will, no retained state:
//! ThingsBoard has none of them.

mod codec;
mod session;

pub(super) use session::Session;
