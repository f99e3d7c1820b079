//! The HTTP/1.1 front end: provisioning and the device API, as far as a device without firmware
//! and without an administrator can use it.
//!
//! `listener` accepts, `route` sorts requests, `provision` and `device` answer them, `reply` puts
//! answers into the platform's forms. Answers of the platform's own REST API are out of scope.

mod device;
mod listener;
mod provision;
mod reply;
mod route;

pub(super) use listener::serve;
