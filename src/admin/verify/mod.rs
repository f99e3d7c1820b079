//! What is true of devices on a server, beside what a list or a run says of them.

mod judge;
mod read;
mod run;

pub use judge::{Expected, Found, Standing, judge};
pub use read::{Known, Lost, Verified, Verify, verify};
pub use run::{Given, Run, RunDevice, UnreadableRun};
