//! Where the memory cgroup's files are, and what they say. Pure: `sys::cgroup` reads them.

use std::path::{Path, PathBuf};

/// Which of the two designs a cgroup is of: the files have other names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    V1,
    V2,
}

/// Where the files of a memory cgroup are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    pub version: Version,
    /// The cgroup's own folder.
    pub folder: PathBuf,
    /// The topmost folder that can be seen: the mount point.
    top: PathBuf,
}

impl Place {
    /// The memory cgroup of whoever read `cgroup` (`/proc/self/cgroup`) and `mountinfo` (`/proc/self/mountinfo`), on cgroup v1, v2 and
    /// both at once; with or without a cgroup namespace.
    pub fn find(cgroup: &str, mountinfo: &str) -> Option<Place> {
        let lines = || cgroup.lines().filter_map(|line| line.splitn(3, ':').skip(1).collect::<Vec<_>>().try_into().ok());
        let v1 = lines().find(|[controllers, _]: &[&str; 2]| controllers.split(',').any(|name| name == "memory"));
        let v2 = lines().find(|[controllers, _]: &[&str; 2]| controllers.is_empty());
        // Where both are mounted, the memory controller is where its name is.
        let ((version, kind, option), [_, path]) = match (v1, v2) {
            (Some(line), _) => ((Version::V1, "cgroup", Some("memory")), line),
            (None, line) => ((Version::V2, "cgroup2", None), line?),
        };
        let (root, top) = mountinfo.lines().find_map(|line| mounted(line, kind, option))?;
        // Without a namespace the path begins at the host's root, as the mount's root does; with one neither says anything.
        let below = Path::new(path).strip_prefix(&root).unwrap_or(Path::new(""));
        let folder = if below == Path::new("") { top.clone() } else { top.join(below) };
        Some(Place { version, folder, top })
    }

    /// The cgroup and those above it, as far as they can be seen: a limit may be set on any of them.
    pub fn lineage(&self) -> impl Iterator<Item = &Path> {
        self.folder.ancestors().take_while(|folder| folder.starts_with(&self.top))
    }
}

impl Version {
    /// Counts the kernel's out-of-memory kills.
    pub fn oom_file(self) -> &'static str {
        self.either("memory.oom_control", "memory.events")
    }

    pub fn limit_file(self) -> &'static str {
        self.either("memory.limit_in_bytes", "memory.max")
    }

    pub fn usage_file(self) -> &'static str {
        self.either("memory.usage_in_bytes", "memory.current")
    }

    /// What is used but for the page cache that the kernel would give up first, in bytes: what Kubernetes calls the working set.
    pub fn working_set(self, usage: &str, stat: &str) -> Option<u64> {
        let cache = self.either("total_inactive_file ", "inactive_file ");
        let cache = stat.lines().find_map(|line| line.strip_prefix(cache)?.trim().parse().ok()).unwrap_or(0);
        Some(usage.trim().parse::<u64>().ok()?.saturating_sub(cache))
    }

    fn either(self, v1: &'static str, v2: &'static str) -> &'static str {
        match self {
            Version::V1 => v1,
            Version::V2 => v2,
        }
    }
}

/// A limit in bytes; `None` where there is none.
pub fn limit(text: &str) -> Option<u64> {
    // v2 says `max`; v1 the largest number of whole pages.
    text.trim().parse().ok().filter(|bytes| *bytes < 1 << 62)
}

/// Resident memory in bytes, off `/proc/PID/status`.
pub fn resident(status: &str) -> Option<u64> {
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kibibytes?.checked_mul(1024)
}

/// The root and the mount point of a line of mountinfo (see proc(5)), if it is a mount of that kind.
fn mounted(line: &str, kind: &str, option: Option<&str>) -> Option<(PathBuf, PathBuf)> {
    let (mount, device) = line.split_once(" - ")?;
    let mut device = device.split(' ');
    let is_kind = device.next()? == kind;
    let has_option = option.is_none_or(|option| device.nth(1).is_some_and(|options| options.split(',').any(|name| name == option)));
    let mut mount = mount.split(' ').skip(3).map(unescape);
    let (root, mount_point) = (mount.next()?, mount.next()?);
    (is_kind && has_option).then(|| (root.into(), mount_point.into()))
}

/// mountinfo writes a space, tab, newline and backslash as `\040` and so on.
fn unescape(text: &str) -> String {
    let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    escapes.iter().fold(text.to_owned(), |text, (code, plain)| text.replace(code, plain))
}

