//! The language of fleetcall: plain words that every other floor speaks.
//!
//! Nothing here knows a socket, a clock or a file. Times are offsets from the start of the run.

mod credentials;
mod delay;
mod device;
mod exchange;
mod expectation;
mod faults;
mod hash;
mod outcome;
mod paint;
mod policy;
mod printable;
mod rpc;
mod shard;
mod subscription;
mod trial;
pub mod units;
mod word;

pub use credentials::{Credentials, Login, MqttBasic};
pub use delay::Delay;
pub use device::{CohortIx, DeviceIx};
pub use exchange::{
    MqttVersion, Protocol, Qos, Reply, ReplyTopic, Request, Route, Status, TransportKind,
};
pub use expectation::{Expectation, Misbehaviour, Observed};
pub use faults::{FaultPhase, Faults, Outage, PhaseFaults, RateLimit, RateLimits, Slow, Stall};
pub use hash::{fnv, mix};
pub use outcome::{Cause, FaultKind, Outcome, Phase, Side};
pub use paint::Paint;
pub use policy::{Bug, Release, Strategy};
pub use printable::{printable, printable_xml};
pub use rpc::{RpcAnswer, RpcAnswers};
pub use shard::Shard;
pub use subscription::{Feed, Source, Subscription};
pub use trial::{SearchEnd, TrialPurpose, TrialVerdict};
pub use word::NoCause;
