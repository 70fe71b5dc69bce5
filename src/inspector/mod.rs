//! Node's inspector as a client sees it: HTTP to find it, WebSocket frames, JSON messages of DevTools' protocol. Whoever listens there may be
//! anybody and may send anything, for ever: all of it is read in one pass and in bounded memory. Pure: bytes in, bytes and values out.

pub mod discovery;
pub mod message;
pub mod request;
pub mod stack;
pub mod websocket;
