//! What an observer may see of restartinit, and how it is asked: status, health, metrics, the HTTP of both doors. Pure: bytes, moments and
//! a [`snapshot::Snapshot`] come in as arguments, bytes go out. It must not know the supervisor's inside, nor a socket.

pub mod connection;
pub mod http;
pub mod metrics;
pub mod peer;
pub mod snapshot;
pub mod status;

use http::{Answer, Ask};
use snapshot::Snapshot;

/// The answer to whatever only reads. [`Ask::Restart`] is the hall's to answer; here it is refused.
pub fn answer(ask: Ask, snapshot: &Snapshot) -> Answer {
    match ask {
        Ask::Livez => Answer::text(200, "alive".to_owned()),
        Ask::Readyz => match snapshot.why_not_ready() {
            None => Answer::text(200, "ready".to_owned()),
            Some(why) => Answer::text(503, format!("not ready: {why}")),
        },
        Ask::Metrics => Answer::metrics(metrics::page(snapshot)),
        Ask::Status => Answer::json(status::json(snapshot)),
        Ask::StatusText => Answer::text(200, status::text(snapshot).trim_end().to_owned()),
        Ask::Restart => Answer::text(503, "nothing here can restart the command".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_is_told_with_its_reason() {
        let mut snapshot = Snapshot::example();
        assert_eq!((answer(Ask::Readyz, &snapshot).status, answer(Ask::Livez, &snapshot).status), (200, 200));
        snapshot.ready = false;
        snapshot.not_ready = Some("draining".to_owned());
        let refused = answer(Ask::Readyz, &snapshot);
        assert_eq!((refused.status, refused.body.as_str()), (503, "not ready: draining\n"));
        assert_eq!(answer(Ask::Livez, &snapshot).status, 200);
        snapshot.not_ready = None;
        assert_eq!(answer(Ask::Readyz, &snapshot).body, "not ready: no reason is known\n");
    }
}
