//! `fleetcall run`: from the command line to the exit code.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use tokio::sync::watch;

use super::cluster::{Joining, Joint};
use super::crew::Crew;
use super::equip;
use super::fresh;
use super::house::{self, House};
use super::known;
use super::monitor::{Monitor, MonitorArgs, Outlook};
use super::past::{self, Sequel};
use super::portion::Common;
use super::rest;
use super::run_files::{self, TIMELINE};
use super::screen::{Screen, Show, tell};
use super::shard::{self, ShardArg};
use super::signals;
use super::tracks::Tracks;
use super::{Exit, Failure};
use crate::dashboard::LogTail;
use crate::engine::{
    self, Authorities, Controls, Fleet, Hands, Machine, Outlets, Provisions, Stop, StopSwitch,
};
use crate::ledger::{Closed, Fate, LEDGER, Ledger, Shared};
use crate::metrics::timeline;
use crate::metrics::{
    Aggregate, CohortSetting, Finding, Findings, Matrix, Setting, Snapshot, Summary,
};
use crate::model::{CohortIx, DeviceIx};
use crate::report::TimelineFile;
use crate::scenario::{self, Plan};
use crate::transport::{self, Trust};

/// The arguments of `fleetcall run`.
#[derive(Debug, Default, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct RunArgs {
    /// The scenario file (see `fleetcall init` and docs/scenario.md)
    pub(super) scenario: PathBuf,
    /// Take this device list instead of the scenario's
    #[arg(long, value_name = "LIST.csv")]
    pub(super) devices: Option<PathBuf>,
    /// Change a value of the scenario, as in `telemetry.interval=1s`; may be repeated
    #[arg(long = "set", value_name = "KEY.PATH=VALUE")]
    pub(super) set: Vec<String>,
    /// Take this seed instead of the scenario's
    #[arg(long)]
    pub(super) seed: Option<u64>,
    /// Take the devices' credentials from this file (`credentials.csv` of an earlier run): nobody is
    /// provisioned, and all go straight to telemetry
    #[arg(long, value_name = "FROM.csv")]
    pub(super) credentials: Option<PathBuf>,
    /// Where the results go [default: reports/<scenario name>-<UTC time>]
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Start part I of N only, as one of N machines that share the run: `2/5`. `auto/N` takes I from
    /// Kubernetes (`JOB_COMPLETION_INDEX`) or SLURM (`SLURM_ARRAY_TASK_ID`), `auto` both
    #[arg(long, value_name = "I/N")]
    pub(super) shard: Option<ShardArg>,
    /// Begin at this moment, for shards that are to begin together: `2026-12-01T08:00:00Z`
    #[arg(long, value_name = "RFC 3339")]
    pub(super) start_at: Option<Timestamp>,
    #[command(flatten)]
    pub(super) show: Show,
    #[command(flatten)]
    pub(super) monitor: MonitorArgs,
    #[command(flatten)]
    pub(super) joining: Joining,
    /// End an invalid run by its thresholds, too: with exit code 0 or 3 in place of 4. The report
    /// says INVALID all the same
    #[arg(long)]
    pub(super) allow_invalid: bool,
    /// Count response times from the send, which is wrong: for the self-test's own test
    #[arg(long, hide = true)]
    pub(super) response_from_send: bool,
}

/// Runs a scenario. `Err` only when there is no result to report.
pub(super) fn run(args: &RunArgs) -> Result<Exit, Failure> {
    carry_out(args, None)
}

/// Goes on with a run.
pub(super) fn go_on(args: &RunArgs, sequel: &Sequel) -> Result<Exit, Failure> {
    carry_out(args, Some(sequel))
}

