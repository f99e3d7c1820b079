//! What the ledger costs: writing three lines for each of 200,000 devices as fast as they can be
//! handed over, how long a device waits for the line of its request at 2,000 a second, and reading
//! all back. `cargo bench --bench ledger`

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fleetcall::ledger::{
    Entry, Fate, Grant, Header, Intent, Issued, LEDGER, Ledger, Past, Record, Sender,
};
use fleetcall::model::{Credentials, DeviceIx, Observed, Outcome};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use tokio::sync::oneshot;
use tokio::time::Instant;

const DEVICES: u32 = 200_000;
const PACED: u32 = 10_000;

fn main() -> Result<(), Box<dyn Error>> {
    // On the disk that runs write to: a file system in memory would flatter.
    let dir = tempfile::tempdir_in(".")?;
    let full = dir.path().join("full");
    full_speed(&full)?;
    let begun = Instant::now();
    let past = Past::read(&full.join(LEDGER), "")?;
    let read = begun.elapsed();
    assert_eq!(past.credentials().count(), DEVICES as usize);
    println!(
        "read back: {DEVICES} devices in {:.2} s",
        read.as_secs_f64()
    );
    paced(&dir.path().join("paced"))
}

fn full_speed(dir: &Path) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir(dir)?;
    let (begun, cpu) = (Instant::now(), cpu()?);
    let ledger = Ledger::create(dir, &header(DEVICES))?;
    let sender = ledger.sender().records;
    for device in (0..DEVICES).map(DeviceIx) {
        let (asked, _) = asked();
        for entry in [asked, granted(device), Entry::Ended(FATE)] {
            sender.blocking_send(record(device, entry).into())?;
        }
    }
    drop(sender);
    ledger.close()?;
    let (took, cpu) = (begun.elapsed(), self::cpu()?.saturating_sub(cpu));
    let lines = f64::from(3 * DEVICES);
    let bytes = std::fs::metadata(dir.join(LEDGER))?.len();
    println!(
        "write: {:.0} lines/s with the table of credentials, {:.2} µs of CPU each, {} bytes a device",
        lines / took.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / lines,
        bytes / u64::from(DEVICES)
    );
    Ok(())
}

/// What a request waits for its line, as devices do, one after the other at an even pace.
fn paced(dir: &Path) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir(dir)?;
    let ledger = Ledger::create(dir, &header(PACED))?;
    let sender = ledger.sender();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut waits = runtime.block_on(ask_in_turn(sender))?;
    ledger.close()?;
    waits.sort_unstable();
    let at = |percent: usize| waits[(waits.len() - 1) * percent / 100].as_micros();
    println!(
        "wait for the line of a request at 2,000/s: p50 {} µs, p99 {} µs, max {} µs",
        at(50),
        at(99),
        at(100)
    );
    Ok(())
}

async fn ask_in_turn(sender: Sender) -> Result<Vec<Duration>, Box<dyn Error>> {
    let begun = Instant::now();
    let mut waits = Vec::new();
    let mut ways = 0;
    for device in (0..PACED).map(DeviceIx) {
        tokio::time::sleep_until(begun + Duration::from_micros(500) * device.0).await;
        let asking = Instant::now();
        let intake = sender.intake.as_ref().ok_or("a ledger has one")?;
        if !intake.put(device, "AA:BB:CC:000000", None) {
            let (asked, written) = asked();
            sender.records.send(record(device, asked).into()).await?;
            written.await?;
            ways += 1;
        }
        waits.push(asking.elapsed());
        for entry in [granted(device), Entry::Ended(FATE)] {
            sender.records.send(record(device, entry).into()).await?;
        }
    }
    println!("{ways} of {PACED} requests went by the ledger's thread");
    Ok(waits)
}

fn record(device: DeviceIx, entry: Entry) -> Record {
    Record {
        device,
        name: format!("AA:BB:CC:{:06X}", device.0).into(),
        entry,
    }
}

fn asked() -> (Entry, oneshot::Receiver<()>) {
    let (written, known) = oneshot::channel();
    let intent = Intent {
        files: None,
        written,
    };
    (Entry::Asked(intent), known)
}

fn granted(device: DeviceIx) -> Entry {
    Entry::Provisioned(Grant {
        issued: Issued {
            credentials: Credentials::AccessToken(format!("{:020}", device.0).into()),
            files: None,
        },
        attempts: 1,
        time_to_provision: Some(Duration::from_micros(1_234)),
    })
}

const FATE: Fate = Fate {
    outcome: Outcome::Provisioned,
    observed: Observed::Provisioned,
    credentials_type: "ACCESS_TOKEN",
    cause: None,
    attempts: 1,
    time_to_provision: Some(Duration::from_micros(1_234)),
    time_to_first_telemetry: None,
    telemetry_sent: 0,
    telemetry_acked: 0,
};

fn header(devices: u32) -> Header {
    Header {
        format: Header::format_of(None),
        fleetcall_version: String::new(),
        started_at: String::new(),
        scenario_file: PathBuf::new(),
        devices_file: None,
        set: Vec::new(),
        credentials_file: None,
        seed: 0,
        working_directory: PathBuf::new(),
        scenario_sha256: String::new(),
        schedule_digest: String::new(),
        devices,
        shard: None,
        boot_id: String::new(),
    }
}

fn cpu() -> Result<Duration, Box<dyn Error>> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let [user, system] = [usage.user_time(), usage.system_time()];
    let micros = |time: TimeVal| u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec());
    Ok(Duration::from_micros(micros(user)? + micros(system)?))
}
