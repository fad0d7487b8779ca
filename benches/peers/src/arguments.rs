//! The few arguments that the programs take; a dependency for them would be more text.

use std::str::FromStr;

/// The arguments after the program's name.
#[derive(Clone, Debug)]
pub struct Arguments(Vec<String>);

impl Arguments {
    /// Those of this process. `known` are the flags that it takes, as in `--quick`, or `--runs 5` where a value follows.
    ///
    /// Ends the process where there is another one, since what a bench does not know it would not have measured, and for `--help`.
    /// A process in a role has arguments of its own.
    pub fn of_process(known: &[&str]) -> Self {
        let arguments = Self(std::env::args().skip(1).collect());
        if let Some(unknown) = arguments.unknown(known) {
            let flags = known.join("] [");
            if unknown == "--help" {
                println!("[{flags}]");
                std::process::exit(0);
            }
            eprintln!("{unknown:?} is no argument of this program; it takes [{flags}]");
            std::process::exit(2);
        }
        arguments
    }

    fn unknown(&self, known: &[&str]) -> Option<&str> {
        if self.role().is_some_and(|first| !first.starts_with("--")) {
            return None;
        }
        let mut arguments = self.0.iter();
        while let Some(argument) = arguments.next() {
            let flag = known
                .iter()
                .find(|flag| flag.split(' ').next() == Some(argument));
            let Some(flag) = flag else {
                return Some(argument);
            };
            if flag.contains(' ') {
                arguments.next();
            }
        }
        None
    }

    /// Whether the argument stands there, as in `--quick`.
    pub fn has(&self, flag: &str) -> bool {
        self.0.iter().any(|argument| argument == flag)
    }

    /// The value that follows a flag, or a default when the flag is absent.
    ///
    /// # Panics
    ///
    /// When the value is missing or malformed: a bench that guesses would measure something else.
    pub fn value<T: FromStr>(&self, flag: &str, default: T) -> T {
        let Some(at) = self.0.iter().position(|argument| argument == flag) else {
            return default;
        };
        self.0
            .get(at + 1)
            .and_then(|value| value.parse().ok())
            .unwrap_or_else(|| panic!("{flag} needs a value"))
    }

    /// The argument at a position, for the roles in which a program starts itself.
    ///
    /// # Panics
    ///
    /// When it is missing or malformed.
    pub fn at<T: FromStr>(&self, position: usize) -> T {
        self.0
            .get(position)
            .and_then(|value| value.parse().ok())
            .unwrap_or_else(|| panic!("argument {position} is missing or malformed"))
    }

    /// The role in which a program started itself, which is its first argument.
    pub fn role(&self) -> Option<&str> {
        self.0.first().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(arguments: &[&str]) -> Option<String> {
        let arguments = Arguments(arguments.iter().map(ToString::to_string).collect());
        arguments
            .unknown(&["--quick", "--runs 5"])
            .map(str::to_owned)
    }

    #[test]
    fn what_a_program_does_not_take_is_found() {
        assert_eq!(unknown(&[]), None);
        assert_eq!(unknown(&["--runs", "3", "--quick"]), None);
        assert_eq!(
            unknown(&["--quick", "--run", "3"]).as_deref(),
            Some("--run")
        );
        assert_eq!(unknown(&["--quick", "3"]).as_deref(), Some("3"));
        assert_eq!(unknown(&["receiver", "--else"]), None, "a role's own");
    }
}
