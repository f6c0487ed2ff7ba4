//! Tests of the `krt` binary.

#[cfg(test)]
mod archives;
#[cfg(test)]
mod bench;
#[cfg(test)]
mod call;
#[cfg(test)]
mod check;
#[cfg(test)]
mod completions;
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod documentation;
#[cfg(test)]
mod help;
mod man;
#[cfg(test)]
mod new;
#[cfg(test)]
mod notebook;
#[cfg(test)]
mod package;
#[cfg(test)]
mod proto;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod shop;
#[cfg(test)]
mod size;
#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls;
