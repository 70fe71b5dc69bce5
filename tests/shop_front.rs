//! README and help keep up with the program: every option, its twin's rule, every exit code and outcome is there.

use restartinit::config::Config;
use restartinit::config::options::OPTIONS;

const README: &str = include_str!("../README.md");

#[test]
fn the_option_table_has_every_option_with_its_default() {
    let defaults = Config::default();
    for option in OPTIONS {
        let row = README.lines().find(|line| line.starts_with("| `--") && line.contains(&format!("`--{}", option.name)));
        let row = row.unwrap_or_else(|| panic!("README has no row for --{}", option.name));
        let default = (option.get)(&defaults);
        if option.value.is_some() && !default.is_empty() {
            assert!(row.contains(&format!("`{default}`")), "{row} does not name the default {default}");
        }
    }
}

#[test]
fn every_outcome_and_exit_code_is_told() {
    for word in [
        "completed",
        "stopped",
        "restarts-exhausted",
        "no-restart-code",
        "cannot-execute",
        "`125`",
        "`126`",
        "`127`",
        "RESTARTINIT_LAST_EXIT",
    ] {
        assert!(README.contains(word), "README does not mention {word}");
    }
}
