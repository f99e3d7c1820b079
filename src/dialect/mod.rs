//! What to say: the meaning of a provisioning protocol, as requests out and answers in.
//!
//! Sees neither sockets nor clocks; how the bytes travel is `transport`'s. Today's only dialect is
//! ThingsBoard's; a second one makes this an enum, and the compiler lists what must be thought of.

mod downlink;
mod gateway;
mod import;
mod thingsboard;

pub use downlink::{Call, Heard, PUSH_NUMBER, numbered};
pub use gateway::{BODY_LIMIT, HeardBehind, Parts, Report, part_overhead};
pub use import::{ColumnType, Meant};
pub use thingsboard::{Answer, ThingsBoard, Uncarried};
