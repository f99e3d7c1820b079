//! placeholder until merge
use secrecy::{ExposeSecret, SecretString};
#[derive(Debug)]
/// x
pub struct Derivation(SecretString);
impl Derivation {
    /// x
    pub fn new(key: &SecretString) -> Self {
        Self(key.clone())
    }
    /// x
    pub fn token(&self, name: &str) -> SecretString {
        format!("{}{name}", self.0.expose_secret()).into()
    }
}
