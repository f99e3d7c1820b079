//! `[target.rpc]`, and `[rpc]` of a target's own file.

use super::super::fault::Faults;
use super::super::file::rpc::Methods;
use super::super::section::Entry;
use crate::model::{RpcAnswer, RpcAnswers};

/// What each method is answered with: one thing.
pub(in crate::scenario) fn answers(entry: &Entry<Methods>, faults: &Faults) -> Option<RpcAnswers> {
    let methods = match entry {
        Entry::Absent => return Some(RpcAnswers::default()),
        Entry::Faulty => return None,
        Entry::Given(methods, _) => &methods.0,
    };
    let read: Vec<_> = methods
        .iter()
        .map(|(name, method, spot)| {
            let method = method.as_ref()?;
            let answer = match (&method.answer, method.echo.or(false)?) {
                (Entry::Faulty, _) => return None,
                (Entry::Given(json, _), false) => RpcAnswer::Fixed(json.0.clone()),
                (Entry::Absent, true) => RpcAnswer::Echo,
                (Entry::Given(..), true) | (Entry::Absent, false) => {
                    let title = format!("`{name}` needs either `answer` or `echo = true`");
                    let help = "a method without an answer is left out: it times out";
                    faults.add(spot, title, help);
                    return None;
                }
            };
            Some((name.clone(), answer))
        })
        .collect();
    read.into_iter().collect::<Option<_>>().map(RpcAnswers)
}
