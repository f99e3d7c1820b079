//! Reads devices back, a few at a time, and judges each.

use std::collections::HashSet;

use secrecy::{ExposeSecret as _, SecretString};

use super::judge::{Expected, Found, Standing, judge};
use super::run::Given;
use crate::admin::each::each;
use crate::rest::{Client, RestError};

/// What to read back.
#[derive(Debug)]
pub struct Verify {
    /// The devices.
    pub devices: Vec<Known>,
    /// The ids of the profiles that they must have.
    pub profiles: Vec<String>,
    /// When the run began, by the server's clock; `None` for a list.
    pub since: Option<i64>,
    /// How many are read at a time.
    pub at_once: usize,
}

/// What is known of a device here.
#[derive(Debug)]
pub struct Known {
    /// Its name.
    pub name: String,
    /// What should be true of it.
    pub expected: Expected,
    /// The credentials that a run was given.
    pub given: Option<Given>,
    /// Its profile, by its position in [`Verify::profiles`].
    pub profile: usize,
}

/// What is true.
#[derive(Debug, Default)]
pub struct Verified {
    /// Each device, in order, with what is true of it and when its newest telemetry is from.
    pub devices: Vec<(String, Standing, Option<i64>)>,
    /// Devices of the profiles that are on no list.
    pub unlisted: Vec<String>,
    /// The credentials of those whose answer was lost.
    pub lost: Vec<Lost>,
    wrong: u64,
}

/// Credentials that a run was to be given.
#[derive(Debug)]
pub struct Lost {
    /// The device.
    pub name: String,
    /// `ACCESS_TOKEN` and its like.
    pub kind: String,
    /// Of an access token, the token.
    pub id: SecretString,
}

impl Verified {
    /// How many devices are in a standing.
    pub fn count(&self, standing: Standing) -> usize {
        let of = |(_, found, _): &&(String, Standing, Option<i64>)| *found == standing;
        self.devices.iter().filter(of).count()
    }

    /// Whether every device is as it was known to be, and no other is there.
    pub fn is_right(&self) -> bool {
        self.wrong == 0 && self.unlisted.is_empty()
    }
}

/// What was read of one device.
struct Read {
    standing: Standing,
    telemetry: Option<i64>,
    lost: Option<Lost>,
}

/// Reads back each device, and the profiles' other ones. `progress` is told of each.
pub async fn verify(
    client: &Client,
    verify: &Verify,
    mut progress: impl FnMut(),
) -> Result<Verified, RestError> {
    let mut verified = Verified::default();
    let read = each(&verify.devices, verify.at_once, |device| {
        one(client, verify, device)
    });
    let read = read.run(&mut progress).await?;
    for (known, read) in verify.devices.iter().zip(read) {
        verified.wrong += u64::from(!read.standing.is_right(known.expected));
        verified
            .devices
            .push((known.name.clone(), read.standing, read.telemetry));
        verified.lost.extend(read.lost);
    }
    let listed: HashSet<&str> = verify
        .devices
        .iter()
        .map(|known| known.name.as_str())
        .collect();
    for profile in &verify.profiles {
        for page in 0.. {
            let page = client.devices_of(profile, page).await?;
            let others = page.devices.into_iter().map(|device| device.name);
            verified
                .unlisted
                .extend(others.filter(|name| !listed.contains(name.as_str())));
            if !page.more {
                break;
            }
        }
    }
    Ok(verified)
}

async fn one(client: &Client, verify: &Verify, known: &Known) -> Result<Read, RestError> {
    let Some(device) = client.device_named(&known.name).await? else {
        return Ok(Read {
            standing: judge(known.expected, None, verify.since),
            telemetry: None,
            lost: None,
        });
    };
    let mut found = Found {
        profile: device.profile == verify.profiles[known.profile],
        provisioned: client.provisioned(&device.id).await?,
        credentials: None,
    };
    let credentials = client.credentials(&device.id).await?;
    if let Some(given) = &known.given {
        let token = given.access_token.expose_secret();
        let same = given.kind == credentials.kind
            && (token.is_empty() || token == credentials.id.expose_secret());
        found.credentials = Some(same);
    }
    let standing = judge(known.expected, Some(found), verify.since);
    let lost = (standing == Standing::AnswerLost).then(|| Lost {
        name: known.name.clone(),
        kind: credentials.kind,
        id: credentials.id,
    });
    Ok(Read {
        standing,
        telemetry: client.last_telemetry(&device.id).await?,
        lost,
    })
}
