//! The language of fleetcall: plain words that every other floor speaks.
//!
//! Nothing here knows a socket, a clock or a file. Times are offsets from the start of the run.

mod credentials;
mod device;
mod exchange;
mod expectation;
mod outcome;
mod paint;
mod policy;
mod printable;
pub mod units;

pub use credentials::{Credentials, Login};
pub use device::{CohortIx, DeviceIx};
pub use exchange::{MqttVersion, Protocol, Qos, Reply, Request, Route, Status, TransportKind};
pub use expectation::{Expectation, Misbehaviour, Observed};
pub use outcome::{Cause, FaultKind, Outcome, Phase, Side};
pub use paint::Paint;
pub use policy::{Bug, Faults, Release, Strategy};
pub use printable::printable;
