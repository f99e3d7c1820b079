//! The strategies: what a provision request leads to, step by step in the platform's order. It
//! touches the registry and nothing else; no faults, no transports, no time.

use secrecy::ExposeSecret;

use super::answer::Answer;
use super::config::{Profile, Repeat, TargetConfig};
use super::credentials::Stored;
use super::device::Device;
use super::faults::twenty_characters;
use super::registry::{Registry, Taken};
use super::request::Request;
use crate::model::{Bug, Release, Strategy};

/// What the rules need besides the request.
pub(super) struct Rules<'a> {
    pub(super) config: &'a TargetConfig,
    /// The device profiles.
    pub(super) profiles: &'a [Profile],
    pub(super) registry: &'a Registry,
    /// A bug on purpose: another request for the name is under way, and both are to succeed.
    pub(super) racing: bool,
    /// A number that no other request has.
    pub(super) serial: u64,
}

impl Rules<'_> {
    /// The core's answer; `None` if it gives none, ever.
    pub(super) fn decide(&self, request: &Request) -> Option<Answer> {
        let name = request.name.trim_matches(|c| c <= ' ');
        if name.is_empty() && !request.name.is_empty() {
            return Some(Answer::Failure);
        }
        if request.key.is_empty() || request.secret.is_empty() {
            return Some(Answer::NotFound);
        }
        let named = |(_, profile): &(u16, &Profile)| request.key == profile.key.expose_secret();
        let Some((position, profile)) = (0..).zip(self.profiles).find(named) else {
            return Some(Answer::NotFound);
        };
        let secret_differs = request.secret != profile.secret.expose_secret()
            && !self.config.has(Bug::AcceptWrongSecret);
        Some(match profile.strategy {
            Strategy::Disabled => Answer::NotFound,
            Strategy::X509Chain => return None,
            Strategy::Allow | Strategy::Check if secret_differs => Answer::NotFound,
            Strategy::Allow => self.create(name, request, position),
            Strategy::Check => self.check(name, position),
        })
    }

    fn create(&self, name: &str, request: &Request, profile: u16) -> Answer {
        let seed = self.config.seed;
        let drawn;
        let name = if name.is_empty() {
            drawn = twenty_characters(seed, "name", &self.serial.to_string());
            &drawn
        } else {
            name
        };
        if unacceptable(name) {
            return Answer::Failure;
        }
        let credentials = if request.wanted.is_empty() {
            Ok(drawn_token(seed, name))
        } else {
            Stored::settle(request.kind, &request.wanted)
        };
        let Ok(credentials) = credentials else {
            return Answer::Failure;
        };
        let gateway = request.gateway && self.config.release >= Release::V3_8;
        let device = Device::new(name, credentials.clone(), gateway, profile, true);
        match self.registry.create(device) {
            Ok(_) => Answer::Success(credentials),
            Err(Taken::Name) if self.racing => self
                .registry
                .by_name(name)
                .map_or(Answer::Failure, |first| {
                    Answer::Success(first.live().credentials.clone())
                }),
            Err(_) => Answer::Failure,
        }
    }

    fn check(&self, name: &str, profile: u16) -> Answer {
        let found = self.registry.by_name(name);
        let Some(device) = found.filter(|device| device.profile() == profile) else {
            return Answer::Failure;
        };
        let again = self.racing || self.config.repeats() == Repeat::Success;
        if self.registry.mark_provisioned(&device) || again {
            Answer::Success(device.live().credentials.clone())
        } else {
            Answer::Failure
        }
    }
}

/// A server-generated access token.
pub(super) fn drawn_token(seed: u64, name: &str) -> Stored {
    Stored::AccessToken(twenty_characters(seed, "token", name).into())
}

