//! The command line and the file together.

use clap::Parser;
use secrecy::ExposeSecret;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: TargetArgs,
}

fn try_parsed(words: &[&str]) -> Result<TargetConfig, Failure> {
    let words = ["target"].iter().chain(words);
    let fallback = Fallback {
        key: "env-key".into(),
        secret: "env-secret".into(),
    };
    config(Line::try_parse_from(words).unwrap().args, fallback)
}

fn parsed(words: &[&str]) -> TargetConfig {
    try_parsed(words).unwrap()
}

/// A configuration by a file and further arguments.
fn told(text: &str, words: &[&str]) -> Result<TargetConfig, Failure> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("target.toml");
    fs::write(&path, text).unwrap();
    let first = ["--config", path.to_str().unwrap()];
    try_parsed(&[&first, words].concat())
}

fn listeners(config: &TargetConfig) -> String {
    let all = TransportKind::ALL.iter();
    let texts = all.filter_map(|kind| Some(format!("{kind:?} {}", config.listener(*kind)?)));
    texts.collect::<Vec<_>>().join(", ")
}

#[test]
fn without_listeners_the_plain_three_open_on_loopback() {
    let three = "Mqtt 127.0.0.1:1883, Http 127.0.0.1:8080, Coap 127.0.0.1:5683";
    assert_eq!(listeners(&parsed(&[])), three);
    assert_eq!(listeners(&told("seed = 1", &[]).unwrap()), three);
    for kind in TransportKind::ALL {
        let one = parsed(&[&format!("--{}", kind.as_str()), "[::1]:7"]);
        assert_eq!(listeners(&one), format!("{kind:?} [::1]:7"));
        let file = format!("listen.{} = \"[::1]:7\"", kind.as_str());
        assert_eq!(listeners(&told(&file, &[]).unwrap()), listeners(&one));
    }
}

#[test]
fn every_word_of_an_option_has_a_value() {
    for (option, words) in [
        ("--strategy", STRATEGIES),
        ("--release", RELEASES),
        ("--bug", BUGS),
    ] {
        for word in words {
            parsed(&[option, word]);
        }
    }
    let config = parsed(&["--bug", "accept_race", "--bug", "foreign_token"]);
    assert_eq!(config.bugs, [Bug::AcceptRace, Bug::ForeignToken]);
    assert_eq!(
        parsed(&["--strategy", "x509-chain"]).profiles[0].strategy,
        Strategy::X509Chain
    );
    assert_eq!(parsed(&["--release", "4.2.1"]).release, Release::V4_2_1);
}

#[test]
fn the_command_line_wins_over_the_file_and_the_file_over_the_environment() {
    let key_and_secret = |config: &TargetConfig| {
        let Profile { key, secret, .. } = &config.profiles[0];
        format!("{} {}", key.expose_secret(), secret.expose_secret())
    };
    assert_eq!(key_and_secret(&parsed(&[])), "env-key env-secret");
    let file = "seed = 7\nrelease = \"3.8\"\nlisten = { mqtt = \"127.0.0.1:1\", http = \"127.0.0.1:2\" }\n\
        [[profile]]\nstrategy = \"check\"\nprovision_key = \"file-key\"\n";
    let config = told(file, &[]).unwrap();
    assert_eq!(key_and_secret(&config), "file-key env-secret");
    assert_eq!((config.seed, config.release), (7, Release::V3_8));
    assert_eq!(config.profiles[0].strategy, Strategy::Check);
    let line = [
        "--provision-key",
        "K",
        "--provision-secret",
        "S",
        "--seed",
        "0",
        "--release",
        "3.5",
        "--strategy",
        "allow",
        "--http",
        "127.0.0.1:3",
        "--devices",
        "fixtures/macs-1k.csv",
    ];
    let config = told(file, &line).unwrap();
    assert_eq!(key_and_secret(&config), "K S");
    assert_eq!((config.seed, config.release), (0, Release::V3_5));
    assert_eq!(config.profiles[0].strategy, Strategy::Allow);
    assert_eq!(listeners(&config), "Mqtt 127.0.0.1:1, Http 127.0.0.1:3");
    assert_eq!(config.devices.len(), 1000);
}

#[test]
fn options_of_one_profile_do_not_guess_among_several() {
    let file = "[[profile]]\nname = \"a\"\nprovision_key = \"a\"\nprovision_secret = \"s\"\n\
        [[profile]]\nname = \"b\"\nprovision_key = \"b\"\nprovision_secret = \"s\"\n";
    assert_eq!(told(file, &["--seed", "3"]).unwrap().profiles.len(), 2);
    for option in [
        "--strategy=check",
        "--provision-key=k",
        "--provision-secret=s",
        "--devices=fixtures/macs-1k.csv",
    ] {
        let said = told(file, &[option]).unwrap_err().message;
        let (name, _) = option.split_once('=').unwrap();
        assert!(said.contains(name) && said.contains("several"), "{said}");
    }
}

#[test]
fn a_certificate_needs_its_key() {
    let lone = ["target", "--tls-cert", "x.pem"];
    assert!(Line::try_parse_from(lone).is_err());
    let lone = ["target", "--tls-key", "x.pem"];
    assert!(Line::try_parse_from(lone).is_err());
    let dir = tempfile::tempdir().unwrap();
    let made = crate::pki::self_signed(
        "server",
        crate::pki::KeyKind::P256,
        crate::pki::Validity::days(1),
    );
    let (certificate, key) = made.unwrap().write(dir.path(), "server").unwrap();
    let [certificate, key] = [&certificate, &key].map(|path| path.to_str().unwrap());
    let config = parsed(&["--tls-cert", certificate, "--tls-key", key]);
    assert!(config.identity.is_some());
    let swapped = try_parsed(&["--tls-cert", key, "--tls-key", certificate]);
    assert!(swapped.is_err());
}
