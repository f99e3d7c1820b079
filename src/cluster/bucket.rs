//! The bucket `fleetcall-run`: what the processes of a run have to know.

use async_nats::jetstream::message::PublishMessage;
use bytes::Bytes;

use super::bus::{PATIENCE, Patience, Posted};
use super::names::{CURRENT, RUN};
use super::{Bus, BusError, RunId};

/// Whether a key was there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// It was not, and has the value now.
    New,
    /// It was, with this value, which it keeps.
    There(Vec<u8>),
}

impl Bus {
    /// Gives a key its value unless it has one. An answer that was lost, and that said `New`, may be `There` with
    /// one's own value.
    pub async fn create(
        &self,
        run: &RunId,
        key: &str,
        value: Vec<u8>,
    ) -> Result<Created, BusError> {
        let subject = run.key(key)?;
        let value = self.fitting(value)?;
        let mut patience = Patience::of(PATIENCE);
        loop {
            let message = PublishMessage::build()
                .payload(value.clone())
                .expected_stream(RUN)
                .expected_last_subject_sequence(0);
            let why = match self.post(&subject, message).await {
                Posted::Stored(_) => return Ok(Created::New),
                Posted::Refused => match self.last(RUN, &subject).await {
                    Ok(Some(there)) => return Ok(Created::There(there.payload.to_vec())),
                    Ok(None) => "refused, and not there".to_owned(),
                    Err(why) => why,
                },
                Posted::Unclear(why) => why,
            };
            patience.wait("storing a key", why).await?;
        }
    }

    /// Gives a key a value.
    pub async fn put(&self, run: &RunId, key: &str, value: Vec<u8>) -> Result<(), BusError> {
        self.set(&run.key(key)?, value).await
    }

    /// The value of a key.
    pub async fn get(&self, run: &RunId, key: &str) -> Result<Option<Vec<u8>>, BusError> {
        let found = self.read(&run.key(key)?).await?;
        Ok(found.map(|(_, value)| value.to_vec()))
    }

    /// Says which run workers join that were not told of any.
    pub async fn announce(&self, run: &RunId) -> Result<(), BusError> {
        self.set(CURRENT, run.as_str().as_bytes().to_vec()).await
    }

    async fn set(&self, subject: &str, value: Vec<u8>) -> Result<(), BusError> {
        let value = self.fitting(value)?;
        let mut patience = Patience::of(PATIENCE);
        loop {
            let message = PublishMessage::build()
                .payload(value.clone())
                .expected_stream(RUN);
            let why = match self.post(subject, message).await {
                Posted::Stored(_) => return Ok(()),
                Posted::Refused => "refused".to_owned(),
                Posted::Unclear(why) => why,
            };
            patience.wait("storing a key", why).await?;
        }
    }

    /// Sequence and value of a subject of the bucket.
    pub(super) async fn read(&self, subject: &str) -> Result<Option<(u64, Bytes)>, BusError> {
        let mut patience = Patience::of(PATIENCE);
        loop {
            match self.last(RUN, subject).await {
                Ok(found) => return Ok(found.map(|found| (found.sequence, found.payload))),
                Err(why) => patience.wait("reading a key", why).await?,
            }
        }
    }

    fn fitting(&self, value: Vec<u8>) -> Result<Bytes, BusError> {
        let most = self.max_body();
        if value.len() > most {
            return Err(BusError::TooMuch {
                what: "a value",
                length: value.len() as u64,
                most: most as u64,
            });
        }
        Ok(value.into())
    }
}
