//! Looks at sockets of the test's own, with a clock of its own.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use nix::poll::{PollFd, PollTimeout, poll};

use super::*;

const PID: Pid = Pid::from_raw(7);
const TIMEOUT: Duration = Duration::from_secs(2);

fn at(seconds: u64) -> Moment {
    Moment::default() + Duration::from_secs(seconds)
}

fn checker(url: CheckUrl) -> Checker {
    Checker::new(&Config { check: Some(url), check_timeout: TIMEOUT, ..Config::default() })
}

/// One turn once there is something to do; with `patience` of zero, whether or not there is.
fn turn(checker: &mut Checker, now: Moment, patience: PollTimeout) -> Option<Event> {
    let mut seen = PollFlags::empty();
    if let Some((fd, events)) = checker.interest() {
        let mut fds = [PollFd::new(fd, events)];
        poll(&mut fds, patience).expect("poll");
        seen = fds[0].revents().expect("known flags");
    }
    checker.turn(&|_| seen, now)
}

/// The app, and one who asks it and has sent the question.
fn asked() -> (Checker, TcpStream) {
    let app = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", app.local_addr().expect("its address"));
    let mut checker = checker(CheckUrl::parse(&url).expect("a URL"));
    assert!(checker.begin(PID, at(10)).is_none());
    assert!(turn(&mut checker, at(10), PollTimeout::NONE).is_none());
    let mut connection = app.accept().expect("a connection").0;
    assert!(connection.read(&mut [0; 4096]).expect("a question") > 0);
    (checker, connection)
}

fn is_answer(event: Option<Event>, expected: Result<Duration, Fault>) {
    match event {
        Some(Event::Checked { pid: PID, answer }) => assert_eq!(answer, expected),
        other => panic!("{other:?}"),
    }
}

/// A paused container, a machine without a processor to spare: restartinit comes late, not the app.
#[test]
fn an_answer_that_is_there_counts_however_late_it_is_read() {
    let (mut checker, mut connection) = asked();
    connection.write_all(b"HTTP/1.1 200 OK\r\n\r\n").expect("it is sent");
    is_answer(turn(&mut checker, at(60), PollTimeout::NONE), Ok(Duration::from_secs(50)));
    assert_eq!(checker.deadline(), None, "nothing is waited for any more");
}

#[test]
fn no_answer_is_one_at_the_deadline() {
    let (mut checker, mut connection) = asked();
    assert!(turn(&mut checker, at(11), PollTimeout::ZERO).is_none());
    is_answer(turn(&mut checker, at(12), PollTimeout::ZERO), Err(Fault::NoAnswer { within: TIMEOUT }));
    // Half of one is none.
    let (mut checker, mut half) = asked();
    half.write_all(b"HTTP/1.1 2").expect("it is sent");
    is_answer(turn(&mut checker, at(12), PollTimeout::NONE), Err(Fault::NoAnswer { within: TIMEOUT }));
    drop(connection.write_all(b"HTTP/1.1 200 OK\r\n\r\n"));
    assert!(checker.interest().is_none());
}

/// Where there is no IPv6, the second address of localhost is not what is wrong.
#[test]
fn the_first_address_is_the_one_that_is_told() {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|app| app.local_addr()).expect("a port").port();
    let mut url = CheckUrl::parse(&format!("http://127.0.0.1:{port}/")).expect("a URL");
    // Nobody can connect to a group.
    url.addresses.push(([224, 0, 0, 1], port).into());
    let mut checker = checker(url);
    let event = checker.begin(PID, at(0)).or_else(|| turn(&mut checker, at(0), PollTimeout::NONE));
    is_answer(event, Err(Fault::Refused(Errno::ECONNREFUSED as i32)));
}
