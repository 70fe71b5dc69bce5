//! Where the memory cgroup's files are, and what they say. Pure: `sys::cgroup` reads them.

use std::path::{Path, PathBuf};

/// The file that counts the kernel's out-of-memory kills in the cgroup of whoever read `cgroup` (`/proc/self/cgroup`) and `mountinfo`
/// (`/proc/self/mountinfo`), on cgroup v1, v2 and both at once; with or without a cgroup namespace.
pub fn oom_file(cgroup: &str, mountinfo: &str) -> Option<PathBuf> {
    let lines = || cgroup.lines().filter_map(|line| line.splitn(3, ':').skip(1).collect::<Vec<_>>().try_into().ok());
    let v1 = lines().find(|[controllers, _]: &[&str; 2]| controllers.split(',').any(|name| name == "memory"));
    let v2 = lines().find(|[controllers, _]: &[&str; 2]| controllers.is_empty());
    // Where both are mounted, the memory controller is where its name is.
    let ((kind, option, file), [_, path]) = match (v1, v2) {
        (Some(line), _) => (("cgroup", Some("memory"), "memory.oom_control"), line),
        (None, line) => (("cgroup2", None, "memory.events"), line?),
    };
    let (root, mount_point) = mountinfo.lines().find_map(|line| mounted(line, kind, option))?;
    // Without a namespace the path begins at the host's root, as the mount's root does; with one neither says anything.
    let below = Path::new(path).strip_prefix(&root).unwrap_or(Path::new(""));
    Some(mount_point.join(below).join(file))
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
        oom_file(cgroup, mountinfo).map(|path| path.display().to_string())
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

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(cgroup in "[0-9:a-z/,\n]*", mountinfo in "[0-9a-z/ \\\\:,\n-]*") {
            let _ = (oom_file(&cgroup, &mountinfo), oom_kills(&mountinfo));
        }
    }
}
