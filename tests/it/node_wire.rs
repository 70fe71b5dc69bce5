//! The wire to Node, against real ones: a small parent made of the channel, the ports and the sockets behind them, and unmodified apps on every
//! major that `tests/node-versions` installs. No restartinit here: this is what it is made of.

mod parent;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use parent::{App, LIMIT, Parent, on_every_node};
use restartinit::node::channel::{NodeEvent, Options};
use restartinit::node::message::Listening;

fn ask(mut stream: impl Read + Write) -> String {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    answer(stream)
}

fn answer(mut stream: impl Read) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text.rsplit("\r\n").next().unwrap_or_default().to_owned()
}

fn tcp(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
}

fn free_port() -> u16 {
    TcpListener::bind("[::]:0").unwrap().local_addr().unwrap().port()
}

fn is_ready(happening: &NodeEvent) -> bool {
    *happening == NodeEvent::Ready
}

#[test]
fn every_kind_of_socket_outlives_a_kill() {
    on_every_node(|node| {
        let mut parent = Parent::default();
        let (path, port) = (parent.folder().join("app.sock"), free_port().to_string());
        let arguments = ["everything", path.to_str().unwrap(), &port];
        let mut app = App::start(node, 1, &arguments, Options::default());
        app.until_event(&mut parent, is_ready);
        let (any, fixed) = (app.number("any"), app.number("fixed"));
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        udp.set_read_timeout(Some(LIMIT)).unwrap();
        let (udp_port, pid) = (app.number("udp"), app.pid());
        let speak = |pid: u32| {
            assert_eq!(ask(tcp(any)), format!("{pid}"));
            assert_eq!(ask(tcp(fixed)), format!("{pid}"));
            assert_eq!(ask(UnixStream::connect(&path).unwrap()), format!("{pid}"));
            udp.send_to(b"who", ("127.0.0.1", udp_port)).unwrap();
            let mut buffer = [0; 32];
            let length = udp.recv(&mut buffer).unwrap();
            assert_eq!(String::from_utf8_lossy(&buffer[..length]), format!("{pid}"));
        };
        speak(pid);
        app.until_line(&mut parent, "tls secure");
        app.kill();
        parent.died(1);
        let waiting: Vec<TcpStream> = (0..20).map(|_| tcp(fixed)).collect();
        let mut next = App::start(node, 2, &arguments, Options::default());
        next.until_event(&mut parent, is_ready);
        for stream in waiting {
            assert_eq!(ask(stream), format!("{}", next.pid()), "it was queued while nobody ran");
        }
        assert_eq!((next.number("any"), next.number("udp")), (any, udp_port), "any free port: the same one again");
        speak(next.pid());
        next.until_line(&mut parent, "tls secure");
    });
}

#[test]
fn ready_pings_and_shutdown_reach_an_app_written_for_pm2() {
    on_every_node(|node| {
        let mut parent = Parent::default();
        let watchdog = Some(Duration::from_secs(60));
        let mut app = App::start_plain(node, &["pm2"], Options { watchdog, standby: false });
        app.until_event(&mut parent, |event| matches!(event, NodeEvent::Answered { lag: None }));
        app.until_event(&mut parent, is_ready);
        assert!(app.channel.shut_down());
        app.until_line(&mut parent, "got shutdown");
        assert_eq!(app.ended(&mut parent), Some(0));
        assert_eq!(app.channel.dropped().app, 3, "what it sent beside is read and dropped");
        assert_eq!(app.channel.dropped().malformed, 0);
    });
}

#[test]
fn pings_tell_a_loop_that_turns_from_one_that_does_not() {
    on_every_node(|node| {
        let mut parent = Parent::default();
        let watchdog = Some(Duration::from_secs(1));
        let mut app = App::start_plain(node, &["hang"], Options { watchdog, standby: false });
        app.until_event(&mut parent, is_ready);
        app.until_event(&mut parent, |event| matches!(event, NodeEvent::Answered { lag: Some(_) }));
        app.go_on();
        app.until_blocked(&mut parent);
        app.kill();
    });
}

