//! The coordinator's side: starts the processes, takes in what they tell, and starts one anew that
//! died.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::BufReader;
use tokio::process::ChildStdout;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::super::worker::Frame;
use super::Portion;
use super::account::{Account, Basis, Used, Ways};
use super::message::{Down, Up, receive};
use super::process::{ANSWERS, Process, ProcessError, tell};

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
    basis: Arc<Basis>,
}

impl Processes {
    /// Starts `of` processes with `workers` threads each and waits until all have their lists.
    pub async fn open(
        (of, workers): (u32, u32),
        instruct: Instruct,
        (ledger, boot_id): (PathBuf, String),
        ask_again: bool,
    ) -> Result<Self, ProcessError> {
        let basis = Basis {
            portions: of,
            workers,
            ledger,
            boot_id,
            ask_again,
        };
        let instructions = Arc::new(Instructions {
            instruct,
            basis: Arc::new(basis),
        });
        // Reading a list takes a core: no more at a time than there may be.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let cores = Arc::new(Semaphore::new(cores));
        let mut starting = JoinSet::new();
        for number in 0..of {
            let (instructions, cores) = (Arc::clone(&instructions), Arc::clone(&cores));
            starting.spawn(async move {
                let _core = cores.acquire().await;
                let process = instructions.start(Portion { number, of }, None).await?;
                Ok::<_, ProcessError>((number, process))
            });
        }
        let mut ready = Vec::new();
        while let Some(process) = starting.join_next().await {
            ready.push(process.map_err(io::Error::other)??);
        }
        ready.sort_by_key(|(number, _)| *number);
        Ok(Self {
            instructions,
            ready: ready.into_iter().map(|(_, process)| process).collect(),
        })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.ready.len()
    }

    /// Their worker threads together.
    pub fn workers(&self) -> usize {
        self.ready.len() * self.instructions.basis.workers as usize
    }

    /// Begins: from `origin` of the machine's monotonic clock on.
    pub(in crate::engine) fn begin(self, origin: Duration, ways: &Ways) -> Links {
        let instructions = self.instructions;
        let mut links = JoinSet::new();
        let accounts = Account::open_all(&instructions.basis, ways);
        for (process, account) in self.ready.into_iter().zip(accounts) {
            let link = Link {
                instructions: Arc::clone(&instructions),
                origin,
                account,
            };
            links.spawn(link.carry_on(process));
        }
        Links(links)
    }
}

impl Instructions {
    async fn start(&self, portion: Portion, again: Option<u64>) -> Result<Process, ProcessError> {
        Process::start(portion, &(self.instruct)(portion, again)).await
    }
}

/// The links to all processes; each ends with its process, and with what that used.
pub(in crate::engine) struct Links(pub(super) JoinSet<Used>);

impl Links {
    /// Waits for the last; what all used together.
    pub(in crate::engine) async fn join(self) -> Used {
        let all = self.0.join_all().await;
        all.into_iter().fold(Used::default(), |sum, used| Used {
            peak_rss_bytes: sum.peak_rss_bytes + used.peak_rss_bytes,
            cpu: sum.cpu + used.cpu,
            over_after: sum.over_after.max(used.over_after),
        })
    }
}

/// One process and the one that takes its place.
struct Link {
    instructions: Arc<Instructions>,
    origin: Duration,
    account: Account,
}

/// How it went on with a process.
enum Went {
    Over { peak_rss_bytes: u64 },
    Died,
}

impl Link {
    async fn carry_on(mut self, mut process: Process) -> Used {
        let mut deaths = 0;
        loop {
            match self.follow(&mut process).await {
                Went::Over { peak_rss_bytes } => {
                    process.see_off().await;
                    // CPU time of children is the system's to count.
                    return Used {
                        peak_rss_bytes,
                        ..Used::default()
                    };
                }
                Went::Died => deaths += 1,
            }
            let (how, said) = process.end().await;
            let who = self.account.portion.to_string();
            tracing::error!("{who} died ({how}): {said}");
            match self.replace((&who, &how), &mut deaths).await {
                Ok(next) => process = next,
                Err(why) => {
                    tracing::error!("{who} cannot be started again: {why}");
                    self.account.tell(Frame::Abandoned).await;
                    return Used::default();
                }
            }
        }
    }

    /// Has a process begin and takes in what it tells until it is over or dead.
    async fn follow(&mut self, process: &mut Process) -> Went {
        let (answers, outbox) = mpsc::channel(ANSWERS);
        let (stop, pace) = self.account.steered();
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
            match receive(up, &mut line).await {
                None => return Went::Died,
                Some(Up::Over { peak_rss_bytes, .. }) => return Went::Over { peak_rss_bytes },
                Some(Up::Record(sent)) => {
                    let Some((record, waiting)) = sent.into_record() else {
                        return Went::Died;
                    };
                    if let Some((ticket, known)) = waiting {
                        if self.account.put(&record) {
                            let _ = answers.send((ticket, true)).await;
                            continue;
                        }
                        let answers = answers.clone();
                        tokio::spawn(async move {
                            let written = known.await.is_ok();
                            let _ = answers.send((ticket, written)).await;
                        });
                    }
                    self.account.keep(record).await;
                }
                Some(said) => self.account.count(said).await,
            }
        }
    }

    /// Starts a process in the place of one that died, on what the ledger leaves of its portion. One
    /// that does not get ready has died as well.
    async fn replace(
        &mut self,
        (who, how): (&str, &str),
        deaths: &mut u32,
    ) -> Result<Process, String> {
        let death = format!(
            "{who} died ({how}) and was started again: its devices went on from the ledger, outcomes \
             are whole; what it had measured in its last moments is lost, and what fell due until \
             it was back is late"
        );
        let end = self.account.settle(death).await?;
        let mut why = String::new();
        while *deaths <= DEATHS_MAX {
            match self
                .instructions
                .start(self.account.portion, Some(end))
                .await
            {
                Ok(next) => return Ok(next),
                Err(error) => why = format!(": {error}"),
            }
            *deaths += 1;
        }
        Err(format!("it died {deaths} times{why}"))
    }
}

/// A process that died more often is not started again.
const DEATHS_MAX: u32 = 3;
