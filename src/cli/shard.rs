//! `--shard` and `--start-at`: which part of a run is this machine's, and when all of them begin.

use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;

use super::Failure;
use super::screen::tell;
use crate::engine::{Dealing, Fleet, Stop, StopSwitch, reached};
use crate::metrics::{ShardSummary, Threshold};
use crate::model::{Shard, units};
use crate::scenario::Plan;

/// A shard as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ShardArg {
    /// `2/5`.
    Given(Shard),
    /// `auto` or `auto/5`: whatever started the program says which, and perhaps of how many.
    Auto {
        /// How many there are.
        of: Option<u32>,
    },
}

impl FromStr for ShardArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || "write I/N such as 2/5, auto/N, or auto".to_owned();
        let (which, of) = match text.split_once('/') {
            None if text == AUTO => return Ok(Self::Auto { of: None }),
            None => return Err(form()),
            Some((which, of)) => (which, of.parse().map_err(|_| form())?),
        };
        if !(1..=SHARDS_MAX).contains(&of) {
            return Err(format!("there are 1 to {SHARDS_MAX} shards"));
        }
        if which == AUTO {
            return Ok(Self::Auto { of: Some(of) });
        }
        let number = which.parse().map_err(|_| form())?;
        if !(1..=of).contains(&number) {
            return Err(format!("shards are counted from 1 to {of}"));
        }
        Ok(Self::Given(Shard { number, of }))
    }
}

impl ShardArg {
    /// Which shard it is, where the environment is as `set` says.
    fn resolve(self, set: &dyn Fn(&str) -> Option<String>) -> Result<Shard, String> {
        let of = match self {
            Self::Given(shard) => return Ok(shard),
            Self::Auto { of } => of,
        };
        let number = |name: &str| {
            let Some(text) = set(name) else {
                return Ok(None);
            };
            let number = text.parse::<u32>();
            number
                .map(Some)
                .map_err(|_| format!("{name} is {text:?}, and no number"))
        };
        let needed = |name: &str| {
            number(name)?
                .ok_or_else(|| format!("{SLURM} is set and {name} is not\nhelp: {WAY_OUT}"))
        };
        let (position, of, by) = if let Some(index) = number(KUBERNETES)? {
            let of = of.ok_or_else(|| {
                format!(
                    "{KUBERNETES} is {index}, and Kubernetes does not say how many there are\n\
                     help: write auto/N with the Job's `completions` as N"
                )
            })?;
            (index, of, format!("{KUBERNETES} is {index}"))
        } else if let Some(id) = number(SLURM)? {
            let (min, step) = (needed(SLURM_MIN)?, number(SLURM_STEP)?.unwrap_or(1).max(1));
            let of = match of {
                Some(of) => of,
                None => needed(SLURM_COUNT)?,
            };
            let by = format!("{SLURM} is {id}, {SLURM_MIN} {min}");
            let position = id.checked_sub(min).filter(|at| at.is_multiple_of(step));
            let position = position.ok_or_else(|| {
                format!("{by}: not a task of an array in steps of {step}\nhelp: {WAY_OUT}")
            })?;
            (position / step, of, by)
        } else {
            return Err(format!(
                "neither {KUBERNETES} (Kubernetes) nor {SLURM} (SLURM) is set\nhelp: {WAY_OUT}"
            ));
        };
        if !(1..=SHARDS_MAX).contains(&of) {
            return Err(format!("{of} shards: there are 1 to {SHARDS_MAX}"));
        }
        if position >= of {
            return Err(format!(
                "{by}, which is shard {} of {of}: there is none\nhelp: number the tasks without gaps, \
                 and let N be how many there are",
                u64::from(position) + 1
            ));
        }
        Ok(Shard {
            number: position + 1,
            of,
        })
    }
}

/// Deals the list to this machine: all of it, or the shard that was asked for.
pub(super) fn deal(
    asked: Option<ShardArg>,
    plan: &mut Plan,
    cohort_of: Vec<u16>,
) -> Result<Dealing, Failure> {
    let Some(asked) = asked else {
        return Ok(cohort_of.into());
    };
    let shard = asked.resolve(&|name| std::env::var(name).ok());
    let shard = shard.map_err(|why| Failure::usage(format!("--shard: {why}")))?;
    if plan.seed_is_drawn {
        return Err(Failure::usage(
            "--shard: the scenario has no seed, and each machine would draw its own: their parts would be of \
             no common run\nhelp: write `seed = 1` in it, or give all machines the same --seed",
        ));
    }
    let dealing = Dealing::of_shard(plan, cohort_of, shard);
    dealing.map_err(|error| Failure::usage(format!("--shard: {error}")))
}

/// What reports say of the part that a run is, if it is one.
pub(super) fn summary(fleet: &Fleet) -> Option<ShardSummary> {
    let shard = fleet.shard()?;
    Some(ShardSummary {
        shard,
        listed: fleet.inventory.len() as u64,
        schedule_digest: fleet.whole_digest.clone(),
        deferred: deferred(&fleet.plan).map(Threshold::to_string).collect(),
    })
}

/// Thresholds that a part of the run cannot be judged by.
fn deferred(plan: &Plan) -> impl Iterator<Item = &Threshold> {
    plan.thresholds
        .iter()
        .filter(|threshold| threshold.is_of_the_whole())
}

/// What the run's directory is called after.
pub(super) fn run_name(fleet: &Fleet) -> String {
    match fleet.shard() {
        None => fleet.plan.name.clone(),
        Some(Shard { number, of }) => format!("{}-shard-{number}-of-{of}", fleet.plan.name),
    }
}

