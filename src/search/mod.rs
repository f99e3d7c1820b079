//! Which rate is tried next: the search for the highest rate that holds. Results in, next trial out.
//!
//! Steps up by a factor until a rate does not hold, halves the bracket (on a logarithmic scale)
//! until it is narrow, tries its upper end again, and confirms its lower end over a longer time. What
//! a rate is taken for follows from all that was tried at it, so a hiccup of the target is seen as
//! one, and a rate that held by luck does not stand. Knows no device, clock or condition.

mod history;
mod rules;

#[cfg(test)]
mod tests;

pub use history::{Bracket, Next, Search, Trial};
pub use rules::{CONFIRM_HOLDS, SearchRules};
