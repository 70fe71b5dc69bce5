//! A load: clients that come at a steady rate, each with a connection of its own, and some that keep theirs. Every request that is sent
//! is counted once, by how it went.

mod http;
mod secure;
mod websocket;

use std::fmt;
use std::io::{self, ErrorKind};
use std::ops::AddAssign;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Clients with a new connection for each request, and clients that keep one.
pub const FRESH: u64 = 4;
pub const KEPT: u64 = 2;
/// Where nobody listens there are thousands, all alike.
const FAULTS_TOLD: usize = 20;
/// Between two requests of one client.
const PAUSE: Duration = Duration::from_millis(3);

#[derive(Clone, Copy, Debug)]
pub enum Protocol {
    Http,
    WebSocket,
    /// HTTP over TLS, by a client in Node.
    Https,
}

/// What clients of plain HTTP ask for, and what is in the body of each right answer.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    pub path: &'static str,
    pub says: &'static str,
}

/// What became of the requests.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Tally {
    pub answered: u64,
    /// No connection was to be had.
    pub refused: u64,
    /// The connection broke before the whole answer had come.
    pub reset: u64,
    /// It ended before the whole answer had come.
    pub lost: u64,
    /// Nothing came within the limit.
    pub hung: u64,
    /// An answer that says that something is wrong.
    pub wrong: u64,
    /// Sent again, and counted there: a kept connection had been closed, or was closed in good order, before it saw any answer to this.
    /// Every client that keeps connections does so.
    pub again: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, more: Self) {
        self.answered += more.answered;
        self.refused += more.refused;
        self.reset += more.reset;
        self.lost += more.lost;
        self.hung += more.hung;
        self.wrong += more.wrong;
        self.again += more.again;
    }
}

impl Tally {
    /// What went wrong, alone.
    pub fn faults(self) -> Self {
        Self { answered: 0, again: 0, ..self }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { answered, refused, reset, lost, hung, wrong, again } = self;
        write!(f, "{answered} answered, {refused} refused, {reset} reset, {lost} lost, {hung} hung, {wrong} wrong, {again} sent again")
    }
}

/// How one request went wrong.
#[derive(Debug)]
enum Fault {
    Refused(io::Error),
    Reset,
    Lost,
    Hung,
    Wrong(String),
    /// On a kept connection, before any of the answer.
    Stale,
}

impl Fault {
    fn of(error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::UnexpectedEof => Self::Lost,
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => Self::Reset,
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Self::Hung,
            _ => Self::Wrong(error.to_string()),
        }
    }
}

/// One client: a request and its answer at a time.
trait Client: Send {
    fn request(&mut self) -> Result<(), Fault>;
}

struct Shared {
    answered: AtomicU64,
    over: AtomicBool,
    tally: Mutex<Tally>,
    /// For a person who reads why a test failed.
    faults: Mutex<Vec<String>>,
}

pub struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    pub fn start(protocol: Protocol, port: u16, node: &str) -> Self {
        Self::of(protocol, Page { path: "/", says: "ok " }, port, node)
    }

    /// Clients of an app whose page is another one.
    pub fn of_page(page: Page, port: u16) -> Self {
        Self::of(Protocol::Http, page, port, "")
    }

    fn of(protocol: Protocol, page: Page, port: u16, node: &str) -> Self {
        let shared = Arc::new(Shared {
            answered: AtomicU64::new(0),
            over: AtomicBool::new(false),
            tally: Mutex::default(),
            faults: Mutex::default(),
        });
        let mut clients = Vec::new();
        if let Protocol::Https = protocol {
            clients.push(secure::start(Arc::clone(&shared), node, port));
        } else {
            for number in 0..FRESH + KEPT {
                let keeps = number >= FRESH;
                let client: Box<dyn Client> = match protocol {
                    Protocol::WebSocket => Box::new(websocket::Talker::new(port, keeps)),
                    _ => Box::new(http::Asker::new(port, page, keeps)),
                };
                let shared = Arc::clone(&shared);
                clients.push(std::thread::spawn(move || shared.run(client)));
            }
        }
        Self { shared, clients }
    }

    /// Waits until so many more requests were answered; false: they were not, by that moment.
    pub fn goes_on(&self, more: u64, until: Instant) -> bool {
        let wanted = self.answered() + more;
        while self.answered() < wanted {
            if Instant::now() >= until {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        true
    }

    fn answered(&self) -> u64 {
        self.shared.answered.load(Ordering::Relaxed)
    }

    /// Ends it, once each client has its last answer.
    pub fn end(mut self) -> Tally {
        self.shared.over.store(true, Ordering::Relaxed);
        for client in self.clients.drain(..) {
            client.join().expect("a client");
        }
        for fault in self.shared.faults.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            println!("    {fault}");
        }
        *self.shared.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn run(&self, mut client: Box<dyn Client>) {
        let mut tally = Tally::default();
        while !self.over.load(Ordering::Relaxed) {
            match client.request() {
                Ok(()) => {
                    tally.answered += 1;
                    self.answered.fetch_add(1, Ordering::Relaxed);
                }
                Err(Fault::Stale) => {
                    tally.again += 1;
                    continue;
                }
                Err(fault) => {
                    match &fault {
                        Fault::Refused(_) => tally.refused += 1,
                        Fault::Reset => tally.reset += 1,
                        Fault::Lost => tally.lost += 1,
                        Fault::Hung => tally.hung += 1,
                        Fault::Wrong(_) => tally.wrong += 1,
                        Fault::Stale => {}
                    }
                    let mut told = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
                    if !matches!(fault, Fault::Reset | Fault::Lost) && told.len() < FAULTS_TOLD {
                        told.push(format!("{fault:?}"));
                    }
                }
            }
            std::thread::sleep(PAUSE);
        }
        *self.tally.lock().unwrap_or_else(PoisonError::into_inner) += tally;
    }
}
