//! Why an event loop does not turn, in words: it runs, it waits for a processor, it is asleep in a system call. Made of plain data, by whoever
//! has it: a verb in its own process, or the watchdog. Pure.

use std::fmt;

use nix::unistd::Pid;

use super::main_thread::{Purpose, Sample, Share, State, name_of_call};
use crate::time::human;

/// Where the main thread is, as far as it can be seen.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Place {
    /// The number of the system call that it is in.
    pub call: Option<i64>,
    /// The function of the kernel that it sleeps in, off `/proc/PID/wchan`: what can be seen where the system call cannot.
    pub kernel_function: Option<String>,
    /// The file or the peer of the descriptor that the system call waits for, fit to be shown.
    pub descriptor: Option<String>,
    /// It waits for the events of Node's own loop, and not of another one, as `execSync` has.
    pub is_in_own_loop: bool,
    /// The child that it started last.
    pub child: Option<Child>,
}

/// A child that a process may wait for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Child {
    /// What it calls itself, fit to be shown: no argument of it, which may be a secret.
    pub name: String,
    pub pid: Pid,
}

/// What the main thread does instead of turning its loop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It does turn: there is nothing to do.
    Idle,
    /// It computes. `share`: how much of a processor it had, where that is known.
    Running {
        share: Option<Share>,
    },
    /// It would compute, and had no processor for most of the time.
    Starved {
        share: Share,
    },
    WaitsForChild(Child),
    /// In a system call, or a function of the kernel's.
    Asleep {
        call: String,
        of: Option<String>,
        is_uninterruptible: bool,
    },
    /// Until another thread wakes it.
    WaitsForThread,
    /// By a signal.
    Stopped,
    /// By a debugger.
    Traced,
    Ended,
    Unknown,
}

impl Verdict {
    /// What is said of a thread whose loop does not turn, by what it had of the processors since an earlier sample, what it is now and where.
    pub fn of(share: Option<Share>, now: &Sample, place: &Place) -> Verdict {
        match now.state {
            State::Stopped => return Verdict::Stopped,
            State::Traced => return Verdict::Traced,
            State::Ended => return Verdict::Ended,
            _ => {}
        }
        let runs = now.state == State::Runnable;
        if let Some(share) = share {
            let Share { schedule, of, .. } = share;
            // A thread that is found asleep may only have been so for a moment, as at a collection of garbage by several threads.
            if runs || (schedule.ran + schedule.waited) * 2 > of {
                return if schedule.waited > schedule.ran { Verdict::Starved { share } } else { Verdict::Running { share: Some(share) } };
            }
        }
        if runs { Verdict::Running { share } } else { Verdict::of_sleeper(now, place) }
    }

    /// The same in few words, where there is nothing more to know.
    pub fn brief(&self) -> String {
        /// A thread that has so much of a processor has all that it wants, in percent.
        const NEARLY_ALL: u32 = 80;
        match self {
            Verdict::Running { share: Some(share) } if share.percent(share.schedule.ran) >= NEARLY_ALL => "running".to_owned(),
            verdict => verdict.to_string(),
        }
    }

    /// The same of one that has had the time which it is to have, however long it waited for that: it ran.
    pub fn of_its_own(&self) -> String {
        if matches!(self, Verdict::Starved { .. }) { "running".to_owned() } else { self.brief() }
    }

    fn of_sleeper(now: &Sample, place: &Place) -> Verdict {
        let is_uninterruptible = now.state == State::Uninterruptible;
        let asleep = |call: &str, of: &Option<String>| Verdict::Asleep { call: call.to_owned(), of: of.clone(), is_uninterruptible };
        let known = place.call.and_then(name_of_call);
        match (known, place.call, &place.kernel_function, &place.child) {
            // `execSync` turns a loop of its own.
            (Some((_, Purpose::Events | Purpose::Child)), _, _, Some(child)) => Verdict::WaitsForChild(child.clone()),
            (Some((_, Purpose::Lock)), ..) => Verdict::WaitsForThread,
            (Some((name, _)), ..) => asleep(name, &place.descriptor),
            (None, None, Some(function), Some(child)) if is_wait_for_events(function) => Verdict::WaitsForChild(child.clone()),
            (None, None, Some(function), _) if function.starts_with("futex") => Verdict::WaitsForThread,
            (None, call, Some(function), _) => asleep(function, &call.and(place.descriptor.clone())),
            (None, Some(number), None, _) => asleep(&format!("system call {number}"), &None),
            (None, None, None, _) => Verdict::Unknown,
        }
    }
}

