//! The coordinator's side: starts the processes, takes in what they tell, and starts one anew that
//! died.

use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader, BufWriter};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::super::fleet::Fleet;
use super::super::shutdown::{Stop, StopSwitch};
use super::super::worker::Frame;
use super::Portion;
use super::message::{Down, Up, receive, send};
use crate::arrival::Pace;
use crate::ledger::{self, Entry, Past, Post};
use crate::metrics::Roll;

/// What a process is told first, a line: its portion and, where it takes the place of one that
/// died, how long the ledger is that it goes on from.
pub type Instruct = Box<dyn Fn(Portion, Option<u64>) -> String + Send + Sync>;

/// Processes that have their lists and wait for the beginning.
pub struct Processes {
    instructions: Arc<Instructions>,
    ready: Vec<Process>,
}

/// How to start a process, and what it goes on from when it has to be started again.
struct Instructions {
    instruct: Instruct,
    /// Worker threads of each.
    workers: u32,
    ledger: PathBuf,
    boot_id: String,
    ask_again: bool,
}

/// A process that did not get ready.
#[derive(Debug, Error)]
pub enum ProcessError {
    /// The system gives none.
    #[error("cannot start a process of the run: {0}")]
    Start(#[from] io::Error),
    /// It ended before it had begun.
    #[error("process {number} of {of} did not get ready ({status})\n{said}")]
    NotReady {
        /// Which, from 1.
        number: u32,
        /// How many there are.
        of: u32,
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        said: String,
    },
}

struct Process {
    portion: Portion,
    child: Child,
    down: ChildStdin,
    up: BufReader<ChildStdout>,
    said: tokio::task::JoinHandle<String>,
}

impl Processes {
    /// Starts `of` processes with `workers` threads each and waits until all have their lists.
    pub async fn open(
        (of, workers): (u32, u32),
        instruct: Instruct,
        (ledger, boot_id): (PathBuf, String),
        ask_again: bool,
    ) -> Result<Self, ProcessError> {
        let instructions = Instructions {
            instruct,
            workers,
            ledger,
            boot_id,
            ask_again,
        };
        let instructions = Arc::new(instructions);
        // Reading a list takes a core: no more at a time than there may be.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let cores = Arc::new(Semaphore::new(cores));
        let mut starting = JoinSet::new();
        for number in 0..of {
            let (instructions, cores) = (Arc::clone(&instructions), Arc::clone(&cores));
            starting.spawn(async move {
                let _core = cores.acquire().await;
                instructions.start(Portion { number, of }, None).await
            });
        }
        let mut ready = Vec::new();
        while let Some(process) = starting.join_next().await {
            ready.push(process.map_err(io::Error::other)??);
        }
        ready.sort_by_key(|process: &Process| process.portion.number);
        Ok(Self {
            instructions,
            ready,
        })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.ready.len()
    }

    /// Their worker threads together.
    pub fn workers(&self) -> usize {
        self.ready.len() * self.instructions.workers as usize
    }

    /// Begins: from `origin` of the machine's monotonic clock on.
    pub(in crate::engine) fn begin(self, origin: Duration, ways: &Ways) -> Links {
        let instructions = self.instructions;
        let mut links = JoinSet::new();
        let of = u32::try_from(self.ready.len()).expect("a plan has few processes");
        let reported = ways.fleet.rolls_before(of, instructions.workers);
        for (process, reported) in self.ready.into_iter().zip(reported) {
            let portion = process.portion;
            let link = Link {
                instructions: Arc::clone(&instructions),
                portion,
                origin,
                reported,
                all_started: (0, 0),
                ways: ways.clone(),
            };
            links.spawn(link.carry_on(process));
        }
        Links(links)
    }
}

impl Instructions {
    async fn start(&self, portion: Portion, again: Option<u64>) -> Result<Process, ProcessError> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("portion")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A Ctrl-C is for the coordinator, which tells the others.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let mut down = child.stdin.take().expect("piped above");
        let up = BufReader::with_capacity(1 << 16, child.stdout.take().expect("piped above"));
        let said = tokio::spawn(last_words(child.stderr.take().expect("piped above")));
        let line = (self.instruct)(portion, again) + "\n";
        // One that is gone is seen next.
        let _ = down.write_all(line.as_bytes()).await;
        let mut process = Process {
            portion,
            child,
            down,
            up,
            said,
        };
        if let Some(Up::Ready) = receive(&mut process.up, &mut String::new()).await {
            return Ok(process);
        }
        drop(process.down);
        Err(ProcessError::NotReady {
            number: portion.number + 1,
            of: portion.of,
            status: process.child.wait().await?,
            said: process.said.await.unwrap_or_default(),
        })
    }
}

