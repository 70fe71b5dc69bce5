//! Any command line in any environment: a request, or one line that says what is wrong.
#![no_main]

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use libfuzzer_sys::fuzz_target;
use restartinit::config::read;

fuzz_target!(|bytes: &[u8]| {
    // Words by NUL; those from the first empty one on are variables.
    let words: Vec<&[u8]> = bytes.split(|byte| *byte == 0).collect();
    let (arguments, variables) = words.split_at(words.iter().position(|word| word.is_empty()).unwrap_or(words.len()));
    let word = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
    let pair = |variable: &&[u8]| {
        let at = variable.iter().position(|byte| *byte == b'=')?;
        Some((word(&variable[..at]), word(&variable[at + 1..])))
    };
    if let Err(error) = read(arguments.iter().map(|argument| word(argument)), variables.iter().filter_map(pair)) {
        assert!(!error.to_string().is_empty());
    }
});