fn carry_out(args: &RunArgs, sequel: Option<&Sequel>) -> Result<Exit, Failure> {
    let Some(prepared) = prepare(args, sequel)? else {
        println!("nothing is left to do: each device of this run has had its end");
        return Ok(Exit::Passed);
    };
    let Prepared {
        mut fleet,
        authorities,
        trust,
        machine,
        mut provisions,
    } = prepared;
    let outlook = args.monitor.prepare()?;

    let started = args.start_at.unwrap_or_else(Timestamp::now);
    let tracks = match sequel {
        None => Tracks::make(args.out.as_deref(), &shard::run_name(&fleet), started)?,
        Some(sequel) => Tracks::reopen(args.out.clone().unwrap_or_default(), sequel.past.parts)?,
    };
    let log = LogTail::default();
    tracks.open_log(&log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Failure::bug)?;
    runtime.block_on(async {
        let past = sequel.map(|sequel| &sequel.past);
        let house = House::open((&fleet, past), &authorities, trust, &provisions).await?;
        fleet.dials = house.dials(&fleet.plan)?;
        fleet.rest = house.rest(&fleet.plan)?;
        if !args.joining.is_wanted() {
            provisions
                .spread(machine, &mut fleet, 1)
                .map_err(Failure::usage)?;
        }
        let common = Common {
            args,
            fleet: &fleet,
            sequel,
            ledger: tracks.file(LEDGER),
        };
        let mut crew = Crew::call(common, &provisions, &house, started).await?;
        let ended = Box::pin(async {
            // Nothing else is left that could go wrong before the first packet: a directory with keys or
            // a ledger in it is no other run's.
            fleet
                .write_keys(&tracks.certificates())
                .map_err(Failure::usage)?;
            let ledger = past::open_ledger(args, &fleet, &tracks, past, started)?;
            let run = Run {
                schedule_digest: past::schedule_digest(past, &fleet),
                notes: past::notes(past, &fleet),
                start_at: args.start_at,
                fleet: Arc::new(fleet),
                house,
                tracks,
                log,
                started,
                provisions,
                allow_invalid: args.allow_invalid,
            };
            run.carry_through((args.show, outlook), ledger, &mut crew)
                .await
        });
        let ended = ended.await;
        crew.close(&ended).await;
        ended
    })
}

/// What a run needs before it has a directory.
struct Prepared {
    fleet: Fleet,
    authorities: Authorities,
    trust: Trust,
    machine: Machine,
    provisions: Provisions,
}

/// Finds all that can be found wrong with scenario, list and files. `None` when a run that goes on
/// has nothing left to do.
fn prepare(args: &RunArgs, sequel: Option<&Sequel>) -> Result<Option<Prepared>, Failure> {
    shard::check_start(args.start_at)?;
    let overrides = scenario::Overrides {
        devices: args.devices.clone(),
        seed: args.seed,
    };
    let mut plan = scenario::load(&args.scenario, &args.set, &overrides).map_err(Failure::usage)?;
    plan.response_from_send = args.response_from_send;
    let inventory = plan.load_inventory().map_err(Failure::usage)?;
    let listed = u32::try_from(inventory.len()).map_err(Failure::usage)?;
    fresh::for_search(
        &plan,
        listed,
        args.credentials.is_some() || sequel.is_some(),
    )?;
    let cohort_of = scenario::deal(&plan.cohorts, listed).map_err(Failure::usage)?;

    let dealing = shard::deal(args.shard, &mut plan, cohort_of)?;

    let machine = Machine::look().map_err(Failure::bug)?;
    let dealt = dealing.dealt(plan.cohorts.len());
    let around = |plan: &Plan| engine::plan_around(machine, plan, &dealt).map_err(Failure::usage);
    let mut provisions = around(&plan)?;
    if args.joining.is_wanted() {
        let shards = Joint::shards(&args.joining, &plan, provisions.processes)?;
        plan.limits.processes = Some(shards);
        // What stands in the way of shards is what stands in the way of processes.
        provisions = around(&plan)?;
        provisions.notes.clear();
    }
    provisions.notes.extend(args.joining.note());

    let trust = house::trust(&plan)?;
    let authorities = Authorities::of(&plan).map_err(Failure::usage)?;
    let equipment = equip::equip(&plan, &inventory, &dealing, &authorities)?;
    let mut fleet = Fleet::new(plan, inventory, dealing, equipment).map_err(Failure::usage)?;
    if let Some(from) = &args.credentials {
        known::take_over(&mut fleet, from)?;
    }
    if let Some(sequel) = sequel {
        sequel.hold_against(&fleet.plan, &fleet.whole_digest)?;
        let resumed = fleet.resume(&sequel.past, &sequel.resumption);
        resumed.map_err(Failure::usage)?;
        let dir = args.out.as_deref().unwrap_or(Path::new(""));
        let retries = sequel.resumption.retry.is_some();
        if !retries && fleet.is_settled(&sequel.past) && run_files::is_over(dir) {
            return Ok(None);
        }
    }
    Ok(Some(Prepared {
        fleet,
        authorities,
        trust,
        machine,
        provisions,
    }))
}

/// A run that is ready to start.
struct Run {
    fleet: Arc<Fleet>,
    house: House,
    tracks: Tracks,
    log: LogTail,
    started: Timestamp,
    provisions: Provisions,
    schedule_digest: String,
    allow_invalid: bool,
    /// What has to be said of a run that goes on, or that began late.
    notes: Vec<String>,
    /// When it is to begin, if not at once.
    start_at: Option<Timestamp>,
}

