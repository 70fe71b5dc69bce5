use std::time::Duration;

use super::*;

pub(super) fn read_with(args: &[&str], env: &[(&str, &str)]) -> Result<Request, UsageError> {
    read(args.iter().map(OsString::from), env.iter().copied())
}

pub(super) fn config(args: &[&str], env: &[(&str, &str)]) -> Config {
    match read_with(&[args, &["cmd"]].concat(), env) {
        Ok(Request::Supervise { config, .. }) => *config,
        other => panic!("{args:?} {env:?}: {other:?}"),
    }
}

/// A good value other than the default for each option, so that none is forgotten here.
fn good_value(name: &str) -> &'static str {
    match name {
        "restart" => "always",
        "max-restarts" => "7",
        "watchdog-stack" => "off",
        "exhausted-code" => "75",
        "ipc" | "hold-port" | "standby" => "on",
        "stop-by" => "drain",
        "ready-when" => "listening:3000,9090",
        "listen" => "3000,unix:/tmp/x",
        "max-memory" => "80%",
        "leftovers" => "keep",
        "log-format" => "json",
        "group" => "on",
        "check" => "http://127.0.0.1:3000/healthz",
        "check-failures" => "9",
        "backoff-jitter" => "50",
        "restart-on-change" => "/run/secrets/tls,app.json",
        "http" => "[::1]:3000",
        "stop-signals" => "HUP",
        "rewrite" => "TERM:QUIT",
        "termination-log" => "/tmp/x",
        "no-restart-on" | "exit-zero-on" => "3-5",
        _ => "77s",
    }
}

#[test]
fn a_flag_and_its_twin_set_the_same() {
    for option in OPTIONS {
        let value = good_value(option.name);
        let by_flag = config(&[&format!("--{}={value}", option.name)], &[]);
        let by_twin = config(&[], &[(&option.twin(), value)]);
        assert_eq!(by_flag, by_twin, "{}", option.name);
        assert_ne!(by_flag, Config::default(), "{}", option.name);
        assert_eq!((option.get)(&by_flag), value, "{}", option.name);
    }
}

#[test]
fn a_flag_wins_over_its_twin() {
    assert_eq!(config(&["--max-restarts", "1"], &[("RESTARTINIT_MAX_RESTARTS", "2")]).max_restarts, 1);
    let rewrites = config(&["--rewrite", "TERM:INT"], &[("RESTARTINIT_REWRITE", "HUP:0")]).rewrite;
    assert_eq!(rewrites.to_string(), "TERM:INT");
}

#[test]
fn repeated_rewrites_add_up() {
    assert_eq!(config(&["--rewrite", "TERM:INT", "--rewrite=HUP:0"], &[]).rewrite.to_string(), "TERM:INT,HUP:0");
}

#[test]
fn repeated_addresses_add_up() {
    let shown = |args: &[&str]| config(args, &[]).listen.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(shown(&["--listen", "3000", "--listen=unix:/x, 127.0.0.1:80"]), ["3000", "unix:/x", "127.0.0.1:80"]);
}

#[test]
fn options_end_at_the_first_operand() {
    for args in [&["sh", "-c", "exit 5"][..], &["--", "sh", "-c", "exit 5"], &["--group", "sh", "-c", "exit 5"]] {
        let Ok(Request::Supervise { command, .. }) = read_with(args, &[]) else { panic!("{args:?}") };
        assert_eq!(command, ["sh", "-c", "exit 5"]);
    }
    let Ok(Request::Supervise { command, .. }) = read_with(&["cmd", "--", "-v", "--nonsense"], &[]) else { panic!() };
    assert_eq!(command, ["cmd", "--", "-v", "--nonsense"]);
}

#[test]
fn a_bad_value_is_named_with_what_is_accepted() {
    for option in OPTIONS.iter().filter(|option| !["termination-log", "restart-on-change"].contains(&option.name)) {
        for bad in ["nonsense!", "-1"] {
            let flag = read_with(&[&format!("--{}={bad}", option.name), "cmd"], &[]).unwrap_err().0;
            assert!(flag.starts_with(&format!("--{}: bad value {bad:?}: expected ", option.name)), "{flag}");
            let twin = read_with(&["cmd"], &[(&option.twin(), bad)]).unwrap_err().0;
            assert!(twin.starts_with(&format!("{}: bad value {bad:?}: expected ", option.twin())), "{twin}");
        }
    }
}

