//! Completions: options and their values, the verbs, and then whatever completes the command.

use restartinit::config::options::OPTIONS;

use super::{choices, summary, verbs};

fn verb_names() -> String {
    verbs().into_iter().map(|verb| verb.name).collect::<Vec<_>>().join(" ")
}

/// The options that take the next word.
fn with_value() -> Vec<String> {
    OPTIONS.iter().filter(|option| option.value.is_some()).map(|option| format!("--{}", option.name)).collect()
}

const SWITCHES: [(&str, &str); 8] = [
    ("print-config", "show all settings and where they came from"),
    ("v", "more on stderr"),
    ("vv", "still more"),
    ("q", "less"),
    ("h", "help"),
    ("help", "help"),
    ("V", "version"),
    ("version", "version"),
];

fn dashed(name: &str) -> String {
    format!("{}{name}", if name.len() > 2 { "--" } else { "-" })
}

pub fn bash() -> String {
    let switches = SWITCHES.map(|(name, _)| dashed(name));
    let all: Vec<String> = OPTIONS.iter().map(|option| format!("--{}", option.name)).chain(switches).collect();
    let mut values = String::new();
    for option in OPTIONS.iter().filter(|option| option.value.is_some()) {
        let (name, words) = (option.name, choices(option).join(" "));
        let what = match (option.value, words.is_empty()) {
            (Some("PATH"), _) => "-f -- \"$cur\"".to_owned(),
            (_, true) => continue,
            (_, false) => format!("-W '{words}' -- \"$cur\""),
        };
        values += &format!("    --{name}) mapfile -t COMPREPLY < <(compgen {what}); return ;;\n");
    }
    format!(
        "# bash completion for restartinit, made by `make manual`\n\
         _restartinit() {{\n\
         \x20 local cur=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} first=1\n\
         \x20 COMPREPLY=()\n\
         \x20 # Where the command begins: behind all options and their values.\n\
         \x20 while ((first < COMP_CWORD)); do\n\
         \x20   case ${{COMP_WORDS[first]}} in\n\
         \x20   --) ((first++)); break ;;\n\
         \x20   {takes}) ((first += 2)) ;;\n\
         \x20   -*) ((first++)) ;;\n\
         \x20   *) break ;;\n\
         \x20   esac\n\
         \x20 done\n\
         \x20 if ((first < COMP_CWORD)); then\n\
         \x20   if declare -F _command_offset >/dev/null; then _command_offset \"$first\"; else mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); fi\n\
         \x20   return\n\
         \x20 fi\n\
         \x20 case $before in\n{values}\
         \x20 {takes}) [[ $cur == -* ]] || return ;;\n\
         \x20 esac\n\
         \x20 if [[ $cur == -* ]]; then\n\
         \x20   mapfile -t COMPREPLY < <(compgen -W '{all}' -- \"$cur\")\n\
         \x20 else\n\
         \x20   mapfile -t COMPREPLY < <(compgen -W '{verbs}' -c -- \"$cur\")\n\
         \x20 fi\n\
         }}\n\
         complete -F _restartinit -o default restartinit\n",
        takes = with_value().join("|"),
        all = all.join(" "),
        verbs = verb_names(),
    )
}

pub fn zsh() -> String {
    // In its specifications colons and brackets mean something.
    let plain = |text: &str| text.replace('\'', "'\\''").replace('[', "\\[").replace(']', "\\]").replace(':', "\\:");
    let mut text =
        String::from("#compdef restartinit\n# zsh completion for restartinit, made by `make manual`\n\n_arguments -S -A '-*' \\\n");
    for option in OPTIONS {
        let value = option.value.map_or_else(String::new, |value| {
            let words = choices(option);
            let action = match (value, words.is_empty()) {
                ("PATH", _) => "_files".to_owned(),
                (_, true) => " ".to_owned(),
                (_, false) => format!("({})", words.join(" ")),
            };
            format!(":{}:{action}", plain(value))
        });
        let repeated = if option.repeatable { "*" } else { "" };
        text += &format!("  '{repeated}--{}[{}]{value}' \\\n", option.name, plain(&summary(option)));
    }
    for (name, meaning) in SWITCHES {
        text += &format!("  '{}[{}]' \\\n", dashed(name), plain(meaning));
    }
    text + &format!(
        "  '(-)1:command:{{_alternative \"verbs:verb:({})\" \"commands:command:_command_names -e\"}}' \\\n  '*::arguments:_normal'\n",
        verb_names()
    )
}

/// An option of ours stands before the command.
const BEFORE: &str = "-n __restartinit_before_command";

pub fn fish() -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
    let mut text = String::from("# fish completion for restartinit, made by `make manual`\n\n");
    let with_value = with_value().join(" ");
    text += &format!(
        "function __restartinit_before_command\n\
         \x20   set -l is_value 0\n\
         \x20   for word in (commandline -opc)[2..]\n\
         \x20       if test $is_value = 1\n\
         \x20           set is_value 0\n\
         \x20           continue\n\
         \x20       end\n\
         \x20       switch $word\n\
         \x20           case {with_value}\n\
         \x20               set is_value 1\n\
         \x20           case --\n\
         \x20               return 1\n\
         \x20           case '-*'\n\
         \x20           case '*'\n\
         \x20               return 1\n\
         \x20       end\n\
         \x20   end\n\
         end\n\n\
         complete -c restartinit -x -a '(__fish_complete_subcommand -- {with_value})'\n"
    );
    text += &format!("complete -c restartinit {BEFORE} -a '{}'\n", verb_names());
    for option in OPTIONS {
        let words = choices(option);
        let value = match (option.value, words.is_empty()) {
            (None, _) => String::new(),
            (Some("PATH"), _) => " -r -F".to_owned(),
            (_, true) => " -x".to_owned(),
            (_, false) => format!(" -x -a '{}'", words.join(" ")),
        };
        text += &format!("complete -c restartinit {BEFORE} -l {}{value} -d {}\n", option.name, quoted(&summary(option)));
    }
    for (name, meaning) in SWITCHES {
        let kind = match name.len() {
            1 => "-s",
            2 => "-o",
            _ => "-l",
        };
        text += &format!("complete -c restartinit {BEFORE} {kind} {name} -d {}\n", quoted(meaning));
    }
    text
}
