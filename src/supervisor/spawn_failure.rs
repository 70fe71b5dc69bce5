//! Why a generation could not be spawned, and whether trying again is of use. Pure: `sys::spawn` looks at the file.
use nix::errno::Errno;

use crate::errno;

/// Why a generation could not be spawned: the errno of what was tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SpawnFailure {
    pub step: SpawnStep,
    pub errno: Errno,
    pub problem: Problem,
}

/// What was being done when a spawn failed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SpawnStep {
    Fork,
    Exec,
}

/// What is wrong with the file that was to be executed, as far as it shows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Problem {
    /// No more is known than the errno.
    Unknown,
    NotFound,
    Directory,
    /// Nobody may execute it.
    NoExecuteBit,
    /// Its file system is mounted noexec.
    MountedNoexec,
    Empty,
    /// It is neither a program nor begins with `#!`.
    NoInterpreterLine,
    /// The interpreter's name in its first line ends in a carriage return.
    WindowsLineEnds,
    /// The interpreter that its first line names is not there.
    InterpreterNotFound,
    /// The dynamic loader of a program is not there.
    LoaderNotFound,
    OtherArchitecture,
}

/// What can be seen of a file that could not be executed.
#[derive(Clone, Copy, Debug)]
pub struct FileFacts<'a> {
    pub is_directory: bool,
    pub has_execute_bit: bool,
    pub mounted_noexec: bool,
    /// As much of its beginning as the kernel looks at; `None`: it cannot be read.
    pub beginning: Option<&'a [u8]>,
}

impl Problem {
    /// What an execve(2) that failed with this errno comes of.
    pub fn of(errno: Errno, file: FileFacts<'_>) -> Problem {
        let beginning = file.beginning.unwrap_or_default();
        let interpreter = interpreter(beginning);
        match errno {
            Errno::EACCES if file.is_directory => Problem::Directory,
            Errno::EACCES if file.mounted_noexec => Problem::MountedNoexec,
            Errno::EACCES if !file.has_execute_bit => Problem::NoExecuteBit,
            Errno::ENOENT | Errno::ENOTDIR if interpreter.is_some_and(|name| name.ends_with(b"\r")) => Problem::WindowsLineEnds,
            Errno::ENOENT | Errno::ENOTDIR if interpreter.is_some() => Problem::InterpreterNotFound,
            Errno::ENOENT if machine(beginning).is_some() => Problem::LoaderNotFound,
            Errno::ENOEXEC if machine(beginning).is_some_and(|machine| machine != OWN_MACHINE) => Problem::OtherArchitecture,
            Errno::ENOEXEC if file.beginning == Some(&[]) => Problem::Empty,
            Errno::ENOEXEC if file.beginning.is_some() && machine(beginning).is_none() && interpreter.is_none() => {
                Problem::NoInterpreterLine
            }
            _ => Problem::Unknown,
        }
    }
}

/// The interpreter that a script's first line names: what the kernel would execute.
fn interpreter(beginning: &[u8]) -> Option<&[u8]> {
    let line = beginning.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    line.split(|byte| matches!(byte, b' ' | b'\t')).find(|word| !word.is_empty())
}

/// The ELF numbers of the architectures that restartinit runs on, see elf(5).
const OWN_MACHINE: u16 = if cfg!(target_arch = "x86_64") { 62 } else { 183 };
const OWN_ARCHITECTURE: &str = if cfg!(target_arch = "x86_64") { "x86_64" } else { "aarch64" };

/// The architecture that a program is built for, off its ELF header; little-endian, as both of ours are.
fn machine(beginning: &[u8]) -> Option<u16> {
    const MACHINE_AT: usize = 18;
    let header = beginning.strip_prefix(b"\x7fELF").map(|_| beginning)?;
    header.get(MACHINE_AT..)?.first_chunk().map(|bytes| u16::from_le_bytes(*bytes))
}

impl SpawnFailure {
    /// A process could not be made.
    pub fn fork(errno: Errno) -> SpawnFailure {
        SpawnFailure { step: SpawnStep::Fork, errno, problem: Problem::Unknown }
    }

