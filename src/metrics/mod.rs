//! What a run measures: recorded per worker, summed, shown live and judged at the end.
//!
//! Samples go into a worker's [`Recorder`], whose frames the [`Aggregate`] adds up; from it come
//! [`Snapshot`]s while the run goes on and one [`Summary`] when it is over. Histograms add bucket
//! for bucket; percentiles are never averaged. `docs/metrics.md` explains every number.
//!
//! Pure: no clock, no runtime, no file. Times come in as durations.

mod aggregate;
mod bars;
mod carried;
mod cause;
mod counts;
mod deviation;
mod difference;
mod downlink;
mod errors;
mod expectation;
mod exposure;
mod finding;
mod finish;
mod gateway;
mod latency;
mod merge;
mod rate;
mod recorder;
mod roll;
mod schema;
mod search;
mod setting;
mod shard;
mod sightings;
mod snapshot;
mod spectrum;
mod steering;
mod summary;
mod tally;
mod threshold;
pub mod timeline;
mod validity;
mod workers;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;

pub use aggregate::Aggregate;
pub use bars::{BARS, Bars, bar_floor_us};
pub use carried::CarriedRecorder;
pub use cause::{OTHER_CAUSES, cause_hint, word_hint};
pub use counts::{
    DeviceCounts, LiveCounts, LiveState, OutcomeCounts, ReconnectCounts, RotationCounts,
    StartCounts, TelemetryCounts,
};
pub use deviation::Deviation;
pub use difference::{Difference, differences, load_differences};
pub use downlink::{AskCounts, DownlinkCounts, PushCounts, ReplyCounts};
pub use errors::DISTINCT_CAUSES_MAX;
pub use expectation::{EXAMPLES_MAX, Example, ExpectationRow, Matrix};
pub use exposure::{BOUNDS_US, Buckets, CohortExposure, Exposure, PhaseExposure};
pub use finding::{Finding, FindingKind, FindingRow, Findings};
pub use gateway::{ConnectCounts, GatewayCounts, MessageCounts};
pub use latency::{CarriedError, CarriedHistogram, LagFigures, LatencyFigures};
pub use merge::{MergeError, merge};
pub use rate::RateFigures;
pub use recorder::{LATE_AFTER, Recorder};
pub use roll::Roll;
pub use schema::{schema_of, summary_schema, timeline_schema};
pub use search::{BracketSummary, BrokeFirst, SearchSummary, TrialSummary, Tried, Window};
pub use setting::{CohortSetting, Ending, Setting};
pub use shard::{MissingShards, ShardSummary};
pub use snapshot::{CohortRow, ErrorRow, PhaseRow, SearchRow, Snapshot, TransportRow};
pub use spectrum::{SPECTRUM, Spectrum, TOP, spectrum_position, spectrum_share};
pub use steering::{Steered, Steering, SteeringAction, is_steered, planned_digest};
pub use summary::{
    CohortSummary, HostSummary, PhaseHistograms, PhaseSummary, RunHistograms, RunPart, RunResult,
    SCHEMA_VERSION, Summary, TelemetrySummary,
};
pub use threshold::{Aborted, Standing, Threshold, ThresholdResult, ThresholdRow};
pub use validity::{
    ClockEvidence, Clocks, CpuEvidence, Evidence, FilesEvidence, Gather, GeneratorSummary,
    GeneratorVerdict, Load, MachineTimes, Memory, MemoryEvidence, Network, PortsEvidence, Quota,
    READ_EVERY, Reading, TcpEvidence, ThreadTimes, UdpEvidence, ValidityLimits, Whose,
    WorkerEvidence, judge_evidence,
};
pub use workers::{ClusterSummary, WorkerSummary};
