//! A parent of Node in a few lines: one poll, one deadline, and what the app did for the test to wait for.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use crate::support::nodes;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use restartinit::generation_number::GenerationNumber;
use restartinit::node::channel::{Channel, NodeEvent, Options};
use restartinit::node::message::Query;
use restartinit::node::ports::{Grant, Ports};
use restartinit::node::spec::Spec;
use restartinit::node::watchdog::{Turn, Watchdog};
use restartinit::node::{Errno, SocketId};
use restartinit::procfs::main_thread::Had;
use restartinit::sys::channel::{Received, Sent, pair, receive, send};
use restartinit::sys::listeners::{self, HeldSocket};
use restartinit::time::Moment;

/// No wait in a test is longer.
pub const LIMIT: Duration = Duration::from_secs(30);

pub fn on_every_node(scene: impl Fn(&Path)) {
    for node in nodes() {
        println!("Node {}", node.version);
        scene(Path::new(&node.binary));
    }
}

/// What outlives an app: the sockets.
#[derive(Default)]
pub struct Parent {
    ports: Ports,
    held: HashMap<SocketId, HeldSocket>,
    folder: OnceLock<PathBuf>,
    /// What stands for descriptor 3.
    pub inherited: Option<TcpListener>,
}

impl Parent {
    /// A folder for unix sockets.
    pub fn folder(&self) -> &Path {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        self.folder.get_or_init(|| {
            let name = format!("restartinit-wire-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
            let folder = std::env::temp_dir().join(name);
            std::fs::create_dir_all(&folder).expect("a folder");
            folder
        })
    }

    pub fn died(&mut self, generation: u32) {
        self.ports.died(GenerationNumber::new(generation));
    }

    /// Lets the time of a closed socket pass; true if it goes then and not before.
    pub fn release_later(&mut self) -> bool {
        let due = self.ports.deadline().expect("a closed socket");
        let before = self.ports.release_due(due.checked_sub(Duration::from_millis(1)).expect("a moment before"));
        let after = self.ports.release_due(due);
        after.iter().for_each(|id| drop(self.held.remove(id)));
        before.is_empty() && after.len() == 1 && self.held.is_empty()
    }

    fn answer(&mut self, generation: u32, mut query: Query, channel: &mut Channel) {
        let outcome = match self.ports.query(GenerationNumber::new(generation), &mut query) {
            Grant::Refuse { errno } => Err(errno),
            Grant::Hand { id, .. } if self.held.get(&id).is_some_and(HeldSocket::is_in_place) => Ok(id),
            Grant::Hand { id, .. } => {
                let spec = self.ports.held().find(|(held, _)| *held == id).map(|(_, spec)| spec.clone());
                self.bind(id, &spec.expect("its spec"))
            }
            Grant::Bind { id, spec, release } => {
                release.iter().for_each(|id| drop(self.held.remove(id)));
                self.bind(id, &spec)
            }
        };
        let kind = query.wanted.as_ref().map(Spec::kind).ok();
        channel.answer(query, outcome.map(|id| (id, kind.expect("a spec"))));
    }

    fn bind(&mut self, id: SocketId, spec: &Spec) -> Result<SocketId, Errno> {
        let bound = match (spec, &self.inherited) {
            (Spec::Inherited { fd: 3, kind }, Some(socket)) => listeners::adopt(socket.as_fd(), *kind),
            _ => listeners::bind(spec),
        };
        match bound {
            Ok(held) => {
                self.held.insert(id, held);
                Ok(id)
            }
            Err(errno) => {
                self.ports.bind_failed(id);
                Err(errno)
            }
        }
    }
}

impl Drop for Parent {
    fn drop(&mut self) {
        if let Some(folder) = self.folder.get() {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// One generation.
pub struct App {
    child: Child,
    started: Instant,
    generation: u32,
    ours: OwnedFd,
    pub channel: Channel,
    output: Receiver<String>,
    lines: Vec<String>,
    events: Vec<NodeEvent>,
    blocked: bool,
}

/// The app counts as ready.
fn watched(mut channel: Channel) -> Channel {
    channel.watchdog().into_iter().for_each(Watchdog::begin);
    channel
}

impl App {
    /// Starts an app that asks its parent for sockets.
    pub fn start(node: &Path, generation: u32, arguments: &[&str], options: Options) -> App {
        let id = generation.to_string();
        App::with(node, generation, arguments, options, &[("NODE_UNIQUE_ID", id.as_str())])
    }

    /// Starts an app that has a channel and no more.
    pub fn start_plain(node: &Path, arguments: &[&str], options: Options) -> App {
        App::with(node, 1, arguments, options, &[])
    }

    fn with(node: &Path, generation: u32, arguments: &[&str], options: Options, environment: &[(&str, &str)]) -> App {
        let (ours, theirs) = pair().expect("a channel");
        let app = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node_wire/app.js");
        let mut command = Command::new(node);
        command.arg(app).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).env_remove("NODE_CHANNEL_SERIALIZATION_MODE");
        let number = theirs.as_raw_fd();
        command.env("NODE_CHANNEL_FD", number.to_string()).envs(environment.iter().copied());
        // SAFETY: one system call, between fork and exec; in the child alone, so that no other child inherits the channel.
        unsafe {
            command.pre_exec(move || match libc::fcntl(number, libc::F_SETFD, 0) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            });
        }
        let mut child = command.spawn().expect("node");
        let (sender, output) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().expect("its stdout"));
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        App {
            child,
            started: Instant::now(),
            generation,
            ours,
            channel: watched(Channel::new(Moment::START, options)),
            output,
            lines: Vec::new(),
            events: Vec::new(),
            blocked: false,
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn kill(&mut self) {
        self.child.kill().expect("a kill");
        self.child.wait().expect("its end");
    }

    /// Closes the app's stdin: what it waits for.
    pub fn go_on(&mut self) {
        drop(self.child.stdin.take());
    }

    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// The number that the app tells under this name. What it wrote before a message may come after it: another thread reads it.
    pub fn number(&mut self, name: &str) -> u16 {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(number) = self.lines.iter().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()) {
                return number;
            }
            let line = self.output.recv_timeout(deadline.saturating_duration_since(Instant::now()));
            self.lines.push(line.unwrap_or_else(|_| panic!("no {name} in {:?}", self.lines)));
        }
    }

