//! What program a process runs and what its main thread does, read off `/proc`. Whoever may not see a part of it is told less. No call waits.

use std::fs::{self, File};
use std::io::Read as _;
use std::time::Duration;

use nix::unistd::Pid;

use crate::procfs::cgroup::Place as Cgroup;
use crate::procfs::connections::Connection;
use crate::procfs::main_thread::{
    Call, Glance, Purpose, Sample, call, is_own_loop, major_faults, name_of_call, schedule, state, throttled,
};
use crate::procfs::verdict::{Child, Place};
use crate::procfs::{listeners, number, shown, words};

/// What is shown of a path or a name.
const LONGEST_NAME: usize = 200;
/// Of the kernel's list: some ten thousand.
const MOST_OF_CONNECTIONS: usize = 2 << 20;

/// What the thread is now; `None`: it is gone, or cannot be seen.
pub fn sample(pid: Pid) -> Option<Sample> {
    let Glance { state, schedule, .. } = glance(pid)?;
    Some(Sample { state, schedule, throttled: throttled_for(pid) })
}

/// The same, as little of it as tells what it had since another look.
pub fn glance(pid: Pid) -> Option<Glance> {
    let stat = read_own(pid, "stat")?;
    let schedule = read_own(pid, "schedstat").and_then(|text| schedule(&text));
    Some(Glance { state: state(&stat), schedule, major_faults: major_faults(&stat) })
}

/// How long each of the other threads of a process, and the main threads of what descends from it, have waited for a processor so far; of
/// a few dozen.
pub fn others_waited(pid: Pid) -> Vec<(Pid, Duration)> {
    const MOST: usize = 64;
    let mut found = Vec::new();
    let (mut processes, mut next) = (vec![pid], 0);
    while let Some(process) = processes.get(next).copied().filter(|_| found.len() < MOST) {
        next += 1;
        let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else { continue };
        for thread in threads.flatten().take(MOST) {
            let Some(id) = thread.file_name().to_str().and_then(|name| name.parse().ok()).map(Pid::from_raw) else { continue };
            let file = |name: &str| fs::read(thread.path().join(name)).unwrap_or_default();
            if id != pid {
                found.extend(schedule(&file("schedstat")).map(|schedule| (id, schedule.waited)));
            }
            processes.extend(words(&file("children")).filter_map(number).map(Pid::from_raw).take(MOST.saturating_sub(processes.len())));
        }
    }
    found
}

/// Where it is: the system call, what that waits for, the child that was started last.
pub fn place(pid: Pid) -> Place {
    let call = read_own(pid, "syscall").and_then(|text| call(&text));
    let (number, first) = match call {
        Some(Call::In { number, first }) => (Some(number), Some(first)),
        Some(Call::None) | None => (None, None),
    };
    let purpose = number.and_then(name_of_call).map(|(_, purpose)| purpose);
    let descriptor = first.filter(|_| purpose == Some(Purpose::Descriptor)).and_then(|fd| i32::try_from(fd).ok());
    // 0: it sleeps nowhere, or whoever asks may not know.
    let wchan = read_own(pid, "wchan").map(|name| shown(name.trim_ascii(), LONGEST_NAME)).filter(|name| !name.is_empty() && name != "0");
    Place {
        call: number,
        kernel_function: wchan,
        descriptor: descriptor.and_then(|number| open_at(pid, number)),
        is_in_own_loop: purpose == Some(Purpose::Events) && first.is_some_and(|descriptor| is_own_loop_at(pid, descriptor)),
        child: child(pid),
    }
}

/// The path of the program that a process runs, as it was when it was executed.
pub fn executable(pid: Pid) -> Option<Vec<u8>> {
    fs::read_link(format!("/proc/{pid}/exe")).ok().map(|path| path.into_os_string().into_encoded_bytes())
}

fn is_own_loop_at(pid: Pid, descriptor: u64) -> bool {
    /// Node makes its loop at the start.
    const HIGHEST: u64 = 256;
    let names = (0..descriptor.min(HIGHEST)).filter_map(|number| fs::read_link(format!("/proc/{pid}/fd/{number}")).ok());
    let names: Vec<_> = names.map(|name| name.into_os_string().into_encoded_bytes()).collect();
    descriptor <= HIGHEST && is_own_loop(names.iter().map(Vec::as_slice))
}

/// One of the files of the main thread, as much of it as is ever needed.
fn read_own(pid: Pid, name: &str) -> Option<Vec<u8>> {
    read(&format!("/proc/{pid}/task/{pid}/{name}"), 4096)
}

fn read(path: &str, most: usize) -> Option<Vec<u8>> {
    let mut file = File::open(path).ok()?;
    let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
    while text.len() < most {
        match file.read(&mut buffer).ok()? {
            0 => break,
            length => text.extend_from_slice(buffer.get(..length)?),
        }
    }
    Some(text)
}

/// What is open at a descriptor, for a person.
fn open_at(pid: Pid, descriptor: i32) -> Option<String> {
    let name = fs::read_link(format!("/proc/{pid}/fd/{descriptor}")).ok()?.into_os_string().into_encoded_bytes();
    match (listeners::of_descriptor(&name), name.starts_with(b"pipe:[")) {
        (Some(inode), _) => Some(peer(pid, inode).unwrap_or_else(|| "a socket".to_owned())),
        (None, true) => Some("a pipe".to_owned()),
        (None, false) => Some(shown(&name, LONGEST_NAME)),
    }
}

fn peer(pid: Pid, inode: u64) -> Option<String> {
    let connection = connections(pid).into_iter().find(|connection| connection.inode == inode)?;
    Some(format!("a connection to {}", connection.peer))
}

/// The TCP connections of its network, as many as are looked at.
pub fn connections(pid: Pid) -> Vec<Connection> {
    let mut found = Vec::new();
    for name in ["tcp", "tcp6"] {
        let text = read(&format!("/proc/{pid}/net/{name}"), MOST_OF_CONNECTIONS).unwrap_or_default();
        found.extend(text.split(|byte| *byte == b'\n').filter_map(Connection::read));
    }
    found
}

/// The child that the main thread started last. A shell that runs one command is that command to whoever waits.
fn child(pid: Pid) -> Option<Child> {
    /// `execSync` starts a shell, which may start another.
    const DEEPEST: usize = 4;
    let mut youngest = None;
    let mut parent = pid;
    for _ in 0..DEEPEST {
        let children = read_own(parent, "children").unwrap_or_default();
        // The kernel lists them as they were started.
        let Some(last) = words(&children).filter_map(number).last().map(Pid::from_raw) else { break };
        let name = fs::read(format!("/proc/{last}/comm")).ok()?;
        let name = shown(name.trim_ascii_end(), LONGEST_NAME);
        let is_shell = matches!(name.as_str(), "sh" | "ash" | "bash" | "dash" | "busybox");
        youngest = Some(Child { name, pid: last });
        if !is_shell {
            break;
        }
        parent = last;
    }
    youngest
}

/// For how long its cgroup, or one above, was kept from the processors.
fn throttled_for(pid: Pid) -> Option<Duration> {
    let (cgroup, mountinfo) = (fs::read(format!("/proc/{pid}/cgroup")).ok()?, fs::read("/proc/self/mountinfo").ok()?);
    let place = Cgroup::find_for(b"cpu", &cgroup, &mountinfo).ok()?;
    place.lineage().filter_map(|folder| throttled(&fs::read(folder.join("cpu.stat")).ok()?)).max()
}
