//! Where an event loop is that does not turn: asked by restartinit's own verb, as a process of its own, since PID 1 makes no connection to an
//! inspector and reads nothing of it. The answer comes by a file in memory, once that process has ended.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::fd::{AsFd as _, OwnedFd};

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::{Pid, dup2_stderr, dup2_stdin, dup2_stdout};

use crate::generation_number::GenerationNumber;
use crate::inspector::stack::{self, Frame};
use crate::signal::Signal;
use crate::supervisor::event::Recipient;
use crate::sys::signals;
use crate::sys::spawn::{ChildSetup, SpawnParams, Spawner};

/// More is no answer.
const LONGEST_ANSWER: u64 = 64 * 1024;

/// See the module.
#[derive(Default)]
pub(super) struct StackLookup {
    /// Made for the first one.
    means: Option<Means>,
    asked: Option<Asked>,
}

struct Means {
    spawner: Spawner,
    answer: File,
}

#[derive(Clone, Copy)]
struct Asked {
    /// The process that asks.
    by: Pid,
    generation: GenerationNumber,
    /// Of whose stack.
    of: Pid,
}

impl StackLookup {
    /// Begins to look up the stack of a command; gives back who does. One at a time.
    ///
    /// # Errors
    /// It cannot be looked up.
    pub(super) fn begin(&mut self, generation: GenerationNumber, of: Pid, is_init: bool) -> io::Result<Pid> {
        self.give_up(None);
        let means = match &mut self.means {
            Some(means) => means,
            none => none.insert(Means::new(is_init)?),
        };
        // Of one that was given up something may be there.
        means.answer.set_len(0)?;
        means.answer.rewind()?;
        let params = SpawnParams { generation, role: None, last_exit: None, channel: None, worker: false };
        let by = means.spawner.spawn(params).map_err(|failure| io::Error::from(failure.errno))?;
        self.asked = Some(Asked { by, generation, of });
        Ok(by)
    }

    /// A child was reaped: if it is the one that asked, gives back of whom, and what it was told.
    pub(super) fn ended(&mut self, pid: Pid) -> Option<(Pid, Vec<Frame>)> {
        let Asked { generation, of, .. } = self.asked.take_if(|asked| asked.by == pid)?;
        let answer = self.means.as_mut().and_then(|means| means.read().ok()).unwrap_or_default();
        Some((of, stack::frames(&answer, generation.get())))
    }

    /// Nobody wants to know any more; `of`: whom it was about.
    pub(super) fn give_up(&mut self, of: Option<Pid>) {
        if let Some(asked) = self.asked.take_if(|asked| of.is_none_or(|of| asked.of == of)) {
            // It was not reaped yet: the pid is its own.
            let _ = signals::send(asked.by, Signal::KILL, Recipient::Command);
        }
    }
}

impl Means {
    fn new(is_init: bool) -> io::Result<Means> {
        let answer = File::from(memfd_create(c"restartinit-stack", MFdFlags::MFD_CLOEXEC)?);
        let nothing = OwnedFd::from(File::options().read(true).write(true).open("/dev/null")?);
        let stdout = answer.try_clone()?;
        let prepare = move |_| {
            let _ = dup2_stdin(nothing.as_fd());
            let _ = dup2_stdout(stdout.as_fd());
            let _ = dup2_stderr(nothing.as_fd());
            signals::unblock_all();
        };
        let setup = ChildSetup { own_group: true, die_with_us: !is_init, prepare: Box::new(prepare) };
        let command = ["/proc/self/exe", "stack", "--json", "--within", "2s"].map(OsString::from).to_vec();
        Ok(Means { spawner: Spawner::new(command, &[], &[], setup)?, answer })
    }

    fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        self.answer.rewind()?;
        (&self.answer).take(LONGEST_ANSWER).read_to_end(&mut text)?;
        Ok(text)
    }
}
