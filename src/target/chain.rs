//! Provisioning by certificate chain (section 5): no request asks for it, the certificates of a
//! TLS handshake do. Nothing here fails the handshake; the verdict is CONNECT's.

use fancy_regex::Regex;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::backend::Backend;
use super::client_certificate::{Presented, common_name, parse};
use super::config::{Chain, Profile, TargetError};
use super::counts::bump;
use super::credentials::{Stored, certificate_id};
use super::device::Device;
use super::registry::Registry;
use super::rules::unacceptable;
use crate::model::Strategy;

/// The profiles that provision by chain.
pub(super) struct Chains(Vec<Rule>);

struct Rule {
    /// Its position among all profiles.
    profile: u16,
    /// What a chain must have to be its. The platform compares hashes, to the same effect.
    certificate: CertificateDer<'static>,
    name: Regex,
    allow_create: bool,
}

/// What became of a client's certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// They are a device's, or no profile's: nothing was to be done.
    Untouched,
    /// A device was created, or got the leaf for its credentials.
    Provisioned,
    /// A profile's, but there is no device for them.
    Refused,
}

impl Chains {
    /// Prepares the profiles of this strategy; each gets the key that the platform derives.
    pub(super) fn prepare(profiles: &mut [Profile]) -> Result<Self, TargetError> {
        let mut rules = Vec::new();
        for (at, profile) in (0..).zip(profiles) {
            if let (Strategy::X509Chain, Some(chain)) = (profile.strategy, &profile.chain) {
                let rule = Rule::prepare(at, chain).map_err(|what| {
                    TargetError::Certificates(format!("profile {:?}: {what}", profile.name))
                })?;
                profile.key = certificate_id(&rule.certificate).into();
                rules.push(rule);
            }
        }
        Ok(Self(rules))
    }

    /// From the leaf upward: a certificate that is a device's or a profile's ends the search.
    fn provision(&self, presented: &[CertificateDer<'_>], registry: &Registry) -> Fate {
        if self.0.is_empty() {
            return Fate::Untouched;
        }
        for certificate in presented {
            if registry.by_certificate(certificate).is_some() {
                return Fate::Untouched;
            }
            if let Some(rule) = self.0.iter().find(|rule| rule.certificate == *certificate) {
                return rule
                    .provision(&presented[0], registry)
                    .map_or(Fate::Refused, |()| Fate::Provisioned);
            }
        }
        Fate::Untouched
    }
}

impl Rule {
    fn prepare(profile: u16, chain: &Chain) -> Result<Self, String> {
        let certificates = CertificateDer::pem_slice_iter(chain.certificates.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| format!("its certificates are no PEM: {e}"))?;
        if certificates.iter().any(|der| parse(der).is_none()) {
            return Err("one of its certificates is none".to_owned());
        }
        let first = certificates.into_iter().next();
        Ok(Self {
            profile,
            certificate: first.ok_or("it has no certificate")?,
            name: Regex::new(&chain.name_pattern)
                .map_err(|e| format!("its name pattern cannot be used: {e}"))?,
            allow_create: chain.allow_create,
        })
    }

    /// Creates the device, or gives it new credentials; `None` if it must not be.
    fn provision(&self, leaf: &CertificateDer<'_>, registry: &Registry) -> Option<()> {
        let name = self.device_name(leaf)?;
        let credentials = Stored::certificate(leaf);
        match registry.by_name(&name) {
            Some(device) if device.profile() == self.profile => {
                registry.replace_certificate(&device, credentials).ok()
            }
            None if self.allow_create && !unacceptable(&name) => {
                let device = Device::new(&name, credentials, false, self.profile, true);
                registry.create(device).ok().map(|_| ())
            }
            _ => None,
        }
    }

