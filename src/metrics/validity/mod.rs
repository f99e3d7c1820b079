//! Whether a run's figures may be quoted: when the generator or its machine, and not the server,
//! was the limit.
//!
//! [`Reading`]s are looks at the system, taken while the run goes on; [`Gather`] makes the
//! [`Evidence`] of them, and it is judged with the schedule's lags by [`ValidityLimits`]. All of it
//! is pure: who reads is `engine::usage`. `docs/metrics.md` has each limit and its reason.

mod evidence;
mod gather;
mod judge;
mod limits;
mod load;
mod reading;

pub use evidence::{
    ClockEvidence, CpuEvidence, Evidence, FilesEvidence, MemoryEvidence, PortsEvidence,
    TcpEvidence, UdpEvidence, WorkerEvidence,
};
pub use gather::{Gather, READ_EVERY};
pub(super) use judge::{Case, judge, kept_up};
pub use judge::{GeneratorSummary, GeneratorVerdict, judge_evidence};
pub use limits::ValidityLimits;
pub use load::Load;
pub use reading::{Clocks, MachineTimes, Memory, Network, Quota, Reading, ThreadTimes, Whose};
