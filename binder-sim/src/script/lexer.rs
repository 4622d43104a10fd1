//! A line of a script, cut into words and signs.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// A text that is no script: which line, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl core::error::Error for ParseError {}

/// What is left of a line.
#[derive(Debug, Clone)]
pub(super) struct Lexer<'a> {
    /// Which line, from 1.
    line: usize,
    /// The words and signs that are left, the next one last.
    left: Vec<&'a str>,
}

/// A sign stands for itself and ends the word before it.
const SIGNS: &str = "{};,:@.[]";

impl<'a> Lexer<'a> {
    /// The words and signs of a line.
    pub(super) fn new(line: usize, text: &'a str) -> Lexer<'a> {
        let mut left = Vec::new();
        for word in text.split_whitespace() {
            let mut start = 0;
            for (at, sign) in word.char_indices().filter(|&(_, sign)| SIGNS.contains(sign)) {
                left.extend((start < at).then(|| &word[start..at]));
                left.push(&word[at..=at]);
                start = at + sign.len_utf8();
            }
            left.extend((start < word.len()).then(|| &word[start..]));
        }
        left.reverse();
        Lexer { line, left }
    }

    /// An error on this line.
    pub(super) fn error(&self, what: impl Into<String>) -> ParseError {
        ParseError { line: self.line, what: what.into() }
    }

    /// The next word or sign, left where it is.
    pub(super) fn peek(&self) -> Option<&'a str> {
        self.left.last().copied()
    }

    /// Takes the next word or sign.
    pub(super) fn next(&mut self, expected: &str) -> Result<&'a str, ParseError> {
        self.left.pop().ok_or_else(|| self.error(format!("ends where {expected} should stand")))
    }

    /// Takes the next word if it is this one.
    pub(super) fn eat(&mut self, word: &str) -> bool {
        let is_next = self.peek() == Some(word);
        if is_next {
            self.left.pop();
        }
        is_next
    }

    /// Takes this word, which has to come now.
    pub(super) fn expect(&mut self, word: &str) -> Result<(), ParseError> {
        let next = self.next(word)?;
        if next == word { Ok(()) } else { Err(self.error(format!("`{next}` where `{word}` should stand"))) }
    }

    /// Nothing may be left.
    pub(super) fn end(&self) -> Result<(), ParseError> {
        match self.peek() {
            None => Ok(()),
            Some(word) => Err(self.error(format!("`{word}` after the end of the step"))),
        }
    }

    /// Whether a number comes next.
    pub(super) fn is_number(&self) -> bool {
        self.peek().is_some_and(|word| word.starts_with(|c: char| c.is_ascii_digit()))
    }

    /// Takes a number, decimal or with `0x`.
    pub(super) fn number<N: TryFrom<u64>>(&mut self, what: &str) -> Result<N, ParseError> {
        let word = self.next(what)?;
        let number = match word.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => word.parse(),
        };
        let number = number.ok().and_then(|number| N::try_from(number).ok());
        number.ok_or_else(|| self.error(format!("`{word}` is not {what}")))
    }

    /// Takes `word NUMBER`, or gives the default.
    pub(super) fn option<N: TryFrom<u64>>(&mut self, word: &str, default: N) -> Result<N, ParseError> {
        if self.eat(word) { self.number(word) } else { Ok(default) }
    }

    /// Takes a name.
    pub(super) fn name(&mut self, what: &str) -> Result<String, ParseError> {
        let word = self.next(what)?;
        let fits = |c: char| c.is_ascii_alphanumeric() || "_-/".contains(c);
        if word.chars().all(fits) {
            Ok(word.to_string())
        } else {
            Err(self.error(format!("`{word}` is not {what}")))
        }
    }
}