#[test]
fn what_is_unknown_gets_the_nearest_name() {
    assert_eq!(
        read_with(&["--max-restart=3", "x"], &[]).unwrap_err().0,
        "unknown option --max-restart: did you mean --max-restarts? (see restartinit -h)"
    );
    assert_eq!(read_with(&["--zzzzzz", "x"], &[]).unwrap_err().0, "unknown option --zzzzzz (see restartinit -h)");
    let Ok(Request::Supervise { warnings, .. }) = read_with(&["x"], &[("RESTARTINIT_MAX_RESTART", "3")]) else { panic!() };
    assert_eq!(warnings, ["unknown variable RESTARTINIT_MAX_RESTART is ignored: did you mean RESTARTINIT_MAX_RESTARTS?"]);
}

#[test]
fn a_name_is_suggested_only_where_it_is_near() {
    let hint = |name: &str| read_with(&[&format!("--{name}"), "x"], &[]).unwrap_err().to_string();
    for (name, near) in [("httpxx", "http"), ("max-restartsss", "max-restarts"), ("print-confg", "print-config")] {
        assert!(hint(name).contains(&format!("did you mean --{near}?")), "{}", hint(name));
    }
    for name in ["httpxxx", "abc9"] {
        assert!(!hint(name).contains("did you mean"), "{}", hint(name));
    }
}

#[test]
fn an_empty_twin_is_an_unset_one() {
    assert_eq!(config(&[], &[("RESTARTINIT_MAX_RESTARTS", "")]), Config::default());
    assert_eq!(config(&[], &[("RESTARTINIT_PRINT_CONFIG", "")]), Config::default());
}

#[test]
fn of_an_option_given_twice_the_last_one_holds() {
    assert_eq!(config(&["--max-restarts", "1", "--max-restarts=2"], &[]).max_restarts, 2);
}

#[test]
fn verbosity() {
    for (args, filter) in [(&[][..], "warn"), (&["-v"], "info"), (&["-vv"], "debug"), (&["-v", "-v"], "debug"), (&["-q"], "error")] {
        assert_eq!(config(args, &[]).log_filter, filter);
    }
    assert_eq!(config(&[], &[("RESTARTINIT_LOG", "trace")]).log_filter, "trace");
    assert_eq!(config(&["-q"], &[("RESTARTINIT_LOG", "trace")]).log_filter, "error");
    assert!(read_with(&["x"], &[("RESTARTINIT_LOG", "loud")]).is_err());
}

#[test]
fn the_help_names_every_option_and_fits_a_screen() {
    let help = options::help();
    for option in OPTIONS {
        assert!(help.contains(&format!("--{}", option.name)), "{}", option.name);
    }
    for line in [
        "  --max-restarts N           crash restarts inside the window (Kubernetes: 10) [5]",
        "  --restart-window D         the sliding window; 0: the container's life [60s]",
        "  --stop-signals SIGS        forwarded, and no restart follows [TERM,INT,QUIT]",
        "  --group                    forward to the command's process group",
        "  --leftovers kill|keep      descendants that outlive it [kill]; --leftover-timeout D [2s]",
        "                             --check-interval D [10s] --check-timeout D [2s] --check-failures N [3]",
        "  --watchdog D               an event loop blocked for D is a crash; --watchdog-stack on|off [on]",
    ] {
        assert!(help.lines().any(|shown| shown == line), "{line}\n{help}");
    }
    assert!(help.lines().all(|line| line.len() <= 100), "{help}");
    assert!(help.lines().count() <= 48, "{help}");
}