/// The count of kills in `memory.events` or `memory.oom_control`.
pub fn oom_kills(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const V1: &str = "30 23 0:26 / /sys/fs/cgroup/memory rw,nosuid shared:12 - cgroup cgroup rw,memory\n";
    const V1_BOUND: &str = "700 699 0:26 /docker/ab /sys/fs/cgroup/memory ro,nosuid master:12 - cgroup cgroup rw,memory\n";
    const V2: &str = "35 24 0:30 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";

    fn found(cgroup: &str, mountinfo: &str) -> Option<String> {
        let place = Place::find(cgroup, mountinfo)?;
        Some(place.folder.join(place.version.oom_file()).display().to_string())
    }

    #[test]
    fn the_file_is_found_in_every_arrangement() {
        let pod = "/sys/fs/cgroup/kubepods/pod1/memory.events";
        for (cgroup, mountinfo, expected) in [
            ("4:memory:/docker/ab\n0::/\n", V1_BOUND.to_owned() + V2, "/sys/fs/cgroup/memory/memory.oom_control"),
            ("4:cpu,memory:/\n", V1.to_owned(), "/sys/fs/cgroup/memory/memory.oom_control"),
            ("4:memory:/a/b\n", V1.to_owned(), "/sys/fs/cgroup/memory/a/b/memory.oom_control"),
            ("0::/\n", V2.to_owned(), "/sys/fs/cgroup/memory.events"),
            ("0::/kubepods/pod1\n", V2.to_owned(), pod),
            ("0::/\n", V2.replace(" / ", " /../.. "), "/sys/fs/cgroup/memory.events"),
            ("0::/a\n", V2.replace("/sys/fs/cgroup", "/my\\040cgroup"), "/my cgroup/a/memory.events"),
        ] {
            assert_eq!(found(cgroup, &mountinfo).as_deref(), Some(expected), "{cgroup}{mountinfo}");
        }
    }

    #[test]
    fn where_there_is_none_none_is_found() {
        assert_eq!(found("", V2), None);
        assert_eq!(found("4:memory:/\n", V2), None);
        assert_eq!(found("0::/\n", ""), None);
        assert_eq!(found("nonsense\n", "nonsense\n"), None);
    }

    #[test]
    fn kills_are_read_from_either_file() {
        assert_eq!(oom_kills("low 0\nhigh 0\nmax 3\noom 2\noom_kill 2\noom_group_kill 0\n"), Some(2));
        assert_eq!(oom_kills("oom_kill_disable 0\nunder_oom 0\noom_kill 7\n"), Some(7));
        assert_eq!(oom_kills("oom_kill_disable 0\nunder_oom 0\n"), None);
    }

    #[test]
    fn a_limit_may_be_set_above() {
        let folders = |cgroup: &str, mountinfo: &str| -> Vec<String> {
            Place::find(cgroup, mountinfo).unwrap().lineage().map(|path| path.display().to_string()).collect()
        };
        assert_eq!(folders("0::/kubepods/pod1\n", V2), ["/sys/fs/cgroup/kubepods/pod1", "/sys/fs/cgroup/kubepods", "/sys/fs/cgroup"]);
        assert_eq!(folders("4:memory:/docker/ab\n", V1_BOUND), ["/sys/fs/cgroup/memory"]);
    }

    #[test]
    fn limits_and_use_are_read_from_either_version() {
        assert_eq!((limit("max\n"), limit("9223372036854771712\n"), limit("134217728\n")), (None, None, Some(134_217_728)));
        let v2 = "anon 100\nfile 50\ninactive_anon 7\ninactive_file 30\n";
        let v1 = "inactive_file 1\nhierarchical_memory_limit 5\ntotal_inactive_file 40\n";
        assert_eq!(Version::V2.working_set("100\n", v2), Some(70));
        assert_eq!(Version::V1.working_set("100\n", v1), Some(60));
        assert_eq!(Version::V2.working_set("100\n", ""), Some(100));
        assert_eq!(Version::V2.working_set("", v2), None);
        assert_eq!(resident("Name:\tnode\nVmHWM:\t  300 kB\nVmRSS:\t     200 kB\n"), Some(204_800));
        assert_eq!(resident("Name:\tnode\n"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(cgroup in "[0-9:a-z/,\n]*", mountinfo in "[0-9a-z/ \\\\:,\n-]*") {
            if let Some(place) = Place::find(&cgroup, &mountinfo) {
                prop_assert!(place.lineage().count() < 100);
                let _ = place.version.working_set(&cgroup, &mountinfo);
            }
            let _ = (oom_kills(&mountinfo), limit(&cgroup), resident(&mountinfo));
        }
    }
}