/// Names that the platform's validation refuses: too long (UTF-16 units, as Java counts), NUL,
/// or text that its check against cross-site scripting takes for markup.
pub(super) fn unacceptable(name: &str) -> bool {
    let markup = name.match_indices('<').any(|(at, _)| {
        let next = name[at + 1..].chars().next();
        next.is_some_and(|c| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?'))
    });
    let template = name
        .find("{{")
        .is_some_and(|at| name[at + 2..].contains("}}"));
    name.encode_utf16().count() > 255 || name.contains('\0') || markup || template
}

#[cfg(test)]
mod tests {
    use super::super::credentials::{Kind, Wanted};
    use super::*;

    fn request(name: &str, key: &str, secret: &str) -> Request {
        Request {
            name: name.into(),
            key: key.into(),
            secret: secret.into(),
            ..Request::default()
        }
    }

    fn profile(strategy: Strategy, key: &str) -> Profile {
        Profile {
            strategy,
            key: key.into(),
            secret: "S".into(),
            ..Profile::default()
        }
    }

    fn ask(strategy: Strategy, repeat: Repeat, requests: &[Request]) -> Vec<&'static str> {
        let config = TargetConfig {
            profiles: vec![
                profile(strategy, "K"),
                profile(Strategy::Allow, "A"),
                profile(Strategy::Check, "C"),
            ],
            repeat_provisioning: Some(repeat),
            seed: 1,
            ..TargetConfig::default()
        };
        judged(&config, false, requests)
    }

    fn judged(config: &TargetConfig, racing: bool, requests: &[Request]) -> Vec<&'static str> {
        let registry = Registry::new();
        let listed = Device::new("listed", drawn_token(1, "listed"), false, 0, false);
        registry.create(listed).ok().unwrap();
        (0..)
            .zip(requests)
            .map(|(serial, request)| {
                let rules = Rules {
                    config,
                    profiles: &config.profiles,
                    registry: &registry,
                    racing,
                    serial,
                };
                match rules.decide(request) {
                    Some(Answer::Success(_)) => "SUCCESS",
                    Some(Answer::NotFound) => "NOT_FOUND",
                    Some(Answer::Failure) => "FAILURE",
                    Some(Answer::Noise(_)) => "noise",
                    None => "-",
                }
            })
            .collect()
    }

    #[test]
    fn each_strategy_follows_its_table() {
        let requests = [
            request("new", "K", "S"),
            request("new", "K", "S"),
            request("listed", "K", "S"),
            request(" listed\t", "K", "S"),
            request("other", "K", "wrong"),
            request("other", "wrong", "S"),
            request("other", "", "S"),
            request("other", "K", ""),
            request(" \n", "wrong", "wrong"),
            request("", "K", "S"),
            request("", "K", "S"),
        ];
        for (strategy, answers) in [
            (
                Strategy::Allow,
                "SUCCESS FAILURE FAILURE FAILURE NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND FAILURE SUCCESS SUCCESS",
            ),
            (
                Strategy::Check,
                "FAILURE FAILURE SUCCESS FAILURE NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND FAILURE FAILURE FAILURE",
            ),
            (
                Strategy::Disabled,
                "NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND NOT_FOUND FAILURE NOT_FOUND NOT_FOUND",
            ),
            (
                Strategy::X509Chain,
                "- - - - - NOT_FOUND NOT_FOUND NOT_FOUND FAILURE - -",
            ),
        ] {
            let seen = ask(strategy, Repeat::Failure, &requests).join(" ");
            assert_eq!(seen, answers, "{strategy:?}");
        }
    }

    #[test]
    fn a_second_provisioning_succeeds_where_releases_had_that_fault() {
        let twice = [request("listed", "K", "S"), request("listed", "K", "S")];
        assert_eq!(
            ask(Strategy::Check, Repeat::Success, &twice),
            ["SUCCESS", "SUCCESS"]
        );
    }

    #[test]
    fn a_key_finds_its_profile_and_a_device_belongs_to_one() {
        let requests = [
            // The name exists, whatever its profile.
            request("listed", "A", "S"),
            request("listed", "C", "S"),
            request("new", "A", "S"),
            request("new", "C", "S"),
            request("new", "K", "S"),
            request("listed", "K", "S"),
            request("listed", "C", "wrong"),
        ];
        assert_eq!(
            ask(Strategy::Check, Repeat::Failure, &requests).join(" "),
            "FAILURE FAILURE SUCCESS FAILURE FAILURE SUCCESS NOT_FOUND"
        );
    }

    #[test]
    fn bugs_let_in_whom_they_are_about_and_nobody_else() {
        let requests = [
            request("listed", "K", "wrong"),
            request("listed", "K", "S"),
            request("new", "A", "S"),
            request("new", "A", "S"),
            request("unlisted", "K", "S"),
        ];
        let with = |bugs: &[Bug]| TargetConfig {
            profiles: vec![profile(Strategy::Check, "K"), profile(Strategy::Allow, "A")],
            bugs: bugs.to_vec(),
            ..TargetConfig::default()
        };
        for (config, racing, answers) in [
            (
                with(&[]),
                false,
                "NOT_FOUND SUCCESS SUCCESS FAILURE FAILURE",
            ),
            (
                with(&[Bug::AcceptWrongSecret]),
                false,
                "SUCCESS FAILURE SUCCESS FAILURE FAILURE",
            ),
            (
                with(&[Bug::AcceptRace]),
                true,
                "NOT_FOUND SUCCESS SUCCESS SUCCESS FAILURE",
            ),
        ] {
            assert_eq!(judged(&config, racing, &requests).join(" "), answers);
        }
    }

    #[test]
    fn names_that_the_platform_refuses_fail() {
        let long = "x".repeat(256);
        for name in [&long, "a\0b", "<b>", "a<!--", "x {{y}} z"] {
            let seen = ask(Strategy::Allow, Repeat::Failure, &[request(name, "K", "S")]);
            assert_eq!(seen, ["FAILURE"], "{name:?}");
        }
        let longest = "ü".repeat(255);
        for name in [&longest, "a < b", "{{x", "AA:BB:CC:00:11:22"] {
            let seen = ask(Strategy::Allow, Repeat::Failure, &[request(name, "K", "S")]);
            assert_eq!(seen, ["SUCCESS"], "{name:?}");
        }
    }

    #[test]
    fn credentials_used_elsewhere_fail_and_free_the_name() {
        let with_token = |name: &str, token: &str| Request {
            wanted: Wanted {
                token: token.into(),
                ..Wanted::default()
            },
            ..request(name, "K", "S")
        };
        let basic_without_values = Request {
            kind: Kind::MqttBasic,
            ..request("c", "K", "S")
        };
        let requests = [
            with_token("a", "t"),
            with_token("b", "t"),
            with_token("b", "u"),
            basic_without_values,
        ];
        assert_eq!(
            ask(Strategy::Allow, Repeat::Failure, &requests),
            ["SUCCESS", "FAILURE", "SUCCESS", "SUCCESS"]
        );
    }
}
