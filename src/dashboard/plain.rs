//! The progress of a run as one line, for logs and pipes.

use crate::metrics::Snapshot;
use crate::model::{Phase, TrialVerdict, printable, units};

/// One line without line end: `key=value` pairs without spaces inside, fixed order, plain numbers.
/// Nothing in it comes from outside.
pub fn plain_line(snapshot: &Snapshot) -> String {
    let devices = &snapshot.devices;
    let left = snapshot.remaining.map_or_else(|| "?".to_owned(), clock);
    let row = snapshot.phase(Phase::TimeToProvision);
    let times = row
        .filter(|row| row.count > 0)
        .map_or_else(String::new, |row| {
            let time = |us| joined(&units::micros(us));
            let (p50, p99) = (time(row.response.p50), time(row.response.p99));
            format!(" time_to_provision_p50={p50} time_to_provision_p99={p99}")
        });
    let search = snapshot.search.map_or_else(String::new, |search| {
        let end =
            |rate: Option<f64>| rate.map_or_else(|| "?".to_owned(), |rate| format!("{rate:.1}"));
        format!(
            " trial={} rate={:.1} last={} held={} broken={}",
            search.trial,
            search.rate,
            search.last.map_or("?", TrialVerdict::as_str),
            end(search.held),
            end(search.broken),
        )
    });
    let behind = match snapshot.gateway.connects.sent {
        0 => String::new(),
        _ => format!(
            " behind={}/{}",
            snapshot.gateway.connected, snapshot.gateway.sub_devices
        ),
    };
    format!(
        "elapsed={} left={left} done={:.1}% provisioned={}/{} refused={} failed={} unknown={} \
         bringing_up={} live={} provisioned_per_s={:.1} telemetry_per_s={:.1}{search}{behind}{times} errors={} \
         late={} dropped={} verdict={}",
        clock(snapshot.elapsed),
        // Cut, so that it is 100 only at the end.
        (snapshot.progress * 1000.0).floor() / 10.0,
        devices.provisioned,
        devices.listed,
        devices.refused,
        devices.failed,
        devices.unknown,
        snapshot.live.bringing_up,
        snapshot.live.live,
        snapshot.provisioned_rate.now,
        snapshot.telemetry_rate.now,
        snapshot.error_count(),
        snapshot.starts.late,
        snapshot.starts.dropped,
        snapshot.verdict.as_str(),
    )
}

/// What nobody may overlook about the run, a line each without line end, to come before the first
/// [`plain_line`]. Harmless to a terminal, wherever it comes from.
pub fn plain_notes(snapshot: &Snapshot) -> Vec<String> {
    let notes = snapshot.setting.notes.iter();
    notes.map(|note| format!("! {}", printable(note))).collect()
}

fn clock(span: std::time::Duration) -> String {
    joined(&units::clock(span))
}

fn joined(text: &str) -> String {
    text.replace(' ', "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::fixture;

    #[test]
    fn the_line_of_a_run_half_way() {
        let snapshot = fixture::half_way();
        insta::assert_snapshot!(plain_line(&snapshot));
    }

    #[test]
    fn a_search_says_its_trial_and_what_is_known() {
        let mut snapshot = fixture::half_way();
        snapshot.search = Some(fixture::search_row());
        let line = plain_line(&snapshot);
        let said = " trial=4 rate=56.6 last=broken held=40.0 broken=80.0 ";
        assert!(line.contains(said), "{line}");
    }

    #[test]
    fn notes_come_as_lines_of_their_own() {
        let mut setting = fixture::setting();
        setting.notes = vec!["TLS is not verified".to_owned(), "\x1b[2J\n".to_owned()];
        let snapshot = crate::metrics::Aggregate::new(setting).tick(std::time::Duration::ZERO);
        assert_eq!(
            plain_notes(&snapshot),
            ["! TLS is not verified", "! \u{fffd}[2J\u{fffd}"]
        );
        assert_eq!(plain_notes(&fixture::half_way()), Vec::<String>::new());
    }

    #[test]
    fn every_word_is_a_pair_even_before_the_start() {
        let mut aggregate = crate::metrics::Aggregate::new(fixture::setting());
        let line = plain_line(&aggregate.tick(std::time::Duration::ZERO));
        assert!(
            line.split(' ').all(|word| word.split('=').count() == 2),
            "{line}"
        );
        assert!(
            line.starts_with("elapsed=0s left=1:00 done=0.0% provisioned=0/1000 "),
            "{line}"
        );
    }
}
