//! What happens to devices after they are provisioned, as rules: when one tries again, when it
//! wakes, whom an event strikes and how long it then boots, what it is pushed and when.
//!
//! Everything is a pure function of the seed, the device's name and a number; nothing here knows a
//! clock or a connection. docs/scenario.md says what each means to the user.

mod backoff;
mod boot;
mod draw;
mod duty;
mod event;
mod push;
mod reply;

pub use backoff::{Backoff, Jitter};
pub use boot::Boot;
pub use duty::{Awake, Duty};
pub use event::{Event, EventKind};
pub use push::{PushSchedule, PushTime};
pub use reply::{reply_delay, request_due};
