//! What a process has said so far, for tests that wait for a word of it.

use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use crate::engine::DEADLINE;

#[derive(Default)]
struct Said {
    bytes: Vec<u8>,
    open: usize,
}

/// The text of one or more streams, in the order in which it came.
#[derive(Clone, Default)]
pub struct Transcript {
    said: Arc<(Mutex<Said>, Condvar)>,
}

impl Transcript {
    /// Takes in `stream` until it ends.
    pub fn follow(&self, mut stream: impl Read + Send + 'static) {
        self.update(|said| said.open += 1);
        let transcript = self.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // A terminal whose other side is gone ends with EIO, not with 0.
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                transcript.update(|said| said.bytes.extend_from_slice(&buffer[..count]));
            }
            transcript.update(|said| said.open -= 1);
        });
    }

    /// Waits until `text` has been said; fails when the streams end without it, and at the deadline.
    pub fn wait_for(&self, text: &str) {
        self.wait_until(&format!("{text:?}"), |said| said.contains(text));
    }

    /// Waits until the text so far satisfies `enough`; `what` names it in the failure.
    pub fn wait_until(&self, what: &str, mut enough: impl FnMut(&str) -> bool) {
        let end = Instant::now() + DEADLINE;
        let (said, changed) = &*self.said;
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let text = String::from_utf8_lossy(&said.bytes);
            if enough(&text) {
                return;
            }
            assert!(said.open > 0, "it ended without saying {what}. It said:\n{text}");
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "it did not say {what} in time. It said:\n{text}");
            said = changed.wait_timeout(said, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for the end of all streams; returns everything.
    pub fn wait_for_end(&self) -> String {
        let end = Instant::now() + DEADLINE;
        let (said, changed) = &*self.said;
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        while said.open > 0 {
            let left = end.saturating_duration_since(Instant::now());
            let text = String::from_utf8_lossy(&said.bytes);
            assert!(!left.is_zero(), "it did not end in time. It said:\n{text}");
            said = changed.wait_timeout(said, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        String::from_utf8_lossy(&said.bytes).into_owned()
    }

    fn update(&self, change: impl FnOnce(&mut Said)) {
        let (said, changed) = &*self.said;
        change(&mut said.lock().unwrap_or_else(PoisonError::into_inner));
        changed.notify_all();
    }
}
