//! What a guest has done with secrets that it does not see: signatures, encodings, and texts that are kept.

use super::{Call, guest_http, guest_secrets, guest_types};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use guest_http::Encoding;
use guest_secrets::Piece;
use guest_types::Hash;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::time::{Duration, Instant};
use uptime_core::secret::Secret;
use uptime_core::text::printable;

/// The most signatures of a request: one for each secret while one replaces another, and a few more.
const SIGNATURES_MOST: usize = 16;

impl guest_secrets::Host for Call {
    fn hmac(&mut self, hash: Hash, key: Vec<Piece>, message: Vec<Piece>) -> Result<Vec<u8>, String> {
        self.charged(|call| call.mac_of(hash, &key, &message))
    }

    fn derive(&mut self, hash: Hash, key: Vec<Piece>, message: Vec<Piece>) -> Result<String, String> {
        self.charged(|call| {
            let derived = call.mac_of(hash, &key, &message)?;
            call.references.derive(derived)
        })
    }

    fn base64(&mut self, pieces: Vec<Piece>) -> Result<String, String> {
        self.charged(|call| call.references.base64(&pieces))
    }

    fn keep(&mut self, name: String, value: String, ttl_s: u32) -> Result<String, String> {
        let kept = self.kept.clone().ok_or("only `notify` keeps something")?;
        self.references.refuse_in(&value, "what is kept")?;
        let value = Secret::new(value);
        let reference = self.references.add_kept(&value)?;
        kept.keep(name.clone(), &value, Duration::from_secs(ttl_s.into()), Instant::now())?;
        self.kept_references.insert(name, reference.clone());
        Ok(reference)
    }

    fn kept(&mut self, name: String) -> Option<String> {
        if let Some(reference) = self.kept_references.get(&name) {
            return Some(reference.clone());
        }
        let value = self.kept.as_ref()?.kept(&name, Instant::now())?;
        let reference = self.references.add_kept(&value).ok()?;
        self.kept_references.insert(name, reference.clone());
        Some(reference)
    }
}

impl Call {
    /// Does it on the guest's bill.
    fn charged<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let began = Instant::now();
        let done = work(self);
        self.charge(began);
        done
    }

    /// HMAC of the pieces of `message` with those of `key`.
    fn mac_of(&self, hash: Hash, key: &[Piece], message: &[Piece]) -> Result<Vec<u8>, String> {
        Ok(mac(hash, &self.references.signed(key)?, &[&self.references.signed(message)?]))
    }

    /// The headers with the signatures of `body`, which is as it will be sent.
    pub(super) fn sign(
        &self,
        signatures: Vec<guest_http::Signature>,
        body: &[u8],
        headers: &mut HeaderMap,
    ) -> Result<(), String> {
        if signatures.len() > SIGNATURES_MOST {
            return Err(format!("there are more than {SIGNATURES_MOST} signatures"));
        }
        let mut signed: Vec<(HeaderName, String)> = Vec::new();
        for signature in signatures {
            let guest_http::Signature { header, prefix, hash, key, before, encoding } = signature;
            let key = self.references.signing_key(&key)?;
            self.references.refuse_in(&prefix, "the beginning of a signature")?;
            if self.references.occurs_in(&before) {
                return Err("what is signed before a body can't hold a reference".into());
            }
            let name = self.header_name(&header)?;
            let mac = mac(hash, &key, &[&before, body]);
            let encoded = match encoding {
                Encoding::Hex => crate::secrets::hex(&mac),
                Encoding::Base64 => BASE64_STANDARD.encode(mac),
            };
            match signed.iter_mut().find(|(known, _)| *known == name) {
                Some((_, value)) => *value = format!("{value} {prefix}{encoded}"),
                None => signed.push((name, format!("{prefix}{encoded}"))),
            }
        }
        for (name, value) in signed {
            let value = HeaderValue::from_str(&value)
                .map_err(|_| format!("the header `{name}` has a value that can't be sent"))?;
            if headers.insert(&name, value).is_some() {
                return Err(format!("the header `{name}` is a signature's, and is set besides"));
            }
        }
        Ok(())
    }

    /// A header that a guest may set.
    pub(super) fn header_name(&self, name: &str) -> Result<HeaderName, String> {
        self.references.refuse_in(name, "a header's name")?;
        let parsed = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| format!("`{}` is no header's name", printable(name, 100)))?;
        if crate::egress::is_reserved(&parsed) {
            return Err(format!("the header `{name}` is the host's to set"));
        }
        Ok(parsed)
    }
}

fn mac(hash: Hash, key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    fn over<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
        let mut mac = <M as KeyInit>::new_from_slice(key).expect("because HMAC takes a key of any length");
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().to_vec()
    }
    match hash {
        Hash::Sha1 => over::<Hmac<sha1::Sha1>>(key, parts),
        Hash::Sha256 => over::<Hmac<sha2::Sha256>>(key, parts),
        Hash::Sha512 => over::<Hmac<sha2::Sha512>>(key, parts),
    }
}
