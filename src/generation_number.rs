//! The number of a generation: one run of the command after the other. Pure.

use std::fmt;

use crate::json::Value;

/// The command's runs are numbered from 1, as they are spawned.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct GenerationNumber(u32);

impl GenerationNumber {
    /// No generation has it: what comes before the first.
    pub const NONE: GenerationNumber = GenerationNumber(0);
    pub const FIRST: GenerationNumber = GenerationNumber(1);

    pub const fn new(number: u32) -> GenerationNumber {
        GenerationNumber(number)
    }

    /// That of the generation that is spawned after it.
    pub fn next(self) -> GenerationNumber {
        GenerationNumber(self.0.saturating_add(1))
    }

    /// As it is told to programs.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl From<GenerationNumber> for Value {
    fn from(number: GenerationNumber) -> Value {
        number.0.into()
    }
}

impl fmt::Display for GenerationNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