#[test]
fn a_ping_is_seen_by_no_app_and_keeps_none_alive() {
    on_every_node(|node| {
        let mut parent = Parent::default();
        let watchdog = Some(Duration::from_millis(400));
        let mut app = App::start_plain(node, &["brief"], Options { watchdog, standby: false });
        app.until_event(&mut parent, |event| matches!(event, NodeEvent::Answered { lag: Some(_) }));
        app.go_on();
        assert_eq!(app.ended(&mut parent), Some(0));
        assert_eq!(app.lines(), ["done"]);
    });
}

#[test]
fn a_drain_finishes_what_is_in_flight_and_exits_0() {
    on_every_node(|node| {
        let mut parent = Parent::default();
        let mut app = App::start(node, 1, &["slow"], Options::default());
        app.until_event(&mut parent, |event| matches!(event, NodeEvent::Listening(Listening { port: Some(_), .. })));
        let mut stream = tcp(app.number("slow"));
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        app.until_line(&mut parent, "request");
        assert!(app.channel.disconnect());
        app.until_event(&mut parent, |event| matches!(event, NodeEvent::Closed { .. }));
        app.go_on();
        assert_eq!(app.ended(&mut parent), Some(0));
        assert_eq!(answer(stream), "slow");
    });
}

#[test]
fn a_worker_that_disconnects_by_itself_exits() {
    on_every_node(|node| {
        let mut parent = Parent::default();
        let mut app = App::start(node, 1, &["leave"], Options::default());
        app.until_event(&mut parent, |event| *event == NodeEvent::Disconnecting);
        assert_eq!(app.ended(&mut parent), Some(0));
    });
}

#[test]
fn an_app_that_sends_a_handle_goes_on_talking() {
    on_every_node(|node| {
        let mut parent = Parent::default();
        let mut app = App::start(node, 1, &["handle"], Options::default());
        app.until_event(&mut parent, is_ready);
    });
}

#[test]
fn a_port_in_use_is_the_usual_event() {
    on_every_node(|node| {
        let mut parent = Parent::default();
        let taken = TcpListener::bind("[::]:0").unwrap();
        let port = taken.local_addr().unwrap().port().to_string();
        let mut app = App::start(node, 1, &["in-use", &port], Options::default());
        app.until_line(&mut parent, "net EADDRINUSE");
        app.until_line(&mut parent, "tls EADDRINUSE");
        app.until_line(&mut parent, "unix EACCES");
        assert_eq!(app.ended(&mut parent), Some(0));
    });
}

#[test]
fn a_server_closed_for_good_lets_its_port_go() {
    on_every_node(|node| {
        let mut parent = Parent::default();
        let mut app = App::start(node, 1, &["close"], Options::default());
        app.until_event(&mut parent, |event| matches!(event, NodeEvent::Closed { .. }));
        app.until_line(&mut parent, "closed");
        assert!(parent.release_later(), "after a delay, and nothing is held then");
    });
}

#[test]
fn a_standby_takes_over_at_once() {
    on_every_node(|node| {
        let mut parent = Parent::default();
        let port = free_port().to_string();
        let mut active = App::start(node, 1, &["slow", &port], Options::default());
        active.until_event(&mut parent, |event| matches!(event, NodeEvent::Listening(_)));
        let mut standby = App::start(node, 2, &["slow", &port], Options { standby: true, ..Options::default() });
        standby.until_event(&mut parent, |event| *event == NodeEvent::Waiting);
        active.kill();
        parent.died(1);
        let stream = tcp(port.parse().unwrap());
        standby.activate(&mut parent);
        standby.until_event(&mut parent, |event| matches!(event, NodeEvent::Listening(_)));
        standby.go_on();
        assert_eq!(ask(stream), "slow");
    });
}

#[test]
fn a_listening_descriptor_is_adopted() {
    on_every_node(|node| {
        let mut parent = Parent::default();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        parent.inherited = Some(listener);
        let mut app = App::start(node, 1, &["descriptor"], Options::default());
        app.until_event(&mut parent, |event| matches!(event, NodeEvent::Listening(_)));
        assert_eq!(ask(tcp(port)), "descriptor");
    });
}
