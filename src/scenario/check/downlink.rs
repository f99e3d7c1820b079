//! `[downlink]`, `[[push]]` and `[rest]`.

use std::time::Duration;

use super::super::downlink_keys::{Claim, Downlink, Push, Request, Rest};
use super::super::fault::Faults;
use super::super::file::Scenario;
use super::super::json::{Answer, Object};
use super::super::leaf::{Placed, Span, Text};
use super::super::plan::{
    ClaimPlan, Cohort, DeviceSource, DownlinkPlan, PushKind, PushPlan, RequestPlan, RestLogin,
    RestPlan,
};
use super::super::section::Entry;
use super::super::tree::Spot;
use super::schedule::{at_least_one, span};
use super::target::is_remote;
use super::telemetry::{Setting, fixed};
use super::{filled, required};
use crate::dialect::PUSH_NUMBER;
use crate::inventory::Template;
use crate::life::{PushSchedule, PushTime};
use crate::model::{Delay, Feed};
use crate::payload::{ANSWER_NAMES, Form, Part, Payload, Section};

/// What was found in the three sections.
pub(super) struct Found {
    pub(super) downlink: Option<DownlinkPlan>,
    pub(super) pushes: Vec<PushPlan>,
    pub(super) rest: Option<RestPlan>,
}

/// What goes to devices and what they ask. `end` is when the run is over, if that is known.
pub(super) fn downlink(
    file: &Scenario,
    seed: u64,
    (devices, cohorts): (Option<&DeviceSource>, Option<&[Cohort]>),
    end: Option<Duration>,
    faults: &Faults,
) -> Option<Found> {
    let setting = Setting {
        cohorts,
        devices,
        seed,
        faults,
    };
    let downlink = match &file.downlink {
        Entry::Absent => Some(None),
        Entry::Faulty => None,
        Entry::Given(table, at) => setting.downlink(table, at).map(Some),
    };
    let pushes = match &file.push {
        Entry::Absent => Some(Vec::new()),
        Entry::Faulty => None,
        Entry::Given(placed, _) => {
            let read: Vec<_> = (0..)
                .zip(placed)
                .map(|(number, Placed(table, at))| setting.push(number, table, at, end))
                .collect();
            read.into_iter().collect::<Option<Vec<_>>>()
        }
    };
    let rest = rest(file, faults);
    let (downlink, pushes) = (downlink?, pushes?);
    let places = file.push.value().into_iter().flatten();
    for (push, Placed(_, at)) in pushes.iter().zip(places) {
        let feed = push.kind.feed();
        if !downlink.as_ref().is_some_and(|plan| plan.has(feed)) {
            let key = match feed {
                Feed::Attributes => "attributes",
                Feed::Rpc => "rpc",
            };
            let title = "no device takes part in what is pushed here";
            faults.add(at, title, format!("add [downlink] with {key} = true"));
        }
    }
    Some(Found {
        downlink,
        pushes,
        rest: rest?,
    })
}