impl Run {
    async fn carry_through(
        mut self,
        (show, outlook): (Show, Option<Outlook>),
        ledger: Ledger,
        crew: &mut Crew,
    ) -> Result<Exit, Failure> {
        let stop = StopSwitch::new();
        let unreachable = self.unreachable().await;
        if let Some(message) = &unreachable {
            // No device starts, and each is reported as such.
            stop.raise_to(Stop::Winding);
            tracing::error!("{message}");
            tell(message);
        }
        for note in &self.provisions.notes {
            tracing::warn!("{note}");
            tell(format_args!("note: {note}"));
        }
        let listening = signals::listen(stop.clone()).map_err(Failure::bug)?;
        shard::announce(&self.fleet);
        if let Some((started, note)) = shard::wait(self.start_at, &stop).await {
            self.started = started;
            self.notes.extend(note);
        }
        run_files::write_scenario(&self.tracks, &self.fleet.plan)?;
        let header = timeline::Header::new(&self.setting());
        let timeline =
            TimelineFile::create(&self.tracks.file(TIMELINE), header).map_err(Failure::usage)?;
        self.house.begin().await;
        let first = Aggregate::new(self.setting()).expose(Duration::ZERO);
        let monitor = outlook.map(|outlook| outlook.open(first)).transpose();
        let monitor = monitor.map_err(Failure::bug)?;
        let hands = crew.hands(&self.house, self.tracks.file(LEDGER), &stop);
        let hands = hands.await?;
        let driven = self.drive((show, stop), ledger, timeline, monitor.as_ref(), hands);
        let (mut summary, fates) = Box::pin(driven).await?;
        listening.abort();
        crew.tell_in(&mut summary);
        run_files::write(&self.fleet, &self.tracks, &summary, &fates)
            .map_err(|failure| self.unwritten(&failure))?;
        if let Some(monitor) = monitor {
            monitor.close().await;
        }
        self.house.close().await;
        Ok(if unreachable.is_some() {
            Exit::Unreachable
        } else {
            Exit::of(&summary, self.allow_invalid)
        })
    }

    /// A file of the run could not be written: where the rest is, and the way on.
    fn unwritten(&self, failure: &Failure) -> Failure {
        let dir = self.tracks.dir().display();
        Failure {
            message: format!(
                "{}\nhelp: what the devices were given is in {dir}/ledger.jsonl; once the files can be \
                 written, `fleetcall resume {dir}` goes on and writes the reports",
                failure.message
            ),
            exit: failure.exit,
        }
    }

    /// Why the target cannot be reached, if it cannot.
    async fn unreachable(&self) -> Option<String> {
        if let Some(why) = self.house.unresolved() {
            return Some(why.to_owned());
        }
        let mut probed = Vec::new();
        for dial in &self.fleet.dials {
            if probed.contains(&dial.addr) {
                continue;
            }
            probed.push(dial.addr);
            if let Err(kind) = transport::probe(dial).await {
                return Some(format!(
                    "target {}://{} is unreachable: {kind}\nhelp: is the server running, and is \
                     this its address for {}?",
                    dial.kind.as_str(),
                    dial.host,
                    dial.kind.as_str()
                ));
            }
        }
        if let Some(server) = &self.fleet.rest
            && let Err(error) = rest::probe(server).await
        {
            return Some(format!("the REST API that pushes go through: {error}"));
        }
        None
    }

    /// The run itself, with its screen.
    async fn drive(
        &self,
        (show, stop): (Show, StopSwitch),
        ledger: Ledger,
        timeline: TimelineFile,
        monitor: Option<&Monitor>,
        hands: Hands,
    ) -> Result<(Summary, Vec<Fate>), Failure> {
        let mut aggregate = Aggregate::new(self.setting());
        aggregate.settle(&self.fleet.counted_before());
        let first = Arc::new(aggregate.tick(Duration::ZERO));
        let (controls, helm) = Controls::new(stop);
        let (live, snapshots) = watch::channel::<Arc<Snapshot>>(first);
        let screen =
            Screen::start(show, snapshots, self.log.clone(), helm).map_err(Failure::bug)?;
        tracing::info!(
            scenario = %self.fleet.plan.name,
            seed = self.fleet.plan.seed,
            devices = self.fleet.len(),
            target = %self.house.describe(),
            workers = self.fleet.plan.limits.workers,
            "run starts"
        );
        let fleet = Arc::clone(&self.fleet);
        let outlets = Outlets {
            live: &live,
            monitor: monitor.map(Monitor::state),
            ledger: ledger.sender(),
            timeline: timeline.sender(),
        };
        let finished = Box::pin(engine::run(fleet, aggregate, controls, outlets, hands)).await;
        drop(live);
        let ended = screen.end().await;
        let (closed, written) =
            tokio::task::spawn_blocking(move || (ledger.close(), timeline.close()))
                .await
                .map_err(Failure::bug)?;
        let closed: Closed = closed.map_err(|error| self.unwritten(&Failure::bug(error)))?;
        let mut summary = finished.map_err(Failure::bug)?;
        if let Err(error) = written {
            let note = format!("the time line is incomplete: {error}");
            tell(&note);
            summary.notes.push(note);
        }
        if let Err(error) = ended {
            tell(format_args!("the dashboard stopped: {error}"));
        }
        let own = self.fleet.devices().map(|ix| closed.fates[ix.get()]);
        let fates: Option<Vec<Fate>> = own.collect();
        let fates = fates.ok_or_else(|| Failure::bug("a device ended without a record"))?;
        let findings = self.findings(&closed.shared, &closed.old_accepted);
        self.judge(&mut summary, &fates, findings);
        for reason in &summary.generator.reasons {
            tracing::warn!(verdict = summary.generator.verdict.as_str(), "{reason}");
        }
        tracing::info!(result = ?summary.result, elapsed_s = summary.elapsed_s, "run ended");
        Ok((summary, fates))
    }