/// As the kernel has called the functions behind epoll_wait and wait4 since its version 4.
fn is_wait_for_events(function: &str) -> bool {
    function.starts_with("ep_poll") || function.starts_with("do_epoll_wait") || function.starts_with("do_wait")
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Idle => out.write_str("the event loop is idle"),
            Verdict::Running { share: None } => out.write_str("running"),
            Verdict::Running { share: Some(share) } => {
                write!(out, "running ({} % of a processor{})", share.percent(share.schedule.ran), Throttled(share))
            }
            Verdict::Starved { share } => {
                let (ran, waited) = (share.percent(share.schedule.ran), share.percent(share.schedule.waited));
                write!(out, "waiting for a processor (starved: ran {ran} % of the time, waited {waited} %{})", Throttled(share))
            }
            Verdict::WaitsForChild(Child { name, pid }) => write!(out, "waiting for its child \"{name}\" (pid {pid})"),
            Verdict::WaitsForThread => out.write_str("asleep until another thread wakes it (Atomics.wait, or a lock)"),
            Verdict::Asleep { call, of, is_uninterruptible } => {
                write!(out, "asleep in {call}")?;
                if let Some(of) = of {
                    write!(out, " of {of}")?;
                }
                out.write_str(if *is_uninterruptible { " (a disk or a file server does not answer)" } else { "" })
            }
            Verdict::Stopped => out.write_str("stopped by a signal"),
            Verdict::Traced => out.write_str("held by a debugger"),
            Verdict::Ended => out.write_str("ended"),
            Verdict::Unknown => out.write_str("not running; where it sleeps cannot be seen from here"),
        }
    }
}

/// What to add about a cgroup's limit of processor time.
struct Throttled<'a>(&'a Share);

