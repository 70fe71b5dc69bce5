//! What an observer may see of restartinit, and how it is asked: status, health, metrics, the HTTP of both interfaces. Pure: bytes, moments and
//! a [`snapshot::Snapshot`] come in as arguments, bytes go out. It must not know the supervisor's inside, nor a socket.

pub mod check_answer;
pub mod connection;
pub mod http;
pub mod metrics;
pub mod peer;
pub mod snapshot;
pub mod status;

use http::{Response, Route};
use snapshot::Snapshot;

/// The answer to whatever only reads. [`Route::Restart`] is the event loop's to answer; here it is refused.
pub fn answer(route: Route, snapshot: &Snapshot) -> Response {
    match route {
        Route::Livez => Response::text(200, "alive".to_owned()),
        Route::Readyz => match snapshot.view.why_not_ready() {
            None => Response::text(200, "ready".to_owned()),
            Some(why) => Response::text(503, format!("not ready: {why}")),
        },
        Route::Metrics => Response::metrics(metrics::page(snapshot)),
        Route::Status => Response::json(status::json(snapshot)),
        Route::StatusText => Response::text(200, status::text(snapshot).trim_end().to_owned()),
        Route::Restart { .. } => Response::text(503, "nothing here can restart the command".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_answers_in_its_own_format() {
        let snapshot = Snapshot::example();
        for (route, status, content_type, begins) in [
            (Route::Livez, 200, "text/plain; charset=utf-8", "alive\n"),
            (Route::Readyz, 200, "text/plain; charset=utf-8", "ready\n"),
            (Route::Metrics, 200, "text/plain; version=0.0.4; charset=utf-8", "# HELP restartinit_info "),
            (Route::Status, 200, "application/json", "{\"command\":\"node\","),
            (Route::StatusText, 200, "text/plain; charset=utf-8", "command      node: "),
            (Route::Restart { is_forced: false }, 503, "text/plain; charset=utf-8", "nothing here can restart"),
        ] {
            let answer = answer(route, &snapshot);
            assert_eq!((answer.status, answer.content_type, answer.allow), (status, content_type, None), "{route:?}");
            assert!(answer.body.starts_with(begins) && answer.body.ends_with('\n') && !answer.body.ends_with("\n\n"), "{}", answer.body);
        }
    }

    #[test]
    fn readiness_is_told_with_its_reason() {
        let mut snapshot = Snapshot::example();
        assert_eq!((answer(Route::Readyz, &snapshot).status, answer(Route::Livez, &snapshot).status), (200, 200));
        snapshot.view.ready = false;
        snapshot.view.not_ready = Some("draining".to_owned());
        let refused = answer(Route::Readyz, &snapshot);
        assert_eq!((refused.status, refused.body.as_str()), (503, "not ready: draining\n"));
        assert_eq!(answer(Route::Livez, &snapshot).status, 200);
        snapshot.view.not_ready = None;
        assert_eq!(answer(Route::Readyz, &snapshot).body, "not ready: no reason is known\n");
    }
}
