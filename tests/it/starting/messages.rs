//! A command that cannot be executed: one line with the cause that it has, and no other.

use crate::support::{Bench, Scratch, fixture};

/// The words by which each cause is told, in small letters. A line about one of them has none of the others.
const CAUSES: [(&str, &[&str]); 6] = [
    ("no first line", &["#!"]),
    ("Windows", &["windows", "crlf", "carriage return"]),
    ("a blank", &["blank", "space", "separate", "one word"]),
    ("architecture", &["architecture", "aarch64", "platform"]),
    ("loader", &["loader", "dynamically", "libc", "from scratch"]),
    ("permission", &["permission", "chmod", "noexec"]),
];

/// Runs it, and checks the line.
fn told(command: &str, codes: &[i32], causes: &[&str]) -> String {
    let end = Bench::new(&[]).variable("PATH", "/usr/bin:/bin").command([command]).end();
    assert!(end.code.is_some_and(|code| codes.contains(&code)), "{command}: {end:?}");
    assert_eq!(end.log.len(), 1, "{end:?}");
    // Its name may hold anything.
    let line = end.log[0].replace(command, "COMMAND").to_lowercase();
    for (cause, words) in CAUSES {
        let is_told = words.iter().any(|word| line.contains(word));
        assert_eq!(is_told, causes.contains(&cause), "{command}: {cause}: {}", end.log[0]);
    }
    line
}

#[test]
fn a_script_without_a_first_line() {
    let scratch = Scratch::new();
    told(&scratch.executable("plain", b"exit 3\n"), &[126], &["no first line"]);
}

/// The kernel looks for an interpreter whose name ends in a carriage return.
#[test]
fn a_script_with_the_line_ends_of_windows() {
    let scratch = Scratch::new();
    for (name, first) in [("shell", "#!/bin/sh\r\n"), ("node", "#!/usr/local/bin/node\r\n"), ("blank", "#! /bin/sh\r\n")] {
        told(&scratch.executable(name, format!("{first}exit 3\r\n").as_bytes()), &[126, 127], &["Windows"]);
    }
}

/// The JSON form with all in one string: the shell that would split it is not there.
#[test]
fn a_command_line_in_one_word() {
    for command in ["node server.js", "sh -c x", "/bin/sh -e"] {
        told(command, &[127], &["a blank"]);
    }
}

#[test]
fn a_command_that_is_simply_not_there() {
    let scratch = Scratch::new();
    for command in ["no-such-command", "/no/such/command", &scratch.path("missing")] {
        told(command, &[127], &[]);
    }
}

#[test]
fn an_interpreter_that_is_not_there() {
    let scratch = Scratch::new();
    let line = told(&scratch.executable("script", b"#!/no/such/interpreter\nexit 3\n"), &[126, 127], &[]);
    assert!(line.contains("interpreter"), "{line}");
}

/// A program whose header has been changed in a few places.
fn program(scratch: &Scratch, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut bytes = std::fs::read(fixture()).expect("the program");
    change(&mut bytes);
    scratch.executable(name, &bytes)
}

#[test]
fn a_program_of_another_architecture() {
    let scratch = Scratch::new();
    // e_machine: that of the IBM S/370.
    told(&program(&scratch, "foreign", |bytes| bytes[18..20].copy_from_slice(&[9, 0])), &[126], &["architecture"]);
}

/// As of a program for glibc in an image with musl.
#[test]
fn a_program_whose_loader_is_not_there() {
    let scratch = Scratch::new();
    let path = program(&scratch, "elsewhere", |bytes| {
        let at = bytes.windows(4).position(|window| window == b"/lib").expect("the path of its loader");
        bytes[at + 1] = b'L';
    });
    told(&path, &[126, 127], &["loader"]);
}

#[test]
fn a_file_that_may_not_be_executed() {
    let scratch = Scratch::new();
    std::fs::write(scratch.path("locked"), "#!/bin/sh\n").expect("a file");
    told(&scratch.path("locked"), &[126], &["permission"]);
}