impl Setting<'_> {
    fn downlink(&self, table: &Downlink, at: &Spot) -> Option<DownlinkPlan> {
        let faults = self.faults;
        let hold = span(&table.poll, "poll", 20 * SECOND, SECOND, faults);
        let request = match &table.request {
            Entry::Absent => Some(None),
            Entry::Faulty => None,
            Entry::Given(request, at) => self.request(request, at).map(Some),
        };
        let claim = match &table.claim {
            Entry::Absent => Some(None),
            Entry::Faulty => None,
            Entry::Given(claim, _) => self.claim(claim).map(Some),
        };
        let reply = self.reply(table, at);
        let mut feeds = Vec::new();
        if table.attributes.or(true)? {
            feeds.push(Feed::Attributes);
        }
        if table.rpc.or(true)? {
            feeds.push(Feed::Rpc);
        }
        let (request, claim) = (request?, claim?);
        if feeds.is_empty() && request.is_none() && claim.is_none() {
            let title = "[downlink] without anything in it";
            let help = "remove it, or one of attributes = false and rpc = false";
            faults.add(at, title, help);
        }
        let delay = table.delay.or(Delay::Fixed(Duration::ZERO))?;
        Some(DownlinkPlan {
            feeds,
            hold: hold?,
            delay: Some(delay).filter(|delay| *delay != Delay::Fixed(Duration::ZERO)),
            reply: reply?,
            request,
            claim,
        })
    }

    fn reply(&self, table: &Downlink, at: &Spot) -> Option<Payload> {
        let faults = self.faults;
        if let (Some(_), Some((_, spot))) = (table.reply.given(), table.reply_template.given()) {
            let title = "`reply` and `reply_template` both say what is answered";
            faults.add(spot, title, "keep one of them");
            return None;
        }
        let (form, spot) = match (&table.reply, &table.reply_template) {
            (Entry::Faulty, _) | (_, Entry::Faulty) => return None,
            (Entry::Given(Answer(parts), spot), _) => (Form::Parts(parts.clone()), spot),
            (_, Entry::Given(text, spot)) => (self.answering(text, spot)?, spot),
            _ => (Form::Parts(vec![Part::Raw(SUCCESS.to_owned())]), at),
        };
        self.unproven(form, spot)
    }

    fn answering(&self, text: &Text, spot: &Spot) -> Option<Form> {
        let text = filled(text, "reply_template", spot, self.faults)?;
        match Template::compile_knowing(&text, &ANSWER_NAMES) {
            Ok(template) => Some(Form::Template(template, Vec::new())),
            Err(e) => {
                let title = format!("`reply_template` is no template: {e}");
                self.faults.add(spot, title, "");
                None
            }
        }
    }

    fn request(&self, table: &Request, at: &Spot) -> Option<RequestPlan> {
        let faults = self.faults;
        let method = self.method(&table.method, at);
        let interval = span(&table.interval, "interval", 30 * SECOND, SHORTEST, faults);
        let params = self.object(&table.params, at, Section::Request);
        Some(RequestPlan {
            method: method?,
            params: params?,
            interval: interval?,
        })
    }

    fn claim(&self, table: &Claim) -> Option<ClaimPlan> {
        let faults = self.faults;
        let secret_key = match &table.secret_key {
            Entry::Absent => Some(None),
            Entry::Faulty => None,
            Entry::Given(text, spot) => match Template::compile(text.as_str()) {
                Ok(template) => {
                    let form = Form::Template(template.clone(), Vec::new());
                    self.unproven(form, spot).map(|_| Some(template))
                }
                Err(e) => {
                    let title = format!("`secret_key` is no template: {e}");
                    faults.add(spot, title, "");
                    None
                }
            },
        };
        let duration = match &table.duration {
            Entry::Absent => Some(None),
            entry => span(entry, "duration", SECOND, SHORTEST, faults).map(Some),
        };
        Some(ClaimPlan {
            secret_key: secret_key?,
            duration: duration?,
        })
    }

    fn method(&self, entry: &Entry<Text>, at: &Spot) -> Option<String> {
        let example = "method = \"setState\"";
        let (text, spot) = required(entry, "method", at, example, self.faults)?;
        filled(text, "method", spot, self.faults)
    }

    /// An object that is sent, tried with a device.
    fn object(&self, entry: &Entry<Object>, at: &Spot, key: Section) -> Option<Payload> {
        let (parts, spot) = match entry {
            Entry::Absent => (vec![Part::Raw("{}".to_owned())], at),
            Entry::Faulty => return None,
            Entry::Given(Object(parts), spot) => (parts.clone(), spot),
        };
        let taken = format!("\"{PUSH_NUMBER}\":");
        if parts.iter().any(|part| fixed(part).contains(&taken)) {
            let title = format!("`{PUSH_NUMBER}` is what a push is known by");
            self.faults.add(spot, title, "rename the value");
            return None;
        }
        self.proven(Form::Parts(parts), spot, key)
    }

    fn push(
        &self,
        number: u32,
        table: &Push,
        at: &Spot,
        end: Option<Duration>,
    ) -> Option<PushPlan> {
        let faults = self.faults;
        let kinds = "kind = \"rpc\"";
        let kind = required(&table.kind, "kind", at, kinds, faults).map(|(kind, _)| kind.0);
        let when = self.when(table, at, end);
        let share = share(&table.share, faults);
        let timeout = span(&table.timeout, "timeout", 10 * SECOND, SHORTEST, faults);
        let kind = kind?;
        let is_call = kind != PushKind::Attributes;
        let (own, others) = if is_call {
            (
                &table.params,
                [
                    ("payload", table.payload.given().map(|(_, s)| s)),
                    ("", None),
                ],
            )
        } else {
            let method = table.method.given().map(|(_, spot)| spot);
            let params = table.params.given().map(|(_, spot)| spot);
            (&table.payload, [("method", method), ("params", params)])
        };
        for (key, spot) in others {
            let Some(spot) = spot else { continue };
            let title = format!("`{key}` is not a key of this kind of push");
            faults.add(spot, title, "remove it");
        }
        let method = if is_call {
            self.method(&table.method, at)
        } else {
            Some(String::new())
        };
        let payload = self.object(own, at, Section::Push);
        Some(PushPlan {
            kind,
            schedule: PushSchedule {
                when: when?,
                share: share?,
                number,
                seed: self.seed,
            },
            method: method?,
            payload: payload?,
            timeout: timeout?,
        })
    }

    fn when(&self, table: &Push, at: &Spot, end: Option<Duration>) -> Option<PushTime> {
        let faults = self.faults;
        let spread = match &table.spread {
            Entry::Absent => Some(None),
            Entry::Faulty => None,
            Entry::Given(Span(spread), _) => Some(Some(*spread)),
        };
        match (&table.at, &table.every) {
            (Entry::Faulty, _) | (_, Entry::Faulty) => None,
            (Entry::Absent, Entry::Absent) => {
                let title = "a push has no time";
                faults.add(at, title, "add at = \"30s\", or every = \"10s\"");
                None
            }
            (Entry::Given(..), Entry::Given(_, spot)) => {
                let title = "a push has `at` or `every`, not both";
                faults.add(spot, title, "keep one of them");
                None
            }
            (Entry::Given(Span(when), spot), Entry::Absent) => {
                let over = spread?.unwrap_or_default();
                if end.is_some_and(|end| *when + over >= end) {
                    let title = "the run is over by then: it ends with the stages of [arrival]";
                    let help = "choose an earlier time, or add a last stage with rate = 0";
                    faults.add(spot, title, help);
                    return None;
                }
                Some(PushTime::Once { at: *when, over })
            }
            (Entry::Absent, every @ Entry::Given(..)) => {
                let period = span(every, "every", SECOND, SHORTEST, faults)?;
                let over = spread?.unwrap_or(period);
                if let (true, Some((_, spot))) = (over > period, table.spread.given()) {
                    let title = "`spread` is longer than `every`";
                    faults.add(
                        spot,
                        title,
                        "devices are spread over at most the whole period",
                    );
                    return None;
                }
                Some(PushTime::Every { period, over })
            }
        }
    }
}