    /// The exit code if trying again is of no use: 127 for what is not there, 126 for what is and cannot be executed. `None`: the
    /// machine is short of something now and may not be later.
    pub fn final_code(self) -> Option<u8> {
        const PASSING: [Errno; 8] =
            [Errno::EAGAIN, Errno::ENOMEM, Errno::EMFILE, Errno::ENFILE, Errno::EINTR, Errno::EIO, Errno::ETXTBSY, Errno::ENOSPC];
        match (self.step, self.problem) {
            (SpawnStep::Fork, _) => None,
            (SpawnStep::Exec, _) if PASSING.contains(&self.errno) => None,
            (SpawnStep::Exec, Problem::NotFound) => Some(127),
            (SpawnStep::Exec, _) => Some(126),
        }
    }

    /// What happened and what to do, for the end of a line about `command`.
    pub fn advice(self, command: &str) -> String {
        let errno = errno::text(self.errno);
        match self.problem {
            Problem::Unknown => errno,
            Problem::NotFound => not_found(command),
            Problem::Directory => format!("{errno}: it is a directory"),
            Problem::NoExecuteBit => format!("{errno}: the file has no execute bit (chmod +x)"),
            Problem::MountedNoexec => format!("{errno}: its file system is mounted noexec"),
            Problem::Empty => format!("{errno}: the file is empty"),
            Problem::NoInterpreterLine => {
                format!("{errno}: it is a script without #! (begin it with a line such as #!/bin/sh, or run it by its interpreter)")
            }
            Problem::WindowsLineEnds => {
                "the interpreter's name in its first line ends in a carriage return: the script has Windows line ends (CRLF); save it with \
                 Unix ones (LF)"
                    .to_owned()
            }
            Problem::InterpreterNotFound => "the file is there, but the interpreter in its first line is not".to_owned(),
            Problem::LoaderNotFound => {
                "the file is there, but its dynamic loader is not (a dynamically linked program needs its libraries in the image)"
                    .to_owned()
            }
            Problem::OtherArchitecture => format!("{errno}: it is built for another architecture than {OWN_ARCHITECTURE}"),
        }
    }
}

