//! What a server answers when devices call it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Answers to client-side RPC, by method. Of any other method the server knows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RpcAnswers(pub BTreeMap<String, RpcAnswer>);

/// The answer to one method.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RpcAnswer {
    /// This JSON, whatever the parameters.
    Fixed(String),
    /// The parameters.
    Echo,
}