    /// Group 1 of the pattern where it is first found in the leaf's common name.
    fn device_name(&self, leaf: &CertificateDer<'_>) -> Option<String> {
        let common_name = common_name(leaf)?;
        // A pattern that backtracks without end finds nothing.
        let found = self.name.captures(&common_name).ok().flatten()?;
        let name = found.get(1)?.as_str();
        (!name.is_empty()).then(|| name.to_owned())
    }
}

/// Takes a client's certificates (leaf first) after its handshake, and provisions by them.
pub(super) fn present(backend: &Backend, presented: &[CertificateDer<'_>]) -> Option<Presented> {
    let tally = &backend.tally;
    let fate = backend.chains.provision(presented, &backend.registry);
    match fate {
        Fate::Untouched => {}
        Fate::Provisioned => bump(&tally.provisioned),
        Fate::Refused => bump(&tally.refused),
    }
    if fate != Fate::Untouched {
        bump(&tally.provision_requests);
    }
    Presented::new(presented.first()?)
}

#[cfg(test)]
mod tests {
    use super::super::credentials::{Kind, Wanted};
    use super::*;
    use crate::pki::{Authority, Identity, KeyKind, Validity};

    fn root(name: &str) -> Authority {
        Authority::root(name, KeyKind::P256, Validity::days(1)).unwrap()
    }

    fn leaf(authority: &Authority, name: &str) -> Identity {
        authority
            .issue(name, KeyKind::P256, Validity::days(1))
            .unwrap()
    }

    fn profile(authority: &Authority, pattern: &str, allow_create: bool) -> Profile {
        Profile {
            strategy: Strategy::X509Chain,
            chain: Some(Chain {
                certificates: authority.identity().certificates_pem(),
                name_pattern: pattern.to_owned(),
                allow_create,
            }),
            ..Profile::default()
        }
    }

    fn chains(profiles: &mut [Profile]) -> Chains {
        Chains::prepare(profiles).ok().unwrap()
    }

    #[test]
    fn the_platforms_patterns_name_devices() {
        let ca = root("ca");
        for (pattern, common_name, name) in [
            (
                "([^@]+)",
                "deviceCertificate@X509ProvisionStrategy",
                Some("deviceCertificate"),
            ),
            (r"(.*)\.company.com", "DeviceA.company.com", Some("DeviceA")),
            (
                r"\D+\.(.*)\.\d+@company.com",
                "region.DeviceA.220423@company.com",
                Some("DeviceA"),
            ),
            // Found anywhere, with what only Java's kind has.
            (r"(?<=-)(\d+)", "unit-17 of 20", Some("17")),
            (r"(\w)\1", "abccd", Some("c")),
            ("(x)?y", "y", None),
            ("(x*)y", "y", None),
            ("DeviceA", "DeviceA", None),
            ("(B.*)", "DeviceA", None),
            ("(<a>)", "<a>", None),
        ] {
            let registry = Registry::new();
            let shown = leaf(&ca, common_name);
            let fate =
                chains(&mut [profile(&ca, pattern, true)]).provision(shown.chain(), &registry);
            let expected = name.map_or(Fate::Refused, |_| Fate::Provisioned);
            assert_eq!(fate, expected, "{pattern} on {common_name}");
            let device = registry.by_certificate(&shown.chain()[0]);
            assert_eq!(device.as_ref().map(|d| &*d.name), name, "{pattern}");
        }
    }

    #[test]
    fn an_existing_device_decides_what_becomes_of_a_new_leaf() {
        use Fate::{Provisioned, Refused, Untouched};
        let (ca, foreign) = (root("ca"), root("foreign"));
        let allow = Profile::default();
        for (what, name, issuer, allow_create, fate) in [
            ("new", "new", &ca, true, Provisioned),
            ("new, but none may be made", "new", &ca, false, Refused),
            ("rotated", "chained", &ca, false, Provisioned),
            ("of another profile", "other", &ca, true, Refused),
            ("with a token", "token", &ca, true, Refused),
            (
                "of an authority that nobody has",
                "new",
                &foreign,
                true,
                Untouched,
            ),
        ] {
            let registry = Registry::new();
            let old = leaf(&ca, "chained");
            let token = Wanted {
                token: "T".into(),
                ..Wanted::default()
            };
            let token = Stored::settle(Kind::AccessToken, &token).unwrap();
            for (name, credentials, profile) in [
                ("chained", Stored::certificate(&old.chain()[0]), 1),
                ("other", Stored::certificate(b"other"), 0),
                ("token", token, 1),
            ] {
                let device = Device::new(name, credentials, false, profile, true);
                registry.create(device).ok().unwrap();
            }
            let chains = chains(&mut [allow.clone(), profile(&ca, "(.*)", allow_create)]);
            let shown = leaf(issuer, name);
            let shown = shown.chain();
            assert_eq!(chains.provision(shown, &registry), fate, "{what}");
            let holder = registry.by_certificate(&shown[0]);
            assert_eq!(holder.is_some(), fate == Provisioned, "{what}");
            assert!(holder.is_none_or(|d| &*d.name == name && d.profile() == 1));
            let again = if fate == Provisioned { Untouched } else { fate };
            assert_eq!(chains.provision(shown, &registry), again, "{what}");
            let old_holds = registry.by_certificate(&old.chain()[0]).is_some();
            assert_eq!(old_holds, name != "chained", "{what}");
            assert!(registry.by_token("T").is_some(), "{what}");
        }
    }

    #[test]
    fn the_first_certificate_of_a_profile_is_its_key_and_must_be_sent() {
        let top = root("top");
        let between = top
            .intermediate("between", KeyKind::P256, Validity::days(1))
            .unwrap();
        // `between` first, then `top`: leaves of `top` alone are not this profile's.
        let mut profiles = [profile(&between, "(.*)", true)];
        let chains = chains(&mut profiles);
        let key = secrecy::ExposeSecret::expose_secret(&profiles[0].key);
        assert_eq!(key, certificate_id(&between.identity().chain()[0]));
        let registry = Registry::new();
        let with_issuer = leaf(&between, "a");
        let shown = with_issuer.chain();
        assert_eq!(shown.len(), 2);
        assert_eq!(chains.provision(&shown[..1], &registry), Fate::Untouched);
        assert_eq!(
            chains.provision(leaf(&top, "b").chain(), &registry),
            Fate::Untouched
        );
        assert_eq!(chains.provision(shown, &registry), Fate::Provisioned);
        assert_eq!(chains.provision(&[], &registry), Fate::Untouched);
    }

    #[test]
    fn an_unusable_profile_is_named() {
        let ca = root("ca");
        let no_pem = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
        let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let good = profile(&ca, "(.*)", true).chain.unwrap();
        for (certificates, name_pattern) in [
            (good.certificates.as_str(), "(unclosed"),
            ("", "(.*)"),
            (no_pem, "(.*)"),
            (no_certificate, "(.*)"),
        ] {
            let mut profiles = [Profile {
                name: "meters".into(),
                chain: Some(Chain {
                    certificates: certificates.to_owned(),
                    name_pattern: name_pattern.to_owned(),
                    allow_create: true,
                }),
                ..profile(&ca, "", true)
            }];
            let error = Chains::prepare(&mut profiles).err().unwrap().to_string();
            assert!(error.contains("profile \"meters\""), "{error}");
        }
    }
}
