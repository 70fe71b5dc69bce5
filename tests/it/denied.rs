//! What a container's seccomp profile denies, or an old kernel has not got: clone3 and every later system call. Everything works
//! without. What the log does without splice is in stderr.rs.

use crate::support;

use serde_json::json;
use support::web::{free_port, get, loopback};
use support::{Bench, Place};

/// A profile of before those calls answers EPERM, as Docker's once did, or ENOSYS, as a kernel does.
const DENIALS: [&str; 2] = ["deny newer EPERM", "deny newer ENOSYS"];

/// What tini, dumb-init and catatonit promise too.
mod common {
    use super::*;
    use support::plain;

    #[test]
    fn a_command_is_started_signalled_and_stopped() {
        for denial in DENIALS {
            let mut init = plain().scene(&[denial]).run(&["catch USR1", "on TERM exit 3", "up", "orphans 2", "await-alone", "pause"]);
            init.out("alone");
            init.signal(libc::SIGUSR1);
            init.out("got SIGUSR1 1");
            init.signal(libc::SIGTERM);
            assert_eq!(init.exit_code(), 3, "{denial}");
        }
    }
}

#[test]
fn commands_are_started_signalled_restarted_and_stopped() {
    for denial in DENIALS {
        for place in [Place::Pid1, Place::Hosted] {
            for option in ["-v", "--hold-port", "--standby"] {
                let (http, port) = (loopback(), free_port());
                let listen = format!("{}listen {port}", if option == "-v" { "" } else { "wire " });
                let options = [option, "--http", &http, "--leftover-timeout", "50ms"];
                let mut init = Bench::new(&options).scene(&[denial]).place(place).run(&[
                    "on TERM exit 0",
                    "catch USR1",
                    "at 1 child daemon ignore TERM / pause",
                    "up",
                    &listen,
                    "obey",
                ]);
                let what = format!("{denial}, {place:?}, {option}");
                init.out("up 1");
                init.signal(libc::SIGUSR1);
                init.out("got SIGUSR1 1");
                init.tell("exit 3");
                init.status_with("the next one runs", |status| status["generation"] != 1 && status["state"] == "running");
                init.log("1 leftover of generation 1: SIGKILL sent");
                let status = init.status();
                assert_eq!((&status["restarts"]["used"], &status["last_exits"][0]["code"]), (&json!(1), &json!(3)), "{what}: {status}");
                assert_eq!(get(&http, "/livez").status, 200, "{what}");
                let said = init.verb(&["restart"]);
                assert_eq!(said.code, Some(0), "{what}: {said:?}");
                init.signal(libc::SIGTERM);
                // It may meet the new one before its handler.
                assert!([0, 143].contains(&init.exit_code()), "{what}");
            }
        }
    }
}

#[test]
fn a_terminal_is_handed_on() {
    for denial in DENIALS {
        let mut init = Bench::new(&[]).scene(&[denial]).place(Place::Terminal).run(&["up", "at 1 exit 3", "show foreground", "pause"]);
        init.screen("up 2");
        init.screen("foreground: yes");
        init.keys("\x03");
        assert_eq!(init.exit_code(), 130, "{denial}");
    }
}

#[test]
fn a_command_that_cannot_be_run_is_told() {
    for denial in DENIALS {
        assert_eq!(Bench::new(&[]).scene(&[denial]).command(["/no/such/command"]).end().code, Some(127), "{denial}");
        assert_eq!(Bench::new(&[]).scene(&[denial]).command(["/etc/passwd"]).end().code, Some(126), "{denial}");
    }
}