/// The end of what a process said on its standard error, as much as a person would read.
async fn last_words(mut stderr: ChildStderr) -> String {
    let (mut said, mut piece) = (Vec::new(), [0; 1024]);
    while let Ok(n @ 1..) = stderr.read(&mut piece).await {
        said.extend_from_slice(&piece[..n]);
        let beyond = said.len().saturating_sub(SAID_MAX);
        said.drain(..beyond);
    }
    String::from_utf8_lossy(&said).trim_end().to_owned()
}

/// What all links share with the coordinator.
#[derive(Clone)]
pub(in crate::engine) struct Ways {
    pub(in crate::engine) fleet: Arc<Fleet>,
    pub(in crate::engine) ledger: ledger::Sender,
    pub(in crate::engine) frames: mpsc::Sender<Frame>,
    pub(in crate::engine) stop: StopSwitch,
    pub(in crate::engine) pace: watch::Receiver<Arc<Pace>>,
}

/// The links to all processes; each ends with its process, and with the most memory that it took.
pub(in crate::engine) struct Links(JoinSet<u64>);

impl Links {
    /// Waits for the last; the memory that all took together, in bytes.
    pub(in crate::engine) async fn join(self) -> u64 {
        self.0.join_all().await.into_iter().sum()
    }
}

/// One process and the one that takes its place.
pub(in crate::engine) struct Link {
    instructions: Arc<Instructions>,
    portion: Portion,
    origin: Duration,
    /// What its devices are counted as.
    reported: Roll,
    /// Workers that have started all their devices, and how many they dropped.
    all_started: (usize, u64),
    ways: Ways,
}

/// How it went on with a process.
enum Went {
    Over { peak_rss_bytes: u64 },
    Died,
}

impl Link {
    async fn carry_on(mut self, mut process: Process) -> u64 {
        let mut deaths = 0;
        loop {
            match self.follow(&mut process).await {
                Went::Over { peak_rss_bytes } => {
                    drop(process.down);
                    let _ = process.child.wait().await;
                    return peak_rss_bytes;
                }
                Went::Died => deaths += 1,
            }
            // One that stands still and says what is none is of no more use than a dead one.
            let _ = process.child.start_kill();
            let how = match process.child.wait().await {
                Ok(status) => status.to_string(),
                Err(error) => error.to_string(),
            };
            let said = process.said.await.unwrap_or_default();
            let who = format!("process {} of {}", self.portion.number + 1, self.portion.of);
            tracing::error!("{who} died ({how}): {said}");
            match self.replace((&who, &how), &mut deaths).await {
                Ok(next) => process = next,
                Err(why) => {
                    tracing::error!("{who} cannot be started again: {why}");
                    let _ = self.ways.frames.send(Frame::Abandoned).await;
                    return 0;
                }
            }
        }
    }

    /// Has a process begin and takes in what it tells until it is over or dead.
    async fn follow(&mut self, process: &mut Process) -> Went {
        let (answers, outbox) = mpsc::channel(ANSWERS);
        let (mut stop, mut pace) = (self.ways.stop.subscribe(), self.ways.pace.clone());
        // Changes from before it was there, too.
        stop.mark_changed();
        pace.mark_changed();
        let begin = Down::Begin {
            origin: self.origin,
        };
        let telling = tell(&mut process.down, begin, (stop, pace), outbox);
        let listening = self.listen(&mut process.up, answers);
        tokio::select! {
            went = listening => went,
            // What it still says is read, although it does not listen.
            never = telling => match never {},
        }
    }

    async fn listen(
        &mut self,
        up: &mut BufReader<ChildStdout>,
        answers: mpsc::Sender<(u64, bool)>,
    ) -> Went {
        let mut line = String::new();
        loop {
            let frame = match receive(up, &mut line).await {
                None => return Went::Died,
                Some(Up::Ready) => continue,
                Some(Up::Over { peak_rss_bytes }) => return Went::Over { peak_rss_bytes },
                Some(Up::Record(sent)) => {
                    let Some((record, waiting)) = sent.into_record() else {
                        return Went::Died;
                    };
                    if let Some((ticket, known)) = waiting {
                        if self.put(&record) {
                            let _ = answers.send((ticket, true)).await;
                            continue;
                        }
                        let answers = answers.clone();
                        tokio::spawn(async move {
                            let written = known.await.is_ok();
                            let _ = answers.send((ticket, written)).await;
                        });
                    }
                    if self.ways.ledger.records.send(record.into()).await.is_err() {
                        self.ways.stop.raise_to(Stop::Now);
                    }
                    continue;
                }
                Some(Up::Recorded(carried)) => {
                    self.reported.add(&carried);
                    Frame::Carried(carried)
                }
                Some(Up::AllStarted { dropped }) => {
                    self.all_started.0 += 1;
                    self.all_started.1 += dropped;
                    Frame::AllStarted { dropped }
                }
                Some(Up::Seen(evidence)) => Frame::Seen(self.portion.number, evidence),
            };
            // The coordinator outlives its links; were it gone, there would be nobody to tell.
            let _ = self.ways.frames.send(frame).await;
        }
    }