    /// Waits for an event, and takes it; the order in which two come is not always the same.
    pub fn until_event(&mut self, parent: &mut Parent, wanted: impl Fn(&NodeEvent) -> bool) {
        self.until(parent, "an event", |app| {
            let found = app.events.iter().position(&wanted);
            found.map(|found| app.events.remove(found)).is_some()
        });
    }

    pub fn until_line(&mut self, parent: &mut Parent, wanted: &str) {
        self.until(parent, wanted, |app| app.lines.iter().any(|line| line == wanted));
    }

    pub fn until_blocked(&mut self, parent: &mut Parent) {
        self.until(parent, "a blocked loop", |app| app.blocked);
    }

    pub fn ended(&mut self, parent: &mut Parent) -> Option<i32> {
        self.until(parent, "its end", |app| app.child.try_wait().expect("its state").is_some());
        self.lines.extend(self.output.iter());
        self.child.wait().expect("its end").code()
    }

    /// Has the standby take over.
    pub fn activate(&mut self, parent: &mut Parent) {
        for query in self.channel.activate() {
            parent.answer(self.generation, query, &mut self.channel);
        }
    }

    fn until(&mut self, parent: &mut Parent, what: &str, mut wanted: impl FnMut(&mut App) -> bool) {
        let deadline = Instant::now() + LIMIT;
        while !wanted(self) {
            assert!(Instant::now() < deadline, "no {what}: saw {:?} and {:?}", self.events, self.lines);
            self.turn(parent);
        }
    }

    fn turn(&mut self, parent: &mut Parent) {
        let mut interest = PollFlags::empty();
        if self.channel.is_open() {
            interest |= PollFlags::POLLIN;
        }
        if self.channel.wants_to_send() {
            interest |= PollFlags::POLLOUT;
        }
        // Lines and the end of the process are looked for every few milliseconds.
        let mut fds = [PollFd::new(self.ours.as_fd(), interest)];
        let fds: &mut [PollFd<'_>] = if interest.is_empty() { &mut [] } else { &mut fds };
        poll(fds, PollTimeout::from(5u8)).expect("a poll");
        let mut buffer = [0; 4096];
        let now = Moment::after_start(self.started.elapsed());
        match receive(&self.ours, &mut buffer).0 {
            Received::Bytes(count) => {
                let from = self.events.len();
                self.channel.receive(now, &buffer[..count], &mut self.events);
                for event in self.events.split_off(from) {
                    match event {
                        NodeEvent::Query(query) => {
                            parent.answer(self.generation, query, &mut self.channel);
                            continue;
                        }
                        NodeEvent::Closed { ref key } => parent.ports.closed(now, GenerationNumber::new(self.generation), key),
                        _ => {}
                    }
                    self.events.push(event);
                }
            }
            Received::Nothing => {}
            Received::Closed => self.channel.closed(),
        }
        if self.channel.deadline().is_some_and(|deadline| deadline <= now) {
            self.blocked |= self.channel.tick(now, Had::AllBut(Duration::ZERO)) == Turn::Blocked;
        }
        while let Some((bytes, id)) = self.channel.to_send(now) {
            let socket = id.map(|id| parent.held.get(&id).expect("a held socket").as_fd());
            match send(&self.ours, bytes, socket) {
                Sent::Bytes(count) => self.channel.sent(count),
                Sent::Full | Sent::Short => break,
                Sent::Closed => self.channel.closed(),
                Sent::Refused(errno) => self.channel.send_failed(errno),
            }
        }
        self.lines.extend(self.output.try_iter());
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
