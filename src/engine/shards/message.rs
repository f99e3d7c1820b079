//! What the processes of a run tell each other: a JSON object a line, through pipes.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWrite, AsyncWriteExt, BufWriter};

use super::super::shutdown::Stop;
use crate::arrival::Pace;
use crate::ledger::{Record, SentRecord};
use crate::metrics::{CarriedRecorder, Evidence};

/// To a process that starts devices.
#[derive(Serialize, Deserialize)]
pub(super) enum Down {
    /// The run's clock starts at this moment of the machine's monotonic clock.
    Begin { origin: Duration },
    /// Somebody steers.
    Pace(Pace),
    /// The run comes to its end.
    Stop(Stop),
    /// These requests are on record, and may be sent.
    OnRecord(Vec<u64>),
    /// These cannot be put on record, and must not be sent.
    NotOnRecord(Vec<u64>),
}

/// From it.
#[derive(Serialize, Deserialize)]
pub(super) enum Up {
    /// It has its list, and may begin.
    Ready,
    Record(SentRecord),
    /// What one of its workers recorded since the last one.
    Recorded(CarriedRecorder),
    /// One of its workers has started all its devices, but for so many.
    AllStarted {
        dropped: u64,
    },
    /// What was seen of it so far.
    Seen(Box<Evidence>),
    /// It is done: the last thing that it says.
    Over {
        peak_rss_bytes: u64,
        cpu: Duration,
        /// Since the beginning of the run.
        elapsed: Duration,
    },
}

/// What whoever starts a shard's devices said at one time, as it goes into the shard's log. It holds
/// credentials.
#[derive(Serialize, Deserialize)]
pub struct Saying(pub(super) Vec<Up>);

impl Saying {
    /// That the shard's devices may begin.
    pub fn ready() -> Self {
        Self(vec![Up::Ready])
    }

    /// Whether it says so.
    pub fn is_ready(&self) -> bool {
        matches!(self.0[..], [Up::Ready])
    }

    /// Whether nothing comes after it.
    pub fn is_last(&self) -> bool {
        matches!(self.0.last(), Some(Up::Over { .. }))
    }

    /// The same in two parts, in order; `None` where there is only one thing in it.
    pub fn halves(mut self) -> Option<(Self, Self)> {
        let at = self.0.len() / 2;
        let second = self.0.split_off(at);
        (at > 0).then_some((self, Self(second)))
    }

    /// What it says of the process that said it.
    pub fn evidence(&self) -> Option<&Evidence> {
        self.0.iter().rev().find_map(|up| match up {
            Up::Seen(evidence) => Some(&**evidence),
            _ => None,
        })
    }

    /// The records in it.
    pub fn into_records(self) -> impl Iterator<Item = Record> {
        let record = |up| match up {
            Up::Record(sent) => sent.into_record().map(|(record, _)| record),
            _ => None,
        };
        self.0.into_iter().filter_map(record)
    }
}

/// The next message; `None` at the end, and where a line is cut short or none of ours.
pub(super) async fn receive<M: for<'de> Deserialize<'de>>(
    from: &mut (impl AsyncBufRead + Unpin),
    line: &mut String,
) -> Option<M> {
    line.clear();
    from.read_line(line).await.ok()?;
    serde_json::from_str(line).ok()
}

/// Writes a message; it leaves with the next flush.
pub(super) async fn send<M: Serialize>(
    to: &mut BufWriter<impl AsyncWrite + Unpin>,
    message: &M,
) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    to.write_all(&line).await
}
