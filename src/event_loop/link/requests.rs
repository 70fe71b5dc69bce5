//! What a command is told on its channel, beside the answers to what it asks.

use std::collections::VecDeque;

use super::Link;
use crate::event_loop::held_sockets::HeldSockets;
use crate::node::message::Query;
use crate::node::watchdog::Watchdog;
use crate::supervisor::event::AppRequest;
use crate::time::Moment;

impl Link {
    /// Says something to the command; false: it cannot be said.
    pub(in crate::event_loop) fn send_request(&mut self, request: AppRequest, now: Moment, sockets: &HeldSockets) -> bool {
        // Before it: an app that lets go of the channel would be crashed by what it has to answer afterwards.
        self.channel.ping();
        self.transmit(now, sockets);
        self.is_request_unanswered = self.channel.is_in_flight();
        let is_open = match request {
            AppRequest::Shutdown => self.channel.shut_down(),
            AppRequest::Disconnect => self.channel.disconnect(),
        };
        self.stop_requested = is_open && request == AppRequest::Shutdown;
        self.transmit(now, sockets);
        is_open
    }

    /// Gives a standby what it has asked for.
    pub(in crate::event_loop) fn promote(&mut self, now: Moment, sockets: &mut HeldSockets) {
        let kept = self.channel.activate();
        self.answer(kept, now, sockets);
    }

    pub(super) fn answer(&mut self, queries: VecDeque<Query>, now: Moment, sockets: &mut HeldSockets) {
        for mut query in queries {
            let outcome = sockets.query(self.generation, self.speaker.sender(), &mut query);
            self.channel.answer(query, outcome);
        }
        self.transmit(now, sockets);
    }

    /// From now on its event loop has to turn.
    pub(in crate::event_loop) fn watch(&mut self) {
        self.channel.watchdog().into_iter().for_each(Watchdog::begin);
    }
}
