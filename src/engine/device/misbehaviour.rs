//! What a device asks, rightly or wrongly, and what is seen of the wrong it does.
//!
//! A wrong is either in the one request (a wrong secret, another name), or in a further request
//! after the device's own rightful one. What such a further request gets does not change the
//! device's outcome, only what is observed of it.

use std::pin::pin;

use tokio::time::Instant;

use super::provisioning::{Ended, Granted, judged};
use super::{Device, InFlight, Told};
use crate::dialect::ThingsBoard;
use crate::ledger::Entry;
use crate::model::{
    Cause, Credentials, FaultKind, Misbehaviour, Observed, Outcome, Phase, Request,
};
use crate::transport::Connection;

/// A provision request, and as what it is sent.
struct Plea {
    name: String,
    /// Another profile's, or one that is wrong on purpose; `None`: the device's own.
    dialect: Option<ThingsBoard>,
    request: Request,
}

/// What came of a wrong that a device does on purpose.
#[derive(Default)]
pub(super) struct Wrong {
    /// The name that its credentials are for, where that is not the listed one.
    alias: Option<String>,
    /// What its wrong request came to, where that was not its only one.
    offence: Option<Observed>,
    /// Credentials that a wrong request got, and the name that they are for, until the ledger has
    /// them.
    besides: Option<(String, Credentials)>,
}

