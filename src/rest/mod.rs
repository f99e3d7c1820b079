//! A client of ThingsBoard's REST API (section 8): logs in, keeps its token fresh, tries again where
//! that can do no harm, and shows no secret.
//!
//! `calls` are the requests of an administrator who prepares and reads back a server, `push` those
//! of an operator in mid-run, whose moments are measured and which are never sent twice.

mod body;
mod calls;
mod client;
mod error;
mod exchange;
mod https;
mod login;
mod push;

pub use body::Begun;
pub use calls::{Device, ImportAnswer, Page, Profile, ServerCredentials};
pub use client::{Client, Server};
pub use error::RestError;
pub use https::{Https, cause, https, shown};
pub use login::Login;
pub use push::{Once, Push};
