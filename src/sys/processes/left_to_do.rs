//! How much a process with an event loop of libuv has left to do, off `/proc`.

use std::io;

use nix::unistd::Pid;

use super::{descriptors, list, threads};
use crate::procfs::node_loop::{Left, Sleep, Timer, is_wake_up, sleep, threads_are_idle, watched};

/// More descriptors and threads mean work.
const MOST_LOOKED_AT: usize = 1024;

/// How much a process has left to do beside its channel, which is that descriptor of it.
///
/// # Errors
/// That of `/proc/PID`: gone, or another user's, so that it cannot be told.
pub fn left_to_do(pid: Pid, channel: i32) -> io::Result<Left> {
    let of_thread = |thread: Pid| std::fs::read(format!("/proc/{pid}/task/{thread}/syscall")).map(|line| sleep(&line));
    let Sleep::Epoll { descriptor, timer } = of_thread(pid)? else { return Ok(Left::Work) };
    if timer == Timer::Short {
        return Ok(Left::Work);
    }
    let threads = threads(pid)?;
    let descriptors = descriptors(pid)?;
    if threads.len() > MOST_LOOKED_AT || descriptors.len() > MOST_LOOKED_AT {
        return Ok(Left::Work);
    }
    let others: Vec<Sleep> = threads.iter().filter(|thread| **thread != pid).map(|thread| of_thread(*thread)).collect::<io::Result<_>>()?;
    if !threads_are_idle(&others) || has_children(pid, &threads)? {
        return Ok(Left::Work);
    }
    let name_of =
        |number: i32| std::fs::read_link(format!("/proc/{pid}/fd/{number}")).map(|name| name.into_os_string().into_encoded_bytes());
    let names: Vec<Vec<u8>> = descriptors.iter().filter_map(|number| name_of(*number).ok()).collect();
    for number in watched(&std::fs::read(format!("/proc/{pid}/fdinfo/{descriptor}"))?) {
        if number != channel && !is_wake_up(&name_of(number)?, &names) {
            return Ok(Left::Others);
        }
    }
    Ok(if timer == Timer::Long { Left::LongTimer } else { Left::Nothing })
}

fn has_children(pid: Pid, threads: &[Pid]) -> io::Result<bool> {
    for thread in threads {
        match std::fs::read(format!("/proc/{pid}/task/{thread}/children")) {
            Ok(children) if children.trim_ascii().is_empty() => {}
            Ok(_) => return Ok(true),
            // A kernel without CONFIG_PROC_CHILDREN, or a thread that has just ended.
            Err(_) => return Ok(list()?.iter().any(|process| process.parent == pid)),
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_without_an_event_loop_is_at_work() {
        use std::process::{Command, Stdio};
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let pid = Pid::from_raw(child.id().cast_signed());
        assert_eq!(left_to_do(pid, 3).unwrap(), Left::Work);
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(left_to_do(pid, 3).is_err(), "it is gone");
    }
}