impl fmt::Display for Throttled<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Less is no reason for anything.
        const WORTH_A_WORD: u32 = 5;
        let Throttled(share) = self;
        if share.percent(share.throttled) < WORTH_A_WORD {
            return Ok(());
        }
        write!(out, "; cgroup throttled {} of {}", human(share.throttled), human(share.of))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::procfs::main_thread::Schedule;
    use std::time::Duration;

    fn share(ran: u64, waited: u64, throttled: u64) -> Option<Share> {
        let ms = Duration::from_millis;
        Some(Share { schedule: Schedule { ran: ms(ran), waited: ms(waited) }, throttled: ms(throttled), of: ms(10_000) })
    }

    fn said(share: Option<Share>, state: State, place: &Place) -> String {
        Verdict::of(share, &Sample { state, schedule: None, throttled: None }, place).to_string()
    }

    fn place(call: Option<i64>, function: Option<&str>, descriptor: Option<&str>, child: Option<&str>) -> Place {
        Place {
            call,
            kernel_function: function.map(str::to_owned),
            descriptor: descriptor.map(str::to_owned),
            is_in_own_loop: false,
            child: child.map(|name| Child { name: name.to_owned(), pid: Pid::from_raw(31) }),
        }
    }

    const NOWHERE: Place = Place { call: None, kernel_function: None, descriptor: None, is_in_own_loop: false, child: None };

    #[test]
    fn a_loop_that_computes_is_told_from_one_that_may_not() {
        let runs = |share| said(share, State::Runnable, &NOWHERE);
        assert_eq!(runs(share(9800, 100, 0)), "running (98 % of a processor)");
        assert_eq!(runs(share(5200, 4700, 4000)), "running (52 % of a processor; cgroup throttled 4 s of 10 s)");
        assert_eq!(
            runs(share(400, 9500, 9600)),
            "waiting for a processor (starved: ran 4 % of the time, waited 95 %; cgroup throttled 9.6 s of 10 s)"
        );
        assert_eq!(runs(share(400, 9500, 499)), "waiting for a processor (starved: ran 4 % of the time, waited 95 %)");
        assert_eq!(runs(None), "running");
        assert_eq!(runs(share(100, 100, 0)), "running (1 % of a processor)", "it has only just begun to");
        assert_eq!(runs(share(100, 101, 0)), "waiting for a processor (starved: ran 1 % of the time, waited 1 %)");
    }

    #[test]
    fn few_words_are_enough_for_what_runs() {
        let verdict =
            |ran, waited| Verdict::of(share(ran, waited, 0), &Sample { state: State::Runnable, schedule: None, throttled: None }, &NOWHERE);
        assert_eq!((verdict(9800, 100).brief(), verdict(7000, 2000).brief()), ("running".into(), "running (70 % of a processor)".into()));
        let starved = verdict(2500, 7500);
        assert_eq!((starved.of_its_own(), starved.brief()), ("running".into(), starved.to_string()));
        assert_eq!(verdict(7000, 2000).of_its_own(), "running (70 % of a processor)");
    }

    #[test]
    fn a_moments_sleep_hides_no_work() {
        let read = place(Some(libc::SYS_read), None, Some("/mnt/fifo"), None);
        assert_eq!(said(share(4000, 1001, 0), State::Sleeping, &read), "running (40 % of a processor)");
        assert_eq!(said(share(4000, 1000, 0), State::Sleeping, &read), "asleep in read of /mnt/fifo");
    }

    #[test]
    fn sleep_is_told_with_what_it_waits_for() {
        let asleep = |place: Place| said(share(0, 0, 0), State::Sleeping, &place);
        assert_eq!(asleep(place(Some(libc::SYS_read), Some("pipe_read"), None, None)), "asleep in read");
        assert_eq!(asleep(place(None, Some("pipe_read"), None, Some("convert"))), "asleep in pipe_read");
        assert_eq!(asleep(place(Some(9999), Some("foo"), None, None)), "asleep in foo");
        assert_eq!(asleep(place(Some(9999), None, None, None)), "asleep in system call 9999");
        let elsewhere = "asleep until another thread wakes it (Atomics.wait, or a lock)";
        assert_eq!(asleep(place(Some(libc::SYS_futex), None, None, Some("convert"))), elsewhere);
        assert_eq!(asleep(place(None, Some("futex_wait_queue"), None, None)), elsewhere);
        assert_eq!(asleep(NOWHERE), "not running; where it sleeps cannot be seen from here");
        assert_eq!(
            said(None, State::Uninterruptible, &place(Some(libc::SYS_statx), None, None, None)),
            "asleep in stat (a disk or a file server does not answer)"
        );
    }

    #[test]
    fn a_child_that_is_waited_for_is_named() {
        let waits = "waiting for its child \"convert\" (pid 31)";
        for place in [
            place(Some(libc::SYS_epoll_pwait), None, None, Some("convert")),
            place(Some(libc::SYS_wait4), Some("do_wait"), None, Some("convert")),
            place(None, Some("ep_poll"), None, Some("convert")),
            place(None, Some("do_epoll_wait"), None, Some("convert")),
            place(None, Some("do_wait"), None, Some("convert")),
        ] {
            assert_eq!(said(None, State::Sleeping, &place), waits, "{place:?}");
        }
        assert_eq!(said(None, State::Sleeping, &place(Some(libc::SYS_epoll_pwait), None, None, None)), "asleep in epoll_wait");
        assert_eq!(said(None, State::Sleeping, &place(Some(libc::SYS_read), None, None, Some("convert"))), "asleep in read");
    }

    #[test]
    fn what_holds_a_process_comes_first() {
        let all = share(9800, 100, 0);
        assert_eq!(said(all, State::Stopped, &NOWHERE), "stopped by a signal");
        assert_eq!(said(all, State::Traced, &NOWHERE), "held by a debugger");
        assert_eq!(said(all, State::Ended, &NOWHERE), "ended");
        assert_eq!(Verdict::Idle.to_string(), "the event loop is idle");
    }
}
