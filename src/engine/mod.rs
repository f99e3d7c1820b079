//! The run: takes a checked plan and a list, brings every device to its end exactly once.
//!
//! Knows no terminal, no report and no target: the caller owns the signal (`StopSwitch`), the
//! ledger's channel and the watch on which snapshots appear. `device` is the heart of the program.

mod alive;
mod beginning;
mod clock;
mod course;
mod crew;
mod dealing;
mod departures;
mod device;
mod digest;
mod equipment;
mod fleet;
mod gateways;
mod limits;
mod operator;
mod places;
mod pushes;
mod rounds;
mod run;
mod search;
mod shards;
mod shutdown;
mod steering;
mod timeline;
mod usage;
mod worker;

pub use beginning::Resumption;
pub use crew::Hands;
pub use dealing::{Dealing, ShardError};
pub use digest::schedule_digest;
pub use equipment::{Authorities, Equipment, EquipmentError, Kit};
pub use fleet::{Fleet, FleetError};
pub use limits::{LimitError, Machine, Provisions, plan_around};
pub use run::{EngineError, Outlets, run};
pub use shards::{
    Afar, Held, Holding, Instruct, Portion, ProcessError, Processes, Saying, Steered, Told, serve,
};
pub use shutdown::{Stop, StopSwitch, reached};
pub use steering::{Controls, FACTOR_MAX, Helm, Order};
pub use usage::{host, monotonic};
