//! Where the memory cgroup's files are, and what they say. Pure: `sys::cgroup` reads them.

use std::path::{Component, Path, PathBuf};

use super::mountinfo::{Mount, is_seen, path_of};
use super::{field, number};

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

/// Why the files of a memory cgroup cannot be found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Missing {
    /// There is no memory controller, or it is not mounted.
    NoMount,
    /// What is mounted does not show our own cgroup: the host's mount in a cgroup namespace, for example.
    Elsewhere,
}

impl Missing {
    /// What that means, for the end of a line.
    pub fn text(self) -> &'static str {
        match self {
            Missing::NoMount => "no memory cgroup is mounted here",
            Missing::Elsewhere => {
                "the cgroup mount does not show this container's own cgroup (the host's /sys/fs/cgroup in a cgroup namespace?): leave the mount \
                 to the container engine, or run with --cgroupns host"
            }
        }
    }
}

impl Place {
    /// [`Place::find_for`] memory.
    ///
    /// # Errors
    /// Why it cannot be seen.
    pub fn find(cgroup: &[u8], mountinfo: &[u8]) -> Result<Place, Missing> {
        Place::find_for(b"memory", cgroup, mountinfo)
    }

    /// The cgroup with this controller of whoever read `cgroup` (`/proc/self/cgroup`) and `mountinfo` (`/proc/self/mountinfo`), on cgroup v1, v2 and
    /// both at once; with or without a cgroup namespace.
    ///
    /// # Errors
    /// Why it cannot be seen.
    pub fn find_for(controller: &[u8], cgroup: &[u8], mountinfo: &[u8]) -> Result<Place, Missing> {
        let lines = || {
            cgroup.split(|byte| *byte == b'\n').filter_map(|line| {
                let mut parts = line.splitn(3, |byte| *byte == b':').skip(1);
                Some((parts.next()?, parts.next()?))
            })
        };
        let v1 = lines().find(|(controllers, _)| has_word(controllers, controller));
        let v2 = lines().find(|(controllers, _)| controllers.is_empty());
        // Where both are mounted, a controller is where its name is.
        let (version, kind, option, path) = match (v1, v2) {
            (Some((_, path)), _) => (Version::V1, b"cgroup".as_slice(), controller, path),
            (None, Some((_, path))) => (Version::V2, b"cgroup2".as_slice(), b"".as_slice(), path),
            (None, None) => return Err(Missing::NoMount),
        };
        let mounts: Vec<Mount<'_>> = mountinfo.split(|byte| *byte == b'\n').filter_map(Mount::parse).collect();
        let is_memory = |mount: &&Mount<'_>| mount.kind == kind && (option.is_empty() || has_word(mount.options, option));
        let mount = mounts.iter().filter(is_memory).rfind(|mount| is_seen(&mounts, mount)).ok_or(Missing::NoMount)?;
        // Both begin at the same root, that of the cgroup namespace or the host's.
        let below = path_of(path);
        let below = below.strip_prefix(&mount.root).map_err(|_| Missing::Elsewhere)?;
        if below.components().any(|part| part == Component::ParentDir) {
            return Err(Missing::Elsewhere);
        }
        let top = mount.point.clone();
        let folder = if below == Path::new("") { top.clone() } else { top.join(below) };
        Ok(Place { version, folder, top })
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
    pub fn working_set(self, usage: &[u8], stat: &[u8]) -> Option<u64> {
        let cache = field(stat, self.either("total_inactive_file ", "inactive_file ")).and_then(number).unwrap_or(0);
        Some(number::<u64>(usage)?.saturating_sub(cache))
    }

    /// What the kernel cannot give up at all where there is no swap, in bytes: all but the page cache of files.
    pub fn unreclaimable(self, usage: &[u8], stat: &[u8]) -> Option<u64> {
        let amount = |name| field(stat, name).and_then(number::<u64>).unwrap_or(0);
        let (cache, shared) = (self.either("total_cache ", "file "), self.either("total_shmem ", "shmem "));
        Some(number::<u64>(usage)?.saturating_sub(amount(cache).saturating_sub(amount(shared))))
    }

    fn either(self, v1: &'static str, v2: &'static str) -> &'static str {
        match self {
            Version::V1 => v1,
            Version::V2 => v2,
        }
    }
}

