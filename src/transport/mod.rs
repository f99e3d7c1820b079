//! How a device's bytes travel: MQTT 3.1.1 and 5, HTTP/1.1 and CoAP, plain or secured, from the
//! device's side.
//!
//! A [`Connection`] is opened with a [`Dial`], carries one [`Request`](crate::model::Request) at a
//! time and gives back its [`Reply`](crate::model::Reply) with the two moments that latencies are
//! made of; what the server sends unasked it hands over as a [`Delivery`]. What went wrong is a
//! [`Fault`] or [`OpenFault`]: a value, never a panic. Nothing here knows what a request means, retries one that may have been sent, or trusts a length that a
//! peer announces. Everything runs on a `current_thread` runtime; futures are not `Send`.

mod coap;
mod connection;
mod dial;
mod fault;
mod http;
mod inbox;
mod mqtt;
mod pause;
mod records;
mod scratch;
mod secured;
mod tickets;
mod timer;
mod tls;
mod verifier;
mod wire;

pub use coap::CoapTiming;
pub use connection::{Connection, Exchanged, Opened, Posted, Span, Subscribed};
pub use dial::{Dial, probe};
pub use fault::{Fault, OpenFault};
pub use inbox::{Delivery, Standing};
pub use tls::{Tls, TlsError, Trust};
