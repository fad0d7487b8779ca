//! The few arguments that the programs take; a dependency for them would be more text.

use std::str::FromStr;

/// The arguments after the program's name.
#[derive(Clone, Debug)]
pub struct Arguments(Vec<String>);

impl Arguments {
    /// Those of this process.
    pub fn of_process() -> Self {
        Self(std::env::args().skip(1).collect())
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
