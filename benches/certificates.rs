//! What devices' identities cost: CPU time to make one, against a floor of the same run (the key
//! and the one signature that no way around it saves), the memory that one takes, and the time
//! to write one down. `cargo bench --bench certificates`

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;

use fleetcall::pki::{Authority, Identity, KeyKind, Recipe, Validity, make_all};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair,
};
use tokio::time::Instant;

/// CPU time, in microseconds, over which each rate is taken.
const MEASURED_US: i64 = 2_000_000;

/// How many memory and the disk are measured with.
const KEPT: usize = 20_000;

fn main() -> Result<(), Box<dyn Error>> {
    println!("identities per CPU-second, on one thread:");
    for (word, kind) in KeyKind::WORDS {
        let floor = per_cpu_second(|| floor(kind))?;
        let validity = Validity::days(365);
        let own = Recipe::SelfSigned { kind, validity };
        let chain = recipe(kind)?;
        print!("  {word:8} floor {floor:7.0}");
        for (what, recipe) in [("self-signed", &own), ("chain", &chain)] {
            let rate = per_cpu_second(|| {
                black_box(
                    recipe
                        .make("sensor-0001@fleet.example")
                        .expect("it is made"),
                );
            })?;
            print!("   {what} {rate:7.0} ({:.2} of the floor)", rate / floor);
        }
        println!();
    }
    let names: Vec<String> = (0..KEPT).map(|n| format!("sensor-{n:07}@fleet")).collect();
    let threads = std::thread::available_parallelism()?.get();
    let before = resident_bytes()?;
    let start = Instant::now();
    let made = make_all(&recipe(KeyKind::P256)?, &names, threads, |_| {}).map_err(|(_, e)| e)?;
    let rate = KEPT as f64 / start.elapsed().as_secs_f64();
    let each = (resident_bytes()? - before) / KEPT;
    println!("p256 chains on {threads} threads: {rate:.0} a second, {each} bytes of memory each");
    write(&made)
}

/// The key of the device and the signature under its certificate, and no more.
fn floor(kind: KeyKind) {
    let random = SystemRandom::new();
    let ecdsa = |algorithm: &'static EcdsaSigningAlgorithm| {
        let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key is made");
        let key = EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).expect("it is read");
        black_box(key.sign(&random, &TO_BE_SIGNED).expect("it signs"));
    };
    match kind {
        KeyKind::P256 => ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING),
        KeyKind::P384 => ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING),
        KeyKind::Ed25519 => {
            let key = Ed25519KeyPair::generate_pkcs8(&random).expect("a key is made");
            let key = Ed25519KeyPair::from_pkcs8(key.as_ref()).expect("it is read");
            black_box(key.sign(&TO_BE_SIGNED));
        }
    }
}

fn recipe(kind: KeyKind) -> Result<Recipe, Box<dyn Error>> {
    let validity = Validity::days(365);
    let root = Authority::root("root", kind, validity)?;
    let authority = Arc::new(root.intermediate("devices", kind, validity)?);
    Ok(Recipe::Chain {
        authority,
        kind,
        validity,
    })
}

fn per_cpu_second(mut one: impl FnMut()) -> Result<f64, Box<dyn Error>> {
    let start = cpu_us()?;
    let mut made = 0;
    loop {
        for _ in 0..100 {
            one();
        }
        made += 100;
        let spent = cpu_us()? - start;
        if spent >= MEASURED_US {
            return Ok(f64::from(made) * 1e6 / spent as f64);
        }
    }
}

fn write(identities: &[Identity]) -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let start = Instant::now();
    for (n, identity) in identities.iter().enumerate() {
        identity.write(dir.path(), &format!("{n:07}"))?;
    }
    let rate = identities.len() as f64 / start.elapsed().as_secs_f64();
    println!("written to {}: {rate:.0} a second", dir.path().display());
    Ok(())
}

fn cpu_us() -> Result<i64, Box<dyn Error>> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    Ok((usage.user_time() + usage.system_time()).num_microseconds())
}

fn resident_bytes() -> Result<usize, Box<dyn Error>> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: usize = statm
        .split(' ')
        .nth(1)
        .ok_or("statm has no second field")?
        .parse()?;
    Ok(pages * 4096)
}

/// As long as the part of a device's certificate that is signed.
const TO_BE_SIGNED: [u8; 240] = [0x30; 240];
