//! Clients that mean harm, a thousand at a time: supervision does not notice them, whoever asks properly is answered, and nothing of
//! them stays. No time is measured here: that is the benchmark's.

use crate::support;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use support::web::{get, loopback};
use support::{Bench, Running, children, descriptors, kilobytes};

const CLIENTS: usize = 1000;
/// For all of them to be closed: a failure, not a measure.
const DEADLINE: Duration = Duration::from_secs(120);

/// Endless restarts, each as soon as it can be, and a command that tells every signal.
fn victim(address: &str) -> Running {
    let options = ["--http", address, "--max-restarts", "100000", "--restart-window", "0", "--backoff", "0"];
    let mut init = Bench::new(&options).run(&["catch USR1 USR2 HUP RTMIN+1", "up", "obey"]);
    init.allow(2 * DEADLINE);
    init.out("up 1");
    init
}

fn room_for_descriptors() {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("the limit");
    let wanted = 4 * CLIENTS as u64;
    assert!(hard >= wanted, "this test needs {wanted} descriptors (ulimit -Hn): the limit is {hard}");
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(wanted), hard).expect("a higher limit");
}

/// One of the kinds of harm, by its number.
fn attack(address: &str, number: usize) -> TcpStream {
    // Where the queue is full, the kernel drops the first packet and sends it again in a second.
    let mut stream = support::web::connect(address);
    stream.set_nonblocking(true).expect("no waiting");
    let large = vec![b'x'; 64 << 10];
    let _ = match number % 8 {
        0 => Ok(0),
        1 => stream.write(b"G"),
        2 => stream.write(b"\x00\xff\x80garbage without an end"),
        3 => stream.write(b"POST /livez HTTP/1.1\r\nContent-Length: 1073741824\r\n\r\n").and_then(|_| stream.write(&large)),
        4 => stream.write(b"GET /status HTTP/1.1\r\nHost: x\r\n").and_then(|_| stream.shutdown(Shutdown::Write).map(|()| 0)),
        5 => stream.write(&b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(500)),
        6 => stream.write(&large),
        _ => stream.write(b"POST /restart HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n"),
    };
    stream
}

/// All of them, from several sides at once, so that few are done before the last has come.
fn attackers(address: &str) -> Vec<TcpStream> {
    const SIDES: usize = 20;
    std::thread::scope(|scope| {
        let side = |side: usize| (side..CLIENTS).step_by(SIDES).map(|number| attack(address, number)).collect::<Vec<_>>();
        let sides: Vec<_> = (0..SIDES).map(|number| scope.spawn(move || side(number))).collect();
        sides.into_iter().flat_map(|side| side.join().expect("they all came in")).collect()
    })
}

/// Sends one more byte now and then on those that are still open, until the server has closed each of them.
fn torment(mut clients: Vec<TcpStream>, done: &AtomicBool) {
    let until = Instant::now() + DEADLINE;
    let mut buffer = [0; 16 << 10];
    while !clients.is_empty() {
        assert!(Instant::now() < until, "{} are still open", clients.len());
        clients.retain_mut(|client| {
            let _ = client.write(b"x");
            loop {
                match client.read(&mut buffer) {
                    Ok(0) => return false,
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                    Err(_) => return false,
                }
            }
        });
        // Now and then: the pause spares the processor and decides nothing.
        std::thread::sleep(Duration::from_millis(20));
    }
    done.store(true, Ordering::Relaxed);
}

