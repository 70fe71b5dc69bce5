//! The observers' sockets, real ones: a loop of poll(2) in place of the event loop's.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Command, Output};
use std::time::Instant;

use nix::poll::{PollFd, PollTimeout, poll};

use super::*;

const DEADLINE: Duration = Duration::from_secs(10);

struct Bench {
    server: Server,
    started: Instant,
    turns: usize,
}

impl Bench {
    fn new() -> Bench {
        Bench { server: Server::open(None).unwrap(), started: Instant::now(), turns: 0 }
    }

    fn web() -> (Bench, SocketAddr) {
        let mut bench = Bench::new();
        let listener = sockets::listen_tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let Listener::Tcp(tcp) = &listener else { panic!() };
        let address = tcp.local_addr().unwrap();
        bench.server.admit(Interface::Http, listener, HTTP_PLACES);
        (bench, address)
    }

    fn control(name: &str) -> Bench {
        let mut bench = Bench::new();
        let name = format!("{name}/{}", std::process::id());
        bench.server.admit(Interface::Control, sockets::listen_control(&name).unwrap(), CONTROL_PLACES);
        bench
    }

    fn now(&self) -> Moment {
        Moment::after_start(self.started.elapsed())
    }

    /// Polls and serves until `done`; never longer than the deadline.
    fn until(&mut self, mut done: impl FnMut(&Server) -> bool) {
        while !done(&self.server) {
            assert!(self.started.elapsed() < DEADLINE, "it took too long");
            let mut fds: Vec<PollFd> = self.server.interests().map(|(fd, flags)| PollFd::new(fd, flags)).collect();
            let due = self.server.deadline().map_or(DEADLINE, |due| due.since(self.now()));
            // A client of another thread may be what `done` waits for.
            let timeout = due.min(Duration::from_millis(20)).as_millis() as i32 + 1;
            poll(&mut fds, PollTimeout::try_from(timeout).unwrap()).unwrap();
            let told: Vec<(RawFd, PollFlags)> = fds.iter().map(|fd| (fd.as_fd().as_raw_fd(), fd.revents().unwrap())).collect();
            drop(fds);
            let ready = |fd: RawFd| told.iter().find(|(known, _)| *known == fd).map_or(PollFlags::empty(), |(_, flags)| *flags);
            self.turns += 1;
            self.server.serve(&ready, self.now(), &mut |route| match route {
                Route::Restart { .. } => Reply::Later,
                route => Reply::Now(Response::text(200, format!("{route:?}"))),
            });
        }
    }

    /// Serves while a client does its part in another thread.
    fn serve<T: Send + 'static>(&mut self, client: impl FnOnce() -> T + Send + 'static) -> T {
        let client = std::thread::spawn(client);
        self.until(|_| client.is_finished());
        client.join().unwrap()
    }
}

/// A connection to the control socket, as a verb would have it.
fn connect_to_control(bench: &Bench) -> UnixStream {
    let Listener::Unix(listener) = &bench.server.acceptors[0].listener else { panic!() };
    UnixStream::connect_addr(&listener.local_addr().unwrap()).unwrap()
}

fn route(address: SocketAddr, request: &[u8]) -> String {
    let mut client = TcpStream::connect(address).unwrap();
    client.write_all(request).unwrap();
    read_all(&mut client)
}

fn read_all(client: &mut impl std::io::Read) -> String {
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    answer
}

const GET: &[u8] = b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n";

#[test]
fn a_request_is_answered_and_the_connection_closed() {
    let (mut bench, address) = Bench::web();
    let answer = bench.serve(move || route(address, GET));
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nReadyz\n"), "{answer}");
    bench.until(|server| server.clients.is_empty());
    assert_eq!((bench.server.deadline(), bench.server.clients.capacity()), (None, 0));
    assert_eq!(bench.server.interests().count(), 1);
}

#[test]
fn one_byte_at_a_time_and_a_half_closed_client_are_answered() {
    let (mut bench, address) = Bench::web();
    let answer = bench.serve(move || {
        let mut client = TcpStream::connect(address).unwrap();
        client.set_nodelay(true).unwrap();
        GET.iter().for_each(|byte| client.write_all(&[*byte]).unwrap());
        client.shutdown(Shutdown::Write).unwrap();
        read_all(&mut client)
    });
    assert!(answer.ends_with("Readyz\n"), "{answer}");
}

#[test]
fn a_body_that_nobody_reads_does_not_reset_the_answer() {
    let (mut bench, address) = Bench::web();
    let answer = bench.serve(move || {
        let mut request = b"POST /metrics HTTP/1.1\r\nContent-Length: 900000\r\n\r\n".to_vec();
        request.resize(request.len() + 900_000, b'x');
        route(address, &request)
    });
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
}

#[test]
fn an_endless_body_costs_a_bounded_number_of_turns() {
    let (mut bench, address) = Bench::web();
    let answer = bench.serve(move || {
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(b"POST /metrics HTTP/1.1\r\n\r\n").unwrap();
        let mut sender = client.try_clone().unwrap();
        let sending = std::thread::spawn(move || while sender.write_all(&[b'x'; 65536]).is_ok() {});
        let mut head = [0; 13];
        client.read_exact(&mut head).unwrap();
        sending.join().unwrap();
        head
    });
    assert_eq!(&answer, b"HTTP/1.1 405 ");
    assert!(bench.turns < 2000, "{} turns", bench.turns);
}