    /// Holds what was observed against what had to happen.
    fn judge(&self, summary: &mut Summary, fates: &[Fate], findings: Findings) {
        let mut matrix = Matrix::new(&self.setting());
        for (ix, fate) in self.fleet.devices().zip(fates) {
            let (cohort, name) = (self.fleet.cohort_ix(ix), self.fleet.name(ix));
            matrix.add(cohort, fate.observed, name, fate.cause);
        }
        summary.judge(matrix, findings);
    }

    /// What the credentials on record prove.
    fn findings(&self, shared: &Shared, old_accepted: &[DeviceIx]) -> Findings {
        let mut findings = Findings::default();
        let name = |ix| self.fleet.name(ix).to_owned();
        findings.extend(
            shared
                .pairs()
                .map(|(first, second)| Finding::SharedCredentials {
                    first: name(first),
                    second: name(second),
                }),
        );
        findings.extend(
            old_accepted
                .iter()
                .map(|ix| Finding::OldCertificate { device: name(*ix) }),
        );
        findings
    }

    fn setting(&self) -> Setting {
        let (plan, schedule) = (&self.fleet.plan, &self.fleet.schedule);
        let cohorts = (0..)
            .map(CohortIx)
            .zip(&plan.cohorts)
            .zip(self.fleet.dealt())
            .map(|((ix, cohort), listed)| CohortSetting {
                name: cohort.name.clone(),
                model: schedule.queue(ix).arrival().model().to_owned(),
                transport: cohort.transport,
                credentials: cohort.credentials.as_str().to_owned(),
                listed: u64::from(listed),
                expect: cohort.expect,
                misbehaviour: cohort.misbehaviour,
            })
            .collect();
        Setting {
            scenario: plan.name.clone(),
            seed: plan.seed,
            model: schedule.model().to_owned(),
            schedule_digest: self.schedule_digest.clone(),
            shard: shard::summary(&self.fleet),
            cohorts,
            listed: u64::from(self.fleet.len()),
            planned: u64::from(schedule.planned()),
            expected_span: match plan.search {
                None => schedule.expected_span(plan.stays()),
                Some(_) => Duration::ZERO,
            },
            target: self.house.describe(),
            thresholds: plan.thresholds.clone(),
            validity: plan.validity,
            started_at: format!("{:.3}", self.started),
            notes: self
                .house
                .notes(plan)
                .into_iter()
                .chain(self.notes.clone())
                .collect(),
            host: engine::host(),
            scenario_toml: plan.shown.clone(),
        }
    }
}

const EXAMPLES: &str = "\
Examples:
  fleetcall run scenarios/quickstart.toml
  fleetcall run line.toml --devices lot-17.csv --out results/lot-17
  fleetcall run line.toml --set telemetry.interval=1s --ui none
  fleetcall run soak.toml --metrics 127.0.0.1:9464 --metrics-linger 30s
  INFLUX_TOKEN=… fleetcall run soak.toml --influx 'http://127.0.0.1:8086/?org=plant&bucket=load'
  fleetcall run nightly.toml --allow-invalid   where a busy machine is no reason to fail
  fleetcall run scenarios/negative.toml        does the server keep everybody else out?
  TB_HOST=… TB_PROVISION_KEY=… TB_PROVISION_SECRET=… fleetcall run scenarios/mqtt.toml

Ctrl-C winds the run down and writes the reports; a second one stops at once and writes them too.";