/// A crash and its restart, signals of every kind, each of which must reach the command, and those who ask properly.
fn round(init: &mut Running, address: &str, generation: &mut u32) {
    for (signal, name) in [(libc::SIGUSR1, "SIGUSR1"), (libc::SIGUSR2, "SIGUSR2"), (libc::SIGHUP, "SIGHUP"), (35, "RTMIN+1")] {
        for count in 1..=2 {
            init.signal(signal);
            init.out(&format!("got {name} {count}"));
        }
    }
    assert_eq!(get(address, "/livez").status, 200);
    let said = init.verb(&["health"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    init.tell(if generation.is_multiple_of(2) { "exit 3" } else { "die KILL" });
    *generation += 1;
    init.out(&format!("up {generation}"));
}

#[test]
fn a_thousand_of_them_change_nothing() {
    room_for_descriptors();
    let address = loopback();
    let mut init = victim(&address);
    let mut generation = 1;
    // Once as a warm-up, so that what is taken once is taken.
    round(&mut init, &address, &mut generation);
    let pid = init.init_pid();
    let before = (descriptors(pid), children(pid).len());
    let memory = || kilobytes(pid, "VmData");
    let at_rest = memory();
    for wave in 1..=2 {
        let clients = attackers(&address);
        assert_eq!(clients.len(), CLIENTS);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| torment(clients, &done));
            for _ in 0..5 {
                round(&mut init, &address, &mut generation);
            }
            while !done.load(Ordering::Relaxed) {
                round(&mut init, &address, &mut generation);
            }
        });
        init.until("their descriptors are gone", || descriptors(pid) == before.0);
        assert_eq!((descriptors(pid), children(pid).len()), before, "wave {wave}");
        let now = memory();
        assert!(now <= at_rest + 256, "wave {wave}: {now} KiB, before: {at_rest} KiB");
    }
    let status = init.status();
    assert_eq!(status["generation"], generation, "not one restart was lost");
    assert_eq!(status["restarts"]["used"], generation - 1);
    assert_eq!(status["restarts"]["total"]["asked"], 0, "none was had over the network");
    init.tell("exit 0");
    let end = init.end();
    assert_eq!(end.code, Some(0));
    assert_eq!(end.generations(), generation as usize);
    assert_eq!(end.signals().len(), 8 * (generation as usize - 1));
    assert_eq!(end.log.len(), generation as usize - 1, "a line for each crash, and nothing about them");
}

/// The same on the control socket, where they are refused: whoever may ask is answered meanwhile.
#[test]
fn the_control_socket_cannot_be_filled_either() {
    room_for_descriptors();
    let mut init = victim(&loopback());
    let door = init.await_door();
    // Once it has answered, all that it opens for good is open; its side of that connection goes when it sees the verb's end.
    init.verb(&["health"]);
    let pid = init.init_pid();
    init.until("only the two doors are open", || support::sockets(pid) == 2);
    let before = descriptors(pid);
    // This test is outside of the namespace, and so refused: what counts is that they come.
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let socket = nix::sys::socket::socket(
            nix::sys::socket::AddressFamily::Unix,
            nix::sys::socket::SockType::Stream,
            nix::sys::socket::SockFlag::SOCK_NONBLOCK | nix::sys::socket::SockFlag::SOCK_CLOEXEC,
            None,
        )
        .expect("a socket");
        let address = nix::sys::socket::UnixAddr::new_abstract(door.as_bytes()).expect("a name");
        if nix::sys::socket::connect(std::os::fd::AsRawFd::as_raw_fd(&socket), &address).is_ok() {
            let mut stream = UnixStream::from(socket);
            let _ = stream.write(if number % 2 == 0 { b"G" } else { b"\xff\xff\r\n\r\n" });
            clients.push(stream);
        }
        if number % 100 == 0 {
            let said = init.verb(&["health"]);
            assert_eq!(said.code, Some(0), "{said:?}");
        }
    }
    assert!(clients.len() >= 100, "{}", clients.len());
    init.tell("exit 3");
    init.out("up 2");
    for mut client in clients {
        client.set_nonblocking(false).expect("waiting");
        client.set_read_timeout(Some(DEADLINE)).expect("a limit");
        let _ = support::web::read_to_close(&mut client);
    }
    init.until("their descriptors are gone", || descriptors(pid) == before);
    init.tell("exit 0");
    assert_eq!(init.exit_code(), 0);
}

/// One that never reads a large answer, and one that never ends its request, while a stop goes its way: nobody waits for them.
#[test]
fn a_stop_does_not_wait_for_them() {
    let address = loopback();
    let mut init = victim(&address);
    let clients: Vec<_> = (0..16).map(|number| attack(&address, number)).collect();
    init.signal(libc::SIGTERM);
    assert_eq!(init.exit_code(), 143);
    drop(clients);
}
