//! What /proc says about a process of a test, seen from outside its namespace.

use std::path::Path;

/// The pids of the children that the process's threads have, zombies too.
pub fn children(pid: i32) -> Vec<i32> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    let lists = threads.flatten().filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<i32>>()).collect()
}

/// One field of the process's status, such as `SigCgt`.
pub fn status_field(pid: i32, field: &str) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let mut fields = status.lines().filter_map(|line| line.split_once(':'));
    fields.find(|(name, _)| *name == field).map(|(_, value)| value.trim().to_owned())
}

/// One field of the process's status that is an amount of memory, in KiB.
pub fn kilobytes(pid: i32, field: &str) -> u64 {
    let value = status_field(pid, field).expect("it lives");
    value.trim_end_matches(" kB").parse().unwrap_or_else(|error| panic!("{field} {value}: {error}"))
}

/// How many descriptors it has open.
pub fn descriptors(pid: i32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// How many sockets it has open.
pub fn sockets(pid: i32) -> usize {
    let links = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    links.filter(|entry| std::fs::read_link(entry.path()).is_ok_and(|link| link.to_string_lossy().starts_with("socket:"))).count()
}

/// Whether the process runs that program by now. By device and inode: a path may be written in more than one way.
pub fn runs(pid: i32, program: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |path: &Path| std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    let running = identity(Path::new(&format!("/proc/{pid}/exe")));
    running.is_some() && running == identity(program)
}
