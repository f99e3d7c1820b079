//! Who may use the REST API: one tenant administrator, tokens that last their time, and a key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::administered::now;
use super::config::Rest;

/// The account and the key that signs its tokens.
pub(super) struct Accounts {
    rest: Rest,
    key: hmac::Key,
}

/// Why a request may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unauthorized {
    /// Name or password is wrong.
    Login,
    /// No token, or none of this server's.
    Token,
    /// Its time is over.
    Expired,
}

impl Accounts {
    pub(super) fn new(rest: Rest) -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA512, &ring::rand::SystemRandom::new())
            .expect("the system has random numbers");
        Self { rest, key }
    }

    pub(super) fn rest(&self) -> &Rest {
        &self.rest
    }

    /// A pair of tokens for a name and password.
    pub(super) fn login(&self, username: &str, password: &str) -> Result<Value, Unauthorized> {
        if username != self.rest.username || !self.same(password, &self.rest.password) {
            return Err(Unauthorized::Login);
        }
        Ok(self.pair())
    }

    /// A new pair for a refresh token.
    pub(super) fn refresh(&self, token: &str) -> Result<Value, Unauthorized> {
        self.verify(token, REFRESH).map(|()| self.pair())
    }

    /// Whether an `X-Authorization` or `Authorization` header lets a request in.
    pub(super) fn let_in(&self, header: &str, keys: bool) -> Result<(), Unauthorized> {
        if let Some(token) = header.strip_prefix("Bearer ") {
            return self.verify(token.trim(), ACCESS);
        }
        let right = self.rest.api_key.as_ref().filter(|_| keys);
        let given = header.strip_prefix("ApiKey ").map(str::trim);
        match (right, given) {
            (Some(right), Some(given)) if self.same(given, right) => Ok(()),
            _ => Err(Unauthorized::Token),
        }
    }

    /// Compares in a time that says nothing.
    fn same(&self, given: &str, right: &SecretString) -> bool {
        let right = hmac::sign(&self.key, right.expose_secret().as_bytes());
        hmac::verify(&self.key, given.as_bytes(), right.as_ref()).is_ok()
    }

    fn pair(&self) -> Value {
        json!({
            "token": self.token(ACCESS, self.rest.token_life.as_millis()),
            "refreshToken": self.token(REFRESH, REFRESH_LIFE),
        })
    }

    /// A JSON Web Token (RFC 7519) with whole seconds, as the platform makes them.
    fn token(&self, scope: &str, life: u128) -> String {
        let now = now();
        let life = i64::try_from(life).unwrap_or(i64::MAX);
        let claims = json!({
            "sub": self.rest.username,
            "scopes": [scope],
            "iss": "thingsboard.io",
            "iat": now / 1000,
            "exp": now.saturating_add(life) / 1000,
        });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&json!({"alg": "HS512"})), part(&claims));
        let tag = hmac::sign(&self.key, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    fn verify(&self, token: &str, scope: &str) -> Result<(), Unauthorized> {
        let claims = self.claims(token).ok_or(Unauthorized::Token)?;
        if claims["scopes"][0] != scope {
            return Err(Unauthorized::Token);
        }
        let over = claims["exp"].as_i64().is_none_or(|exp| exp <= now() / 1000);
        if over {
            Err(Unauthorized::Expired)
        } else {
            Ok(())
        }
    }

    fn claims(&self, token: &str) -> Option<Value> {
        let (signed, tag) = token.rsplit_once('.')?;
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        hmac::verify(&self.key, signed.as_bytes(), &tag).ok()?;
        let claims = URL_SAFE_NO_PAD.decode(signed.split_once('.')?.1).ok()?;
        serde_json::from_slice(&claims).ok()
    }
}

const ACCESS: &str = "TENANT_ADMIN";
const REFRESH: &str = "REFRESH_TOKEN";

/// Seven days, in ms.
const REFRESH_LIFE: u128 = 604_800_000;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn tokens_let_in_until_they_expire_and_each_for_its_purpose() {
        let accounts = Accounts::new(Rest::default());
        assert_eq!(
            accounts.login("tenant@thingsboard.org", "wrong"),
            Err(Unauthorized::Login)
        );
        let pair = accounts.login("tenant@thingsboard.org", "tenant").unwrap();
        let (token, refresh) = (
            pair["token"].as_str().unwrap(),
            pair["refreshToken"].as_str().unwrap(),
        );
        let bearer = |token: &str| accounts.let_in(&format!("Bearer {token}"), true);
        assert_eq!(bearer(token), Ok(()));
        assert_eq!(bearer(refresh), Err(Unauthorized::Token));
        assert_eq!(bearer(&token[1..]), Err(Unauthorized::Token));
        assert!(accounts.refresh(refresh).is_ok());
        assert_eq!(accounts.refresh(token), Err(Unauthorized::Token));
        assert_eq!(accounts.let_in("ApiKey x", true), Err(Unauthorized::Token));
        // Another server's.
        let other = Accounts::new(Rest::default());
        assert!(other.let_in(&format!("Bearer {token}"), true).is_err());
    }

    #[test]
    fn a_token_without_life_has_expired_and_a_key_opens_where_the_release_has_keys() {
        let accounts = Accounts::new(Rest {
            token_life: Duration::ZERO,
            api_key: Some("k1".into()),
            ..Rest::default()
        });
        let pair = accounts.login("tenant@thingsboard.org", "tenant").unwrap();
        let token = format!("Bearer {}", pair["token"].as_str().unwrap());
        assert_eq!(accounts.let_in(&token, true), Err(Unauthorized::Expired));
        assert_eq!(accounts.let_in("ApiKey k1", true), Ok(()));
        assert_eq!(
            accounts.let_in("ApiKey k1", false),
            Err(Unauthorized::Token)
        );
        assert_eq!(accounts.let_in("ApiKey k2", true), Err(Unauthorized::Token));
    }
}
