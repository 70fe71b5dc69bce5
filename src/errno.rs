//! What the kernel calls its errors, for people. Pure.

use nix::errno::Errno;

/// `permission denied`: as the C library says it, without its number.
pub fn text(errno: Errno) -> String {
    let text = std::io::Error::from(errno).to_string();
    text.split(" (os error").next().unwrap_or_default().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_in_words() {
        assert_eq!(text(Errno::EACCES), "permission denied");
        assert_eq!(text(Errno::ECONNREFUSED), "connection refused");
    }
}
