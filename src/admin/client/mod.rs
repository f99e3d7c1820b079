//! The REST client: log in, keep the token fresh, try again where that can do no harm.

mod calls;
mod error;
mod http;
mod login;

pub use calls::{Device, ImportAnswer, Page, Profile, ServerCredentials};
pub use error::AdminError;
pub use http::{Client, Server};
pub use login::Login;