#[test]
fn print_config_says_where_each_setting_came_from() {
    let env = [("RESTARTINIT_BACKOFF", "1s"), ("RESTARTINIT_PRINT_CONFIG", "yes")];
    let Ok(Request::Print(text)) = read_with(&["--group"], &env) else { panic!() };
    assert!(text.lines().any(|line| line.starts_with("group") && line.ends_with("(--group)")), "{text}");
    assert!(
        text.lines().any(|line| line.starts_with("backoff ") && line.contains("1s") && line.ends_with("(RESTARTINIT_BACKOFF)")),
        "{text}"
    );
    assert!(text.lines().any(|line| line.starts_with("max-restarts") && line.ends_with("(default)")), "{text}");
    assert_eq!(config(&[], &[("RESTARTINIT_PRINT_CONFIG", "off")]), Config::default());
    let error = read_with(&["x"], &[("RESTARTINIT_PRINT_CONFIG", "maybe")]).unwrap_err().0;
    assert_eq!(error, "RESTARTINIT_PRINT_CONFIG: bad value \"maybe\": expected 1, true, yes, on, or 0, false, no, off");
}

/// What Node features need is there without being asked for, and who looks at the settings sees it.
#[test]
fn a_channel_and_held_ports_come_with_what_needs_them() {
    for (args, channel, ports) in [
        (&[][..], "off", "off"),
        (&["--ipc"], "on", "off"),
        (&["--wait-ready=5s"], "on", "off"),
        (&["--watchdog=5s"], "on", "off"),
        (&["--stop-by=message"], "on", "off"),
        (&["--stop-by=drain"], "on", "on"),
        (&["--hold-port"], "on", "on"),
        (&["--standby"], "on", "on"),
    ] {
        let Ok(Request::Print(text)) = read_with(&[args, &["--print-config"]].concat(), &[]) else { panic!("{args:?}") };
        for (name, value) in [("ipc", channel), ("hold-port", ports)] {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap();
            let source = match value {
                "off" => "(default)".to_owned(),
                _ if args.iter().any(|arg| *arg == format!("--{name}")) => format!("(--{name})"),
                _ => "(implied)".to_owned(),
            };
            assert_eq!(line.split_whitespace().collect::<Vec<_>>(), [name, value, &source], "{args:?}");
        }
    }
}

#[test]
fn no_time_at_all_is_no_time_to_answer_in() {
    assert!(read_with(&["--watchdog=0", "x"], &[]).unwrap_err().0.contains("expected a duration above 0"));
    assert_eq!(config(&["--grace-period=0"], &[]).grace_period, Duration::ZERO);
}

#[test]
fn a_verb_is_one_as_the_first_operand_only() {
    for (args, verb) in [
        (&["status"][..], Verb::Status { json: false }),
        (&["status", "--json"], Verb::Status { json: true }),
        (&["-vv", "-q", "health"], Verb::Health),
        (&["restart"], Verb::Restart { is_forced: false }),
        (&["restart", "--force"], Verb::Restart { is_forced: true }),
    ] {
        // What was set for the container's restartinit is none of the verb's business, be it good or bad.
        let env = [("RESTARTINIT_MAX_RESTARTS", "x"), ("RESTARTINIT_PRINT_CONFIG", "1"), ("RESTARTINIT_NONE", "1")];
        assert_eq!(read_with(args, &env), Ok(Request::Verb { verb, pid: None }), "{args:?}");
    }
    for args in [&["--", "status"][..], &["--group", "--", "status"], &["./status"], &["--restart", "always", "--", "status"]] {
        let Ok(Request::Supervise { command, .. }) = read_with(args, &[]) else { panic!("{args:?}") };
        assert!(command[0] == "status" || command[0] == "./status");
    }
    let Ok(Request::Supervise { command, .. }) = read_with(&["sh", "status"], &[]) else { panic!() };
    assert_eq!(command, ["sh", "status"]);
    let Ok(Request::Supervise { command, .. }) = read_with(&["--", "status", "--json"], &[]) else { panic!() };
    assert_eq!(command, ["status", "--json"]);
}

#[test]
fn a_verb_takes_nothing_else() {
    for (args, extra) in [
        (&["status", "foo"][..], "\"foo\": status takes nothing but --json and --pid N; "),
        (&["health", "--json"], "\"--json\": health takes nothing but --pid N; "),
        (&["restart", "now"], "\"now\""),
        (&["--max-restarts", "3", "status"], "--max-restarts"),
        (&["--print-config", "health"], "--print-config"),
    ] {
        let error = read_with(args, &[]).unwrap_err().0;
        assert!(error.contains(&format!("unexpected {extra}")) && error.contains("restartinit -- "), "{error}");
    }
    let Ok(Request::Print(help)) = read_with(&["status", "--help"], &[]) else { panic!() };
    assert_eq!(help, options::help());
}

