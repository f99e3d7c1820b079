//! What numbers of noisy runs tell: bootstrap over blocks of time, Student's t, Holm's correction,
//! effect sizes without a distribution, changes of a level. `docs/compare.md` has the formulas and the references.
//!
//! Pure: neither file nor clock, and nothing of what is measured. All chance comes from a seed, so
//! that the same input gives the same answer. It refuses to guess: where the data cannot tell, there
//! is no number.

mod blocks;
#[cfg(test)]
mod calibration;
mod change_points;
mod contrast;
mod effect;
mod figure;
mod holm;
mod samples;
mod student;

pub use blocks::{Blocks, blocks, resampled};
pub use change_points::change_points;
pub use contrast::{Contrast, Scale, Spread, contrast};
pub use effect::a12;
pub use figure::{Figure, Parts};
pub use holm::holm;
pub use samples::Samples;
pub use student::{t_quantile, t_tail};
