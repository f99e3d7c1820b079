//! The HTTP/1.1 front end: provisioning, the device API as far as a device without firmware can
//! use it, and of the REST API what device lists need.
//!
//! `listener` accepts, `route` sorts requests, `provision`, `device` and `rest` answer them, `reply`
//! puts answers into the platform's forms.

mod device;
mod listener;
mod provision;
mod reply;
mod rest;
mod route;

pub(super) use listener::serve;
