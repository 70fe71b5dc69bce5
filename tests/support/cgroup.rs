//! Cgroups of a test's own, v1 or v2: one with a limit of memory, one with a share of a processor. They need root, and a hierarchy that can be
//! written to.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Where the memory controller may be mounted, and what a limit is called there.
const MOUNTS: [(&str, &str); 3] =
    [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup/unified", "memory.max"), ("/sys/fs/cgroup", "memory.max")];

/// What nothing of a test takes this long for.
const DEADLINE: Duration = Duration::from_secs(10);

/// It is empty until a scene enters it, and gone with the test: the init must be dropped first.
pub struct MemoryCgroup {
    mount: &'static str,
    folder: PathBuf,
    limit: &'static str,
}

impl MemoryCgroup {
    /// One without a limit.
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("restartinit-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let made = MOUNTS.into_iter().find_map(|(mount, limit)| {
            let folder = Path::new(mount).join(&name);
            std::fs::create_dir(&folder).ok()?;
            let cgroup = Self { mount, folder, limit };
            cgroup.folder.join(limit).exists().then_some(cgroup)
        });
        let cgroup = made.expect("this needs root and a memory cgroup: v1, or v2 with memory in its cgroup.subtree_control");
        // What does not fit is killed, not swapped out. Either version has one of the two, where it knows of swap at all.
        for (file, value) in [("memory.swap.max", "0"), ("memory.swappiness", "0")] {
            let path = cgroup.folder.join(file);
            if path.exists() {
                std::fs::write(path, value).expect("swap is switched off");
            }
        }
        cgroup
    }

    /// One with a limit in MiB.
    pub fn limited(mebibytes: u64) -> Self {
        let cgroup = Self::new();
        cgroup.limit(mebibytes);
        cgroup
    }

    /// Sets the limit, in MiB.
    pub fn limit(&self, mebibytes: u64) {
        std::fs::write(self.folder.join(self.limit), (mebibytes << 20).to_string()).expect("the limit is set");
    }

    /// Its folder.
    pub fn path(&self) -> String {
        self.folder.display().to_string()
    }

    /// Where its hierarchy is mounted.
    pub fn mount(&self) -> &'static str {
        self.mount
    }

    /// The statement that enters it.
    pub fn enter(&self) -> String {
        format!("enter {}", self.path())
    }
}

impl Drop for MemoryCgroup {
    fn drop(&mut self) {
        remove(&self.folder);
    }
}

/// Whoever was killed in it is in it until the kernel is done with that.
fn remove(folder: &Path) {
    let until = Instant::now() + DEADLINE;
    while std::fs::remove_dir(folder).is_err() && folder.exists() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A cgroup whose processes get a share of one processor; it goes with the test.
pub struct ProcessorCgroup {
    folder: PathBuf,
}

impl ProcessorCgroup {
    /// One that gets so many milliseconds in each 100.
    pub fn throttled(milliseconds: u32) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("restartinit-test-cpu-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let micros = milliseconds * 1000;
        let (v1, v2) = (micros.to_string(), format!("{micros} 100000"));
        let ways = [("/sys/fs/cgroup/cpu", "cpu.cfs_quota_us", &v1), ("/sys/fs/cgroup", "cpu.max", &v2)];
        let made = ways.into_iter().find_map(|(mount, file, quota)| {
            let folder = Path::new(mount).join(&name);
            std::fs::create_dir(&folder).ok()?;
            let cgroup = Self { folder };
            std::fs::write(cgroup.folder.join(file), quota).is_ok().then_some(cgroup)
        });
        made.expect("this needs root and a cpu cgroup: v1, or v2 with cpu in its cgroup.subtree_control")
    }

    /// Puts a process of this side into it.
    pub fn put(&self, pid: i32) {
        std::fs::write(self.folder.join("cgroup.procs"), pid.to_string()).expect("the process is moved");
    }
}

impl Drop for ProcessorCgroup {
    fn drop(&mut self) {
        remove(&self.folder);
    }
}