#[test]
fn an_idle_connection_is_closed_at_its_deadline() {
    let (mut bench, address) = Bench::web();
    let mut client = TcpStream::connect(address).unwrap();
    bench.until(|server| !server.clients.is_empty());
    bench.until(|server| server.clients.is_empty());
    assert_eq!(client.read(&mut [0; 10]).unwrap(), 0);
    assert!(bench.started.elapsed() >= Duration::from_secs(2));
}

#[test]
fn a_probe_gets_through_a_crowd_that_says_nothing() {
    let (mut bench, address) = Bench::web();
    // Two seconds each on 16 places, they would keep it waiting beyond the deadline.
    let (answer, crowd) = bench.serve(move || {
        let crowd: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect(address).unwrap()).collect();
        (route(address, GET), crowd)
    });
    assert!(answer.ends_with("Readyz\n"), "{answer}");
    assert!(bench.server.clients.len() <= HTTP_PLACES);
    drop(crowd);
}

#[test]
fn with_all_places_taken_newcomers_come_in_one_by_one() {
    let (mut bench, address) = Bench::web();
    let _crowd: Vec<TcpStream> = (0..40).map(|_| TcpStream::connect(address).unwrap()).collect();
    bench.until(|server| server.clients.len() == HTTP_PLACES);
    let interface = bench.server.acceptors[0].listener.as_fd().as_raw_fd();
    let ready = |fd: RawFd| if fd == interface { PollFlags::POLLIN } else { PollFlags::empty() };
    let now = bench.now() + SURE * 2;
    bench.server.serve(&ready, now, &mut |_| panic!("nobody asks"));
    assert_eq!(bench.server.clients.iter().filter(|client| client.since == now).count(), 1);
    assert_eq!(bench.server.deadline(), Some(now + SURE / 16));
}

#[test]
fn everybody_who_waits_for_a_restart_is_told() {
    let mut bench = Bench::control("waits");
    let mut clients: Vec<UnixStream> = (0..WAITING_PLACES).map(|_| connect_to_control(&bench)).collect();
    clients.iter_mut().for_each(|client| client.write_all(b"POST /restart HTTP/1.1\r\n\r\n").unwrap());
    bench.until(|server| server.clients.iter().filter(|client| client.connection.is_waiting()).count() == WAITING_PLACES);
    assert!(bench.server.awaits_restart() && bench.server.deadline().is_none());
    let mut late = connect_to_control(&bench);
    late.write_all(b"POST /restart HTTP/1.1\r\n\r\n").unwrap();
    let answer = bench.serve(move || read_all(&mut late));
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    // One loses patience, the others stay.
    drop(clients.pop());
    bench.until(|server| server.clients.len() == WAITING_PLACES - 1);
    bench.server.restart_done(Ok("generation 2 is ready".to_owned()), bench.now());
    assert!(!bench.server.awaits_restart());
    drop(bench);
    for mut client in clients {
        let answer = read_all(&mut client);
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\ngeneration 2 is ready\n"), "{answer}");
    }
}

#[test]
fn another_user_is_refused_and_the_own_one_is_not() {
    let mut bench = Bench::control("users");
    let name = format!("users/{}", std::process::id());
    let url = ["--silent", "--abstract-unix-socket", &name, "http://restartinit/status"];
    let root = sockets::own_user() == 0;
    let mut own = Command::new("curl");
    own.args(url);
    let mut other = Command::new(if root { "setpriv" } else { "curl" });
    other.args(if root { &["--reuid", "65534", "--clear-groups", "curl"][..] } else { &[] }).args(url);
    let told = |output: Output| String::from_utf8(output.stdout).unwrap();
    assert_eq!(told(bench.serve(move || own.output().expect("curl"))), "Status\n");
    // Root cannot be nobody's user: without it, restartinit is somebody else.
    bench.server.own_user = if root { 0 } else { 65534 };
    assert_eq!(told(bench.serve(move || other.output().expect("curl, setpriv"))), Response::forbidden().body);
}

#[test]
fn a_port_in_use_is_told_with_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address::Tcp(taken.local_addr().unwrap());
    let Err(error) = Server::open(Some(&address)) else { panic!("bound twice") };
    assert!(error.to_string().starts_with(&format!("cannot bind {address}: address in use (give --http ")), "{error}");
}

#[test]
fn a_bare_port_serves_both_families() {
    let taken = sockets::listen_tcp("[::]:0".parse().unwrap()).unwrap();
    let Listener::Tcp(listener) = &taken else { panic!() };
    let port = listener.local_addr().unwrap().port();
    TcpStream::connect(("127.0.0.1", port)).unwrap();
    TcpStream::connect(("::1", port)).unwrap();
}

#[test]
fn the_control_socket_is_named_after_the_containers_namespaces() {
    let name = sockets::container().unwrap().name();
    let numbers: Vec<u64> = name.strip_prefix("restartinit/").unwrap().split('/').map(|number| number.parse().unwrap()).collect();
    let number = |kind: &str| {
        let link = std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap().display().to_string();
        link.chars().filter(char::is_ascii_digit).collect::<String>().parse::<u64>().unwrap()
    };
    assert_eq!(numbers, [number("pid"), number("mnt")]);
}
