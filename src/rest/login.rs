//! Who asks: a user whose token is kept fresh, or a key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Duration, Instant};

/// How to log in.
#[derive(Clone, Debug)]
pub enum Login {
    /// As a user, with tokens.
    Password {
        /// The user's name.
        user: String,
        /// The user's password.
        password: SecretString,
    },
    /// With a key, from release 4.3 on.
    ApiKey(SecretString),
}

impl Login {
    /// What to do when it is refused.
    pub(super) fn help(&self) -> &'static str {
        match self {
            Self::Password { .. } => {
                "check user and password ([rest] of a scenario; --user, and FLEETCALL_TB_PASSWORD or \
                --password-file): they must be a tenant administrator's"
            }
            Self::ApiKey(_) => {
                "check the key ([rest] of a scenario; FLEETCALL_TB_API_KEY or --api-key-file): servers \
                have keys from release 4.3 on, and it must be a tenant administrator's"
            }
        }
    }
}

/// The answer to a login.
#[derive(Deserialize)]
pub(super) struct Pair {
    token: SecretString,
    #[serde(rename = "refreshToken")]
    pub(super) refresh: SecretString,
}

/// A token, and when to have another.
pub(super) struct Token {
    pub(super) refresh: SecretString,
    pub(super) header: SecretString,
    stale: Instant,
}

impl Token {
    pub(super) fn new(pair: Pair, now: Instant) -> Self {
        let life = life(pair.token.expose_secret()).unwrap_or(LIFE);
        Self {
            header: format!("Bearer {}", pair.token.expose_secret()).into(),
            refresh: pair.refresh,
            // Four fifths: the rest is for requests under way and clocks that differ.
            stale: now + life.mul_f64(0.8),
        }
    }

    pub(super) fn is_stale(&self, now: Instant) -> bool {
        now >= self.stale
    }
}

/// How long a JSON Web Token (RFC 7519) lasts, by its own claims and nobody's clock.
fn life(token: &str) -> Option<Duration> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    let seconds = claims["exp"]
        .as_u64()?
        .checked_sub(claims["iat"].as_u64()?)?;
    Some(Duration::from_secs(seconds.min(WEEK)))
}

/// Of a token that does not tell.
const LIFE: Duration = Duration::from_mins(10);

const WEEK: u64 = 604_800;

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(claims: &str) -> Pair {
        Pair {
            token: format!("x.{}.y", URL_SAFE_NO_PAD.encode(claims)).into(),
            refresh: "r".into(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_stale_before_its_time_is_over() {
        let token = Token::new(pair(r#"{"iat":1000,"exp":1100}"#), Instant::now());
        assert!(!token.is_stale(Instant::now()));
        tokio::time::advance(Duration::from_secs(79)).await;
        assert!(!token.is_stale(Instant::now()));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(token.is_stale(Instant::now()));
        // Whatever it says, it is a token.
        for odd in [
            "",
            "{}",
            r#"{"iat":9,"exp":1}"#,
            r#"{"iat":0,"exp":99999999999999999999}"#,
        ] {
            assert!(
                !Token::new(pair(odd), Instant::now()).is_stale(Instant::now()),
                "{odd}"
            );
        }
    }
}
