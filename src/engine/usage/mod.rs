//! What the generator uses and what its machine has left, read from `/proc` and the clocks.
//!
//! Reads only: what it means is `metrics::Gather`'s and the verdict's. What a system does not offer
//! is `None`; what it offers is parsed without trust. Never called on a worker thread.

mod cgroup;
mod clocks;
mod host;
mod machine;
mod memory;
mod network;
mod process;
mod sampler;
mod threads;

pub use clocks::monotonic;
pub use host::host;
pub(super) use process::{cpu, cpu_of_children, peak_rss_bytes};
pub(super) use sampler::Sampler;

/// The number after a key, as in `VmRSS:   123 kB` or `inactive_file 123`.
fn number_after(text: &str, key: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(key));
    // `Mem` must not find `MemTotal:`.
    let rest = lines.find(|rest| rest.starts_with([':', ' ', '\t']))?;
    let mut words = rest.trim_start_matches(':').split_whitespace();
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_by_its_whole_key_or_not_at_all() {
        let text = "VmRSSX: 1 kB\nVmRSS:\t  5124 kB\nempty:\ninactive_file 77\nbad: -1\nword: x\n";
        assert_eq!(number_after(text, "VmRSS"), Some(5124));
        assert_eq!(number_after(text, "inactive_file"), Some(77));
        for key in ["VmR", "empty", "bad", "word", "absent", ""] {
            assert_eq!(number_after(text, key), None, "{key}");
        }
    }
}
