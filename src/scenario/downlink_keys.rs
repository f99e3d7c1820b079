//! `[downlink]`, `[[push]]` and `[rest]` as they are typed.

use super::json::{Answer, Object};
use super::leaf::{Choice, Span, Text, Word};
use super::plan::PushKind;
use super::section::section;
use crate::model::Delay;

section! {
    /// What provisioned devices take part in besides reporting: they stay connected for it.
    struct Downlink as "[downlink]" {
        /// Whether they subscribe to updates of their shared attributes.
        #[schemars(default, extend("default" = true))]
        attributes: bool,
        /// Whether they take calls of their methods (server-side RPC), and answer them.
        #[schemars(default, extend("default" = true))]
        rpc: bool,
        /// How long a device takes before it answers a call: a time, or a distribution.
        #[schemars(default, extend("default" = "0s"))]
        delay: Delay,
        /// The answer; its strings may be templates over name, index, row.COLUMN, id, method and
        /// params.
        #[schemars(default, extend("default" = { "success": true }))]
        reply: Answer,
        /// The answer as one template, in place of `reply`.
        #[schemars(default)]
        reply_template: Text,
        /// HTTP: how long the server may hold a long poll, at least 1s.
        #[schemars(default, extend("default" = "20s"))]
        poll: Span,
        /// What devices call the server with (client-side RPC); absent: nothing.
        #[schemars(default)]
        request: Request,
        /// Devices say once that they may be claimed; absent: they do not.
        #[schemars(default)]
        claim: Claim,
    }
}

section! {
    /// Calls of the server by its devices.
    struct Request as "[downlink.request]" {
        /// The method.
        method: Text,
        /// What it is given; its strings may be templates over name, index, row.COLUMN and tick.
        #[schemars(default)]
        params: Object,
        /// From one call of a device to its next, at least 10ms.
        #[schemars(default, extend("default" = "30s"))]
        interval: Span,
    }
}

section! {
    /// What devices say to be claimed.
    struct Claim as "[downlink.claim]" {
        /// The key that whoever claims must know: a template over name, index and row.COLUMN.
        #[schemars(default)]
        secret_key: Text,
        /// For how long.
        #[schemars(default)]
        duration: Span,
    }
}

section! {
    /// What an operator does to devices over the REST API in the middle of the run.
    struct Push as "[[push]]" {
        /// `attributes`, `rpc` (with an answer) or `rpc_oneway`.
        kind: Choice<PushKind>,
        /// Once for each device: when, from the start of the run.
        #[schemars(default)]
        at: Span,
        /// In place of `at`: again and again, from one to the next, at least 10ms.
        #[schemars(default)]
        every: Span,
        /// Over what time devices are spread; with `every` all of it by default.
        #[schemars(default)]
        spread: Span,
        /// Which part of the devices (more than 0, up to 1) gets it.
        #[schemars(default, extend("default" = 1))]
        share: f64,
        /// `attributes`: the values; its strings may be templates over name, index, row.COLUMN and
        /// tick.
        #[schemars(default)]
        payload: Object,
        /// `rpc` and `rpc_oneway`: the method.
        #[schemars(default)]
        method: Text,
        /// `rpc` and `rpc_oneway`: what it is given, as `payload`.
        #[schemars(default)]
        params: Object,
        /// How long it may take until the device has it, and has answered, at least 10ms.
        #[schemars(default, extend("default" = "10s"))]
        timeout: Span,
    }
}

section! {
    /// The REST API that pushes go through; the embedded target's is known.
    struct Rest as "[rest]" {
        /// http://HOST:PORT or https://HOST.
        url: Text,
        /// A tenant administrator.
        #[schemars(default)]
        username: Text,
        /// Its password.
        #[schemars(default)]
        password: Text,
        /// In place of both: an API key, from release 4.3 on.
        #[schemars(default)]
        api_key: Text,
        /// A PEM file of authorities to trust for https; by default [target]'s, or the system's.
        #[schemars(default)]
        ca: Text,
        /// How many requests are under way at a time, over all workers.
        #[schemars(default, extend("default" = 64))]
        connections: u32,
    }
}

impl Word for PushKind {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("attributes", Self::Attributes),
        ("rpc", Self::Rpc),
        ("rpc_oneway", Self::RpcOneway),
    ];
}
