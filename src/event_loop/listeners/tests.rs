use std::net::{TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process::{Child, Command, Stdio};

use nix::unistd::getpid;

use super::*;

const FIRST: GenerationNumber = GenerationNumber::FIRST;

/// The children of this process are those of other tests as well: nobody's orphans are looked at.
const NOBODY: Pid = Pid::from_raw(-1);

fn finder() -> ListenerFinder {
    ListenerFinder::new(NOBODY, std::iter::empty())
}

/// Where this process listens, as the command; those of other tests among them.
fn own(finder: &mut ListenerFinder, given: &[u64]) -> Vec<String> {
    look(finder, getpid(), &[], given)
}

/// As many looks as the search takes: on a busy machine its time may be over before its end.
fn look(finder: &mut ListenerFinder, command: Pid, others: &[Pid], given: &[u64]) -> Vec<String> {
    loop {
        let seen = addresses(finder.look(FIRST, command, others, given));
        if finder.generations.iter().all(|known| known.paused.is_none()) {
            return seen;
        }
    }
}

fn addresses(seen: Option<Listeners>) -> Vec<String> {
    match seen {
        Some(Listeners::Found(found)) => found.into_iter().map(|listener| listener.address.to_string()).collect(),
        other => panic!("{other:?}"),
    }
}

fn address(listener: &TcpListener) -> String {
    listener.local_addr().unwrap().to_string()
}

/// A command that has died is not one that cannot be looked into: its end is told in a moment.
#[test]
fn of_one_that_has_ended_nothing_can_be_told_now() {
    let mut command = Command::new("true").stdout(Stdio::piped()).spawn().unwrap();
    let pid = Pid::from_raw(i32::try_from(command.id()).unwrap());
    while !processes::is_ending(pid) {}
    let refused = |kind: ErrorKind| unseen(&kind.into(), pid);
    assert_eq!((refused(ErrorKind::NotFound), refused(ErrorKind::PermissionDenied)), (None, None));
    assert!(command.wait().unwrap().success());
    assert_eq!(unseen(&ErrorKind::NotFound.into(), pid), None, "it is gone");
    assert_eq!(unseen(&ErrorKind::PermissionDenied.into(), getpid()), Some(Listeners::Unknowable), "this one lives");
}

#[test]
fn listeners_come_and_go() {
    let mut finder = finder();
    let first = TcpListener::bind("127.0.0.1:0").unwrap();
    assert!(own(&mut finder, &[]).contains(&address(&first)));
    let second = TcpListener::bind("[::1]:0").unwrap();
    let name = format!("restartinit-finder-{}", getpid());
    let local = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let seen = own(&mut finder, &[]);
    assert!([address(&first), address(&second), format!("@{name}")].iter().all(|address| seen.contains(address)), "{seen:?}");
    let gone = address(&second);
    drop((second, local));
    let seen = own(&mut finder, &[]);
    assert!(seen.contains(&address(&first)) && !seen.contains(&gone), "{seen:?}");
}

#[test]
fn sockets_of_ours_do_not_count() {
    use std::os::fd::AsFd as _;
    let mut finder = finder();
    let (ours, given, its) =
        (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    finder.set_own([crate::sys::sockets::inode(ours.as_fd())].into_iter());
    let seen = own(&mut finder, &[crate::sys::sockets::inode(given.as_fd())]);
    assert!(seen.contains(&address(&its)) && !seen.contains(&address(&ours)) && !seen.contains(&address(&given)), "{seen:?}");
}

#[test]
fn open_connections_are_not_searched_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut finder = finder();
    assert!(own(&mut finder, &[]).contains(&address(&listener)));
    let connections: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(listener.local_addr().unwrap()).unwrap()).collect();
    let sockets = listening::sockets(getpid()).unwrap();
    let known = finder.generations.first_mut().unwrap();
    known.verify(&sockets);
    let new: Vec<&ListeningSocket> = sockets.iter().filter(|socket| !known.has_seen(socket.inode)).collect();
    // Other tests of this program may have opened some meanwhile; connections are none.
    assert!(new.iter().all(|socket| connections.iter().all(|one| socket.address != ListenAddress::Tcp(one.local_addr().unwrap()))));
    assert!(known.listeners.iter().any(|known| known.listener.address == ListenAddress::Tcp(listener.local_addr().unwrap())));
}

/// A command that listens by a descendant, or an orphan: `nc` and the like are not everywhere, Python is.
struct Server(Child);

impl Server {
    /// Starts a shell command; it is there once it has said so.
    fn start(script: &str) -> Server {
        use std::io::BufRead as _;
        let mut child = Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        std::io::BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "listens\n");
        Server(child)
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.0.id().cast_signed())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Whoever listens ends with its standard input.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

const LISTEN: &str =
    "python3 -c 'import socket, sys; s = socket.create_server((\"127.0.0.1\", 0)); print(\"listens\", flush=True); sys.stdin.read()'";

#[test]
fn a_descendant_listens_for_its_command() {
    let server = Server::start(&format!("{LISTEN}; true"));
    let mut finder = finder();
    let seen = look(&mut finder, server.pid(), &[], &[]);
    assert!(seen.len() == 1 && seen[0].starts_with("127.0.0.1:"), "{seen:?}");
    assert_eq!(look(&mut finder, server.pid(), &[], &[]), seen);
    let other = Server::start(&format!("{LISTEN}; true"));
    assert_eq!(look(&mut finder, server.pid(), &[other.pid()], &[]), seen, "another generation's do not count");
    finder.exited(server.pid());
    assert!(finder.generations.is_empty());
}

#[test]
fn a_search_whose_time_is_over_goes_on_where_it_was() {
    let server = Server::start(&format!("{LISTEN}; true"));
    let sockets = listening::sockets(getpid()).unwrap();
    let mut known = Known { generation: FIRST, command: server.pid(), listeners: Vec::new(), others: Vec::new(), paused: None };
    let mut looks = 0;
    while known.listeners.is_empty() {
        looks += 1;
        assert!(looks < 50, "{known:?}");
        let until = Instant::now();
        let mut search = Search { known: &mut known, wanted: sockets.clone(), before: None, ephemeral: EPHEMERAL, until };
        search.run(NOBODY, server.pid(), &[]).unwrap();
    }
}

#[test]
fn who_cannot_be_seen_is_told_by_the_user() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let wanted: Vec<ListeningSocket> = listening::sockets(getpid()).unwrap();
    let is_it = |socket: &ListeningSocket| socket.address == ListenAddress::Tcp(listener.local_addr().unwrap());
    let inode = wanted.iter().find(|socket| is_it(socket)).unwrap().inode;
    for (before, is_seen) in [(Some(&[][..]), true), (Some(&[inode][..]), false)] {
        let mut known = Known { generation: FIRST, command: getpid(), listeners: Vec::new(), others: Vec::new(), paused: None };
        let until = Instant::now() + LONGEST_SEARCH;
        let mut search = Search { known: &mut known, wanted: wanted.clone(), before, ephemeral: EPHEMERAL, until };
        search.by_user(getpid());
        assert_eq!(known.listeners.iter().any(|known| known.inode == inode), is_seen);
    }
    let mut known = Known { generation: FIRST, command: getpid(), listeners: Vec::new(), others: Vec::new(), paused: None };
    let mut search = Search { known: &mut known, wanted, before: None, ephemeral: EPHEMERAL, until: Instant::now() };
    assert!(matches!(search.by_user(getpid()), Searched::Unknowable));
}
