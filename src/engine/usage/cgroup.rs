//! Where this process's control groups are, in either version, from the innermost outwards.

use std::fs;
use std::path::{Path, PathBuf};

/// What a group limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Controller {
    Cpu,
    Memory,
}

impl Controller {
    fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
        }
    }
}

/// The directories of this process's group and those above it that are there.
pub(super) fn levels(controller: Controller) -> Vec<PathBuf> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    levels_below(Path::new("/sys/fs/cgroup"), &own, controller)
}

/// A container may see the host's path for its group and have its own group mounted at the root:
/// then only the root is there.
fn levels_below(root: &Path, own: &str, controller: Controller) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for line in own.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
            continue;
        };
        let mounts: &[&str] = match controllers {
            "" => &["", "unified"],
            list if list == controller.as_str() => &[list],
            list if list.split(',').any(|one| one == controller.as_str()) => {
                &[controller.as_str(), list]
            }
            _ => continue,
        };
        let group = Path::new(path.trim_start_matches('/'));
        if group.components().any(|part| part.as_os_str() == "..") {
            continue;
        }
        for mount in mounts {
            let levels = group.ancestors().map(|level| root.join(mount).join(level));
            found.extend(levels.filter(|level| level.is_dir()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(dirs: &[&str], own: &str, controller: Controller) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        for dir in dirs {
            fs::create_dir_all(root.path().join(dir)).unwrap();
        }
        let levels = levels_below(root.path(), own, controller);
        let below = |level: &PathBuf| {
            let below = level.strip_prefix(root.path()).unwrap();
            below.display().to_string().trim_end_matches('/').to_owned()
        };
        levels.iter().map(below).collect()
    }

    #[test]
    fn both_versions_are_found_from_the_innermost_outwards() {
        let two = found(
            &["user.slice/run-1.scope"],
            "0::/user.slice/run-1.scope\n",
            Controller::Memory,
        );
        assert_eq!(two, ["user.slice/run-1.scope", "user.slice", ""]);
        let one = "9:name=systemd:/\n4:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n";
        let memory = found(&["memory/docker/abc"], one, Controller::Memory);
        assert_eq!(memory, ["memory/docker/abc", "memory/docker", "memory"]);
        let cpu = found(&["cpu,cpuacct/docker/abc"], one, Controller::Cpu);
        assert_eq!(cpu[0], "cpu,cpuacct/docker/abc");
    }

    #[test]
    fn a_container_that_sees_its_hosts_path_finds_its_own_root() {
        let own = "4:memory:/docker/abc\n";
        assert_eq!(found(&["memory"], own, Controller::Memory), ["memory"]);
    }

    #[test]
    fn hostile_texts_lead_nowhere() {
        for text in [
            "",
            ":::",
            "0:",
            "4:memory",
            "0::/../../etc",
            "x",
            "::::\n\n",
        ] {
            let found = found(&["memory"], text, Controller::Memory);
            assert!(
                found.iter().all(|level| !level.contains("etc")),
                "{text:?}: {found:?}"
            );
        }
    }
}