    /// Puts a request on record at once, if that can be done.
    fn put(&self, record: &ledger::Record) -> bool {
        match (&record.entry, &self.ways.ledger.intake) {
            (Entry::Asked(intent), Some(intake)) => {
                intake.put(record.device, &record.name, intent.files.as_ref())
            }
            _ => false,
        }
    }

    /// Starts a process in the place of one that died, on what the ledger leaves of its portion. One
    /// that does not get ready has died as well.
    async fn replace(
        &mut self,
        (who, how): (&str, &str),
        deaths: &mut u32,
    ) -> Result<Process, String> {
        let end = self.settle(who, how).await?;
        let mut why = String::new();
        while *deaths <= DEATHS_MAX {
            match self.instructions.start(self.portion, Some(end)).await {
                Ok(next) => return Ok(next),
                Err(error) => why = format!(": {error}"),
            }
            *deaths += 1;
        }
        Err(format!("it died {deaths} times{why}"))
    }

    /// Has the sums agree with the ledger, which knows more of the devices than was reported; how long
    /// the ledger is by then.
    async fn settle(&mut self, who: &str, how: &str) -> Result<u64, String> {
        let (reader, read) = oneshot::channel();
        let gone = || "the ledger is gone".to_owned();
        let records = &self.ways.ledger.records;
        records
            .send(Post::Reader(reader))
            .await
            .map_err(|_| gone())?;
        read.await.map_err(|_| gone())?;
        let intake = self.ways.ledger.intake.as_ref().ok_or_else(gone)?;
        let end = intake.length().map_err(|error| error.to_string())?;
        let (fleet, own) = (Arc::clone(&self.ways.fleet), Arc::clone(&self.instructions));
        let portion = self.portion;
        let roll = tokio::task::spawn_blocking(move || {
            let past = Past::read_beginning(&own.ledger, end, &own.boot_id);
            let past = past.map_err(|error| error.to_string())?;
            let roll = fleet.roll(&past, (portion, own.workers), own.ask_again);
            roll.map_err(|error| error.to_string())
        });
        let roll = roll.await.map_err(|error| error.to_string())??;
        let (workers, dropped) = std::mem::take(&mut self.all_started);
        let died = Frame::Died {
            mend: roll.beyond(&self.reported),
            all_started: workers,
            dropped,
            death: format!(
                "{who} died ({how}) and was started again: its devices went on from the ledger, outcomes \
                 are whole; what it had measured in its last moments is lost, and what fell due until \
                 it was back is late"
            ),
        };
        self.reported = roll;
        let _ = self.ways.frames.send(died).await;
        Ok(end)
    }
}

enum Never {}

/// Tells a process what it has to know as long as it lives. Never returns: whether it is dead is seen
/// from what it says.
async fn tell(
    down: &mut ChildStdin,
    begin: Down,
    (mut stop, mut pace): (watch::Receiver<Stop>, watch::Receiver<Arc<Pace>>),
    mut answers: mpsc::Receiver<(u64, bool)>,
) -> Never {
    let mut down = BufWriter::with_capacity(1 << 16, down);
    let mut gone = send(&mut down, &begin).await.is_err();
    loop {
        gone |= down.flush().await.is_err();
        let message = tokio::select! {
            biased;
            Ok(()) = stop.changed() => Down::Stop(*stop.borrow_and_update()),
            Ok(()) = pace.changed() => Down::Pace(Pace::clone(&pace.borrow_and_update())),
            Some(first) = answers.recv() => {
                let mut all = vec![first];
                while let Ok(more) = answers.try_recv() {
                    all.push(more);
                }
                let of = |wanted| move |(ticket, written): &(u64, bool)| (*written == wanted).then_some(*ticket);
                let refused: Vec<u64> = all.iter().filter_map(of(false)).collect();
                if !refused.is_empty() && !gone {
                    gone |= send(&mut down, &Down::NotOnRecord(refused)).await.is_err();
                }
                Down::OnRecord(all.iter().filter_map(of(true)).collect())
            }
            else => std::future::pending().await,
        };
        if !gone {
            gone |= send(&mut down, &message).await.is_err();
        }
    }
}

/// A process that died more often is not started again.
const DEATHS_MAX: u32 = 3;

/// Answers to a process under way.
const ANSWERS: usize = 4096;

/// So much is kept of what a process said.
const SAID_MAX: usize = 4_000;
