//! Servers that take figures, and how each says that it did.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, StatusCode, Uri};

use super::influx::Influx;
#[cfg(feature = "otlp")]
use super::otlp::Otlp;
use crate::metrics::Exposure;

/// Who is pushed to.
#[derive(Debug)]
pub enum Sink {
    /// InfluxDB, or what takes its line protocol.
    Influx(Influx),
    /// An OpenTelemetry collector, or what takes its metrics.
    #[cfg(feature = "otlp")]
    Otlp(Otlp),
}

impl Sink {
    /// Where pushes go; no secrets are in it.
    pub fn uri(&self) -> &Uri {
        match self {
            Self::Influx(influx) => &influx.uri,
            #[cfg(feature = "otlp")]
            Self::Otlp(otlp) => &otlp.uri,
        }
    }

    /// A push of a state.
    pub(super) fn request(
        &self,
        state: &Exposure,
    ) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        match self {
            Self::Influx(influx) => influx.request(state),
            #[cfg(feature = "otlp")]
            Self::Otlp(otlp) => otlp.request(state),
        }
    }

    /// Whether an answer says that a push was taken; else why not, in the server's words.
    pub(super) fn judge(&self, status: StatusCode, body: &[u8]) -> Result<(), String> {
        let taken = match self {
            Self::Influx(_) => Influx::judge(status),
            #[cfg(feature = "otlp")]
            Self::Otlp(_) => Otlp::judge(status, body),
        };
        taken.map_err(|why| {
            let mut why = why.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
            for secret in self.secrets() {
                why = why.replace(secret, "…");
            }
            format!("{status}: {why}")
        })
    }

    /// What must not be shown, even if the server says it.
    fn secrets(&self) -> Vec<&str> {
        match self {
            Self::Influx(influx) => influx.secrets(),
            #[cfg(feature = "otlp")]
            Self::Otlp(otlp) => otlp.secrets(),
        }
    }
}
