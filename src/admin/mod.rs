//! The REST API of a server.

pub mod verify;