/// A limit in bytes; `None` where there is none.
pub fn limit(text: &[u8]) -> Option<u64> {
    // v2 says `max`; v1 the largest number of whole pages.
    number(text).filter(|bytes| *bytes < 1 << 62)
}

/// Whether a process that was killed, and had this much resident memory at its peak, can be what the kernel killed to make room: with it,
/// the memory that cannot be given up came to the limit. `now` is that memory after its death. All in bytes.
pub fn made_room(limit: u64, now: u64, peak: u64) -> bool {
    // Page tables and the like, which are given back with the process, are no resident memory.
    const PERCENT: u128 = 92;
    u128::from(now) + u128::from(peak) >= u128::from(limit) * PERCENT / 100
}

/// The count of kills in `memory.events` or `memory.oom_control`.
pub fn oom_kills(text: &[u8]) -> Option<u64> {
    field(text, "oom_kill ").and_then(number)
}

fn has_word(list: &[u8], word: &[u8]) -> bool {
    list.split(|byte| *byte == b',').any(|each| each == word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const V1: &str = "30 23 0:26 / /sys/fs/cgroup/memory rw,nosuid shared:12 - cgroup cgroup rw,memory\n";
    const V1_BOUND: &str = "700 699 0:26 /docker/ab /sys/fs/cgroup/memory ro,nosuid master:12 - cgroup cgroup rw,memory\n";
    const V2: &str = "35 24 0:30 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";

    fn found(cgroup: &str, mountinfo: &str) -> Result<String, Missing> {
        let place = Place::find(cgroup.as_bytes(), mountinfo.as_bytes())?;
        Ok(place.folder.join(place.version.oom_file()).display().to_string())
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
            ("0::/a\n", V2.replace("/sys/fs/cgroup", "/my\\040cgroup"), "/my cgroup/a/memory.events"),
        ] {
            assert_eq!(found(cgroup, &mountinfo).as_deref(), Ok(expected), "{cgroup}{mountinfo}");
        }
    }

    #[test]
    fn of_two_mounts_over_one_another_the_upper_one_counts() {
        let top = "20 1 0:1 / / rw - overlay overlay rw\n24 20 0:2 / /sys rw - sysfs sysfs rw\n";
        let (under, over) =
            ("35 24 0:30 /a /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "36 35 0:30 /a/b /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
        // Whichever line comes first.
        for mounts in [[top, under, over].concat(), [top, over, under].concat()] {
            assert_eq!(found("0::/a/b/c\n", &mounts).as_deref(), Ok("/sys/fs/cgroup/c/memory.events"));
        }
        let hidden = [top, under, "37 24 0:31 / /sys/fs rw - tmpfs tmpfs rw\n"].concat();
        assert_eq!(found("0::/a\n", &hidden), Err(Missing::NoMount));
        let elsewhere = [&hidden, "38 20 0:30 / /cg rw - cgroup2 cgroup2 rw\n"].concat();
        assert_eq!(found("0::/a\n", &elsewhere).as_deref(), Ok("/cg/a/memory.events"));
    }

    #[test]
    fn a_mount_that_does_not_show_our_own_is_told_apart() {
        for (cgroup, root) in [("0::/\n", " /../.. "), ("0::/a\n", " /b "), ("0::/../a\n", " / ")] {
            assert_eq!(found(cgroup, &V2.replacen(" / ", root, 1)), Err(Missing::Elsewhere), "{cgroup}{root}");
        }
        assert_eq!(found("0::/../a/b\n", &V2.replacen(" / ", " /../a ", 1)).as_deref(), Ok("/sys/fs/cgroup/b/memory.events"));
    }

    #[test]
    fn a_path_need_not_be_text() {
        let cgroup = b"0::/p\xff\n";
        let place = Place::find(cgroup, V2.as_bytes()).unwrap();
        assert_eq!(place.folder.as_os_str().as_encoded_bytes(), b"/sys/fs/cgroup/p\xff");
    }

    #[test]
    fn only_who_filled_the_limit_made_room() {
        let mib = |n: u64| n << 20;
        assert!(made_room(mib(160), mib(2), mib(150)) && made_room(mib(160), mib(90), mib(60)));
        assert!(!made_room(mib(160), mib(2), mib(60)) && !made_room(mib(160), 0, mib(145)));
        assert!(made_room(0, u64::MAX, u64::MAX));
        assert!(made_room(mib(100), mib(46), mib(46)) && !made_room(mib(100), mib(46), mib(46) - 1));
    }

    #[test]
    fn where_there_is_none_none_is_found() {
        assert_eq!(found("", V2), Err(Missing::NoMount));
        assert_eq!(found("4:memory:/\n", V2), Err(Missing::NoMount));
        assert_eq!(found("0::/\n", ""), Err(Missing::NoMount));
        assert_eq!(found("nonsense\n", "nonsense\n"), Err(Missing::NoMount));
    }

    #[test]
    fn kills_are_read_from_either_file() {
        assert_eq!(oom_kills(b"low 0\nhigh 0\nmax 3\noom 2\noom_kill 2\noom_group_kill 0\n"), Some(2));
        assert_eq!(oom_kills(b"oom_kill_disable 0\nunder_oom 0\noom_kill 7\n"), Some(7));
        assert_eq!(oom_kills(b"oom_kill_disable 0\nunder_oom 0\n"), None);
    }

    #[test]
    fn a_limit_may_be_set_above() {
        let folders = |cgroup: &str, mountinfo: &str| -> Vec<String> {
            Place::find(cgroup.as_bytes(), mountinfo.as_bytes()).unwrap().lineage().map(|path| path.display().to_string()).collect()
        };
        assert_eq!(folders("0::/kubepods/pod1\n", V2), ["/sys/fs/cgroup/kubepods/pod1", "/sys/fs/cgroup/kubepods", "/sys/fs/cgroup"]);
        assert_eq!(folders("4:memory:/docker/ab\n", V1_BOUND), ["/sys/fs/cgroup/memory"]);
    }

    #[test]
    fn either_version_has_names_of_its_own() {
        let names = |version: Version| [version.oom_file(), version.limit_file(), version.usage_file()];
        assert_eq!(names(Version::V1), ["memory.oom_control", "memory.limit_in_bytes", "memory.usage_in_bytes"]);
        assert_eq!(names(Version::V2), ["memory.events", "memory.max", "memory.current"]);
    }

    #[test]
    fn whoever_reads_why_can_do_something() {
        assert_eq!(Missing::NoMount.text(), "no memory cgroup is mounted here");
        assert!(Missing::Elsewhere.text().ends_with("leave the mount to the container engine, or run with --cgroupns host"));
    }

    #[test]
    fn limits_and_use_are_read_from_either_version() {
        assert_eq!((limit(b"max\n"), limit(b"9223372036854771712\n"), limit(b"134217728\n")), (None, None, Some(134_217_728)));
        assert_eq!((limit(b"4611686018427387904"), limit(b"4611686018427387903")), (None, Some((1 << 62) - 1)));
        let v2 = b"anon 100\nfile 50\ninactive_anon 7\ninactive_file 30\nshmem 20\n";
        let v1 = b"cache 9\ninactive_file 1\nhierarchical_memory_limit 5\ntotal_cache 45\ntotal_inactive_file 40\ntotal_shmem 5\n";
        assert_eq!((Version::V2.working_set(b"100\n", v2), Version::V2.unreclaimable(b"100\n", v2)), (Some(70), Some(70)));
        assert_eq!((Version::V1.working_set(b"100\n", v1), Version::V1.unreclaimable(b"100\n", v1)), (Some(60), Some(60)));
        assert_eq!(Version::V2.working_set(b"100\n", b""), Some(100));
        assert_eq!((Version::V2.working_set(b"", v2), Version::V2.unreclaimable(b"", v2)), (None, None));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(cgroup in "[0-9:a-z/,.\n]*", mountinfo in "([0-9]{1,2} [0-9]{1,2} 0:1 /[a-z./]* /[a-z/]* rw - cgroup2 x rw\n|[0-9a-z/ \\\\:,\n-]*){0,9}") {
            if let Ok(place) = Place::find(cgroup.as_bytes(), mountinfo.as_bytes()) {
                prop_assert!(place.lineage().count() < 100);
                let _ = place.version.working_set(cgroup.as_bytes(), mountinfo.as_bytes());
            }
            let _ = (oom_kills(mountinfo.as_bytes()), limit(cgroup.as_bytes()));
        }
    }
}
