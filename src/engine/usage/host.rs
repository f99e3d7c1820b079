//! The machine that the generator ran on, as far as the system tells of it.

use std::fs;

use super::number_after;
use crate::metrics::HostSummary;

/// Looks once; a run's machine does not change.
pub fn host() -> HostSummary {
    let read = |path: &str| fs::read_to_string(path).ok();
    let line = |path: &str| read(path).map(|text| text.trim().to_owned());
    HostSummary {
        cpu: read("/proc/cpuinfo").and_then(|text| model(&text)),
        cores: std::thread::available_parallelism()
            .ok()
            .map(|n| n.get() as u64),
        memory_bytes: read("/proc/meminfo")
            .and_then(|text| number_after(&text, "MemTotal"))
            .map(|kib| kib.saturating_mul(1024)),
        kernel: line("/proc/sys/kernel/osrelease"),
        os: read("/etc/os-release").and_then(|text| pretty_name(&text)),
        arch: std::env::consts::ARCH.to_owned(),
    }
}

/// `model name : …` on x86; elsewhere the kernel may not name it.
fn model(cpuinfo: &str) -> Option<String> {
    let mut lines = cpuinfo.lines();
    let line = lines.find_map(|line| line.strip_prefix("model name"))?;
    let (_, name) = line.split_once(':')?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// os-release(5): `PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"`.
fn pretty_name(text: &str) -> Option<String> {
    let mut lines = text.lines();
    let name = lines.find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    let name = name.trim().trim_matches(['"', '\'']);
    Some(name.to_owned()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_named_by_what_the_system_tells_and_by_nothing_else() {
        let cpuinfo = "processor\t: 0\nmodel\t\t: 85\nmodel name\t: Xeon: Gold 6130 @ 2.1\n";
        assert_eq!(model(cpuinfo).as_deref(), Some("Xeon: Gold 6130 @ 2.1"));
        for text in [
            "",
            "model name",
            "model name:\n",
            "processor : 0\nCPU part : 0xd0c\n",
        ] {
            assert_eq!(model(text), None, "{text:?}");
        }
        let release = "NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n";
        assert_eq!(
            pretty_name(release).as_deref(),
            Some("Debian GNU/Linux 12 (bookworm)")
        );
        for text in ["", "PRETTY_NAME=\"\"", "NAME=x"] {
            assert_eq!(pretty_name(text), None, "{text:?}");
        }
    }

    #[test]
    fn this_machine_has_cores_memory_and_a_kernel() {
        let host = host();
        assert!(host.cores.is_some_and(|cores| cores > 0), "{host:?}");
        assert!(
            host.memory_bytes.is_some_and(|bytes| bytes > 1 << 20),
            "{host:?}"
        );
        assert!(host.kernel.is_some_and(|kernel| !kernel.contains('\n')));
    }
}