fn share(entry: &Entry<f64>, faults: &Faults) -> Option<f64> {
    match entry {
        Entry::Absent => Some(1.0),
        Entry::Faulty => None,
        Entry::Given(share, _) if *share > 0.0 && *share <= 1.0 => Some(*share),
        Entry::Given(share, spot) => {
            let title = format!("`share` must be more than 0 and at most 1, found {share}");
            faults.add(spot, title, "0.5 is half of the devices");
            None
        }
    }
}

/// The REST API, where there are pushes.
#[expect(clippy::option_option, reason = "faulty, or not there")]
fn rest(file: &Scenario, faults: &Faults) -> Option<Option<RestPlan>> {
    let first = file.push.value().and_then(|pushes| pushes.first());
    let remote = is_remote(&file.target);
    match (&file.rest, first) {
        (Entry::Faulty, _) => None,
        (Entry::Absent, None) => Some(None),
        (Entry::Absent, Some(Placed(_, at))) if remote => {
            let title = "a push goes through the server's REST API, and there is no [rest]";
            let help = "add [rest] with url, username and password = \"${env:TB_PASSWORD}\"";
            faults.add(at, title, help);
            None
        }
        (Entry::Absent, Some(_)) => Some(Some(RestPlan {
            url: String::new(),
            login: None,
            ca: None,
            connections: CONNECTIONS,
        })),
        (Entry::Given(_, at), None) => {
            let title = "[rest] is for pushes, and there is no [[push]]";
            faults.add(at, title, "remove it, or add a [[push]]");
            None
        }
        (Entry::Given(_, at), Some(_)) if !remote && file.target.value().is_some() => {
            let title = "[rest] is for a server elsewhere, and the target is embedded";
            faults.add(
                at,
                title,
                "remove it: the embedded target's REST API is known",
            );
            None
        }
        (Entry::Given(table, at), Some(_)) => elsewhere(table, at, faults).map(Some),
    }
}

fn elsewhere(table: &Rest, at: &Spot, faults: &Faults) -> Option<RestPlan> {
    let example = "url = \"https://tb.example\"";
    let url = required(&table.url, "url", at, example, faults).and_then(|(text, spot)| {
        let url = filled(text, "url", spot, faults)?;
        if !["http://", "https://"]
            .iter()
            .any(|scheme| url.starts_with(scheme))
        {
            let title = format!("`url` must be an address, found {}", text.shown());
            faults.add(spot, title, "write it as http://HOST:PORT or https://HOST");
            return None;
        }
        Some(url)
    });
    let login = login(table, at, faults);
    let ca = match &table.ca {
        Entry::Absent => Some(None),
        Entry::Faulty => None,
        Entry::Given(text, spot) => filled(text, "ca", spot, faults).map(|path| Some(path.into())),
    };
    let connections = at_least_one(
        &table.connections,
        "connections",
        CONNECTIONS,
        MOST_CONNECTIONS,
        faults,
    );
    Some(RestPlan {
        url: url?,
        login: Some(login?),
        ca: ca?,
        connections: connections?,
    })
}

fn login(table: &Rest, at: &Spot, faults: &Faults) -> Option<RestLogin> {
    let text = |entry: &Entry<Text>, key| match entry {
        Entry::Absent => Some(None),
        Entry::Faulty => None,
        Entry::Given(text, spot) => filled(text, key, spot, faults).map(Some),
    };
    let (username, password, key) = (
        text(&table.username, "username")?,
        text(&table.password, "password")?,
        text(&table.api_key, "api_key")?,
    );
    match (username, password, key) {
        (Some(username), Some(password), None) => Some(RestLogin::Password {
            username,
            password: password.into(),
        }),
        (None, None, Some(key)) => Some(RestLogin::ApiKey(key.into())),
        _ => {
            let title = "[rest] needs a user and a password, or an API key";
            let help = "add username and password = \"${env:TB_PASSWORD}\", or api_key alone";
            faults.add(at, title, help);
            None
        }
    }
}

/// What a device answers by default.
const SUCCESS: &str = "{\"success\":true}";

const SECOND: Duration = Duration::from_secs(1);
const SHORTEST: Duration = Duration::from_millis(10);
const CONNECTIONS: u32 = 64;
const MOST_CONNECTIONS: u32 = 4096;