fn not_found(command: &str) -> String {
    if command.contains(char::is_whitespace) {
        let words: Vec<String> = command.split_whitespace().map(|word| format!("{word:?}")).collect();
        return format!(
            "no such file; its name has a blank in it: if it is a command line, give each word by itself: [{}]",
            words.join(", ")
        );
    }
    let place = if command.contains('/') { "no such file" } else { "not found in any folder of PATH" };
    format!("{place} (is it in the image?)")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: FileFacts<'_> = FileFacts { is_directory: false, has_execute_bit: true, mounted_noexec: false, beginning: None };

    fn elf(machine: u8) -> Vec<u8> {
        let mut header = b"\x7fELF\x02\x01\x01".to_vec();
        header.resize(18, 0);
        header.extend([machine, 0]);
        header
    }

    #[test]
    fn only_what_cannot_pass_is_final() {
        let exec = |errno, problem| SpawnFailure { step: SpawnStep::Exec, errno, problem }.final_code();
        assert_eq!(exec(Errno::ENOENT, Problem::NotFound), Some(127));
        assert_eq!(exec(Errno::ENOENT, Problem::LoaderNotFound), Some(126));
        for errno in [Errno::EACCES, Errno::ENOEXEC, Errno::EPERM, Errno::E2BIG, Errno::ELOOP] {
            assert_eq!(exec(errno, Problem::Unknown), Some(126));
        }
        for errno in [Errno::EAGAIN, Errno::ENOMEM, Errno::ETXTBSY] {
            assert_eq!(exec(errno, Problem::Unknown), None);
        }
        assert_eq!(SpawnFailure::fork(Errno::ENOENT).final_code(), None);
    }

    #[test]
    fn a_cause_is_named_where_it_shows() {
        let foreign = elf(if OWN_MACHINE == 62 { 183 } else { 62 });
        let own = elf(OWN_MACHINE as u8);
        for (errno, beginning, problem) in [
            (Errno::ENOENT, &b"#!/bin/sh\r\necho"[..], Problem::WindowsLineEnds),
            (Errno::ENOENT, b"#! /bin/none -x\n", Problem::InterpreterNotFound),
            (Errno::ENOENT, b"#!/usr/bin/env\tnode\r\n", Problem::InterpreterNotFound),
            (Errno::ENOENT, &own, Problem::LoaderNotFound),
            (Errno::ENOEXEC, &foreign, Problem::OtherArchitecture),
            (Errno::ENOEXEC, &own, Problem::Unknown),
            (Errno::ENOEXEC, b"echo hello\n", Problem::NoInterpreterLine),
            (Errno::ENOEXEC, b"#!\n", Problem::NoInterpreterLine),
            (Errno::ENOEXEC, b"", Problem::Empty),
            (Errno::ENOTDIR, b"#!/etc/passwd/x\n", Problem::InterpreterNotFound),
            (Errno::ENOTDIR, b"#!/etc/passwd/x\r\n", Problem::WindowsLineEnds),
            (Errno::ENOTDIR, &own, Problem::Unknown),
            (Errno::ENOENT, b"echo hello\n", Problem::Unknown),
            (Errno::ENOEXEC, b"#!/bin/sh\n", Problem::Unknown),
            (Errno::ENOEXEC, &own[..19], Problem::NoInterpreterLine),
            (Errno::EPERM, b"#!/bin/sh\r\n", Problem::Unknown),
        ] {
            assert_eq!(Problem::of(errno, FileFacts { beginning: Some(beginning), ..FILE }), problem, "{errno} {beginning:?}");
        }
        assert_eq!(Problem::of(Errno::ENOEXEC, FILE), Problem::Unknown, "it cannot be read");
        let denied = |file| Problem::of(Errno::EACCES, file);
        assert_eq!(denied(FILE), Problem::Unknown);
        assert_eq!(denied(FileFacts { is_directory: true, ..FILE }), Problem::Directory);
        assert_eq!(denied(FileFacts { has_execute_bit: false, ..FILE }), Problem::NoExecuteBit);
        assert_eq!(denied(FileFacts { mounted_noexec: true, ..FILE }), Problem::MountedNoexec);
    }

    #[test]
    fn each_cause_says_what_to_do() {
        for (errno, problem, what) in [
            (Errno::EPERM, Problem::Unknown, "operation not permitted"),
            (Errno::EACCES, Problem::Directory, "permission denied: it is a directory"),
            (Errno::EACCES, Problem::NoExecuteBit, "permission denied: the file has no execute bit (chmod +x)"),
            (Errno::EACCES, Problem::MountedNoexec, "permission denied: its file system is mounted noexec"),
            (Errno::ENOEXEC, Problem::Empty, "exec format error: the file is empty"),
            (Errno::ENOEXEC, Problem::NoInterpreterLine, "exec format error: it is a script without #!"),
            (Errno::ENOENT, Problem::WindowsLineEnds, "the interpreter's name in its first line ends in a carriage return"),
            (Errno::ENOENT, Problem::InterpreterNotFound, "the file is there, but the interpreter in its first line is not"),
            (Errno::ENOENT, Problem::LoaderNotFound, "the file is there, but its dynamic loader is not"),
            (Errno::ENOEXEC, Problem::OtherArchitecture, "exec format error: it is built for another architecture than "),
        ] {
            let advice = SpawnFailure { step: SpawnStep::Exec, errno, problem }.advice("x");
            assert!(advice.starts_with(what), "{advice}");
        }
    }

    #[test]
    fn a_command_line_in_one_word_is_told_apart() {
        let missing = SpawnFailure { step: SpawnStep::Exec, errno: Errno::ENOENT, problem: Problem::NotFound };
        assert!(missing.advice("node server.js").ends_with(r#"give each word by itself: ["node", "server.js"]"#));
        assert_eq!(missing.advice("nodee"), "not found in any folder of PATH (is it in the image?)");
        assert_eq!(missing.advice("/app/x"), "no such file (is it in the image?)");
    }
}
