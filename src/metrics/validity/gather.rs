//! From readings to evidence: differences, shares, the best and the worst.

use std::time::Duration;

use super::evidence::{
    ClockEvidence, CpuEvidence, Evidence, FilesEvidence, MemoryEvidence, PortsEvidence,
    TcpEvidence, UdpEvidence, WorkerEvidence,
};
use super::load::LoadMeter;
use super::reading::{Memory, Network, Reading, Whose};

/// From one reading to the next.
pub const READ_EVERY: Duration = Duration::from_secs(1);

/// Takes readings in and keeps what they amount to: its size does not depend on their number.
#[derive(Debug)]
pub struct Gather {
    cores: Option<u64>,
    files_limit: u64,
    ports: PortsEvidence,
    readings: u64,
    /// When the first reading was.
    began: Option<Duration>,
    workers: Vec<Option<Worker>>,
    target: LoadMeter,
    process: LoadMeter,
    machine: LoadMeter,
    steal: LoadMeter,
    throttled: LoadMeter,
    files: Option<u64>,
    resident: Option<u64>,
    memory: Option<Memory>,
    first_network: Network,
    network: Network,
    clock: ClockEvidence,
    last: Option<Reading>,
}

#[derive(Clone, Debug, Default)]
struct Worker {
    busy: LoadMeter,
    waited: LoadMeter,
}

impl Worker {
    /// A thread that was not there at the first reading began with nothing.
    fn since(began: Option<Duration>) -> Self {
        let mut worker = Self::default();
        if let Some(at) = began {
            worker.busy.read(at, 0.0, at.as_secs_f64());
            worker.waited.read(at, 0.0, at.as_secs_f64());
        }
        worker
    }
}

impl Gather {
    /// Nothing read yet. `workers`: how many threads there will be; `files_limit`: how many files
    /// the process may open; `ports`: how many one source address has; `cores`: how many it may use.
    pub fn new(workers: usize, files_limit: u64, ports: Option<u64>, cores: Option<u64>) -> Self {
        Self {
            cores,
            files_limit,
            ports: PortsEvidence {
                of: ports,
                ..PortsEvidence::default()
            },
            readings: 0,
            began: None,
            workers: vec![None; workers],
            target: LoadMeter::default(),
            process: LoadMeter::default(),
            machine: LoadMeter::default(),
            steal: LoadMeter::default(),
            throttled: LoadMeter::default(),
            files: None,
            resident: None,
            memory: None,
            first_network: Network::default(),
            network: Network::default(),
            clock: ClockEvidence::default(),
            last: None,
        }
    }

    /// Takes in one reading; the first is that of the run's start.
    pub fn read(&mut self, reading: Reading) {
        self.readings += 1;
        self.threads(&reading);
        self.began.get_or_insert(reading.at);
        let now = reading.at.as_secs_f64();
        if let Some(ran) = reading.process {
            self.process.read(reading.at, ran.as_secs_f64(), now);
        }
        if let Some(times) = reading.machine {
            let whole = times.all as f64;
            self.machine.read(reading.at, times.busy as f64, whole);
            self.steal.read(reading.at, times.stolen as f64, whole);
        }
        if let Some(quota) = reading.quota {
            let (throttled, periods) = (quota.throttled as f64, quota.periods as f64);
            self.throttled.read(reading.at, throttled, periods);
        }
        self.files = self.files.max(reading.files);
        self.resident = self.resident.max(reading.resident_bytes);
        let tighter = |old: &Memory, new: &Memory| {
            u128::from(new.available) * u128::from(old.total)
                < u128::from(old.available) * u128::from(new.total)
        };
        if let Some(memory) = reading.memory
            && self.memory.is_none_or(|old| tighter(&old, &memory))
        {
            self.memory = Some(memory);
        }
        self.network = reading.network;
        let ports = &mut self.ports;
        ports.tcp_peak = ports.tcp_peak.max(self.network.tcp_sockets);
        ports.udp_peak = ports.udp_peak.max(self.network.udp_sockets);
        match &self.last {
            None => self.first_network = reading.network,
            Some(last) => self.clock = clock(self.clock, last, &reading),
        }
        self.last = Some(reading);
    }

