//! The program as its users meet it, against a daemon that says what a test tells it to.

mod bundle;
mod client;
mod render;
mod support;
mod top;