impl Device<'_> {
    /// Asks as the cohort's devices ask, and once more where that is their wrong.
    pub(super) async fn by_request(&mut self, due: Instant) -> Result<(), Ended> {
        let wrong = self.cohort().misbehaviour;
        let own = self.worker.fleet.own(self.ix).map_err(|_| {
            // Trying again helps nobody.
            self.told = Told::Perhaps;
            UNUSABLE
        })?;
        let plea = self.plea(wrong, own.as_ref());
        if wrong == Some(Misbehaviour::ConcurrentRequests) {
            return self.ask_twice_at_once(&plea, due).await;
        }
        let connected = self.connect_to_ask(due).await?;
        let fleet = &self.worker.fleet;
        let dialect = plea.dialect.as_ref().unwrap_or(fleet.dialect(self.ix));
        let asked = self.ask(dialect, &plea.name, &plea.request).await;
        if let (Err((Outcome::Refused, ..)), true) =
            (&asked, wrong.is_some_and(Misbehaviour::asks_again))
        {
            self.offends(Observed::Barred);
        }
        self.granted(asked?, &plea, connected).await;
        if let Some(wrong) = wrong.filter(|wrong| wrong.asks_again()) {
            self.ask_again(wrong, &plea, own.as_ref()).await;
        }
        Ok(())
    }

    /// The first request, with its wrong if it has one.
    fn plea(&self, wrong: Option<Misbehaviour>, own: Option<&Credentials>) -> Plea {
        let fleet = &self.worker.fleet;
        let (listed, right) = (fleet.name(self.ix), fleet.dialect(self.ix));
        let name = match wrong {
            Some(Misbehaviour::UnlistedName) => format!("{listed}-unlisted"),
            Some(Misbehaviour::BlankName) => "   ".to_owned(),
            Some(Misbehaviour::PaddedName) => format!("  {listed} "),
            Some(Misbehaviour::EmptyName) => String::new(),
            _ => listed.to_owned(),
        };
        let dialect = match wrong {
            Some(Misbehaviour::WrongSecret) => Some(right.with_wrong_secret()),
            Some(Misbehaviour::WrongKey) => Some(right.with_wrong_key()),
            Some(Misbehaviour::OtherProfile) => Some(fleet.first_dialect().clone()),
            _ => None,
        };
        let speaker = dialect.as_ref().unwrap_or(right);
        let request = self.asking(speaker, &name, own);
        Plea {
            name,
            dialect,
            request,
        }
    }

    /// A provision request, as it asks with a profile's key and secret.
    fn asking(&self, dialect: &ThingsBoard, name: &str, own: Option<&Credentials>) -> Request {
        let over = self.transport();
        if self.behind.is_some() {
            let dialect = dialect.for_gateways();
            return dialect.provision_request(over, name, own);
        }
        dialect.provision_request(over, name, own)
    }

    async fn granted(&mut self, (credentials, exchanged): Granted, plea: &Plea, due: Instant) {
        self.in_flight = InFlight::Nothing;
        self.sample(Phase::Provision, due, &exchanged.span);
        if plea.name.trim() != self.worker.fleet.name(self.ix) {
            // The server knows the device by this name.
            if let Some(wrong) = &mut self.wrong {
                wrong.alias = Some(plea.name.clone());
            }
        }
        self.provisioned(credentials, exchanged.span.done).await;
    }

    /// The further request that is the wrong. Its failure is an observation, not an outcome.
    async fn ask_again(&mut self, wrong: Misbehaviour, plea: &Plea, own: Option<&Credentials>) {
        // What holds if the run ends first.
        self.offends(Observed::Unfinished);
        let fleet = &self.worker.fleet;
        let dialect = fleet.dialect(self.ix);
        let listed = fleet.name(self.ix);
        let twin = format!("{listed}-twin");
        let (name, own) = match wrong {
            Misbehaviour::DuplicateName => (listed, None),
            Misbehaviour::TakenCredentials => (twin.as_str(), own),
            _ => (plea.name.as_str(), own),
        };
        let request = self.asking(dialect, name, own);
        match wrong {
            Misbehaviour::SecondProvisioning => {}
            // Gone without a word, as if the answer had never come.
            Misbehaviour::ReplayAfterLoss => self.connection = None,
            _ => self.disconnect().await,
        }
        if self.connection.is_none()
            && let Err(ended) = self.connect_to_ask(Instant::now()).await
        {
            return self.observe(Err(ended), name).await;
        }
        let asked = self.ask(dialect, name, &request).await;
        self.observe(asked, name).await;
    }

    /// Two connections, one request over each at the same time: a name is given away once. What the
    /// sooner answer grants is kept before the later one is waited for.
    async fn ask_twice_at_once(&mut self, plea: &Plea, due: Instant) -> Result<(), Ended> {
        let connected = self.connect_to_ask(due).await?;
        let fleet = &self.worker.fleet;
        let dialect = fleet.dialect(self.ix);
        let mut login = dialect.provision_login(&plea.name);
        // Brokers that know clients by their id would close the first of two with one id.
        login.client_id.push_str("~2");
        let rival = Connection::open(fleet.dial(self.ix), &login, None, self.ix.0).await;
        let mut rival = rival
            .map_err(|fault| (Outcome::Failed, fault.phase, fault.kind))?
            .connection;
        let mut mine = self.connection.take().expect("connected above");
        self.step = Phase::Provision;
        if let Err(ended) = self.intend(&plea.name).await {
            self.connection = Some(mine);
            return Err(ended);
        }
        self.in_flight = InFlight::Request;
        self.attempts += 2;
        self.told = Told::Perhaps;
        let verdict = {
            let mut one = pin!(mine.exchange(&plea.request));
            let mut two = pin!(rival.exchange(&plea.request));
            let (sooner, later) = tokio::select! {
                sooner = &mut one => (sooner, two),
                sooner = &mut two => (sooner, one),
            };
            match judged(dialect, sooner) {
                Ok(granted) => {
                    self.offends(Observed::Unfinished);
                    self.granted(granted, plea, connected).await;
                    Ok(judged(dialect, later.await))
                }
                Err(first) => match judged(dialect, later.await) {
                    Ok(granted) => {
                        self.granted(granted, plea, connected).await;
                        Ok(Err(first))
                    }
                    Err(second) => Err((first, second)),
                },
            }
        };
        self.in_flight = InFlight::Nothing;
        let result = match verdict {
            Ok(other) => {
                self.observe(other, &plea.name).await;
                Ok(())
            }
            Err((first, second)) => {
                if (first.0, second.0) == (Outcome::Refused, Outcome::Refused) {
                    self.offends(Observed::Barred);
                }
                // What leaves doubt outweighs what does not.
                let in_doubt = second.0 == Outcome::Unknown;
                Err(if in_doubt { second } else { first })
            }
        };
        self.connection = Some(mine);
        rival.close().await;
        result
    }

    /// Hands over credentials that a wrong request got, unless they are the device's own. As with
    /// those, the device's end asks for it again.
    pub(super) async fn keep_besides(&mut self) {
        let Some(wrong) = &mut self.wrong else { return };
        let known = self.credentials.as_deref();
        wrong
            .besides
            .take_if(|(_, besides)| known.is_some_and(|known| known.is_same(besides)));
        if let Some((name, credentials)) = &wrong.besides {
            let issued = self.worker.fleet.issued(self.ix, credentials.clone());
            let entry = Entry::Besides(issued);
            self.worker.note(self.ix, Some(name), entry).await;
            wrong.besides = None;
        }
    }

    /// The name that its credentials are for, where that is not the listed one.
    pub(super) fn alias(&self) -> Option<&str> {
        self.wrong.as_ref()?.alias.as_deref()
    }

    /// What its wrong request came to, where that was not its only one.
    pub(super) fn offence(&self) -> Option<Observed> {
        self.wrong.as_ref().and_then(|wrong| wrong.offence)
    }

    fn offends(&mut self, seen: Observed) {
        if let Some(wrong) = &mut self.wrong {
            wrong.offence = Some(seen);
        }
    }

    /// What the wrong request came to.
    async fn observe(&mut self, asked: Result<Granted, Ended>, name: &str) {
        let seen = match asked {
            Ok((credentials, _)) => {
                if let Some(wrong) = &mut self.wrong {
                    wrong.besides = Some((name.to_owned(), credentials));
                }
                Observed::Provisioned
            }
            Err((outcome, phase, kind)) => {
                self.cause.get_or_insert(Cause::At(phase, kind));
                match outcome {
                    Outcome::Refused => Observed::Refused,
                    Outcome::Unknown => Observed::Unknown,
                    _ => Observed::Failed,
                }
            }
        };
        self.offends(seen);
        self.keep_besides().await;
    }
}

/// The list gives no credentials for the device.
const UNUSABLE: Ended = (
    Outcome::Failed,
    Phase::Provision,
    FaultKind::CredentialsUnusable,
);