    fn threads(&mut self, reading: &Reading) {
        let now = reading.at.as_secs_f64();
        let mut of_target = None;
        for thread in &reading.threads {
            match thread.whose {
                Whose::Target => *of_target.get_or_insert(Duration::ZERO) += thread.ran,
                Whose::Worker(number) => {
                    let Some(worker) = self.workers.get_mut(number) else {
                        continue;
                    };
                    let worker = worker.get_or_insert_with(|| Worker::since(self.began));
                    worker.busy.read(reading.at, thread.ran.as_secs_f64(), now);
                    if let Some(waited) = thread.waited {
                        worker.waited.read(reading.at, waited.as_secs_f64(), now);
                    }
                }
            }
        }
        if let Some(ran) = of_target {
            self.target.read(reading.at, ran.as_secs_f64(), now);
        }
    }

    /// What has been seen so far.
    pub fn evidence(&self) -> Evidence {
        let since = |old: Option<u64>, new: Option<u64>| Some(new?.saturating_sub(old?));
        let (old, new) = (&self.first_network, &self.network);
        Evidence {
            readings: self.readings,
            cpu: CpuEvidence {
                cores: self.cores,
                workers: self.workers(),
                target: self.target.figures(),
                process: self.process.figures(),
                machine: self.machine.figures(),
                steal: self.steal.figures(),
                throttled: self.throttled.figures(),
            },
            files: self.files.map(|peak| FilesEvidence {
                peak,
                limit: self.files_limit,
            }),
            ports: self.ports,
            memory: MemoryEvidence {
                resident_peak_bytes: self.resident,
                available_min_bytes: self.memory.map(|memory| memory.available),
                total_bytes: self.memory.map(|memory| memory.total),
            },
            udp: UdpEvidence {
                receive_overflows: since(old.udp_overflows, new.udp_overflows),
            },
            tcp: TcpEvidence {
                sent: since(old.tcp_sent, new.tcp_sent),
                sent_again: since(old.tcp_sent_again, new.tcp_sent_again),
                spurious: since(old.tcp_spurious, new.tcp_spurious),
                listen_overflows: since(old.listen_overflows, new.listen_overflows),
                listen_drops: since(old.listen_drops, new.listen_drops),
            },
            clock: self.clock,
        }
    }

    fn workers(&self) -> Option<Vec<WorkerEvidence>> {
        let seen = self.workers.iter().any(Option::is_some);
        let evidence = |worker: &Option<Worker>| WorkerEvidence {
            busy: worker.as_ref().and_then(|worker| worker.busy.figures()),
            waited: worker.as_ref().and_then(|worker| worker.waited.figures()),
        };
        seen.then(|| self.workers.iter().map(evidence).collect())
    }
}

