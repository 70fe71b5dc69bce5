//! What an init and its command have said so far, stream by stream, and the waiting for more of it.

use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// The command's standard output.
    Out,
    /// Standard error: the init's own lines.
    Log,
    /// All that the terminal shows.
    Screen,
}

#[derive(Default)]
struct Heard {
    text: Vec<u8>,
    /// What a wait has gone past.
    seen: usize,
    open: bool,
}

#[derive(Default)]
pub struct Transcript {
    streams: Mutex<[Heard; 3]>,
    news: Condvar,
}

impl Transcript {
    /// Reads a descriptor to its end, in a thread that ends with it.
    pub fn listen(self: &Arc<Self>, stream: Stream, mut source: File) {
        self.streams()[stream as usize].open = true;
        let transcript = Arc::clone(self);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // A terminal whose other side is gone answers EIO: an end like any other.
            while let Ok(count @ 1..) = source.read(&mut buffer) {
                transcript.streams()[stream as usize].text.extend(&buffer[..count]);
                transcript.news.notify_all();
            }
            transcript.streams()[stream as usize].open = false;
            transcript.news.notify_all();
        });
    }

    /// Waits for a line that fits, after those that earlier waits have gone past.
    pub fn line(&self, stream: Stream, until: Instant, fits: impl Fn(&str) -> bool) -> Result<String, &'static str> {
        self.find(stream, until, |text| {
            let mut from = 0;
            while let Some(length) = text[from..].iter().position(|byte| *byte == b'\n') {
                let line = String::from_utf8_lossy(&text[from..from + length]).trim_end_matches('\r').to_owned();
                from += length + 1;
                if fits(&line) {
                    return Some((from, line));
                }
            }
            None
        })
    }

    /// Waits for text anywhere, in a line without an end too: a prompt.
    pub fn text(&self, stream: Stream, until: Instant, needle: &str) -> Result<String, &'static str> {
        self.find(stream, until, |text| {
            let at = text.windows(needle.len()).position(|window| window == needle.as_bytes())?;
            Some((at + needle.len(), String::from_utf8_lossy(&text[..at + needle.len()]).into_owned()))
        })
    }

    fn find<T>(&self, stream: Stream, until: Instant, search: impl Fn(&[u8]) -> Option<(usize, T)>) -> Result<T, &'static str> {
        let mut streams = self.streams();
        loop {
            let heard = &mut streams[stream as usize];
            if let Some((length, found)) = search(&heard.text[heard.seen..]) {
                heard.seen += length;
                return Ok(found);
            }
            if !heard.open {
                return Err("the stream ended first");
            }
            streams = self.wait(streams, until)?;
        }
    }

    /// Waits until every stream has ended.
    pub fn ended(&self, until: Instant) -> Result<(), &'static str> {
        let mut streams = self.streams();
        while streams.iter().any(|heard| heard.open) {
            streams = self.wait(streams, until)?;
        }
        Ok(())
    }

    /// Every line of a stream so far, those that waits have gone past too.
    pub fn lines(&self, stream: Stream) -> Vec<String> {
        let streams = self.streams();
        let text = String::from_utf8_lossy(&streams[stream as usize].text).into_owned();
        text.lines().map(str::to_owned).collect()
    }

    /// All of it, for a person who reads why a test failed.
    pub fn tell(&self) -> String {
        let mut told = String::new();
        for stream in [Stream::Out, Stream::Log, Stream::Screen] {
            for line in self.lines(stream) {
                let _ = writeln!(told, "  {stream:?}: {line}");
            }
        }
        told
    }

    fn wait<'a>(&self, streams: MutexGuard<'a, [Heard; 3]>, until: Instant) -> Result<MutexGuard<'a, [Heard; 3]>, &'static str> {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err("the deadline passed");
        }
        Ok(self.news.wait_timeout(streams, left).unwrap_or_else(PoisonError::into_inner).0)
    }

    fn streams(&self) -> MutexGuard<'_, [Heard; 3]> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
