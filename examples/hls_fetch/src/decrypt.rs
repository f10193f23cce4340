//! AES-128 in CBC mode, taken off while bytes pass through.

use std::io::{self, Write};

use aes::cipher::{Array, BlockModeDecrypt as _, KeyIvInit as _, block_padding::Pkcs7};

const BLOCK_BYTES: usize = 16;

/// Decrypts what is written to it, and passes it on.
pub(crate) struct Decrypter<W> {
    cipher: cbc::Decryptor<aes::Aes128>,
    out: W,
    /// What was not decrypted yet. The last block waits in any case: it has the padding.
    held: Vec<u8>,
}

impl<W: Write> Decrypter<W> {
    pub(crate) fn new(out: W, key: &[u8; BLOCK_BYTES], iv: &[u8; BLOCK_BYTES]) -> Self {
        let cipher = cbc::Decryptor::new(key.into(), iv.into());
        Self { cipher, out, held: Vec::new() }
    }

    /// The last block.
    ///
    /// # Errors
    ///
    /// `InvalidData`: this is not the end of what was encrypted with this key. Those of a write.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        let last = self.cipher.decrypt_padded::<Pkcs7>(&mut self.held).map_err(|_| {
            let what = "it does not end as the key says: it is cut off, or the key is wrong";
            io::Error::new(io::ErrorKind::InvalidData, what)
        })?;
        self.out.write_all(last)
    }
}

impl<W: Write> Write for Decrypter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.held.extend_from_slice(bytes);
        let ready = self.held.len().saturating_sub(1) / BLOCK_BYTES * BLOCK_BYTES;
        let (blocks, _) = Array::slice_as_chunks_mut(&mut self.held[..ready]);
        self.cipher.decrypt_blocks(blocks);
        self.out.write_all(&self.held[..ready])?;
        self.held.drain(..ready);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