/// Says which part it is.
pub(super) fn announce(fleet: &Fleet) {
    if let Some(shard) = fleet.shard() {
        tracing::info!(%shard, devices = fleet.len(), listed = fleet.inventory.len(), "a shard");
        tell(format_args!(
            "shard {shard}: {} of {} devices",
            units::count(u64::from(fleet.len())),
            units::count(fleet.inventory.len() as u64)
        ));
        for threshold in deferred(&fleet.plan) {
            tell(format_args!(
                "note: `{threshold}` is judged once all shards are added up"
            ));
        }
    }
}

/// Refuses a moment that is past.
pub(super) fn check_start(start_at: Option<Timestamp>) -> Result<(), Failure> {
    let now = Timestamp::now();
    match start_at {
        Some(at) if at <= now => Err(Failure::usage(format!(
            "--start-at: {at} is past: it is {now:.0} now\nhelp: name a moment that is to come, with \
             time enough for all machines to get ready"
        ))),
        _ => Ok(()),
    }
}

/// Waits until the moment, unless somebody ends it before. When the run begins, and what is to be said
/// of that.
pub(super) async fn wait(
    start_at: Option<Timestamp>,
    stop: &StopSwitch,
) -> Option<(Timestamp, Option<String>)> {
    let at = start_at?;
    let left = |now: Timestamp| Duration::try_from(at.duration_since(now)).ok();
    let Some(first) = left(Timestamp::now()) else {
        let now = Timestamp::now();
        let late = now.duration_since(at).as_secs_f64();
        let note = format!("begun {late:.1} s after --start-at: getting ready took longer");
        tell(format_args!("note: {note}"));
        return Some((now, Some(note)));
    };
    let seconds = Duration::from_secs(first.as_secs());
    tell(format_args!(
        "ready: begins at {at}, in {}; Ctrl-C ends it",
        humantime::format_duration(seconds)
    ));
    let mut watched = stop.subscribe();
    // By the wall clock, which may be set meanwhile.
    while let Some(left) = left(Timestamp::now()).filter(|left| !left.is_zero()) {
        tokio::select! {
            biased;
            () = reached(&mut watched, Stop::Winding) => return Some((Timestamp::now(), None)),
            () = tokio::time::sleep(left.min(LOOK_EVERY)) => {}
        }
    }
    Some((at, None))
}

const AUTO: &str = "auto";

const KUBERNETES: &str = "JOB_COMPLETION_INDEX";
const SLURM: &str = "SLURM_ARRAY_TASK_ID";
const SLURM_MIN: &str = "SLURM_ARRAY_TASK_MIN";
const SLURM_STEP: &str = "SLURM_ARRAY_TASK_STEP";
const SLURM_COUNT: &str = "SLURM_ARRAY_TASK_COUNT";

const WAY_OUT: &str = "write --shard I/N, or start it as an Indexed Job or an array job";

/// More than a load test has machines.
const SHARDS_MAX: u32 = 10_000;

/// From one look at the wall clock to the next.
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(asked: &str, set: &[(&str, &str)]) -> Result<String, String> {
        let asked: ShardArg = asked.parse()?;
        let value = |name: &str| {
            let found = set.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        asked.resolve(&value).map(|shard| shard.to_string())
    }

    #[test]
    fn a_shard_is_what_is_written() {
        assert_eq!(resolved("2/5", &[(KUBERNETES, "0")]).unwrap(), "2 of 5");
        assert_eq!(resolved("1/1", &[]).unwrap(), "1 of 1");
        for wrong in [
            "0/5", "6/5", "5", "1/0", "a/5", "2/", "/", "-1/5", "auto/0", "auto/x", "1/10001",
        ] {
            assert!(wrong.parse::<ShardArg>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn kubernetes_says_which_and_not_of_how_many() {
        assert_eq!(resolved("auto/5", &[(KUBERNETES, "0")]).unwrap(), "1 of 5");
        assert_eq!(resolved("auto/5", &[(KUBERNETES, "4")]).unwrap(), "5 of 5");
        let beyond = resolved("auto/5", &[(KUBERNETES, "5")]).unwrap_err();
        assert!(
            beyond.contains("JOB_COMPLETION_INDEX is 5, which is shard 6 of 5"),
            "{beyond}"
        );
        let plain = resolved("auto", &[(KUBERNETES, "2")]).unwrap_err();
        assert!(plain.contains("auto/N"), "{plain}");
    }

    #[test]
    fn slurm_says_both() {
        let array = [(SLURM, "12"), (SLURM_MIN, "10"), (SLURM_COUNT, "4")];
        assert_eq!(resolved("auto", &array).unwrap(), "3 of 4");
        assert_eq!(resolved("auto/3", &array).unwrap(), "3 of 3");
        let stepped = [
            (SLURM, "7"),
            (SLURM_MIN, "1"),
            (SLURM_STEP, "2"),
            (SLURM_COUNT, "5"),
        ];
        assert_eq!(resolved("auto", &stepped).unwrap(), "4 of 5");
        let gaps = resolved(
            "auto",
            &[(SLURM, "9"), (SLURM_MIN, "1"), (SLURM_COUNT, "3")],
        );
        assert!(gaps.unwrap_err().contains("without gaps"));
        let half = resolved("auto", &[(SLURM, "9")]).unwrap_err();
        assert!(half.contains("SLURM_ARRAY_TASK_MIN is not"), "{half}");
    }

    #[test]
    fn what_nothing_says_is_told_with_the_way_out() {
        let nothing = resolved("auto/3", &[]).unwrap_err();
        assert!(nothing.contains("--shard I/N"), "{nothing}");
        let word = resolved("auto/3", &[(KUBERNETES, "first")]).unwrap_err();
        assert!(word.contains("\"first\""), "{word}");
    }
}
