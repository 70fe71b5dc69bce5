//! The verbs, as processes of their own. `status`, `health` and `restart` ask a restartinit of its container one question by its control socket,
//! print the answer and end; `stack`, `profile` and `heap` (`inspect`) ask its command. It must not touch anything of a supervising restartinit but its control socket.

use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;

use crate::config::Verb;
use crate::observe::http::{RESTART, RESTART_BY_FORCE, STATUS_TEXT, read_answer, request};
use crate::sys::{signals, sockets};

pub mod inspect;
mod instance;

/// How long restartinit has to answer; a restart takes as long as it takes.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest answer that is read.
const LONGEST: usize = 1 << 20;

/// Asks, prints, and gives back the exit code: 0, or 1 with one line on stderr.
///
/// `pid`: which restartinit of the container is meant, where there are several.
pub fn run(verb: Verb, pid: Option<Pid>) -> u8 {
    if let Verb::Inspect(inspection) = verb {
        return inspect::run(inspection, pid);
    }
    // Blocked for the sake of PID 1, which this is not: Ctrl-C has to end a verb.
    signals::reset_dispositions(false);
    signals::unblock_all();
    match route(verb, pid) {
        Ok((200, _)) if verb == Verb::Health => 0,
        // Whoever asked has closed stdout: nobody is left to be told.
        Ok((200, body)) => u8::from(print(&body).is_err()),
        Ok((_, body)) if matches!(verb, Verb::Restart { .. }) => complain(&format!("not restarted: {}", body.trim_end())),
        Ok((_, body)) => complain(body.trim_end()),
        Err(why) => complain(&why),
    }
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn complain(line: &str) -> u8 {
    let _ = writeln!(io::stderr(), "restartinit: {line}");
    1
}

/// The answer to a verb: its status and its body.
fn route(verb: Verb, pid: Option<Pid>) -> Result<(u16, String), String> {
    let (method, path, patience) = match verb {
        Verb::Status { json: false } => ("GET", STATUS_TEXT, Some(PATIENCE)),
        Verb::Status { json: true } => ("GET", "/status", Some(PATIENCE)),
        Verb::Health => ("GET", "/readyz", Some(PATIENCE)),
        Verb::Restart { is_forced: false } => ("POST", RESTART, None),
        Verb::Restart { is_forced: true } => ("POST", RESTART_BY_FORCE, None),
        // It is asked who runs.
        Verb::Inspect(_) => ("GET", "/status", Some(PATIENCE)),
    };
    let until = patience.map(|patience| Instant::now() + patience);
    let instance = instance::find(pid)?;
    // The one that a person reads; and the one that changes something.
    if matches!(verb, Verb::Status { json: false } | Verb::Restart { .. })
        && let Some(note) = instance.note()
    {
        let _ = writeln!(io::stderr(), "restartinit: {note}");
    }
    exchange(instance.socket().as_fd(), &request(method, path), until)
}

fn exchange(socket: BorrowedFd<'_>, question: &[u8], until: Option<Instant>) -> Result<(u16, String), String> {
    // A refusal may be there before the question: then it is what counts.
    let _ = sockets::transmit(socket, question);
    let bytes = read(socket, until).map_err(|error| match error.kind() {
        io::ErrorKind::TimedOut => stuck(),
        _ => format!("restartinit does not answer: {error}"),
    })?;
    let answer = read_answer(&bytes).map(|(status, body)| (status, body.to_owned()));
    answer.ok_or_else(|| "restartinit ended before it had answered".to_owned())
}

fn stuck() -> String {
    format!("no answer within {} s: is restartinit stopped, or the machine overloaded?", PATIENCE.as_secs())
}

/// All that comes until the other end is done.
fn read(socket: BorrowedFd<'_>, until: Option<Instant>) -> io::Result<Vec<u8>> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    while bytes.len() < LONGEST {
        let timeout = match until.map(|until| until.saturating_duration_since(Instant::now())) {
            Some(Duration::ZERO) => return Err(io::ErrorKind::TimedOut.into()),
            Some(left) => PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX),
            None => PollTimeout::NONE,
        };
        match poll(&mut [PollFd::new(socket, PollFlags::POLLIN)], timeout) {
            Ok(0) | Err(Errno::EINTR) => continue,
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        match sockets::receive(socket, &mut buffer) {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // A reset after the answer is no loss.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break,
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::http::Response;
    use std::os::unix::net::UnixStream;

    /// What a verb makes of an answer of these bytes, after which the other end closes.
    fn told(answer: &[u8]) -> Result<(u16, String), String> {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(answer).unwrap();
        drop(theirs);
        exchange(ours.as_fd(), &request("GET", STATUS_TEXT), None)
    }

    #[test]
    fn an_answer_counts_when_it_is_whole() {
        let answer = Response::text(503, "not ready: draining".to_owned()).render(true);
        assert_eq!(told(&answer), Ok((503, "not ready: draining\n".to_owned())));
        for half in [&answer[..answer.len() - 1], &answer[..20], b"", b"hello"] {
            assert_eq!(told(half), Err("restartinit ended before it had answered".to_owned()));
        }
    }

    #[test]
    fn silence_has_an_end() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        assert_eq!(exchange(ours.as_fd(), b"", Some(Instant::now())), Err(stuck()));
        assert_eq!(exchange(ours.as_fd(), b"", Some(Instant::now() + Duration::from_millis(20))), Err(stuck()));
    }
}
