//! A run's shards on NATS JetStream: where they are offered, held, logged and counted.
//!
//! A shard is a stripe of the list, so an item of work is a number. Whoever takes one writes a *claim* to the
//! shard's log, and from then on its records; each names the record before it, and the server takes it only if
//! that is the last. A holder that was given up for dead is refused at its next record: it is *fenced*. What
//! counts is what the `Fold` counts, which repeats the server's comparison and believes no answer.
//!
//! Bodies are opaque: the caller seals them. Nothing here knows a device, an engine or a screen, and nothing is
//! decided on a message that was not stored: those only say where to look again.

mod access;
mod blob;
mod bucket;
mod bus;
mod clock;
mod error;
mod fold;
mod follow;
mod live;
mod log;
mod names;
mod prepare;
mod reader;
mod record;
mod seal;
mod watch;
mod work;

pub use access::Access;
pub use bucket::Created;
pub use bus::Bus;
pub use clock::ClockOffset;
pub use error::{AppendError, BusError};
pub use fold::{Fold, Verdict, Why};
pub use log::{Claim, Holder, ShardLog};
pub use names::{MAX_SHARDS, RunId, worker_name};
pub use record::{Entry, Kind, MAX_BODY};
pub use seal::Seal;
pub use work::{ACK_WAIT, Lease};