/// What two readings in a row say about time, beyond what is known.
fn clock(known: ClockEvidence, last: &Reading, now: &Reading) -> ClockEvidence {
    let span = now.at.saturating_sub(last.at);
    let late = micros(span.saturating_sub(READ_EVERY));
    let mut clock = ClockEvidence {
        pause_max_us: known.pause_max_us.max(late),
        ..known
    };
    if let (Some(old), Some(new)) = (last.clocks, now.clocks) {
        let slept = u64::try_from(new.boot_us.saturating_sub(old.boot_us)).unwrap_or(0);
        // The wall clock goes on while the machine is suspended: that is no step.
        let step = new
            .wall_us
            .abs_diff(old.wall_us.saturating_add_unsigned(slept));
        clock.step_max_us = Some(known.step_max_us.unwrap_or(0).max(step));
        let slept = if slept < GRAIN_US { 0 } else { slept };
        clock.suspended_us = Some(known.suspended_us.unwrap_or(0) + slept);
    }
    clock
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// Two clocks cannot be read at the very same moment: less than this is no suspension.
const GRAIN_US: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::super::reading::{Clocks, MachineTimes, Quota, ThreadTimes};
    use super::*;

    fn at(second: u64) -> Reading {
        Reading {
            at: Duration::from_secs(100 + second),
            clocks: Some(Clocks {
                wall_us: 1_000_000_000,
                boot_us: 5_000_000,
            }),
            ..Reading::default()
        }
    }

    fn gathered(readings: impl IntoIterator<Item = Reading>) -> Evidence {
        let mut gather = Gather::new(2, 1_000, Some(28_232), Some(4));
        readings
            .into_iter()
            .for_each(|reading| gather.read(reading));
        gather.evidence()
    }

    fn with_clocks(second: u64, wall_us: i64, boot_us: i64) -> Reading {
        Reading {
            clocks: Some(Clocks { wall_us, boot_us }),
            ..at(second)
        }
    }

    #[test]
    fn a_wall_clock_that_is_set_is_a_step_and_a_suspension_is_none() {
        let clock = |readings: [(i64, i64); 3]| {
            let readings = (0..).zip(readings);
            gathered(readings.map(|(n, (wall, boot))| with_clocks(n, wall, boot))).clock
        };
        let cases = [
            ("steady", [(0, 0), (3, 0), (1, 0)], (3, 0)),
            (
                "set forward",
                [(0, 0), (250_000, 0), (250_000, 0)],
                (250_000, 0),
            ),
            (
                "set back",
                [(0, 0), (0, 0), (-9_000_000, 0)],
                (9_000_000, 0),
            ),
            (
                "there and back",
                [(0, 0), (700_000, 0), (0, 0)],
                (700_000, 0),
            ),
            (
                "suspended",
                [(0, 0), (30_000_000, 30_000_000), (30_000_000, 30_000_000)],
                (0, 30_000_000),
            ),
            (
                "suspended, and set when it woke",
                [(0, 0), (30_500_000, 30_000_000), (30_500_000, 30_000_000)],
                (500_000, 30_000_000),
            ),
        ];
        for (name, readings, (step, suspended)) in cases {
            let clock = clock(readings);
            let found = (clock.step_max_us, clock.suspended_us);
            assert_eq!(found, (Some(step), Some(suspended)), "{name}");
        }
    }

    #[test]
    fn a_reading_that_is_late_is_a_pause_and_an_early_last_one_is_none() {
        let mut last = at(7);
        last.at += Duration::from_millis(200);
        let evidence = gathered([at(0), at(1), at(5), at(6), last]);
        assert_eq!(evidence.clock.pause_max_us, 3_000_000);
        assert_eq!(evidence.readings, 5);
        let early = Reading {
            at: at(1).at + Duration::from_millis(3),
            ..at(1)
        };
        assert_eq!(gathered([at(0), at(1), early]).clock.pause_max_us, 0);
    }

    #[test]
    fn counters_count_from_the_first_reading_on() {
        let network = |n: u64| Network {
            udp_overflows: Some(70 + n),
            udp_sockets: Some(9 - n),
            tcp_sockets: None,
            tcp_sent: Some(1_000_000 + 100 * n),
            tcp_sent_again: Some(500 + n),
            tcp_spurious: Some(40 + n / 2),
            listen_overflows: None,
            listen_drops: Some(5),
        };
        let readings = (0..4).map(|n| Reading {
            network: network(n),
            ..at(n)
        });
        let evidence = gathered(readings);
        let ports = PortsEvidence {
            tcp_peak: None,
            udp_peak: Some(9),
            of: Some(28_232),
        };
        assert_eq!(evidence.ports, ports);
        assert_eq!(evidence.udp.receive_overflows, Some(3));
        assert_eq!(evidence.tcp.sent, Some(300));
        assert_eq!(evidence.tcp.sent_again, Some(3));
        assert_eq!(evidence.tcp.spurious, Some(1));
        assert_eq!(evidence.tcp.listen_drops, Some(0));
        assert_eq!(evidence.tcp.listen_overflows, None, "not told is not 0");
    }

    #[test]
    fn each_thread_is_billed_for_itself() {
        let ms = Duration::from_millis;
        let readings = (0..3).map(|n| Reading {
            threads: vec![
                ThreadTimes {
                    whose: Whose::Worker(1),
                    ran: ms(40 + 900 * n),
                    waited: Some(ms(50 * n)),
                },
                ThreadTimes {
                    whose: Whose::Target,
                    ran: ms(300 * n),
                    waited: None,
                },
                ThreadTimes {
                    whose: Whose::Target,
                    ran: ms(100 * n),
                    waited: None,
                },
                ThreadTimes {
                    whose: Whose::Worker(7),
                    ran: ms(1_000 * n),
                    waited: None,
                },
            ],
            process: Some(ms(1_500 * n)),
            machine: Some(MachineTimes {
                all: 400 * n,
                busy: 200 * n,
                stolen: 20 * n,
            }),
            quota: Some(Quota {
                periods: 10 * n,
                throttled: n,
            }),
            ..at(n)
        });
        let cpu = gathered(readings).cpu;
        let mean = |load: Option<super::super::Load>| load.map(|load| load.mean);
        let workers = cpu.workers.expect("seen");
        assert_eq!(workers[0], WorkerEvidence::default(), "not seen");
        assert_eq!(mean(workers[1].busy), Some(0.9));
        assert_eq!(mean(workers[1].waited), Some(0.05));
        assert_eq!(mean(cpu.target), Some(0.4));
        assert_eq!(mean(cpu.process), Some(1.5));
        assert_eq!(mean(cpu.machine), Some(0.5));
        assert_eq!(mean(cpu.steal), Some(0.05));
        assert_eq!(mean(cpu.throttled), Some(0.1));
        assert_eq!(cpu.cores, Some(4));
    }

    #[test]
    fn a_thread_that_is_new_is_billed_from_the_first_reading_on() {
        let worker = ThreadTimes {
            whose: Whose::Worker(0),
            ran: Duration::from_millis(600),
            waited: None,
        };
        let seen = Reading {
            threads: vec![worker],
            ..at(2)
        };
        let workers = gathered([at(0), seen]).cpu.workers.expect("seen");
        assert_eq!(workers[0].busy.map(|busy| busy.mean), Some(0.3));
        assert_eq!(workers[0].waited, None);
    }

    #[test]
    fn levels_are_kept_at_their_worst() {
        let readings = [(9, 70, 500), (12, 40, 200), (3, 60, 900)];
        let readings = (0..)
            .zip(readings)
            .map(|(n, (files, resident, available))| Reading {
                files: Some(files),
                resident_bytes: Some(resident),
                memory: Some(Memory {
                    available,
                    total: 1_000,
                }),
                ..at(n)
            });
        let evidence = gathered(readings);
        let files = FilesEvidence {
            peak: 12,
            limit: 1_000,
        };
        assert_eq!(evidence.files, Some(files));
        assert_eq!(evidence.memory.resident_peak_bytes, Some(70));
        assert_eq!(evidence.memory.available_min_bytes, Some(200));
        assert_eq!(evidence.memory.total_bytes, Some(1_000));
    }

    #[test]
    fn a_system_that_tells_nothing_is_said_to_and_has_no_zero() {
        let dark = |n| Reading {
            at: Duration::from_secs(n),
            ..Reading::default()
        };
        let evidence = gathered([dark(0), dark(1), dark(2)]);
        let json = serde_json::to_value(&evidence).expect("plain words");
        for key in [
            "/cpu/workers",
            "/cpu/machine",
            "/files",
            "/memory/resident_peak_bytes",
        ] {
            assert!(json.pointer(key).expect(key).is_null(), "{key}");
        }
        for key in ["/udp/receive_overflows", "/tcp/sent", "/clock/suspended_us"] {
            assert!(json.pointer(key).expect(key).is_null(), "{key}");
        }
        assert_eq!(evidence.untold().len(), 12, "{:?}", evidence.untold());
    }
}
