//! Who speaks on a channel: the app, one process after another, two at once, or a launcher in front of the app.

use super::Link;
use crate::event_loop::held_sockets::HeldSockets;
use crate::event_loop::lingering::Outliving;
use crate::logger::warn_once;
use crate::node::launcher;
use crate::node::permission::{Heard, Sender};
use crate::node::spec::Spec;
use crate::procfs::listeners::ListenAddress;
use crate::procfs::node_loop::Left;
use crate::supervisor::event::ChannelEvent;
use crate::sys::processes;
use crate::time::Moment;

impl Link {
    /// Sees who speaks.
    pub(super) fn identify(&mut self, sender: Option<Sender>, now: Moment, sockets: &mut HeldSockets) {
        let generation = self.generation;
        match self.speaker.heard(sender, |pid| !processes::lives(pid)) {
            Heard::Known => {}
            Heard::First => self.see_who_speaks(sender),
            Heard::Another => {
                self.channel.begin_anew(now, self.watchdog);
                sockets.died(generation);
                (self.answered, self.has_listened, self.stop_requested, self.is_request_unanswered) = (false, false, false, false);
                self.events.push(ChannelEvent::AnotherSpeaks);
                self.see_who_speaks(sender);
            }
            Heard::Two(one, other) => {
                warn_once!(
                    "two processes (pids {one} and {other}) speak on the Node channel of generation {generation}, and take each other's messages: \
                     start the one that is not the app by env -u NODE_CHANNEL_FD -u NODE_UNIQUE_ID COMMAND"
                );
            }
        }
    }

    /// A launcher takes the channel for itself: behind it nothing is known of the app.
    fn see_who_speaks(&mut self, sender: Option<Sender>) {
        let Some(pid) = sender.map(|sender| sender.pid) else { return };
        let line = processes::command_line(pid);
        let line = String::from_utf8_lossy(&line);
        let words: Vec<&str> = line.split('\0').filter(|word| !word.is_empty()).collect();
        let launcher = launcher::of_words(&words);
        self.has_launcher = launcher.is_some();
        if let Some(launcher) = launcher {
            self.channel.stop_asking();
            if !launcher.uses_its_channel() {
                self.channel.disconnect();
            }
            self.events.push(ChannelEvent::LauncherSpeaks);
            warn_once!(
                "generation {} is spoken for by {} (pid {pid}), which passes nothing on to the app: the options for Node do nothing behind it ({})",
                self.generation,
                launcher.name,
                launcher.instead(None)
            );
        }
    }

    /// Gives a standby's launcher what is its own: without that it never gets as far as the app.
    pub(super) fn answer_launcher(&mut self, now: Moment, sockets: &mut HeldSockets) {
        let own = self.channel.take_kept(|spec| matches!(spec, Spec::Unix { .. }));
        self.answer(own, now, sockets);
    }

    /// What is left of it where its command has ended and the app has not: a shell was the command.
    pub(in crate::event_loop) fn outliving(mut self) -> Option<Outliving> {
        let app = self.speaker.sender().map(|sender| sender.pid).filter(|app| *app != self.pid && !self.has_launcher)?;
        Some(Outliving { app, number: self.number, end: self.end.take().filter(|_| processes::lives(app))? })
    }

    /// How much the app has left to do beside its channel; `None`: that cannot be told.
    pub(in crate::event_loop) fn left_to_do(&self) -> Option<Left> {
        let app = self.speaker.sender().map_or(self.pid, |sender| sender.pid);
        processes::left_to_do(app, self.number).ok()
    }
}

/// What counts of what a launcher tells.
pub(super) fn of_launcher(event: ChannelEvent) -> Option<ChannelEvent> {
    match event {
        ChannelEvent::Ready | ChannelEvent::Unready => Some(event),
        // A unix socket is its own. A port is the app's, which ts-node runs in its own process.
        ChannelEvent::Listening(mut held) => {
            held.retain(|listener| matches!(listener.address, ListenAddress::Tcp(_)));
            (!held.is_empty()).then_some(ChannelEvent::Listening(held))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::procfs::listeners::Listener;

    #[test]
    fn a_launchers_own_pipe_does_not_count() {
        let listener = |address| Listener { address, is_fixed: true };
        let port = listener(ListenAddress::Tcp(([127, 0, 0, 1], 3000).into()));
        let pipe = listener(ListenAddress::Unix("/tmp/tsx-0/7.pipe".to_owned()));
        assert_eq!(of_launcher(ChannelEvent::Listening(vec![pipe.clone()])), None);
        let both = ChannelEvent::Listening(vec![pipe, port.clone()]);
        assert_eq!(of_launcher(both), Some(ChannelEvent::Listening(vec![port])));
        assert_eq!(of_launcher(ChannelEvent::Ready), Some(ChannelEvent::Ready));
        assert_eq!(of_launcher(ChannelEvent::Answered), None);
    }
}
