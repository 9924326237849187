//! Installs of a release where there is no toolchain: of the wheel, and of the images.

#![cfg(target_os = "linux")]

mod image;
mod release;
mod root;
mod up;
mod wheel;
