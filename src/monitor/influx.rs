//! Where InfluxDB takes points: version 2's write API, or version 1's, as the URL says.
//!
//! Secrets do not belong into a URL, which shells and process lists remember: one that has them is refused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{Request, StatusCode, Uri};
use secrecy::{ExposeSecret, SecretString};

use super::line::lines;
use super::run::figures;
use crate::metrics::Exposure;

/// A place to write to.
#[derive(Clone, Debug)]
pub struct Influx {
    /// Path and query included, without secrets.
    pub(super) uri: Uri,
    /// `Authorization`, marked as sensitive.
    authorization: Option<HeaderValue>,
    token: Option<SecretString>,
}

impl Influx {
    /// What must not be shown, even if the server says it.
    pub(super) fn secrets(&self) -> Vec<&str> {
        let token = self.token.as_ref().map(ExposeSecret::expose_secret);
        let header = self.authorization.as_ref();
        let header = header.and_then(|header| header.to_str().ok()?.split_once(' '));
        token
            .into_iter()
            .chain(header.map(|(_, coded)| coded))
            .collect()
    }

    /// A push of a state.
    pub(super) fn request(
        &self,
        state: &Exposure,
    ) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let run = [("run", state.setting.started_at.as_str())];
        let now = jiff::Timestamp::now().as_millisecond();
        let body = lines(&figures(state), &run, now);
        let mut request = Request::post(self.uri.clone()).header(CONTENT_TYPE, LINES);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        request.body(Full::new(body.into()))
    }

    /// Points are taken when the server says so in the one way that there is: 200 may be anybody's page.
    pub(super) fn judge(status: StatusCode) -> Result<(), Option<String>> {
        if status == StatusCode::NO_CONTENT {
            Ok(())
        } else {
            Err(None)
        }
    }

    /// Reads a URL and the token, if there is one; what is wrong with them, and the way out.
    pub fn new(url: &str, token: Option<SecretString>) -> Result<Self, String> {
        let (place, query) = url.split_once('?').unwrap_or((url, ""));
        // First of all, so that no message has it.
        let pairs: Vec<(&str, &str)> = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .collect();
        let secret = |(key, _): &(&str, &str)| ["u", "p", "token"].contains(key);
        if place.contains('@') || pairs.iter().any(secret) {
            return Err(format!("a URL is no place for a secret\nhelp: {TOKEN}"));
        }
        if let Some((unknown, _)) = pairs.iter().find(|(key, _)| !KNOWN.contains(key)) {
            let known = KNOWN.join(", ");
            return Err(format!(
                "`{unknown}` is nothing that a write asks for\nhelp: {known} are"
            ));
        }
        let value = |key: &str| {
            let found = pairs.iter().find(|pair| pair.0 == key);
            found.map(|pair| pair.1).filter(|value| !value.is_empty())
        };
        let place = place.trim_end_matches('/');
        let (second, root) = match (
            place.strip_suffix("/api/v2/write"),
            place.strip_suffix("/write"),
        ) {
            (Some(root), _) => (true, root),
            (None, Some(root)) => (false, root),
            (None, None) => (value("bucket").is_some(), place),
        };
        let fits = if second {
            value("bucket").is_some() && (value("org").or(value("orgID"))).is_some()
        } else {
            value("db").is_some()
        };
        if !fits || (value("db").is_some() && value("bucket").is_some()) {
            return Err(FORMS.to_owned());
        }
        if value("precision").is_some_and(|precision| precision != "ms") {
            return Err(format!(
                "times go in milliseconds\nhelp: leave `precision` out. {FORMS}"
            ));
        }
        let path = if second { "/api/v2/write" } else { "/write" };
        let mut query = String::new();
        for (key, value) in pairs.iter().filter(|(key, _)| *key != "precision") {
            query.extend([key, "=", value, "&"]);
        }
        let uri: Option<Uri> = format!("{root}{path}?{query}precision=ms").parse().ok();
        let usable = |uri: &Uri| {
            matches!(uri.scheme_str(), Some("http" | "https"))
                && uri.host().is_some_and(|host| !host.is_empty())
        };
        let uri = uri.filter(usable).ok_or(FORMS)?;
        let token = token.filter(|token| !token.expose_secret().is_empty());
        let authorization = token.as_ref().map(|token| authorization(token, second));
        Ok(Self {
            uri,
            authorization: authorization.transpose()?,
            token,
        })
    }
}

