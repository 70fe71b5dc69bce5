//! The answers to those who only observe, and to whoever asks for a restart: what the supervisor tells, with what system calls show.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::unistd::Pid;

use super::EventLoop;
use super::server::Reply;
use crate::generation_number::GenerationNumber;
use crate::logger::warn_once;
use crate::observe::answer;
use crate::observe::http::{Response, Route};
use crate::observe::peer::Owner;
use crate::observe::snapshot::{Counters, MemoryLimit, MemoryView, Snapshot, command_name};
use crate::procfs::listeners::Listeners;
use crate::supervisor::event::Event;
use crate::sys::{processes, signals, stderr};
use crate::time::Moment;

impl EventLoop {
    /// Opens the control socket; where it cannot be opened now, the next spawn is the next attempt.
    pub(super) fn open_control(&mut self) {
        self.control_settled = true;
        match self.server.open_control(self.own_pid) {
            Ok(owner) => {
                self.listeners.set_own(self.server.inodes());
                if owner != Owner::First {
                    log::info!(
                        "another restartinit of this container was there first: `restartinit status`, `health` and `restart` reach this one by --pid {}",
                        self.own_pid
                    );
                }
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                log::warn!(
                    "`restartinit status`, `health` and `restart` are not answered: somebody else has this container's names for it"
                );
            }
            Err(error) => {
                self.control_settled = false;
                let why = if processes::proc_is_mounted() { error.to_string() } else { "/proc is not mounted".to_owned() };
                warn_once!("`restartinit status`, `health` and `restart` are not answered: {why}");
            }
        }
    }

    /// Serves whoever asks.
    pub(super) fn observe(&mut self) {
        self.serve();
        let now = self.now;
        for outcome in self.restart_outcomes.drain(..) {
            self.server.restart_done(outcome, now);
        }
    }

    fn serve(&mut self) {
        if self.server.is_idle(&|fd| self.poller.seen(fd)) && self.server.deadline().is_none() {
            return;
        }
        let now = self.now;
        let mut server = std::mem::take(&mut self.server);
        let poller = std::mem::take(&mut self.poller);
        let mut restart_asked = None;
        server.serve(&|fd| poller.seen(fd), now, &mut |route| match route {
            // A refusal is for the one who asks now: another may wait for the outcome of a restart that is under way.
            Route::Restart { is_forced } => match self.supervisor.refuses_restart() {
                Some(why) => Reply::Now(Response::text(503, why)),
                None => {
                    restart_asked = Some(if is_forced { Event::RestartForced } else { Event::RestartAsked });
                    Reply::Later
                }
            },
            Route::Livez => Reply::Now(answer(route, &self.snapshot(now, false))),
            route => {
                self.handle(Event::ReadinessAsked);
                Reply::Now(answer(route, &self.snapshot(now, route == Route::Metrics)))
            }
        });
        self.server = server;
        self.poller = poller;
        if let Some(event) = restart_asked {
            self.handle(event);
        }
    }

    /// Where a generation listens.
    pub(super) fn look_for_listeners(&mut self, generation: GenerationNumber, command: Pid) -> Option<Listeners> {
        let others: Vec<Pid> = self.supervisor.running().map(|generation| generation.pid).filter(|pid| *pid != command).collect();
        let given: Vec<u64> = self.links.sockets.inodes().collect();
        self.listeners.look(generation, command, &others, &given)
    }

    /// `is_scrape`: what is told as the largest since the last scrape begins anew.
    fn snapshot(&mut self, now: Moment, is_scrape: bool) -> Snapshot {
        let mut view = self.supervisor.view(now);
        let active = view.active().map(|generation| generation.pid);
        view.cannot_signal = view.cannot_signal.or(active.filter(|pid| !signals::may_send(*pid)));
        let usage = self.memory.usage();
        let unix_now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Snapshot {
            version: env!("CARGO_PKG_VERSION"),
            command: command_name(&self.command),
            pid: self.own_pid,
            now,
            started_unix: unix_now.saturating_sub(now.since_start()),
            counters: Counters {
                orphans_reaped: self.orphans_reaped,
                log_lines_dropped: stderr::dropped() as u64,
                channel_messages_dropped: self.links.messages_dropped(),
                spawn_failures: view.spawn_failures,
            },
            event_loop: active.and_then(|pid| self.links.event_loop(pid, is_scrape, now)),
            leftovers_left: self.descendants.count_left(),
            memory: MemoryView {
                resident: active.and_then(processes::resident),
                limit: self.memory.wanted().map(|wanted| MemoryLimit { bytes: self.memory.limit(usage), shown: wanted.to_string() }),
                cgroup_working_set: usage.working_set,
                cgroup_limit: usage.limit,
            },
            view,
        }
    }
}
