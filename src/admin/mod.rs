//! A server seen by its administrator: profiles, devices and imports over ThingsBoard's REST API
//! (section 8), and what is true of devices that a list or a run names.
//!
//! It asks before it writes, writes nothing twice, and never shows a secret: what it reads of
//! credentials is compared or handed over, not printed.

pub mod clean;
mod each;
pub mod import;
pub mod setup;
pub mod verify;