/// Version 1 knows users and passwords, and what serves its API beside version 2's also takes tokens.
fn authorization(token: &SecretString, second: bool) -> Result<HeaderValue, String> {
    let token = token.expose_secret();
    let header = if !second && token.contains(':') {
        format!("Basic {}", STANDARD.encode(token))
    } else {
        format!("Token {token}")
    };
    let mut header = HeaderValue::try_from(header)
        .map_err(|_| format!("the token has characters that no header can have\nhelp: {TOKEN}"))?;
    header.set_sensitive(true);
    Ok(header)
}

const LINES: &str = "text/plain; charset=utf-8";

/// What a write's query may have.
const KNOWN: [&str; 7] = [
    "org",
    "orgID",
    "bucket",
    "db",
    "rp",
    "consistency",
    "precision",
];

const TOKEN: &str =
    "set the environment variable INFLUX_TOKEN to the token, or for version 1 to USER:PASSWORD";

const FORMS: &str = "this is no address that points can be written to\n\
    help: for InfluxDB 2 write it as 'http://HOST:8086/?org=ORG&bucket=BUCKET', for version 1 as \
    'http://HOST:8086/?db=DATABASE', with https:// where the server has it";

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(url: &str) -> String {
        Influx::new(url, None).expect(url).uri.to_string()
    }

    #[test]
    fn the_url_decides_over_the_version() {
        let second = "http://h:8086/api/v2/write?org=o&bucket=b&precision=ms";
        for url in [
            "http://h:8086?org=o&bucket=b",
            "http://h:8086/?org=o&bucket=b",
            "http://h:8086/api/v2/write?org=o&bucket=b",
            "http://h:8086/api/v2/write?org=o&bucket=b&precision=ms",
        ] {
            assert_eq!(uri(url), second, "{url}");
        }
        let first = "https://h/influx/write?db=d&rp=week&precision=ms";
        for url in [
            "https://h/influx?db=d&rp=week",
            "https://h/influx/write?db=d&rp=week",
        ] {
            assert_eq!(uri(url), first, "{url}");
        }
    }

    #[test]
    fn what_cannot_be_written_to_is_refused_with_the_way_out() {
        for url in [
            "",
            "h:8086",
            "ftp://h/?db=d",
            "http:///?db=d",
            "http://h:8086",
            "http://h?bucket=b",
            "http://h?db=d&bucket=b&org=o",
            "http://h/write?bucket=b&org=o",
            "http://h/api/v2/write?db=d",
            "http://h?db=",
            "http://h?db=d&precision=ns",
            "http://h?db=d&retention=1",
            "http://h ?db=d",
        ] {
            let error = Influx::new(url, None).expect_err(url);
            assert!(error.contains("\nhelp: "), "{url}: {error}");
        }
    }

    #[test]
    fn a_secret_in_the_url_is_refused_and_not_repeated() {
        for url in [
            "http://me:hunter2@h?db=d",
            "http://h?db=d&u=me&p=hunter2",
            "http://h?org=o&bucket=b&token=hunter2",
        ] {
            let error = Influx::new(url, None).expect_err(url);
            assert!(error.contains("INFLUX_TOKEN"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        let error = Influx::new("http://h?db=d", Some("hunter2\n".into())).expect_err("a line");
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn tokens_go_as_the_version_takes_them_and_are_not_shown() {
        for (url, token, header) in [
            ("http://h?org=o&bucket=b", "t:x", "Token t:x"),
            ("http://h?db=d", "me:secret", "Basic bWU6c2VjcmV0"),
            ("http://h?db=d", "n0nsense", "Token n0nsense"),
        ] {
            let influx = Influx::new(url, Some(token.into())).expect(url);
            assert!(!format!("{influx:?}").contains(token));
            assert_eq!(influx.authorization.expect("one"), header);
        }
        let none = Influx::new("http://h?db=d", Some("".into())).expect("no token");
        assert!(none.authorization.is_none());
    }
}
