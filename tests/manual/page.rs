//! The man page. What an option means, and how values are written, is taken from docs/options.md.

use restartinit::config::Config;
use restartinit::config::options::OPTIONS;

use super::verbs;

const OPTIONS_PAGE: &str = include_str!("../../docs/options.md");
const EXIT_CODES: [(&str, &str); 4] = [
    ("125", "usage error: an option, a value or a variable is wrong, or there is no command"),
    ("126", "the command cannot be executed"),
    ("127", "the command is not found"),
    ("else", "that of the command; 128+n if signal n killed it"),
];

/// Text of a Markdown line: code is bold, a link is its words.
fn inline(text: &str) -> String {
    let mut out = String::new();
    for (at, part) in text.replace("\\|", "|").split('`').enumerate() {
        let mut plain = part.to_owned();
        while let Some((before, after)) = plain.split_once("](") {
            let (words, rest) = (before.replacen('[', "", 1), after.split_once(')').map_or("", |(_, rest)| rest));
            plain = format!("{words}{rest}");
        }
        let escaped = plain.replace('\\', "\\e").replace('-', "\\-");
        out += &if at % 2 == 1 { format!("\\fB{escaped}\\fR") } else { escaped };
    }
    // A dot or an apostrophe at the beginning of a line is a request.
    if out.starts_with(['.', '\'']) { format!("\\&{out}") } else { out }
}

/// The last cell of an option's row.
fn meaning(spelled: &str) -> String {
    let start = format!("| `{}` | ", spelled.replace('|', "\\|"));
    let row = OPTIONS_PAGE.lines().find_map(|line| line.strip_prefix(&start));
    let row = row.unwrap_or_else(|| panic!("docs/options.md has no row for {spelled}"));
    row.split_once(" | ").expect("a default and a meaning").1.trim_end_matches(" |").to_owned()
}

/// The list below a heading of docs/options.md.
fn list(heading: &str) -> String {
    let section = OPTIONS_PAGE.split("\n## ").find(|section| section.starts_with(heading)).expect("the heading");
    let mut items: Vec<String> = Vec::new();
    for line in section.lines().skip(1) {
        if let Some(item) = line.strip_prefix("- ") {
            items.push(item.to_owned());
        } else if let Some((item, more)) = items.last_mut().zip(line.strip_prefix("  ")) {
            *item += &format!(" {more}");
        }
    }
    items.into_iter().map(|item| format!(".IP \\(bu 2\n{}\n", inline(&item))).collect()
}

pub fn roff() -> String {
    let defaults = Config::default();
    let mut text = format!(
        ".\\\" Made by `make manual` from the table of options and docs/options.md.\n\
         .TH RESTARTINIT 1 \"\" \"restartinit {}\" \"User Commands\"\n\
         .SH NAME\nrestartinit \\- a PID 1 for containers that restarts its command in place\n\
         .SH SYNOPSIS\n.B restartinit\n[\\fIOPTIONS\\fR] [\\fB\\-\\-\\fR] \\fICOMMAND\\fR [\\fIARG\\fR...]\n",
        env!("CARGO_PKG_VERSION")
    );
    for verb in verbs() {
        text += &format!(".br\n\\fBrestartinit {}\\fR {}\n", verb.name, inline(&verb.operands));
    }
    text += ".SH DESCRIPTION\n\
             It runs one command: it reaps orphans, forwards signals, starts the command again in the same container when it crashes, and ends with \
             the command's exit code when that does not help.\n\
             .SH OPTIONS\nOptions end at the first operand.\n";
    for option in OPTIONS {
        let spelled = option.value.map_or(format!("--{}", option.name), |value| format!("--{} {value}", option.name));
        let value = option.value.map_or_else(String::new, |value| format!(" \\fI{}\\fR", inline(value)));
        let default = match (option.get)(&defaults) {
            default if default.is_empty() || option.value.is_none() => String::new(),
            default => format!(" Default: {}.", inline(&default)),
        };
        text += &format!(".TP\n\\fB{}\\fR{value}\n{}.{default}\n", inline(&format!("--{}", option.name)), inline(&meaning(&spelled)));
    }
    for (spelled, row) in [("-v, -vv, -q", "-v`, `-vv`, `-q"), ("--print-config", "--print-config"), ("-h, -V", "-h`, `-V")] {
        text += &format!(".TP\n\\fB{}\\fR\n{}.\n", inline(spelled), inline(&meaning(row)));
    }
    text += ".SH VERBS\nAs the first operand, in the container of a restartinit, also from \\fBdocker exec\\fR.\n";
    for verb in verbs() {
        text += &format!(".TP\n\\fB{}\\fR {}\n{}\n", verb.name, inline(&verb.operands), inline(&verb.meaning));
    }
    text += &format!(".SH VALUES\n{}.SH ENVIRONMENT\n", list("Values"));
    text += &list("Environment variables");
    text += ".P\nThe variables of the options:\n";
    for option in OPTIONS {
        text += &format!(".br\n\\fB{}\\fR\n", option.twin());
    }
    text += ".SH EXIT STATUS\n";
    for (code, told) in EXIT_CODES {
        text += &format!(".TP\n\\fB{code}\\fR\n{}\n", inline(told));
    }
    text + ".SH SEE ALSO\n\\fBsignal\\fR(7), \\fBcgroups\\fR(7), \\fBtini\\fR(1)\n"
}
