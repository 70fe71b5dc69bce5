//! A certificate for localhost that nobody has signed but itself, made anew for a test.

use crate::support::Scratch;
use std::process::Command;

pub struct Certificate {
    pub key: String,
    pub cert: String,
}

impl Certificate {
    pub fn new(scratch: &Scratch) -> Self {
        let (key, cert) = (scratch.path("key.pem"), scratch.path("cert.pem"));
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]);
        openssl.args(["-subj", "/CN=localhost", "-keyout", &key, "-out", &cert]);
        let output = openssl.output().unwrap_or_else(|error| panic!("openssl (Debian: openssl): {error}"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self { key, cert }
    }
}