#[test]
fn a_verb_may_name_whom_it_asks() {
    for args in [&["status", "--pid", "17", "--json"][..], &["status", "--json", "--pid=17"]] {
        assert_eq!(read_with(args, &[]), Ok(Request::Verb { verb: Verb::Status { json: true }, pid: Some(17) }));
    }
    for bad in ["0", "-1", "x", ""] {
        let error = read_with(&["health", "--pid", bad], &[]).unwrap_err().0;
        assert!(error.contains("--pid: bad value"), "{error}");
        assert!(read_with(&["restart", &format!("--pid={bad}")], &[]).is_err());
    }
    assert!(read_with(&["health", "--pid"], &[]).is_err());
}

#[test]
fn a_node_is_asked_with_what_is_asked_of_whom() {
    let asked = |args: &[&str]| match read_with(args, &[]) {
        Ok(Request::Verb { verb: Verb::Inspect(asked), pid: None }) => asked,
        other => panic!("{args:?}: {other:?}"),
    };
    let second = Duration::from_secs;
    let stack = asked(&["stack"]);
    let plain = Inspection { subject: Subject::Stack { json: false }, generation: None, process: None, within: None };
    assert_eq!(stack, plain);
    let full = asked(&["stack", "--json", "--generation", "3", "--process=17", "--within=2s"]);
    assert_eq!(
        full,
        Inspection { subject: Subject::Stack { json: true }, generation: Some(3), process: Some(17), within: Some(second(2)) }
    );
    assert_eq!(asked(&["profile"]).subject, Subject::Profile { over: second(5) });
    assert_eq!(asked(&["profile", "--generation=2", "1m"]).subject, Subject::Profile { over: second(60) });
    assert_eq!(asked(&["heap", "--force"]).subject, Subject::Heap { is_forced: true });
    for (args, said) in [
        (&["stack", "5s"][..], "unexpected \"5s\""),
        (&["stack", "--force"], "unexpected \"--force\""),
        (&["stack", "--json=1"], "unexpected \"--json=1\""),
        (&["stack", "--generation", "0"], "--generation: bad value \"0\": expected the number"),
        (&["stack", "--process"], "--process: bad value \"\": expected the pid of a Node"),
        (&["stack", "--within", "0"], "--within: bad value \"0\": expected a duration above 0"),
        (&["profile", "0"], "unexpected \"0\""),
        (&["profile", "2h"], "unexpected \"2h\""),
        (&["profile", "--within", "1s"], "unexpected \"--within\""),
        (&["heap", "--json"], "unexpected \"--json\": heap takes nothing but --force, --generation N"),
        (&["status", "--generation=1"], "unexpected \"--generation=1\""),
    ] {
        let error = read_with(args, &[]).unwrap_err().0;
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn what_makes_it_ready_follows_from_what_else_is_asked_for() {
    for (args, rule, limit, has_channel) in [
        (&[][..], "listening", None, false),
        (&["--wait-ready=15s"], "message", Some(15), true),
        (&["--wait-ready=0"], "listening", None, false),
        (&["--listen=3000"], "started", None, false),
        (&["--listen=3000", "--wait-ready=15s"], "message", Some(15), true),
        (&["--ready-when=listening", "--wait-ready=15s"], "listening", Some(15), false),
        (&["--ready-when=listening:3000, 9090"], "listening:3000,9090", None, false),
        (&["--ready-when=message"], "message", None, true),
        (&["--ready-when=started", "--hold-port"], "started", None, true),
        (&["--watchdog=10s"], "listening", Some(300), true),
        (&["--watchdog=10s", "--wait-ready=0"], "listening", None, true),
        (&["--watchdog=10s", "--wait-ready=20s"], "message", Some(20), true),
    ] {
        let config = config(args, &[]);
        let found = (config.ready_when().to_string(), config.ready_limit(), config.has_channel());
        assert_eq!(found, (rule.to_owned(), limit.map(Duration::from_secs), has_channel), "{args:?}");
    }
    for bad in ["listening:", "listening:0", "listening:99999", "listening:http", "Listening", "message:1", "started:"] {
        assert!(read_with(&[&format!("--ready-when={bad}"), "x"], &[]).is_err(), "{bad}");
    }
}
