//! `[validity]` as it is typed. `docs/metrics.md` has the reason of each default.

use super::leaf::Span;
use super::section::section;

section! {
    /// Beyond what the generator itself is taken for the limit: each is crossed only beyond it.
    struct Validity as "[validity]" {
        /// The start lag's 99th percentile: suspect.
        #[schemars(default, extend("default" = "20ms"))]
        lag_p99: Span,
        /// The start lag's 99th percentile: invalid.
        #[schemars(default, extend("default" = "1s"))]
        lag_p99_invalid: Span,
        /// The 99th percentile of the lag of messages: suspect.
        #[schemars(default, extend("default" = "20ms"))]
        message_lag_p99: Span,
        /// The 99th percentile of the lag of messages: invalid.
        #[schemars(default, extend("default" = "1s"))]
        message_lag_p99_invalid: Span,
        /// Late starts, of all started (0 to 1): suspect.
        #[schemars(default, extend("default" = 0.01))]
        late_share: f64,
        /// Dropped starts, of all planned (0 to 1): suspect.
        #[schemars(default, extend("default" = 0))]
        dropped_share: f64,
        /// Dropped starts, of all planned (0 to 1): invalid.
        #[schemars(default, extend("default" = 0.1))]
        dropped_share_invalid: f64,
        /// Failures for want of local ports or files, for each started device (0 to 1000): suspect.
        #[schemars(default, extend("default" = 0))]
        exhausted_share: f64,
        /// Failures for want of local ports or files, for each started device (0 to 1000): invalid.
        #[schemars(default, extend("default" = 0.05))]
        exhausted_share_invalid: f64,
        /// The busiest worker's share of a core (0 to 1) in its busiest five seconds: suspect.
        #[schemars(default, extend("default" = 0.9))]
        cpu_share: f64,
        /// The share of time (0 to 1) in which a worker was ready and had no core: suspect.
        #[schemars(default, extend("default" = 0.1))]
        run_queue_share: f64,
        /// The share of the machine's time (0 to 1) that was not idle: suspect.
        #[schemars(default, extend("default" = 0.95))]
        machine_share: f64,
        /// The share of the machine's time (0 to 1) that the hypervisor took: suspect.
        #[schemars(default, extend("default" = 0.05))]
        steal_share: f64,
        /// The share of a CPU quota's periods (0 to 1) in which it was used up: suspect.
        #[schemars(default, extend("default" = 0.05))]
        throttled_share: f64,
        /// The share of memory (0 to 1) that was in use: suspect.
        #[schemars(default, extend("default" = 0.95))]
        memory_share: f64,
        /// UDP datagrams that came and were dropped here: suspect.
        #[schemars(default, extend("default" = 0))]
        udp_overflows: u64,
        /// A step of the wall clock: suspect.
        #[schemars(default, extend("default" = "100ms"))]
        clock_step: Span,
        /// How long nothing of the process ran: suspect.
        #[schemars(default, extend("default" = "1s"))]
        pause: Span,
        /// How long the machine was suspended: invalid.
        #[schemars(default, extend("default" = "10ms"))]
        suspended: Span,
    }
}
